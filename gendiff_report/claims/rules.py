"""The rules, one a claim: each a function from evidence of one size, as one extractor sees it, to a ruling."""

from collections.abc import Sequence

from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.uncertainty import Estimate, compared, estimate
from gendiff_lib.experiments import get
from gendiff_lib.experiments.cost import operations, training_operations

from ..number import Number
from ..printed import PUBLISHED_RATES, RATED, TABLE1
from .evidence import Missing, Seen
from .ruling import (
    INCONCLUSIVE,
    NOT_REPLICATED,
    REPLICATED,
    Ruling,
    agreed,
    exactly,
    exceeds,
    lead,
    loss_ratio,
    numbers,
    ruled,
    spread,
)


def better(found: Seen) -> Ruling:
    """Claim 1: a lower fd and a higher recall than the DCGAN's."""
    diffusion, gan = found.scores("diffusion", "GAN")
    parts = {"lower fd": "frechet_distance", "higher recall": "recall"}
    shown = [number for name in parts.values() for number in numbers(name, diffusion=diffusion, DCGAN=gan)]
    return ruled({part: lead(diffusion, gan, name) for part, name in parts.items()}, shown)


def good(found: Seen) -> Ruling:
    """Claim 2: an FID below the printed one, after 30 and after 49 epochs."""
    several = dict(zip((30, 49), found.scores("GAN", "GAN, late", own_n=True), strict=True))
    printed = exactly(float(TABLE1["FID"][0]))
    shown = numbers("frechet_distance", **{f"DCGAN_at_{e}": scores for e, scores in several.items()})
    signs = {f"FID below the printed one at {e}": -compared(_fd(s), printed) for e, s in several.items()}
    return ruled(signs, shown)


def _fd(scores: Sequence[Scores]) -> Estimate:
    return estimate(scores, "frechet_distance")


def garbage(found: Seen) -> Ruling:
    """Claim 3: more than twice the fd after 100 epochs."""
    before, after = found.scores("GAN, before", "GAN, after")
    shown = numbers("frechet_distance", DCGAN_at_49=before, DCGAN_at_100=after)
    return ruled({"twice the fd": exceeds(after, before, factor=2.0)}, shown)


def normal_losses(found: Seen) -> Ruling:
    """Claim 4: either loss stays between half and twice what it was."""
    runs = found.runs("GAN, late")
    ratios = {name: [loss_ratio(run, name, (39, 49)) for run in runs] for name in ("loss_g", "loss_d")}
    names = {"loss_g": "generator's", "loss_d": "discriminator's"}
    shown = [(f"{names[k]} loss in epochs 40 to 49, over that in 1 to 10", spread(v, runs)) for k, v in ratios.items()]
    kept = [all(0.5 < ratio < 2 for ratio in both) for both in zip(*ratios.values(), strict=True)]
    return agreed(kept, "In every seed both losses stay.", "In every seed one of them leaves that range.", shown)


def needs_a_hundred(found: Seen) -> Ruling:
    """Claim 5: behind the DCGAN at 40 epochs, better at 100, and there ahead of it."""
    gan, diffusion, before, after = found.scores("GAN", "diffusion", "diffusion, before", "diffusion, after")
    fd = "frechet_distance"
    signs = {
        "higher fd than the DCGAN": lead(gan, diffusion, fd),
        "lower fd at 100 epochs": lead(after, before, fd),
        "then lower than the DCGAN's": lead(after, gan, fd),
    }
    shown = numbers(fd, DCGAN=gan, diffusion_at_40=diffusion, it_at_40_held_against_100=before, it_at_100=after)
    return ruled(signs, shown)


def two_hours(found: Seen) -> Ruling:
    """Claim 6: one to four hours for 20 epochs; of smaller networks, by what the paper's would take at their speed."""
    if found.preset != "paper":
        return _two_hours_by_speed(found)
    runs = found.runs("diffusion, early")
    hours = [run.snapshot["seconds"] / 3600 for run in runs]
    rates = [run.snapshot["images"] / run.snapshot["seconds"] for run in runs]
    shown = [("hours for 20 epochs", spread(hours, runs)), ("images a second", spread(rates, runs, ".0f"))]
    told = [True if 1 <= h <= 4 else False if h > 4 else None for h in hours]
    if all(h < 1 for h in hours):
        return Ruling(INCONCLUSIVE, "All runs took less: they say nothing of the paper's machine.", tuple(shown))
    return agreed(told, "All runs took about that long.", "All runs took longer.", shown)


def _two_hours_by_speed(found: Seen) -> Ruling:
    """By the paper-size operations of 20 epochs, at this library's measured speed and at published ones."""
    runs = found.runs("diffusion, early")
    work = training_operations(get("ddpm-conv", "paper", epochs=20.0))
    here = [work / (run.training_operations / run.snapshot["seconds"]) / 3600 for run in runs]
    each = operations(get(RATED, "paper"))  # DDPM's own network, which they train
    there = {device: work / (rate * each) / 3600 for device, rate in PUBLISHED_RATES.items()}
    what = "hours for 20 epochs at the paper's size, by counted operations and published images a second"
    how = {
        "what": what,
        "TFLOP for 20 epochs": f"{work / 1e12:,.0f}",
        "measured with": f"{RATED}, {each / 1e9:.3g} GFLOP",
    }
    shown = [("hours where ours were trained, with other work beside them", spread(here, runs))]
    for device, taken in there.items():
        rate = {"images a second, printed in its repository": f"{PUBLISHED_RATES[device]:g}"}
        shown.append((f"hours on {device}", Number(f"{taken:.2g}", taken, how | rate)))
    hours = [*here, *there.values()]
    if any(1 <= h <= 4 for h in hours):
        return Ruling(REPLICATED, "A device of these takes one to four hours.", tuple(shown))
    if min(hours) > 4:
        return Ruling(NOT_REPLICATED, "All of these take longer.", tuple(shown))
    why = f"These devices take from {min(hours):.3g} to {max(hours):.3g} hours, none of them one to four: which the "
    return Ruling(INCONCLUSIVE, f"{why}paper had, it does not say.", tuple(shown))


def stable(found: Seen) -> Ruling:
    """Claim 7: every class covered and a falling loss, in every seed. Missing where no class is known."""
    runs, (scores,) = found.runs("diffusion"), found.scores("diffusion")
    if not all(s.shares for s in scores):
        raise Missing("The extractor that scored these runs does not know the classes of the data.")
    n = len(scores[0].shares)
    covered, ratios = [float(s.classes_covered) for s in scores], [loss_ratio(run, "loss", (30, 40)) for run in runs]
    shown = (
        (f"classes covered of {n}", spread(covered, runs)),
        ("loss in the last ten epochs, over that in the first", spread(ratios, runs)),
    )
    both = [c == n and r < 1 for c, r in zip(covered, ratios, strict=True)]
    falls = sum(r < 1 for r in ratios)
    why = f"{covered.count(n)} of {len(runs)} seeds cover every class, and the loss falls in {falls}."
    return Ruling(REPLICATED if all(both) else INCONCLUSIVE if any(both) else NOT_REPLICATED, why, shown)


def precise(found: Seen) -> Ruling:
    """Claim 8: a higher precision and a lower recall than the DCGAN's."""
    diffusion, gan = found.scores("diffusion", "GAN")
    shown = [number for v in ("precision", "recall") for number in numbers(v, diffusion=diffusion, DCGAN=gan)]
    signs = {"higher precision": lead(diffusion, gan, "precision"), "lower recall": lead(gan, diffusion, "recall")}
    return ruled(signs, shown)


def saturates(found: Seen) -> Ruling:
    """Claim 9: a higher fd with the saturating loss."""
    usual, minimax = found.scores("usual loss", "saturating loss")
    shown = numbers("frechet_distance", non_saturating=usual, saturating=minimax)
    return ruled({"higher fd with the saturating loss": lead(usual, minimax, "frechet_distance")}, shown)


def needs_norm(found: Seen) -> Ruling:
    """Claim 10: more than twice the fd without batch norm."""
    usual, plain = found.scores("batch norm", "no batch norm")
    shown = numbers("frechet_distance", with_batch_norm=usual, without=plain)
    return ruled({"twice the fd without it": exceeds(plain, usual, factor=2.0)}, shown)


def scales(found: Seen) -> Ruling:
    """Claim 11: less than one and a half times the fd at twice the side."""
    small, large = found.scores("small images", "large images")
    shown = numbers("frechet_distance", U_Net_at_32=small, U_Net_at_64=large)
    return ruled({"fd below one and a half times": -exceeds(large, small, factor=1.5)}, shown)


def selects(found: Seen) -> Ruling:
    """Claim 12: on both sides the worst setting has more than one and a half times the best one's fd.

    The last but one is told as well, since one bad setting is enough for the rule.
    """
    signs, shown, less = {}, [], {}
    for side, scores in found.trials().items():
        order = sorted(scores, key=lambda s: s.frechet_distance)
        signs[f"worst {side} more than 1.5 times the best"] = exceeds([order[-1]], [order[0]], factor=1.5)
        less[side] = f"{order[-2].frechet_distance / order[0].frechet_distance:.3g} ({side})"
        told = {"best": order[0], "last_but_one": order[-2], "worst": order[-1]}
        shown += numbers("frechet_distance", **{f"the_{place}_{side}_setting": [s] for place, s in told.items()})
    ruling = ruled(signs, shown)
    return ruling._replace(why=f"{ruling.why} Without the worst one it would be {' and '.join(less.values())} times.")
