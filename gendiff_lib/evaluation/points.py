"""Scores of points in the plane, where the truth is known."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import Sampling
from ..data import load
from ..data.dataset import Dataset
from ..runs.run import Run
from ..runs.samples import sample

QUALITY = 0.2  # the distance from a mode up to which a point is of high quality: four standard deviations
VISITED = 0.2  # the part of its fair share of points that a covered mode has at least
DIRECTIONS = 64  # of the projections


@dataclass(frozen=True, kw_only=True)
class PointScores:
    """A sample is of high quality within QUALITY of a mode; a mode is covered when at least VISITED of its fair share
    of samples is that near. Data sets without modes have None for both.
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
    good = nearest.values < QUALITY
    counts = torch.bincount(nearest.indices[good], minlength=len(truth.modes))
    covered = int((counts >= VISITED * len(fake) / len(truth.modes)).sum())
    quality = good.float().mean().item()
    return PointScores(distance=distance, modes=covered, n_modes=len(truth.modes), high_quality=quality, n=len(fake))


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = DIRECTIONS) -> float:
    """The mean over evenly spaced directions of the Wasserstein-1 distance of the projections of (N, 2) and (M, 2).

    Both are read at the same min(N, M) quantiles.
    """
    angles = torch.arange(directions) / directions * torch.pi
    axes = torch.stack([angles.cos(), angles.sin()])
    levels = (torch.arange(min(len(a), len(b))) + 0.5) / min(len(a), len(b))
    quantiles = [(points @ axes).sort(0).values[(levels * len(points)).long()] for points in (a, b)]
    return (quantiles[0] - quantiles[1]).abs().mean().item()


def evaluate_points(run: Run, sampling: Sampling) -> PointScores:
    """Scores of points in the plane against the test split: fresh draws from the same density."""
    return score_points(sample(run, sampling), load(run.config.dataset, "test"))
