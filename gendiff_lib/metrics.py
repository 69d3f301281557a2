"""Scores by torch-fidelity's statistics (nothing else knows them), and their counterparts in the plane."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .config import GendiffError
from .data import Dataset
from .features import Extractor, Features

SPLITS = 10  # of the Inception Score
NEIGHBOURS = 3  # k of precision and recall, torch-fidelity's own
KERNEL_SUBSETS, KERNEL_SUBSET_SIZE = 100, 1000


class ScoreError(GendiffError):
    """Features that cannot be scored."""


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
    n_fake: int
    n_real: int
    reference: str  # the split that n_real images are of
    extractor: str
    extractor_digest: str
    n_features: int
    splits: int = SPLITS
    neighbours: int = NEIGHBOURS
    kernel_subset_size: int = KERNEL_SUBSET_SIZE
    shares: tuple[float, ...] = ()  # of the extractor's classes among the fakes; empty for Inception

    @property
    def names(self) -> tuple[str, str, str]:
        """What classifier score, Fréchet and kernel distance are called."""
        return ("IS", "FID", "KID") if self.extractor == "inception" else ("cs", "fd", "kd")

    @property
    def values(self) -> dict[str, float]:
        """The five values by the names that they may bear."""
        cs, fd, kd = self.names
        return {
            cs: self.classifier_score,
            fd: self.frechet_distance,
            kd: self.kernel_distance,
            "precision": self.precision,
            "recall": self.recall,
        }

    @property
    def protocol(self) -> str:
        """How the values were made, in a line."""
        return (
            f"n = {self.n_fake:,} against {self.n_real:,} {self.reference} images, "
            f"extractor {self.extractor} ({self.extractor_digest}, {self.n_features} features), k = {self.neighbours}"
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Scores":
        """Undo dataclasses.asdict."""
        known = {f.name for f in dataclasses.fields(cls)}
        if missing := known - values.keys():
            raise ScoreError(f"these scores lack {', '.join(sorted(missing))}: compute them again")
        kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        return cls(**kept)


def score(fake: Features, real: Features, extractor: Extractor, *, reference: str) -> Scores:
    """Score the features of generated images against those of real ones.

    ScoreError where there are fewer images than splits or neighbours ask for.
    """
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc  # a second to import

    n_fake, n_real = len(fake.features), len(real.features)
    least = max(SPLITS, NEIGHBOURS + 2)
    if min(n_fake, n_real) < least:
        raise ScoreError(f"n={min(n_fake, n_real)} images are too few to score: give at least {least}")
    subset = min(KERNEL_SUBSET_SIZE, n_fake, n_real)
    inception = metric_isc.isc_features_to_metric(fake.logits, SPLITS)
    # Fréchet's statistics in float64: in float32 the product of covariances loses digits
    moments = [metric_fid.fid_features_to_statistics(f.features.double()) for f in (fake, real)]
    frechet = metric_fid.fid_statistics_to_metric(*moments, verbose=False)
    kernel = metric_kid.kid_features_to_metric(
        fake.features, real.features, kid_subsets=KERNEL_SUBSETS, kid_subset_size=subset, verbose=False
    )
    neighbours = metric_prc.prc_features_to_metric(
        fake.features, real.features, prc_neighborhood=NEIGHBOURS, save_cpu_ram=True, verbose=False
    )
    return Scores(
        classifier_score=inception[metric_isc.KEY_METRIC_ISC_MEAN],
        classifier_score_std=inception[metric_isc.KEY_METRIC_ISC_STD],
        frechet_distance=frechet[metric_fid.KEY_METRIC_FID],
        kernel_distance=kernel[metric_kid.KEY_METRIC_KID_MEAN],
        kernel_distance_std=kernel[metric_kid.KEY_METRIC_KID_STD],
        precision=neighbours[metric_prc.KEY_METRIC_PRECISION],
        recall=neighbours[metric_prc.KEY_METRIC_RECALL],
        n_fake=n_fake,
        n_real=n_real,
        reference=reference,
        extractor=extractor.name,
        extractor_digest=extractor.digest,
        n_features=fake.features.shape[1],
        kernel_subset_size=subset,
        shares=() if extractor.is_inception else tuple(class_shares(fake.logits).tolist()),
    )


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
