"""The rules about noise, sharpness and stability: each a function from models to a ruling, by two numbers."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from gendiff_lib.evaluation.restoration import Restored
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.uncertainty import TAIL, estimate
from gendiff_lib.experiments.claimed import ENOUGH
from gendiff_lib.gan.config import GANConfig
from gendiff_lib.runs import layout
from gendiff_lib.runs.run import Run

from ..claims.evidence import Missing
from ..claims.ruling import INCONCLUSIVE, NOT_REPLICATED, REPLICATED, Ruling, exceeds, ruled, united
from ..number import Number, made_of
from ..provenance import training_protocol
from ..tables.rows import apart_in_words
from .models import Models
from .pictures import Measured, detail, likeness, sharpness

ALIKE = 0.5  # mean correlation from which on two answers to one noise are called nearly the same image
SHEETS = "runs/RUN/sheets, the last one of each of these runs"
HALF_WAY = 0.5  # of the way to noise
LAST = 0.25  # of a training, over which it is asked whether it is steady


def restores(models: Models) -> Ruling:
    """From half-way to noise the diffusion model gives back more of a test image than the GAN finds of it."""
    gan, diffusion = models.restored("GAN"), models.restored("diffusion")
    spaces = {"pixels": ("psnr", 1, "PSNR, dB"), "features": ("feature", -1, "distance in features")}
    return united({space: _restores(models, gan, diffusion, *how) for space, how in spaces.items()})


def _restores(models: Models, gan: Restored, diffusion: Restored, field: str, sign: int, label: str) -> Ruling:
    level = int((diffusion.level - HALF_WAY).abs().argmin())
    found, given = getattr(gan, field)[0], getattr(diffusion, field)[level]
    shown = [
        (f"{label}, the nearest image of the DCGAN", _over_images(found, models.pair["GAN"], label)),
        (f"{label}, denoised from half-way", _over_images(given, models.pair["diffusion"], label)),
    ]
    return ruled({"nearer to the test image": sign * _paired(given - found)}, shown)


def _paired(differences: Tensor) -> int:
    """1 where the mean of differences is above zero by more than three standard errors, -1 where below, else 0."""
    return Measured(differences.mean().item(), _error(differences)).apart(Measured(0.0, 0.0))


def _error(values: Tensor) -> float:
    return values.std().item() / math.sqrt(len(values))


def _over_images(values: Tensor, run: Run, what: str) -> Number:
    told = {"what": what, "± is": f"the standard error over {len(values)} test images"}
    told["kept in"] = f"runs/{run.id}/{layout.RESTORED}, which gendiff train --publish makes with the run"
    text = f"{values.mean():.3g} ± {_error(values):.1g}"
    return Number(text, values.mean().item(), told | training_protocol(run), _error(values))


def sharper(models: Models) -> Ruling:
    """The diffusion model's share of power in the upper half of frequencies is nearer to real images'."""
    return _nearer(models, sharpness, "dB off in the share of the upper half of frequencies")


def more_detailed(models: Models) -> Ruling:
    """Its whole spectrum is nearer to real images'."""
    return _nearer(models, detail, "dB off over all frequencies")


def _nearer(models: Models, of: Callable[[Tensor, Tensor], Measured], what: str) -> Ruling:
    real = models.real_power()
    found = {side: of(models.images(run), real) for side, run in models.pair.items()}
    shown = [(f"{what}, {side}", _measured(found[side], run, what)) for side, run in models.pair.items()]
    return ruled({"nearer to real images than the DCGAN": found["GAN"].apart(found["diffusion"])}, shown)


def steadier(models: Models) -> Ruling:
    """Over the last quarter of training the DCGAN's distance rises beyond the noise, and the diffusion model's not.

    From the first snapshot of that quarter to the last, so that neither side has more chances to rise.
    """
    late = {side: _late(models, run) for side, run in models.pair.items()}
    if any(len(several) < 2 for several in late.values()):
        return Ruling(INCONCLUSIVE, "Not both keep two scored snapshots of their last quarter.")
    risen = {side: exceeds(several[-1], several[0]) for side, several in late.items()}
    what = "rise of the distance over the last quarter"
    shown = [(f"{what}, {side}", _rise(late[side], what)) for side in models.pair]
    worse = {side: held.sign > 0 for side, held in risen.items()}
    told = {
        side: f"{'rises' if worse[side] else 'does not rise'} beyond the noise{apart_in_words(held)}"
        for side, held in risen.items()
    }
    why = (
        f"From the first snapshot of the last quarter to the end the distance of the DCGAN {told['GAN']}, that of the "
        f"diffusion model {told['diffusion']}. Steady is not good: a model may be steadily bad."
    )
    if worse["GAN"] == worse["diffusion"]:
        return Ruling(INCONCLUSIVE, why, tuple(shown))
    return Ruling(REPLICATED if worse["GAN"] else NOT_REPLICATED, why, tuple(shown))


def _late(models: Models, run: Run) -> list[list[Scores]]:
    """The scores of the snapshots of a training's last quarter, in their order."""
    late = {f"{e:g}": run.at(e) for e in run.epochs_so_far if run.at(e).images >= (1 - LAST) * run.images}
    return [scores for _, scores in models.scored(late).values()]


def _rise(late: Sequence[list[Scores]], what: str) -> Number:
    """How much the distance rises from the first to the last; below zero where it falls."""
    before, after = (estimate(scores, "frechet_distance") for scores in (late[0], late[-1]))
    error = f"{math.hypot(before.error, after.error):.2g}"
    return made_of(after.mean - before.mean, what, [*late[-1], *late[0]], error=error)


def alike_over_seeds(models: Models) -> Ruling:
    """Trained again, the diffusion model's distance spreads less, as a share of it, by every extractor."""
    return united({space: _alike(models, space) for space in models.spaces})


def _alike(models: Models, space: str) -> Ruling:
    spreads, shown, n = {}, [], 0
    for side, run in models.pair.items():
        scores = models.scores(run, space)
        found = estimate(scores, "frechet_distance")
        if found.source != "training seeds" or found.n < ENOUGH:
            raise Missing(f"It takes {ENOUGH} training seeds of {run.config.name}, scored, and they are not there yet.")
        spreads[side], n = Spread(found.std / found.mean, found.freedom), found.n
        spread = made_of(spreads[side].share, f"std of the distance over its mean, {n} seeds", scores)
        shown.append((f"spread over seeds as a share of the mean, {side}", spread))
    times, by_chance = spreads["GAN"].beside(spreads["diffusion"])
    sign = 0 if by_chance is None or max(times, 1 / times) <= by_chance else 1 if times > 1 else -1
    ruling = ruled({"a smaller spread than the DCGAN's": sign}, shown)
    if by_chance is None:
        return ruling
    chance = f"where chance may give {by_chance:.3g} times"
    why = f"{ruling.why[:-1]} (the DCGAN's spread is {times:.3g} times the diffusion model's, {chance})."
    return ruling._replace(why=why)


class Spread(NamedTuple):
    """A standard deviation as a share of its mean, known from `freedom` differences."""

    share: float
    freedom: float

    def beside(self, other: "Spread") -> tuple[float, float | None]:
        """How many times the other's this is, and how many times chance alone may make one of two alike.

        By Fisher's F of the two variances, at the level of three standard deviations; None where either is zero.
        """
        from scipy.special import fdtri  # half a second to import

        if not (self.share > 0 and other.share > 0):
            return math.nan, None
        times = self.share / other.share
        most, least = (self, other) if times > 1 else (other, self)
        return times, math.sqrt(float(fdtri(most.freedom, least.freedom, 1 - TAIL)))


def same_noise(models: Models) -> Ruling:
    """From one noise diffusion models that were trained apart make nearly the same image; GANs do not."""
    found = {side: _pairs(models, kind) for side, kind in (("GAN", "gan"), ("diffusion", "diffusion"))}
    if lacking := [side for side, some in found.items() if not some]:
        raise Missing(f"It takes two {' and two '.join(lacking)} models whose noise has one shape.")
    shown, means = [], {}
    for side, some in found.items():
        values = [same for same, _ in some.values()]
        means[side] = sum(values) / len(values)
        what = f"mean correlation over {len(some)} pairs of models (least to greatest); of unlike noise "
        what += f"{sum(other for _, other in some.values()) / len(some):.2f}"
        text = f"{means[side]:.2f} ({min(values):.2f} to {max(values):.2f})"
        how = {"what": what, "pairs": ", ".join(some), "made of": SHEETS}
        shown.append((f"correlation, {side}", Number(text, means[side], how)))
    stand = {side: "above" if mean > ALIKE else "not above" for side, mean in means.items()}
    why = (
        f"The mean over pairs of diffusion models is {stand['diffusion']} {ALIKE:g}, that over GANs {stand['GAN']} it."
    )
    yes = means["diffusion"] > ALIKE > means["GAN"]
    return Ruling(REPLICATED if yes else NOT_REPLICATED, why, tuple(shown))


def _pairs(models: Models, kind: str) -> dict[str, tuple[float, float]]:
    """The likeness of each two models of a kind that are given the same noise, by their names."""
    alike = [(a, b) for a, b in itertools.combinations(models.everyone(kind), 2) if _noise(a) == _noise(b)]
    return {f"{told(a)} and {told(b)}": likeness(models.images(a), models.images(b)) for a, b in alike}


def sharing(models: Models, kind: str) -> list[Run]:
    """The models of a kind, "gan" or "diffusion", whose sheets are of the same noise as that of the pair's one."""
    runs = models.everyone(kind)
    mine = next((_noise(run) for run in models.pair.values() if run.config.kind == kind), None)
    return [run for run in runs if _noise(run) == mine]


def _noise(run: Run) -> object:
    """What two runs must share for their sheets to be of the same noise: its shape, and whether classes are told."""
    noise = run.config.nz if isinstance(run.config, GANConfig) else run.shape
    return noise, getattr(run.config, "conditional", False)


def told(run: Run) -> str:
    """What a run is called beside others of its kind."""
    return run.config.name + (f" (seed {run.config.seed})" if run.config.seed else "")


def _measured(found: Measured, run: Run, what: str) -> Number:
    told = {"what": what, "± is": "the standard error over images", "images": "of the sheet of its last snapshot"}
    return Number(f"{found.value:.2f} ± {found.error:.2f}", found.value, told | training_protocol(run), found.error)
