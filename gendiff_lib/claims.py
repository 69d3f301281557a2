"""The paper's eleven claims, each with the rule that decides on it. Verdicts come from runs alone, and are never typed.

A rule looks at runs of the paper's size by several training seeds, all scored by one protocol: the same number of
images, the same reference, the same extractor. A rule that compares scores is asked twice, once by each of two
networks that ImageNet trained, and only a verdict that both give stands: a lead in one feature space alone is weak.
What a rule needs and does not find makes the verdict "cannot be told".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .cards import Number, command_name, merged, score_number, spanned
from .config import GendiffError, Sampling
from .experiments import CLAIM_SEEDS, CLAIMED, TABLE1, get, protocol
from .metrics import Estimate, ScoreError, Scores, check_alike, differ, estimate
from .runs import Run, outdated_parts, siblings
from .tables import HIGHER_IS_BETTER

REPLICATED, NOT_REPLICATED, UNTOLD = "replicated", "not replicated", "cannot be told"
VERDICTS = (REPLICATED, NOT_REPLICATED, UNTOLD)
CLASSIFIER = "cifar10-classifier"
SPACES = ("inception", "efficientnet")  # whose verdicts must agree
NO_SCORES = ("",)  # of a rule that asks for none
FAMOUS = (("dcgan", 30), ("dcgan", 49))  # what is looked at through Inception-v3, at its own n


class Missing(GendiffError):
    """Evidence that a rule needs and that is not there, or that cannot be compared."""


class Evidence(Protocol):
    """Where a rule looks: runs by their experiment and epoch, one of each training seed, and their scores."""

    def runs(self, name: str, epochs: int) -> list[Run]:
        """Missing where there are too few."""

    def scores(self, name: str, epochs: int, extractor: str, *, own_n: bool = False) -> list[Scores]:
        """At one n for all, or at the experiment's own; Missing where there are too few."""


@dataclass(frozen=True)
class Seen:
    """Evidence as one extractor sees it."""

    evidence: Evidence
    extractor: str

    def runs(self, name: str, epochs: int) -> list[Run]:
        """See Evidence."""
        return self.evidence.runs(name, epochs)

    def scores(self, name: str, epochs: int, *, own_n: bool = False) -> list[Scores]:
        """See Evidence; by this extractor."""
        return self.evidence.scores(name, epochs, self.extractor, own_n=own_n)


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
    decide: Callable[[Seen], Ruling]
    spaces: tuple[str, ...] = SPACES  # the extractors by each of which the rule is asked

    def judge(self, evidence: Evidence) -> Ruling:
        """What the evidence says of it, if it says the same by every extractor."""
        try:
            return _united({space: self.decide(Seen(evidence, space)) for space in self.spaces})
        except (Missing, ScoreError) as missing:
            return Ruling(UNTOLD, str(missing))


@dataclass(frozen=True)
class Recorded:
    """Evidence from published runs, by what is kept beside them: nothing is drawn, scored or trained for it."""

    preset: str = "paper"
    seeds: int = CLAIM_SEEDS

    def runs(self, name: str, epochs: int) -> list[Run]:
        """See Evidence. Runs of changed or of older code are no evidence."""
        found = siblings(get(name, self.preset, epochs=epochs), published=True)
        if len(found) < self.seeds:
            raise Missing(
                f"It takes {self.seeds} training seeds of {name} at the paper's size after {epochs} epochs; "
                f"published {'is' if len(found) == 1 else 'are'} {len(found) or 'none'}."
            )
        if unfit := [run.id for run in found if run.stale or run.record["dirty"]]:
            raise Missing(f"The code has changed since it made {', '.join(unfit)}.")
        return found

    def scores(self, name: str, epochs: int, extractor: str, *, own_n: bool = False) -> list[Scores]:
        """See Evidence. Scores of older code are no evidence."""
        runs, known = self.runs(name, epochs), protocol(name, self.preset)
        sampling = known.sampling if own_n else known.sampling.but(n=equal_n(self.preset))
        kept = [run.kept_scores(sampling, extractor, known.n_real) for run in runs]
        found = [scores for scores in kept if scores is not None]
        if len(found) < len(runs):
            command = f"gendiff score --all --preset {self.preset} --extractor {command_name(extractor)}"
            raise Missing(
                f"{len(runs) - len(found)} of {len(runs)} runs of {name} after {epochs} epochs are not yet scored by "
                f"{extractor}: `{command}` does it."
            )
        if any(map(outdated_parts, found)):
            raise Missing(
                f"The code has changed since it scored {name} after {epochs} epochs: where the weights are at hand, "
                f"`gendiff score --all --preset {self.preset} --again` does it anew, and `gendiff publish` shows it."
            )
        return found


def equal_n(preset: str) -> int:
    """The number of images at which the claims' runs are scored: the least that any of their protocols draws."""
    return min(protocol(name, preset).sampling.n for name, _ in CLAIMED)


def to_score(extractor: str, preset: str = "paper") -> list[tuple[Run, Sampling]]:
    """The runs and samplings whose scores the rules look at, by this extractor; local runs too."""
    n = equal_n(preset)
    wanted = [(name, epochs, protocol(name, preset).sampling.but(n=n)) for name, epochs in CLAIMED]
    if extractor == "inception":
        wanted += [(name, epochs, protocol(name, preset).sampling) for name, epochs in FAMOUS]
    known = dict.fromkeys(wanted)  # at the least n of all, an experiment's own may be the same
    return [(run, how) for name, epochs, how in known for run in siblings(get(name, preset, epochs=epochs))]


# ---------------------------------------------------------------- what rules are made of


def _united(rulings: Mapping[str, Ruling]) -> Ruling:
    """The one verdict of several extractors; where they differ, it cannot be told. Numbers say whose they are."""
    if len(rulings) == 1:
        return next(iter(rulings.values()))
    verdicts = {ruling.verdict for ruling in rulings.values()}
    reasons = " ".join(f"By {space}: {ruling.why[0].lower()}{ruling.why[1:]}" for space, ruling in rulings.items())
    why = reasons if len(verdicts) == 1 else f"The two feature spaces do not agree. {reasons}"
    ours = tuple((f"{label}, by {space}", number) for space, r in rulings.items() for label, number in r.ours)
    return Ruling(verdicts.pop() if len(verdicts) == 1 else UNTOLD, why, ours)


def lead(one: Sequence[Scores], other: Sequence[Scores], name: str) -> int:
    """1 where the first is better by the value `name` beyond the noise, -1 where the second is, else 0."""
    sign = exceeds(one, other, name)
    return sign if name in HIGHER_IS_BETTER else -sign


def exceeds(one: Sequence[Scores], other: Sequence[Scores], name: str = "frechet_distance", factor: float = 1.0) -> int:
    """1 where a value is more than `factor` times the other beyond the noise, -1 where it is less, else 0.

    ScoreError where the two were scored by unlike protocols.
    """
    check_alike(one, other)
    b = estimate(other, name)
    return _sign(estimate(one, name), b._replace(mean=b.mean * factor, std=b.std * factor, error=b.error * factor))


def _sign(a: Estimate, b: Estimate) -> int:
    if not differ(a, b):
        return 0
    return 1 if a.mean > b.mean else -1


def _exactly(value: float) -> Estimate:
    """A printed number, which has no noise that we know of."""
    return Estimate(value, 0.0, 1, "print", 0.0, 1)


def _ruling(signs: Mapping[str, int], ours: Sequence[tuple[str, Number]]) -> Ruling:
    """Replicated where all parts of a claim hold beyond the noise; not where the opposite of one does."""
    said = {1: "holds beyond the noise", 0: "is inside the noise", -1: "is the other way round, beyond the noise"}
    why = "; ".join(f"{part} {said[sign]}" for part, sign in signs.items()) + "."
    verdict = NOT_REPLICATED if min(signs.values()) < 0 else REPLICATED if min(signs.values()) > 0 else UNTOLD
    return Ruling(verdict, why[0].upper() + why[1:], tuple(ours))


def _agreed(found: Sequence[bool | None], yes: str, no: str, ours: Sequence[tuple[str, Number]]) -> Ruling:
    """By what each seed says alone: True, False, or None for what it cannot tell."""
    if all(found):
        return Ruling(REPLICATED, yes, tuple(ours))
    if all(each is False for each in found):
        return Ruling(NOT_REPLICATED, no, tuple(ours))
    return Ruling(UNTOLD, "The runs do not agree, or tell nothing of it.", tuple(ours))


def _numbers(name: str, **several: Sequence[Scores]) -> list[tuple[str, Number]]:
    """One value of several models, by label."""
    return [
        (f"{scores[0].labels[name]} of {model.replace('_', ' ')}", score_number(scores, name))
        for model, scores in several.items()
    ]


def _spread(values: Sequence[float], runs: Sequence[Run], form: str = ".3g") -> Number:
    """The mean of a number of several runs, with the least and the greatest; it opens to all of them."""
    what = {"what": f"mean over {len(runs)} training seeds (least to greatest)"}
    return spanned(values, what | merged([run.protocol for run in runs]), form)


def _ratio(run: Run, name: str, late: tuple[float, float]) -> float:
    """A loss's mean between two epochs, over that of the first ten."""
    epochs, values = run.history["epoch"], run.history[name]

    def mean(first: float, last: float) -> float:
        chosen = [v for e, v in zip(epochs, values, strict=True) if first < e <= last]
        return sum(chosen) / len(chosen)

    return mean(*late) / mean(0, 10)


# ---------------------------------------------------------------- the rules


def _better(found: Seen) -> Ruling:
    diffusion, gan = found.scores("ddpm-conv", 40), found.scores("dcgan", 30)
    parts = {"lower fd": "frechet_distance", "higher recall": "recall"}
    shown = [number for name in parts.values() for number in _numbers(name, diffusion=diffusion, DCGAN=gan)]
    return _ruling({part: lead(diffusion, gan, name) for part, name in parts.items()}, shown)


def _good(found: Seen) -> Ruling:
    several = {e: found.scores("dcgan", e, own_n=True) for e in (30, 49)}
    printed = _exactly(float(TABLE1["FID"][0]))
    shown = _numbers("frechet_distance", **{f"DCGAN_at_{e}": scores for e, scores in several.items()})
    signs = {f"FID below the printed one at {e}": -_sign(_fd(s), printed) for e, s in several.items()}
    return _ruling(signs, shown)


def _fd(scores: Sequence[Scores]) -> Estimate:
    return estimate(scores, "frechet_distance")


def _garbage(found: Seen) -> Ruling:
    before, after = found.scores("dcgan", 49), found.scores("dcgan", 100)
    shown = _numbers("frechet_distance", DCGAN_at_49=before, DCGAN_at_100=after)
    return _ruling({"twice the fd": exceeds(after, before, factor=2.0)}, shown)


def _normal_losses(found: Seen) -> Ruling:
    runs = found.runs("dcgan", 49)
    ratios = {name: [_ratio(run, name, (39, 49)) for run in runs] for name in ("loss_g", "loss_d")}
    names = {"loss_g": "generator's", "loss_d": "discriminator's"}
    shown = [(f"{names[k]} loss in epochs 40 to 49, over that in 1 to 10", _spread(v, runs)) for k, v in ratios.items()]
    kept = [all(0.5 < ratio < 2 for ratio in both) for both in zip(*ratios.values(), strict=True)]
    return _agreed(kept, "In every seed both losses stay.", "In every seed one of them runs away.", shown)


def _needs_a_hundred(found: Seen) -> Ruling:
    gan, early, late = found.scores("dcgan", 30), found.scores("ddpm-conv", 40), found.scores("ddpm-conv", 100)
    fd = "frechet_distance"
    signs = {"higher fd than the DCGAN": lead(gan, early, fd), "lower fd at 100 epochs": lead(late, early, fd)}
    return _ruling(signs, _numbers(fd, DCGAN=gan, diffusion_at_40=early, diffusion_at_100=late))


def _two_hours(found: Seen) -> Ruling:
    runs = found.runs("ddpm-conv", 20)
    hours = [run.snapshot["seconds"] / 3600 for run in runs]
    rates = [run.snapshot["images"] / run.snapshot["seconds"] for run in runs]
    shown = [("hours for 20 epochs", _spread(hours, runs)), ("images a second", _spread(rates, runs, ".0f"))]
    told = [True if 1 <= h <= 4 else False if h > 4 else None for h in hours]
    if all(h < 1 for h in hours):
        return Ruling(UNTOLD, "All runs took less: they say nothing of the paper's machine.", tuple(shown))
    return _agreed(told, "All runs took about that long.", "All runs took longer.", shown)


def _stable(found: Seen) -> Ruling:
    runs, scores = found.runs("ddpm-conv", 40), found.scores("ddpm-conv", 40)
    if not all(s.shares for s in scores):
        raise Missing("The extractor that scored these runs does not know the classes of the data.")
    n = len(scores[0].shares)
    covered, ratios = [float(s.classes_covered) for s in scores], [_ratio(run, "loss", (30, 40)) for run in runs]
    shown = (
        (f"classes covered of {n}", _spread(covered, runs)),
        ("loss in the last ten epochs, over that in the first", _spread(ratios, runs)),
    )
    if all(c == n for c in covered) and all(r < 1 for r in ratios):
        return Ruling(REPLICATED, "Every seed covers every class and ends lower than it began.", shown)
    return Ruling(NOT_REPLICATED, "Not every seed covers every class and ends lower than it began.", shown)


def _precise(found: Seen) -> Ruling:
    diffusion, gan = found.scores("ddpm-conv", 40), found.scores("dcgan", 30)
    shown = [number for v in ("precision", "recall") for number in _numbers(v, diffusion=diffusion, DCGAN=gan)]
    signs = {"higher precision": lead(diffusion, gan, "precision"), "lower recall": lead(gan, diffusion, "recall")}
    return _ruling(signs, shown)


def _saturates(found: Seen) -> Ruling:
    usual, minimax = found.scores("dcgan", 30), found.scores("dcgan-minimax", 30)
    shown = _numbers("frechet_distance", non_saturating=usual, saturating=minimax)
    return _ruling({"higher fd with the saturating loss": lead(usual, minimax, "frechet_distance")}, shown)


def _needs_norm(found: Seen) -> Ruling:
    usual, plain = found.scores("dcgan", 30), found.scores("dcgan-plain", 30)
    shown = _numbers("frechet_distance", with_batch_norm=usual, without=plain)
    return _ruling({"twice the fd without it": exceeds(plain, usual, factor=2.0)}, shown)


def _scales(found: Seen) -> Ruling:
    small, large = found.scores("ddpm-unet", 40), found.scores("ddpm-unet-64", 40)
    shown = _numbers("frechet_distance", U_Net_at_32=small, U_Net_at_64=large)
    return _ruling({"fd below one and a half times": -exceeds(large, small, factor=1.5)}, shown)


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
        "Good is as good as printed: after 30 and after 49 epochs its FID, by Inception-v3 and of 50,000 samples, is "
        "below 20.",
        ("02_dcgan", "03_collapse"),
        _good,
        ("inception",),
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
        "Normal is steady: in every seed the mean of either loss over epochs 40 to 49 is between half and twice that "
        "over the first ten. A generator that wins would raise one loss and lower the other.",
        ("02_dcgan", "03_collapse"),
        _normal_losses,
        NO_SCORES,
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
        "A cost belongs to a machine, and the paper names none. Replicated if all our runs take one to four hours; "
        "not, if all take longer; a faster machine tells nothing.",
        ("05_diffusion", "11_speed"),
        _two_hours,
        NO_SCORES,
    ),
    Claim(
        7,
        "Training a diffusion model is stable and does not lose modes.",
        "no number",
        "In every seed all ten classes are covered (each has at least a fifth of its fair share of samples) and the "
        "loss over the last ten epochs is below that over the first ten.",
        ("05_diffusion", "07_live"),
        _stable,
        (CLASSIFIER,),
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
