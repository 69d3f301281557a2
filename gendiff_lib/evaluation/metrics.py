"""Scores of generated images against real ones, with their uncertainty.

Inception Score, Fréchet and kernel distance, precision and recall are torch-fidelity's (tests compare them). Every
score is also taken without each of twenty groups of the fakes, from the same sums: that gives its standard error.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..versions import register
from .distances import (
    KERNEL_SEED,
    KERNEL_SUBSET_SIZE,
    KERNEL_SUBSETS,
    Statistics,
    frechet_distance,
    kernel_distance,
    moments,
)
from .features import Extractor, Features, content_digest, extract, keep, source_of
from .neighbours import DENSITY_NEIGHBOURS, NEIGHBOURS, neighbour_scores, real_balls
from .scores import ScoreError, Scores
from .uncertainty import GROUPS, Resampled, count_error, draw_groups

# of all that turns features into scores and errors: raised whenever one of these numbers moves
VERSION = register("metrics", 1)
SPLITS = 10  # of the Inception Score
SPLIT_SEED = 2020  # of numpy's RandomState, not of a stream of ours: these splits are torch-fidelity's


# ---------------------------------------------------------------- the real side, known once and kept


class Reference(NamedTuple):
    """Of N real images: features (N, D), mean (D,) and covariance (D, D) in float64, and each image's squared distances
    to its NEIGHBOURS-th and DENSITY_NEIGHBOURS-th nearest other, (N, 2); `source` is that of the features."""

    features: Tensor
    mean: Tensor
    covariance: Tensor
    balls: Tensor
    source: str = ""

    @property
    def statistics(self) -> Statistics:
        """What the Fréchet distance needs of these."""
        return Statistics(self.mean, self.covariance, len(self.features))

    @classmethod
    def of(cls, real: Features) -> "Reference":
        """What scores need to know of real images; ScoreError where there are too few."""
        features = real.in_order().features
        _check_features(features, features.shape[-1])
        found = moments(features)
        return cls(features, found.mean, found.covariance, real_balls(features), real.source)


def kept_reference(extractor: Extractor, images: Tensor) -> Reference:
    """Of uint8 images (N, 3, H, W), computed once and kept in the user's cache."""

    def compute() -> dict[str, Tensor]:
        found = Reference.of(extract(extractor, images))._asdict()
        return {name: part for name, part in found.items() if name != "source"}

    kept = keep(extractor, f"{content_digest(images)}-reference-{VERSION}", compute)
    return Reference(**kept, source=source_of(extractor, images))


def check_enough(n: int) -> None:
    """ScoreError where n images are too few to score."""
    least = 2 * SPLITS  # a split of one image has no Inception Score
    if n < least:
        raise ScoreError(f"n={n} images are too few to score: give at least {least}")


def _check_features(features: Tensor, width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        raise ScoreError(f"features must be (N, {width}) on both sides, not {tuple(features.shape)}: use one extractor")
    check_enough(len(features))
    if not features.isfinite().all():
        raise ScoreError("features hold values that are not finite: the images or the extractor's weights are damaged")


# ---------------------------------------------------------------- scores


def classifier_score(logits: Tensor, groups: Tensor) -> tuple[Resampled, float]:
    """exp of the mean KL(p(y | x) || p(y)) over logits (N, K), which is the Inception Score of Inception-v3's.

    (Salimans et al. 2016.) The mean and standard deviation over SPLITS splits. A group (`groups` (N,) are those of the
    fakes) is left out of each split.
    """
    n = len(logits)
    order = torch.from_numpy(np.random.RandomState(SPLIT_SEED).permutation(n))
    split = torch.bucketize(torch.arange(n), torch.tensor([i * n // SPLITS for i in range(1, SPLITS)]), right=True)
    log_p = logits.double().cpu()[order].log_softmax(1)
    terms = torch.cat([torch.ones(n, 1), log_p.exp(), (log_p.exp() * log_p).sum(1, keepdim=True)], 1)
    cells = torch.zeros(SPLITS * GROUPS, terms.shape[1], dtype=torch.float64)
    cells = cells.index_add_(0, split * GROUPS + groups[order], terms).reshape(SPLITS, GROUPS, -1)
    sums = cells.sum(1)
    whole, without = _inception_score(sums), _inception_score(sums[:, None] - cells)
    return Resampled(whole.mean().item(), without.mean(0)), whole.std(correction=0).item()


def _inception_score(sums: Tensor) -> Tensor:
    """Of sums (..., 1 + K + 1) over images of 1, p and the sum of p log p; 1, the least, where there is no image."""
    mean = sums[..., 1:] / sums[..., :1].clamp(min=1)
    p = mean[..., :-1].clamp(min=0)  # what is left of nothing may be rounded to less
    score: Tensor = (mean[..., -1] - torch.special.xlogy(p, p).sum(-1)).exp()
    return score


def score(
    fake: Features,
    real: Features | Reference,
    extractor: Extractor,
    *,
    reference: str,
    statistics: Statistics | None = None,
    made: dict[str, Any] | None = None,
) -> Scores:
    """Score the features of generated images against real ones, of the split called `reference`.

    Where `statistics` are given, the Fréchet distance is to these: they may be of more images than are at hand. `made`
    tells how the fakes came about. ScoreError where there are too few images, or features do not compare.
    """
    known, to = _real_side(fake, real, statistics)
    fake = fake.in_order()
    groups, subset = draw_groups(len(fake.features)), min(KERNEL_SUBSET_SIZE, len(fake.features), len(known.features))
    values, deviations = _values(fake, known, to, groups, subset)
    return Scores(
        **{name: found.value for name, found in values.items()},
        **deviations,
        errors=_errors(values, len(fake.features)),
        n_fake=len(fake.features),
        n_real=len(known.features),
        n_real_frechet=to.n,
        reference=reference,
        extractor=extractor.name,
        extractor_digest=extractor.digest,
        n_features=fake.features.shape[1],
        resize=extractor.resize,
        dtype=extractor.dtype,
        splits=SPLITS,
        neighbours=NEIGHBOURS,
        density_neighbours=DENSITY_NEIGHBOURS,
        groups=GROUPS,
        kernel_subset_size=subset,
        kernel_seed=KERNEL_SEED,
        shares=tuple(class_shares(fake.logits).tolist()) if extractor.own_classes else (),
        made=made or {},
    )


def _real_side(
    fake: Features, real: Features | Reference, statistics: Statistics | None
) -> tuple[Reference, Statistics]:
    """What neighbours and kernel distance, and what the Fréchet distance is computed from; see `score`."""
    width = fake.features.shape[-1]
    for features in (fake.features, real.features):
        _check_features(features, width)
    if fake.source and real.source and fake.source != real.source:
        raise ScoreError(f"features of {fake.source} and of {real.source} do not compare: use one extractor, one size")
    known = real if isinstance(real, Reference) else Reference.of(real)
    to = statistics or known.statistics
    shapes = tuple(to.mean.shape), tuple(to.covariance.shape)
    if shapes != ((width,), (width, width)):
        raise ScoreError(f"statistics of shapes {shapes} are not of these {width} features: use those of one extractor")
    return known, to


def _values(
    fake: Features, real: Reference, to: Statistics, groups: Tensor, subset: int
) -> tuple[dict[str, Resampled], dict[str, float]]:
    """All values that there are, and the standard deviations over subsets and splits, by the names of their fields."""
    x = fake.features
    kernel, kernel_std = kernel_distance(x, real.features, groups, KERNEL_SUBSETS, subset)
    values = {"frechet_distance": frechet_distance(x, groups, to), "kernel_distance": kernel}
    values |= neighbour_scores(x, real.features, real.balls, groups)
    deviations = {"kernel_distance_std": kernel_std}
    if fake.logits.shape[1]:
        values["classifier_score"], deviations["classifier_score_std"] = classifier_score(fake.logits, groups)
    return values, deviations


def _errors(values: dict[str, Resampled], n_fake: int) -> dict[str, float]:
    """The standard error of each value. That of precision, a share of the fakes, is at least a count's: near 0 and 1
    all groups agree. Recall and coverage are shares of the reals, which are the same for every set of fakes."""
    errors = {name: found.error for name, found in values.items()}
    return errors | {"precision": max(errors["precision"], count_error(values["precision"].value, n_fake))}


def class_shares(logits: Tensor) -> Tensor:
    """The share of each class among the most likely classes of logits (N, K)."""
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1]) / len(logits)
