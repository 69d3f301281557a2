"""How well a score is known: standard errors of one set, of several seeds, and whether two scores differ."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..streams import stream
from .scores import ScoreError, Scores, protocol_of

GROUPS = 20  # of the fakes, each of which is left out once
TAIL = math.erfc(3 / math.sqrt(2)) / 2  # of a normal distribution, beyond three standard deviations on one side


def draw_groups(n: int) -> Tensor:
    """The group of each of n fakes, int64 (n,) in 0 .. GROUPS - 1: drawn, and as equal in size as they can be."""
    return torch.randperm(n, generator=stream("scores", 0)) % GROUPS


class Resampled(NamedTuple):
    """A value of all fakes, and the same value without each group of them in turn, float64 (GROUPS,)."""

    value: float
    without: Tensor

    @property
    def error(self) -> float:
        """The standard error by the delete-group jackknife (Shao and Tu 1995, section 2.3).

        What is left without a group is nearly the whole set, so a bias that falls with n does not count as noise, as
        it does in the spread of small disjoint parts.
        """
        deviations = self.without.double() - self.without.double().mean()
        return math.sqrt((1 - 1 / len(deviations)) * deviations.square().sum().item())


def count_error(share: float, n: int) -> float:
    """The standard error of a share of n, by Laplace's estimate of it: a share of 0 or 1 is not known exactly."""
    likely = (n * share + 1) / (n + 2)
    return math.sqrt(likely * (1 - likely) / n)


# ---------------------------------------------------------------- what may be said of several


class Estimate(NamedTuple):
    """A value's mean and standard deviation over `n` seeds. Where there is one set of samples alone, `source` is
    "groups", n is 1, and std is the standard error that leaving out its groups gives.

    `error` is the standard error of the mean, known from `freedom` differences (perhaps not a whole number, of what is
    made of two estimates).
    """

    mean: float
    std: float
    n: int
    source: str  # "training seeds", "sampling seeds" or "groups"
    error: float
    freedom: float

    def __str__(self) -> str:
        """Mean ± std, both to the second digit of std; the mean to five digits at most."""
        if not self.std > 0:
            return f"{self.mean:.4g}"
        digits = max(0, 1 - math.floor(math.log10(self.std)))
        most = 4 - math.floor(math.log10(abs(self.mean))) if self.mean else digits
        if digits > most:
            return f"{self.mean:.5g} ± {self.std:.1g}"
        return f"{self.mean:.{digits}f} ± {self.std:.{digits}f}"


def estimate(scores: Sequence[Scores], name: str) -> Estimate:
    """The value called `name` (a field of Scores) over training seeds, else over sampling seeds, else over groups.

    Scores of one training seed are averaged first. Precision has at least the error of a count, however well a few
    seeds agree. ScoreError for scores of unlike protocols, of one set twice, or without that value.
    """
    if len({protocol_of(s) for s in scores}) != 1:
        raise ScoreError("scores of unlike n, reference, extractor or sampling do not average: score by one protocol")
    if name not in scores[0].labels:
        raise ScoreError(
            f"extractor {scores[0].extractor} gives no {name}: choose one of {', '.join(scores[0].labels)}"
        )
    seeds = _by_seed(scores, name)
    means = [sum(values) / len(values) for values in seeds]
    mean, source, several = sum(means) / len(means), "training seeds", means
    if len(means) == 1:
        source, several = "sampling seeds", seeds[0]
    if len(several) == 1:
        error = scores[0].errors[name]
        return Estimate(mean, error, 1, "groups", error, scores[0].groups - 1)
    n = len(several)
    std = torch.tensor(several, dtype=torch.float64).std().item()
    least = count_error(mean, sum(s.n_fake for s in scores)) if name == "precision" else 0.0
    return Estimate(mean, std, n, source, max(std / math.sqrt(n), least), n - 1)


def _by_seed(scores: Sequence[Scores], name: str) -> list[list[float]]:
    """The values of each training seed, one a sampling seed; ScoreError where one is there twice."""
    seeds: dict[Any, dict[Any, float]] = {}
    for s in scores:
        mine, sampling_seed = seeds.setdefault(s.made.get("training_seed"), {}), s.made.get("sampling_seed")
        if sampling_seed in mine:
            raise ScoreError(f"the scores of sampling seed {sampling_seed} are there twice: leave one out")
        mine[sampling_seed] = getattr(s, name)
    return [list(mine.values()) for mine in seeds.values()]


def joint_error(*parts: tuple[float, float]) -> tuple[float, float]:
    """The error of a sum, and how many differences it is known from, by the same two of its parts (Welch 1947).

    NaN differences where no part has an error.
    """
    error = math.hypot(*(part for part, _ in parts))
    return error, error**4 / sum(part**4 / n for part, n in parts if part > 0) if error > 0 else math.nan


def noise(a: Estimate, b: Estimate) -> float:
    """How far apart a and b may be by chance: Student's t times the error of their difference (Welch 1947).

    At the level of three standard deviations: the fewer seeds an error is known from, the more it takes. NaN where an
    error is unknown or zero.
    """
    from scipy.special import stdtrit  # half a second to import

    error, freedom = joint_error((a.error, a.freedom), (b.error, b.freedom))
    if not error > 0:
        return math.nan
    return -float(stdtrit(freedom, TAIL)) * error


class Comparison(NamedTuple):
    """Which of two values is greater, how far they are apart, and how far chance may take them; see noise."""

    sign: int  # 1 where the first is greater beyond the noise, -1 where the second is, else 0
    apart: float
    noise: float  # NaN where it is unknown

    def __neg__(self) -> "Comparison":
        return self._replace(sign=-self.sign)


def compared(a: Estimate, b: Estimate) -> Comparison:
    """a held against b. Neither is greater where their noise is unknown."""
    apart, by_chance = abs(a.mean - b.mean), noise(a, b)
    sign = (1 if a.mean > b.mean else -1) if apart > by_chance else 0
    return Comparison(sign, apart, by_chance)


def differ(a: Estimate, b: Estimate) -> bool:
    """Whether a and b differ beyond their noise. Never where it is unknown."""
    return compared(a, b).sign != 0
