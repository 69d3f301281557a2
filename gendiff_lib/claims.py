"""The paper's eleven claims, each with the rule that decides on it. Verdicts come from runs alone, and are never typed.

A rule looks at runs of the paper's size by several training seeds, all scored by one protocol: the same number of
images, the same reference, the same extractor. What it needs and does not find makes the verdict "cannot be told".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .cards import Number, score_number
from .config import GendiffError
from .experiments import CLAIM_SEEDS, CLAIMED, TABLE1, get, protocol
from .metrics import Estimate, Scores, differ, estimate
from .runs import Run, find, siblings
from .tables import HIGHER_IS_BETTER

REPLICATED, NOT_REPLICATED, UNTOLD = "replicated", "not replicated", "cannot be told"
VERDICTS = (REPLICATED, NOT_REPLICATED, UNTOLD)
OFFLINE = "cifar10-classifier"


class Missing(GendiffError):
    """Evidence that a rule needs and that is not there."""


class Evidence(Protocol):
    """Where a rule looks: runs by their experiment and epoch, one of each training seed, and their scores."""

    def runs(self, name: str, epochs: int) -> list[Run]:
        """Missing where there are too few."""

    def scores(self, name: str, epochs: int, extractor: str = OFFLINE) -> list[Scores]:
        """At one n for all; Missing where there are too few."""


class Ruling(NamedTuple):
    """A verdict, the reason in a sentence, and the numbers it rests on, by label."""

    verdict: str
    why: str
    ours: tuple[tuple[str, Number], ...] = ()


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words; what it prints; the rule in words, and the function that is the rule."""

    number: int
    said: str
    printed: str
    rule: str
    pages: tuple[str, ...]  # the notebooks that look at it
    decide: Callable[[Evidence], Ruling]

    def judge(self, evidence: Evidence) -> Ruling:
        """What the evidence says of it."""
        try:
            return self.decide(evidence)
        except Missing as missing:
            return Ruling(UNTOLD, str(missing))


@dataclass(frozen=True)
class Recorded:
    """Evidence from the runs on disk, by what is kept beside them: nothing is drawn, scored or trained for it."""

    preset: str = "paper"
    seeds: int = CLAIM_SEEDS

    def runs(self, name: str, epochs: int) -> list[Run]:
        """See Evidence."""
        run = find(get(name, self.preset, epochs=epochs))
        found = siblings(run) if run else []
        if len(found) < self.seeds:
            raise Missing(
                f"It takes {self.seeds} training seeds of {name} at the paper's size after {epochs} epochs; "
                f"there {'is' if len(found) == 1 else 'are'} {len(found) or 'none'}."
            )
        return found

    def scores(self, name: str, epochs: int, extractor: str = OFFLINE) -> list[Scores]:
        """See Evidence."""
        known = protocol(name, self.preset)
        sampling = known.sampling.but(n=equal_n(self.preset))
        runs = self.runs(name, epochs)
        kept = [run.kept_scores(sampling, extractor, known.n_real) for run in runs]
        found = [scores for scores in kept if scores is not None]
        if len(found) < len(runs):
            raise Missing(
                f"{len(runs) - len(found)} of {len(runs)} runs of {name} after {epochs} epochs are not yet scored by "
                f"{extractor}."
            )
        return found


def equal_n(preset: str) -> int:
    """The number of images at which the claims' runs are scored: the least that any of their protocols draws."""
    return min(protocol(name, preset).sampling.n for name, _ in CLAIMED)


# ---------------------------------------------------------------- what rules are made of


def lead(one: Sequence[Scores], other: Sequence[Scores], name: str) -> int:
    """1 where the first is better by the value `name` beyond the noise, -1 where the second is, else 0."""
    a, b = estimate(one, name), estimate(other, name)
    if not differ(a, b):
        return 0
    return 1 if (a.mean > b.mean) == (name in HIGHER_IS_BETTER) else -1


def exceeds(a: Estimate, b: Estimate, factor: float = 1.0) -> int:
    """1 where a is more than `factor` times b beyond the noise, -1 where it is less, else 0."""
    scaled = b._replace(mean=b.mean * factor, std=b.std * factor, error=b.error * factor)
    if not differ(a, scaled):
        return 0
    return 1 if a.mean > scaled.mean else -1


def exactly(value: float) -> Estimate:
    """A printed number, which has no noise that we know of."""
    return Estimate(value, 0.0, 1, "print", 0.0, 1)


def _fd(scores: Sequence[Scores]) -> Estimate:
    return estimate(scores, "frechet_distance")


def _ruling(signs: Sequence[int], ours: Sequence[tuple[str, Number]]) -> Ruling:
    """Replicated where all signs are 1; not where any is -1."""
    if any(sign < 0 for sign in signs):
        return Ruling(NOT_REPLICATED, "The runs show the opposite beyond the noise.", tuple(ours))
    if all(sign > 0 for sign in signs):
        return Ruling(REPLICATED, "The runs show it beyond the noise.", tuple(ours))
    return Ruling(UNTOLD, "The difference is inside the noise.", tuple(ours))


def _numbers(name: str, **several: Sequence[Scores]) -> list[tuple[str, Number]]:
    """One value of several models, by label."""
    shown = []
    for model, scores in several.items():
        shown.append((f"{scores[0].labels[name]} of {model.replace('_', ' ')}", score_number(scores, name)))
    return shown


def _spread(values: Sequence[float], runs: Sequence[Run], form: str = ".3g") -> Number:
    """The mean of a number of several runs, with the least and the greatest; it opens to all of them."""
    mean = sum(values) / len(values)
    every = [run.protocol for run in runs]
    merged = {label: ", ".join(dict.fromkeys(p[label] for p in every)) for label in every[0]}
    text = f"{mean:{form}} ({min(values):{form}} to {max(values):{form}})"
    return Number(text, mean, {"what": f"mean over {len(runs)} training seeds (least to greatest)"} | merged)


def _mean(run: Run, name: str, first: float, last: float) -> float:
    """Of a loss, between two epochs."""
    epochs, values = run.history["epoch"], run.history[name]
    chosen = [v for e, v in zip(epochs, values, strict=True) if first < e <= last]
    return sum(chosen) / len(chosen)


# ---------------------------------------------------------------- the rules


def _better(found: Evidence) -> Ruling:
    diffusion, gan = found.scores("ddpm-conv", 40), found.scores("dcgan", 30)
    names = ("frechet_distance", "recall")
    shown = [number for name in names for number in _numbers(name, diffusion=diffusion, DCGAN=gan)]
    return _ruling([lead(diffusion, gan, name) for name in names], shown)


def _good(found: Evidence) -> Ruling:
    early, late = (found.scores("dcgan", epochs, "inception") for epochs in (30, 49))
    printed = exactly(float(TABLE1["FID"][0]))
    shown = _numbers("frechet_distance", DCGAN_at_30=early, DCGAN_at_49=late)
    signs = [-1 if exceeds(_fd(scores), printed) > 0 else 1 for scores in (early, late)]
    why = "above" if min(signs) < 0 else "not above"
    return _ruling(signs, shown)._replace(why=f"Its FID is {why} the printed one beyond the noise.")


def _garbage(found: Evidence) -> Ruling:
    before, after = found.scores("dcgan", 49), found.scores("dcgan", 100)
    shown = _numbers("frechet_distance", DCGAN_at_49=before, DCGAN_at_100=after)
    return _ruling([exceeds(_fd(after), _fd(before), 2.0)], shown)


def _normal_losses(found: Evidence) -> Ruling:
    runs = found.runs("dcgan", 49)
    ratios = [_mean(run, "loss_g", 39, 49) / _mean(run, "loss_g", 0, 10) for run in runs]
    shown = [("generator's loss in epochs 40 to 49, over that in 1 to 10", _spread(ratios, runs))]
    if len({ratio < 2 for ratio in ratios}) > 1:
        return Ruling(UNTOLD, "The seeds do not agree.", tuple(shown))
    verdict = REPLICATED if ratios[0] < 2 else NOT_REPLICATED
    return Ruling(verdict, "All seeds agree.", tuple(shown))


def _needs_a_hundred(found: Evidence) -> Ruling:
    gan, early, late = found.scores("dcgan", 30), found.scores("ddpm-conv", 40), found.scores("ddpm-conv", 100)
    signs = [lead(gan, early, "frechet_distance"), lead(late, early, "frechet_distance")]
    return _ruling(signs, _numbers("frechet_distance", DCGAN=gan, diffusion_at_40=early, diffusion_at_100=late))


def _two_hours(found: Evidence) -> Ruling:
    runs = found.runs("ddpm-conv", 20)
    seconds = [float(run.snapshot["seconds"]) for run in runs]
    rates = [run.snapshot["images"] / s for run, s in zip(runs, seconds, strict=True)]
    shown = (
        ("seconds for 20 epochs", _spread(seconds, runs, ".0f")),
        ("images a second", _spread(rates, runs, ".0f")),
    )
    if len({s >= 3600 for s in seconds}) > 1:
        return Ruling(UNTOLD, "The runs do not agree.", shown)
    why = "All runs took that long." if seconds[0] >= 3600 else "All runs took less: the cost is not the method's."
    return Ruling(REPLICATED if seconds[0] >= 3600 else NOT_REPLICATED, why, shown)


def _stable(found: Evidence) -> Ruling:
    runs, scores = found.runs("ddpm-conv", 40), found.scores("ddpm-conv", 40)
    if not all(s.shares for s in scores):
        raise Missing("The extractor that scored these runs does not know the classes of the data.")
    covered = [float(s.classes_covered) for s in scores]
    ratios = [_mean(run, "loss", 30, 40) / _mean(run, "loss", 0, 10) for run in runs]
    shown = (
        (f"classes covered of {len(scores[0].shares)}", _spread(covered, runs)),
        ("loss in the last quarter, over that in the first", _spread(ratios, runs)),
    )
    whole = all(c == len(scores[0].shares) for c in covered) and all(r < 1 for r in ratios)
    why = "Every seed covers every class and ends lower than it began." if whole else "Not every seed does."
    return Ruling(REPLICATED if whole else NOT_REPLICATED, why, shown)


def _precise(found: Evidence) -> Ruling:
    diffusion, gan = found.scores("ddpm-conv", 40), found.scores("dcgan", 30)
    names = ("precision", "recall")
    shown = [number for name in names for number in _numbers(name, diffusion=diffusion, DCGAN=gan)]
    return _ruling([lead(diffusion, gan, "precision"), lead(gan, diffusion, "recall")], shown)


def _saturates(found: Evidence) -> Ruling:
    usual, minimax = found.scores("dcgan", 30), found.scores("dcgan-minimax", 30)
    shown = _numbers("frechet_distance", non_saturating=usual, saturating=minimax)
    return _ruling([lead(usual, minimax, "frechet_distance")], shown)


def _needs_norm(found: Evidence) -> Ruling:
    usual, plain = found.scores("dcgan", 30), found.scores("dcgan-plain", 30)
    shown = _numbers("frechet_distance", with_batch_norm=usual, without=plain)
    return _ruling([exceeds(_fd(plain), _fd(usual), 2.0)], shown)


def _scales(found: Evidence) -> Ruling:
    small, large = found.scores("ddpm-unet", 40), found.scores("ddpm-unet-64", 40)
    shown = _numbers("frechet_distance", U_Net_at_32=small, U_Net_at_64=large)
    return _ruling([-exceeds(_fd(large), _fd(small), 1.5)], shown)


CLAIMS = (
    Claim(
        1,
        "Diffusion gives better and more diverse images than GANs.",
        "FID 30 against 20, recall 0.56 against 0.60: its own table says the opposite",
        "The paper's diffusion model after 40 epochs has a lower fd and a higher recall than its DCGAN after 30. "
        "(Whether it is more stable is claim 7.)",
        ("09_comparison",),
        _better,
    ),
    Claim(
        2,
        "The DCGAN makes good images after 30 to 49 epochs.",
        "FID 20",
        "Good is as good as printed: after 30 and after 49 epochs its FID, by Inception-v3, is not above 20.",
        ("02_dcgan", "03_collapse"),
        _good,
    ),
    Claim(
        3,
        "From epoch 50 on the generator wins and the images become garbage.",
        "pictures alone; its conclusion calls epochs 50 to 100 exceptionally successful",
        "Garbage is a large change: the fd after 100 epochs is more than twice that after 49.",
        ("03_collapse",),
        _garbage,
    ),
    Claim(
        4,
        "The DCGAN's losses are normal for the first 49 epochs.",
        "a figure of the losses",
        "In every seed the generator's mean loss over epochs 40 to 49 is below twice that over the first ten.",
        ("02_dcgan", "03_collapse"),
        _normal_losses,
    ),
    Claim(
        5,
        "Diffusion is subpar in its first 30 to 40 epochs and needs at least 100.",
        "no number",
        "After 40 epochs its fd is higher than the DCGAN's after 30, and after 100 epochs it is lower than after 40.",
        ("05_diffusion",),
        _needs_a_hundred,
    ),
    Claim(
        6,
        "Twenty epochs of diffusion take about two hours.",
        "two hours, about 139 images a second",
        "A cost belongs to a machine. Twenty epochs take at least one hour in all our runs, or less in all.",
        ("05_diffusion", "11_speed"),
        _two_hours,
    ),
    Claim(
        7,
        "Training a diffusion model is stable and does not lose modes.",
        "no number",
        "In every seed all ten classes are covered (each has at least a fifth of its fair share of samples) and the "
        "loss over the last ten epochs is below that over the first ten.",
        ("05_diffusion", "07_live"),
        _stable,
    ),
    Claim(
        8,
        "Diffusion has higher precision and lower recall than the DCGAN.",
        "precision 0.78 against 0.64, recall 0.56 against 0.60",
        "The diffusion model's precision is higher and its recall lower, after 40 and 30 epochs.",
        ("09_comparison",),
        _precise,
    ),
    Claim(
        9,
        "The saturating generator loss gives too little gradient early in training.",
        "no number",
        "The same DCGAN with the saturating loss has a higher fd after 30 epochs. (That its gradient vanishes where "
        "the discriminator is sure is arithmetic; whether training suffers from it is the question.)",
        ("02_dcgan",),
        _saturates,
    ),
    Claim(
        10,
        "Batch norm after the transposed convolutions is critical.",
        "no number",
        "Critical is a large change: without it the fd after 30 epochs is more than twice as high.",
        ("02_dcgan",),
        _needs_norm,
    ),
    Claim(
        11,
        "Diffusion scales to higher resolution.",
        "no number",
        "A U-Net at twice the side, on the same images enlarged, scored at their own size, stays below one and a half "
        "times the fd of the one at the data's side, after as many images.",
        ("09_comparison",),
        _scales,
    ),
)


def audit(evidence: Evidence) -> list[tuple[Claim, Ruling]]:
    """Every claim with what the evidence says of it."""
    return [(claim, claim.judge(evidence)) for claim in CLAIMS]
