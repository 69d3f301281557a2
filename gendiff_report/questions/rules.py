"""The rules about cost, quality and scale: each a function from models to a ruling, by two numbers."""

from collections.abc import Sequence

from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.uncertainty import Estimate, compared, count_error, estimate, joint_error

from ..claims.evidence import Missing
from ..claims.ruling import (
    NOT_REPLICATED,
    REPLICATED,
    Ruling,
    lead,
    numbers,
    ruled,
    united,
)
from ..number import made_of
from .models import SIDES, Models, Sides, distance, number
from .pictures import Measured


def at_equal_operations(models: Models) -> Ruling:
    """The pair's diffusion model has the lower distance, by every extractor that is asked."""
    return _leads(models, "frechet_distance", "a lower distance than the DCGAN's")


def precise(models: Models) -> Ruling:
    """Its samples look real more often, by every extractor."""
    return _leads(models, "precision", "a higher precision than the DCGAN's")


def covering(models: Models) -> Ruling:
    """They reach more of the real images, by every extractor."""
    return _leads(models, "recall", "a higher recall than the DCGAN's")


def _leads(models: Models, name: str, said: str) -> Ruling:
    return united({space: _leads_by(models, space, name, said) for space in models.spaces})


def _leads_by(models: Models, space: str, name: str, said: str) -> Ruling:
    gan, diffusion = (models.scores(run, space) for run in models.pair.values())
    return ruled({said: lead(diffusion, gan, name)}, numbers(name, DCGAN=gan, diffusion=diffusion))


def copies_less(models: Models) -> Ruling:
    """Fewer of its samples lie nearer to a training image than all but one in a hundred test images do."""
    shares, shown = {}, []
    for side, run in models.pair.items():
        found = models.copies(side)
        share, n = found.suspects("feature"), len(found.feature)
        shares[side] = Measured(share, count_error(share, n))
        what = f"share of {n:,} samples nearer to a training image than all but 1% of test images, in features"
        shown.append((f"suspected copies, {side}", number(share, run, what, ".2%")))
    return ruled({"fewer suspected copies": shares["GAN"].apart(shares["diffusion"])}, shown)


def best_of_each(models: Models) -> Ruling:
    """The best diffusion model of all has a lower distance than the best GAN."""
    found = models.at_equal
    sides = {kind: [v for v in found.values() if v[0].config.kind == kind] for kind in ("gan", "diffusion")}
    if not all(sides.values()):
        raise Missing("It takes a scored model of either side, which is not there yet.")
    best = [min(some, key=lambda e: distance(e[1])) for some in sides.values()]
    (gan, a), (diffusion, b) = best
    shown = numbers("frechet_distance", **{gan.config.name: a, diffusion.config.name: b})
    return ruled(
        {"the best diffusion model's distance lower than the best GAN's": lead(b, a, "frechet_distance")}, shown
    )


def cost_of_a_sample(models: Models) -> Ruling:
    """A sample of the pair's diffusion model costs no more operations than one of its GAN."""
    work = {side: models.drawing(run) for side, run in models.pair.items()}
    shown = [(f"GFLOP for a sample, {side}", drawn) for side, drawn in work.items()]
    times = work["diffusion"].value / work["GAN"].value
    why = f"One of the diffusion model costs {times:.3g} times as much as one of the DCGAN."
    return Ruling(REPLICATED if times <= 1 else NOT_REPLICATED, why, tuple(shown))


# ---------------------------------------------------------------- size and variety of the data


def holds_at_64(models: Models) -> Ruling:
    """From 32 to 64 pixels, at equal operations, the U-Net's distance grows by a smaller factor than the DCGAN's."""
    small, large = models.sized.values()
    if lacking := [f"{side} {where}" for where, sides in models.sized.items() for side in SIDES if side not in sides]:
        raise Missing(f"It takes both models at both sizes, trained and scored; not there yet: {', '.join(lacking)}.")
    return _grows(small, large, "distance at 64 pixels over that at 32")


def holds_for_more_classes(models: Models) -> Ruling:
    """From the plainest of the distributions to the whole data set the U-Net's distance grows by a smaller factor."""
    found = {d: sides for d, sides in models.scaled.items() if not d.endswith(":64")}
    if len(found) < 2:
        raise Missing("It takes both models on fewer classes, trained and scored, which are not there yet.")
    plain, *_, whole = found
    return _grows(found[plain], found[whole], f"distance on {whole} over that on {plain}")


def _grows(before: Sides, after: Sides, what: str) -> Ruling:
    factors = {side: _factor(after[side][1], before[side][1]) for side in SIDES}
    shown = [
        (f"{what}, {side}", made_of(f.mean, what, [*after[side][1], *before[side][1]], error=f"{f.error:.2g}"))
        for side, f in factors.items()
    ]
    return ruled({"the smaller factor": compared(factors["GAN"], factors["diffusion"])}, shown)


def _factor(one: Sequence[Scores], other: Sequence[Scores]) -> Estimate:
    """How many times one distance is the other, and the error that those of both make, to first order."""
    a, b = (estimate(scores, "frechet_distance") for scores in (one, other))
    share, freedom = joint_error((a.error / a.mean, a.freedom), (b.error / b.mean, b.freedom))
    factor = a.mean / b.mean
    return Estimate(factor, factor * share, 1, "factor", factor * share, freedom)


def draws_shapes(models: Models) -> Ruling:
    """On drawn shapes at 64 pixels the U-Net has the lower distance."""
    found = models.scaled.get("shapes:64")
    if found is None:
        raise Missing("It takes both models on shapes:64, trained and scored, which are not there yet.")
    gan, diffusion = found["GAN"][1], found["diffusion"][1]
    shown = numbers("frechet_distance", DCGAN=gan, U_Net=diffusion)
    return ruled({"a lower distance than the DCGAN's": lead(diffusion, gan, "frechet_distance")}, shown)
