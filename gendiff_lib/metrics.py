"""Scores of generated images against real ones, with their uncertainty, and their counterparts in the plane.

torch-fidelity's functions give Inception Score and Fréchet distance from features. The kernel distance is the same as
torch-fidelity's, subset by subset, in half the time. The four scores that rest on nearest neighbours come from one pass
over the distances, which serves precision and recall (the same as torch-fidelity's) and density and coverage alike, and
keeps what it learns of the real images.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .config import GendiffError
from .data import Dataset
from .features import Extractor, Features, content_digest, extract, keep, source_of
from .machine import default_device

VERSION = 1  # of what scores are computed here: raised when the same features get other scores
SPLITS = 10  # of the Inception Score
NEIGHBOURS = 3  # k of precision and recall (Kynkaanniemi et al. 2019)
DENSITY_NEIGHBOURS = 5  # k of density and coverage (Naeem et al. 2020)
KERNEL_SUBSETS, KERNEL_SUBSET_SIZE, KERNEL_SEED = 100, 1000, 2020
PARTS = 5  # disjoint parts of the fakes, whose spread gives a standard error
EDGE = 2e-6  # by how much, relatively, a squared radius is widened: float32 products differ by less
CHUNK = 500  # real images whose distances to all fakes are held at once


class ScoreError(GendiffError):
    """Features that cannot be scored."""


SHARES = ("precision", "recall", "coverage")  # counts among the fakes, and twice among the reals
VALUES = ("classifier_score", "frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Values with their protocol, without which they are no numbers.

    Computed by Inception-v3 the first three are called IS, FID and KID, by any other extractor cs, fd and kd.
    """

    classifier_score: float
    classifier_score_std: float
    frechet_distance: float
    kernel_distance: float
    kernel_distance_std: float
    precision: float
    recall: float
    density: float
    coverage: float
    errors: dict[str, float]  # the standard error of each value, from PARTS disjoint parts of the fakes
    n_fake: int
    n_real: int
    reference: str  # the split that n_real images are of
    extractor: str
    extractor_digest: str
    n_features: int
    resize: str
    dtype: str
    splits: int = SPLITS
    neighbours: int = NEIGHBOURS
    density_neighbours: int = DENSITY_NEIGHBOURS
    parts: int = PARTS
    kernel_subset_size: int = KERNEL_SUBSET_SIZE
    kernel_seed: int = KERNEL_SEED
    shares: tuple[float, ...] = ()  # of the extractor's classes among the fakes, where these are the data set's
    made: dict[str, Any] = field(default_factory=dict)  # run, epochs, seeds, sampler, seconds, device of the fakes

    @property
    def names(self) -> tuple[str, str, str]:
        """What classifier score, Fréchet and kernel distance are called."""
        return ("IS", "FID", "KID") if self.extractor == "inception" else ("cs", "fd", "kd")

    @property
    def labels(self) -> dict[str, str]:
        """Field name of each value -> the name that it may bear."""
        return dict(zip(VALUES, (*self.names, *VALUES[3:]), strict=True))

    @property
    def values(self) -> dict[str, float]:
        """The seven values by the names that they may bear."""
        return {label: getattr(self, name) for name, label in self.labels.items()}

    @property
    def classes_covered(self) -> int:
        """How many classes have at least a fifth of the fakes that an even share would be."""
        return sum(5 * len(self.shares) * round(share * self.n_fake) >= self.n_fake for share in self.shares)

    @property
    def protocol(self) -> str:
        """How the values were made, in a line."""
        return (
            f"n = {self.n_fake:,} against {self.n_real:,} {self.reference} images, extractor {self.extractor} "
            f"({self.extractor_digest}, {self.n_features} features in {self.dtype}, resize {self.resize}), "
            f"k = {self.neighbours} (density and coverage {self.density_neighbours}), {self.splits} splits"
        )

    @classmethod
    def fields(cls) -> set[str]:
        """The names of all fields."""
        return {f.name for f in dataclasses.fields(cls)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Scores":
        """Undo dataclasses.asdict."""
        known = cls.fields()
        if missing := known - values.keys():
            raise ScoreError(f"these scores lack {', '.join(sorted(missing))}: compute them again")
        kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        return cls(**kept)


# ---------------------------------------------------------------- the real side, known once and kept


class Reference(NamedTuple):
    """Of N real images: features (N, D), mean (D,) and covariance (D, D) in float64, and each image's squared distances
    to its NEIGHBOURS-th and DENSITY_NEIGHBOURS-th nearest other, (N, 2); `source` is that of the features."""

    features: Tensor
    mean: Tensor
    covariance: Tensor
    balls: Tensor
    source: str = ""

    @classmethod
    def of(cls, real: Features) -> "Reference":
        """What scores need to know of real images; ScoreError where there are too few."""
        features = real.in_order().features
        _check_features(features, features.shape[-1])
        return cls(features, *_moments(features), _balls(features), real.source)


def kept_reference(extractor: Extractor, images: Tensor) -> Reference:
    """Of uint8 images (N, 3, H, W), computed once and kept in the user's cache."""

    def compute() -> dict[str, Tensor]:
        found = Reference.of(extract(extractor, images))._asdict()
        return {name: part for name, part in found.items() if name != "source"}

    kept = keep(extractor, f"{content_digest(images)}-reference", compute)
    return Reference(**kept, source=source_of(extractor, images))


def _check_count(n: int) -> None:
    least = 2 * SPLITS  # a split of one image has no Inception Score
    if n < least:
        raise ScoreError(f"n={n} images are too few to score: give at least {least}")


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance in float64: in float32 the product of covariances loses digits."""
    from torch_fidelity import metric_fid  # a second to import

    found = metric_fid.fid_features_to_statistics(features.double().cpu())
    return torch.from_numpy(found["mu"]), torch.from_numpy(np.atleast_2d(found["sigma"]))


def frechet_distance(mean1: Tensor, covariance1: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of means (D,), covariances (D, D), float64 (Heusel et al. 2017)."""
    from torch_fidelity import metric_fid

    one, two = ({"mu": m.numpy(), "sigma": c.numpy()} for m, c in ((mean1, covariance1), (mean2, covariance2)))
    found: float = metric_fid.fid_statistics_to_metric(one, two, verbose=False)[metric_fid.KEY_METRIC_FID]
    return found


def kernel_distance(fake: Tensor, real: Tensor, n_subsets: int, size: int) -> tuple[float, float]:
    """Mean and standard deviation of the unbiased MMD^2, kernel (a.b/D + 1)^3, over subsets of (N, D) and (M, D).

    (Binkowski et al. 2018.) The subsets are those that torch-fidelity draws from KERNEL_SEED.
    """
    rng = np.random.RandomState(KERNEL_SEED)

    def subset(features: Tensor) -> Tensor:
        return features[torch.from_numpy(rng.choice(len(features), size, replace=False))].to(default_device())

    found = []
    for _ in range(n_subsets):
        a, b = subset(fake), subset(real)
        within = _kernel_sum(a, a) - _kernel_diagonal(a) + _kernel_sum(b, b) - _kernel_diagonal(b)
        found.append((within / (size * (size - 1)) - 2 * _kernel_sum(a, b) / size**2).item())
    return float(np.mean(found)), float(np.std(found))


def _kernel_sum(a: Tensor, b: Tensor) -> Tensor:
    """Over all pairs, in float64: KID is a small difference of large sums. The products may keep the features' type."""
    return torch.addmm(a.new_ones(()), a, b.T, alpha=1 / a.shape[1]).pow_(3).sum(dtype=torch.float64)


def _kernel_diagonal(a: Tensor) -> Tensor:
    return (a.double().square().sum(1) / a.shape[1] + 1).pow(3).sum()


# ---------------------------------------------------------------- nearest neighbours


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, D) and (M, D) to (N, M), by one product of matrices."""
    squares = torch.addmm(b.square().sum(1), a, b.T, alpha=-2)
    return squares.add_(a.square().sum(1, keepdim=True)).clamp_(min=0)


def _balls(features: Tensor) -> Tensor:
    """The squared distance of each (N, D) to its third and fifth nearest other, (N, 2).

    A little more than that, so that what lies on a ball's edge is inside it, whatever the last digit of a product.
    """
    x = (features - features.mean(0)).to(default_device())  # centred, the product of matrices loses fewer digits
    ranks = [NEIGHBOURS, DENSITY_NEIGHBOURS]  # the nearest of all, of rank 0, is the image itself
    rows = [
        squared_distances(part, x).topk(max(ranks) + 1, largest=False, sorted=True).values[:, ranks]
        for part in x.split(CHUNK)
    ]
    return torch.cat(rows).mul(1 + EDGE).cpu()


def _neighbour_scores(fake: Tensor, real: Reference, parts: Sequence[slice]) -> list[dict[str, float]]:
    """Precision, recall, density and coverage of each slice of the fakes (M, D), in one pass over the distances.

    Precision: the share of fakes inside a real ball; recall: the share of reals inside a fake ball (a ball reaches to
    its centre's NEIGHBOURS-th neighbour). Density: the number of real balls around a fake, over k; coverage: the
    share of real balls with a fake inside (balls to the DENSITY_NEIGHBOURS-th neighbour).
    """
    device, middle = default_device(), real.features.mean(0)
    x, y = (fake - middle).to(device), (real.features - middle).to(device)
    balls = real.balls.to(device)
    fakes = [_balls(fake[part])[:, 0].to(device) for part in parts]
    inside, density = torch.zeros(len(x), device=device, dtype=torch.bool), torch.zeros(len(x), device=device)
    recalled, covered = ([torch.zeros((), device=device) for _ in parts] for _ in range(2))
    for rows, edges in zip(y.split(CHUNK), balls.split(CHUNK), strict=True):
        squares = squared_distances(rows, x)
        inside |= (squares <= edges[:, :1]).any(0)
        near = squares <= edges[:, 1:]
        density += near.sum(0, dtype=torch.int32)  # on a CPU 30 times as fast as the default, int64
        for i, part in enumerate(parts):
            recalled[i] += (squares[:, part] <= fakes[i]).any(1).sum()
            covered[i] += near[:, part].any(1).sum()
    return [
        {
            "precision": inside[part].float().mean().item(),
            "recall": recalled[i].item() / len(y),
            "density": density[part].mean().item() / DENSITY_NEIGHBOURS,
            "coverage": covered[i].item() / len(y),
        }
        for i, part in enumerate(parts)
    ]


# ---------------------------------------------------------------- scores


def score(
    fake: Features,
    real: Features | Reference,
    extractor: Extractor,
    *,
    reference: str,
    made: dict[str, Any] | None = None,
) -> Scores:
    """Score the features of generated images against real ones, of the split called `reference`.

    `made` tells how the fakes came about. ScoreError where there are fewer images than splits or neighbours ask for.
    """
    from torch_fidelity import metric_isc

    for features in (fake.features, real.features):
        _check_features(features, fake.features.shape[-1])
    if fake.source and real.source and fake.source != real.source:
        raise ScoreError(f"features of {fake.source} and of {real.source} do not compare: use one extractor, one size")
    known = real if isinstance(real, Reference) else Reference.of(real)
    fake = fake.in_order()
    n_fake, n_real = len(fake.features), len(known.features)
    subset = min(KERNEL_SUBSET_SIZE, n_fake, n_real)

    inception = metric_isc.isc_features_to_metric(fake.logits, SPLITS)
    kernel_mean, kernel_std = kernel_distance(fake.features, known.features, KERNEL_SUBSETS, subset)
    parts = _parts(n_fake)
    whole, *several = _neighbour_scores(fake.features, known, [slice(0, n_fake), *parts])
    for found, part in zip(several, parts, strict=True):
        piece = fake.features[part]
        found["frechet_distance"] = frechet_distance(*_moments(piece), known.mean, known.covariance)
        size = min(subset, len(piece))
        found["kernel_distance"], _ = kernel_distance(piece, known.features, KERNEL_SUBSETS // 10, size)
    errors = _errors(whole, several, n_fake, n_real)
    splits_std: float = inception[metric_isc.KEY_METRIC_ISC_STD]
    return Scores(
        classifier_score=inception[metric_isc.KEY_METRIC_ISC_MEAN],
        classifier_score_std=splits_std,
        frechet_distance=frechet_distance(*_moments(fake.features), known.mean, known.covariance),
        kernel_distance=kernel_mean,
        kernel_distance_std=kernel_std,
        precision=whole["precision"],
        recall=whole["recall"],
        density=whole["density"],
        coverage=whole["coverage"],
        errors=errors | {"classifier_score": splits_std / math.sqrt(SPLITS - 1)},  # the splits are disjoint parts too
        n_fake=n_fake,
        n_real=n_real,
        reference=reference,
        extractor=extractor.name,
        extractor_digest=extractor.digest,
        n_features=fake.features.shape[1],
        resize=extractor.resize,
        dtype=extractor.dtype,
        kernel_subset_size=subset,
        shares=tuple(class_shares(fake.logits).tolist()) if extractor.own_classes else (),
        made=made or {},
    )


def _check_features(features: Tensor, width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        raise ScoreError(f"features must be (N, {width}) on both sides, not {tuple(features.shape)}: use one extractor")
    _check_count(len(features))
    if not features.isfinite().all():
        raise ScoreError("features hold values that are not finite: the images or the extractor's weights are damaged")


def _parts(n: int) -> list[slice]:
    """PARTS disjoint slices of n fakes in their order; none where a part would be too small to score."""
    edges = [round(i * n / PARTS) for i in range(PARTS + 1)]
    small = n // PARTS < DENSITY_NEIGHBOURS + 2
    return [] if small else [slice(low, high) for low, high in pairwise(edges)]


def _errors(whole: dict[str, float], several: Sequence[dict[str, float]], n_fake: int, n_real: int) -> dict[str, float]:
    """Standard errors of a set's scores: its parts' spread over sqrt(PARTS), as noise falls with 1/sqrt(n).

    Shares have at least the error of a count: near 0 and 1 small parts agree more than whole sets would. The page on
    the scores shows how well the rule holds.
    """
    if not several:
        return {}
    errors = {name: _std([found[name] for found in several]) / math.sqrt(PARTS) for name in several[0]}
    return errors | {name: max(errors[name], _count_error(name, whole[name], n_fake, n_real)) for name in SHARES}


def _count_error(name: str, share: float, n_fake: int, n_real: int) -> float:
    """The standard error of a share of n, by Laplace's estimate of it: a share of 0 or 1 is not known exactly.

    Precision is a share of the fakes. Recall and coverage are shares of the reals, but owe their chance to the fakes
    too: the fewer of both count.
    """
    n = n_fake if name == "precision" else min(n_fake, n_real)
    likely = (n * share + 1) / (n + 2)
    return math.sqrt(likely * (1 - likely) / n)


def _std(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


# ---------------------------------------------------------------- what may be said of several


class Estimate(NamedTuple):
    """A value's mean and standard deviation over `n` seeds. Where there is one set of samples alone, `source` is
    "parts", n is 1, and std is the standard error that its disjoint parts give.

    `error` is the standard error of the mean, known from `freedom` differences.
    """

    mean: float
    std: float
    n: int
    source: str  # "training seeds", "sampling seeds" or "parts"
    error: float
    freedom: int

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
    """The value called `name` (a field of Scores) over training seeds, else over sampling seeds, else over parts.

    Scores of one training seed are averaged first. Shares have at least the error of a count, however well a few
    seeds agree. ScoreError for scores of unlike protocols, or of one set twice: they do not average.
    """
    if len({protocol_of(s) for s in scores}) != 1:
        raise ScoreError("scores of unlike n, reference, extractor or sampling do not average: score by one protocol")
    seeds: dict[Any, dict[Any, float]] = {}
    for s in scores:
        mine = seeds.setdefault(s.made.get("training_seed"), {})
        if s.made.get("sampling_seed") in mine:
            raise ScoreError(
                f"the scores of sampling seed {s.made.get('sampling_seed')} are there twice: leave one out"
            )
        mine[s.made.get("sampling_seed")] = getattr(s, name)
    means = [sum(values.values()) / len(values) for values in seeds.values()]
    mean, source, several = sum(means) / len(means), "training seeds", means
    if len(means) == 1:
        source, several = "sampling seeds", list(next(iter(seeds.values())).values())
    if len(several) == 1:
        error = scores[0].errors.get(name, math.nan)
        return Estimate(mean, error, 1, "parts", error, PARTS - 1)
    std, n = _std(several), len(several)
    least = _count_error(name, mean, sum(s.n_fake for s in scores), scores[0].n_real) if name in SHARES else 0.0
    return Estimate(mean, std, n, source, max(std / math.sqrt(n), least), n - 1)


# What of `Scores.made` may differ between scores that are averaged: the seeds, and where and when it was computed.
_FREE = {
    "run", "training_seed", "sampling_seed", "training_seconds", "sampling_seconds", "training_device", "device",
    "threads", "commit", "training_command", "training_commit", "versions", "packages",
}  # fmt: skip


def protocol_of(s: Scores, *, made: bool = True) -> str:
    """All that scores must share to be averaged, as text; without `made`, to be compared."""
    skip = {*VALUES, "classifier_score_std", "kernel_distance_std", "errors", "shares", "made"}
    fields = {f.name: getattr(s, f.name) for f in dataclasses.fields(s) if f.name not in skip}
    return repr(fields) + (repr(sorted((k, v) for k, v in s.made.items() if k not in _FREE)) if made else "")


def check_alike(one: Sequence[Scores], other: Sequence[Scores]) -> None:
    """ScoreError where two sides were scored by unlike protocols."""
    if protocol_of(one[0], made=False) != protocol_of(other[0], made=False):
        raise ScoreError("these scores do not compare: they have another n, reference or extractor")


# Student's t at the level of three standard deviations (0.27 % outside), by degrees of freedom.
STUDENT = {
    1: 235.8, 2: 19.21, 3: 9.219, 4: 6.620, 5: 5.507, 6: 4.904, 7: 4.530, 8: 4.277, 9: 4.094, 10: 3.957, 12: 3.764,
    15: 3.586, 20: 3.422, 30: 3.270, 60: 3.130, 120: 3.065,
}  # fmt: skip


def noise(a: Estimate, b: Estimate) -> float:
    """How far apart a and b may be by chance: Student's t times the error of their difference (Welch 1947).

    The fewer seeds an error is known from, the more it takes. NaN where an error is unknown or zero.
    """
    error = math.hypot(a.error, b.error)
    if not error > 0:
        return math.nan
    freedom = error**4 / sum(e.error**4 / e.freedom for e in (a, b) if e.error > 0)
    return STUDENT[max(k for k in STUDENT if k <= freedom + 1e-9)] * error


def differ(a: Estimate, b: Estimate) -> bool:
    """Whether a and b differ beyond their noise. Never where it is unknown."""
    return abs(a.mean - b.mean) > noise(a, b)


def class_shares(logits: Tensor) -> Tensor:
    """The share of each class among the most likely classes of logits (N, K)."""
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1]) / len(logits)


@dataclass(frozen=True, kw_only=True)
class PointScores:
    """Scores of points in the plane, where the truth is known.

    A sample is of high quality within four standard deviations (0.2) of a mode; a mode is covered when at least a
    fifth of its fair share of samples is that near. Data sets without modes have None for both.
    """

    distance: float  # sliced Wasserstein-1, in the data's own units
    modes: int | None
    n_modes: int | None
    high_quality: float | None
    n: int


def score_points(fake: Tensor, truth: Dataset) -> PointScores:
    """Score points (N, 2) against fresh draws from the same density."""
    distance = sliced_wasserstein(fake, truth.samples)
    if truth.modes is None:
        return PointScores(distance=distance, modes=None, n_modes=None, high_quality=None, n=len(fake))
    nearest = torch.cdist(fake, truth.modes).min(1)
    good = nearest.values < 0.2
    counts = torch.bincount(nearest.indices[good], minlength=len(truth.modes))
    covered = int((counts >= 0.2 * len(fake) / len(truth.modes)).sum())
    quality = good.float().mean().item()
    return PointScores(distance=distance, modes=covered, n_modes=len(truth.modes), high_quality=quality, n=len(fake))


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = 64) -> float:
    """The mean over evenly spaced directions of the Wasserstein-1 distance of the projections of (N, 2) and (M, 2).

    Both are read at the same min(N, M) quantiles.
    """
    angles = torch.arange(directions) / directions * torch.pi
    axes = torch.stack([angles.cos(), angles.sin()])
    levels = (torch.arange(min(len(a), len(b))) + 0.5) / min(len(a), len(b))
    quantiles = [(points @ axes).sort(0).values[(levels * len(points)).long()] for points in (a, b)]
    return (quantiles[0] - quantiles[1]).abs().mean().item()
