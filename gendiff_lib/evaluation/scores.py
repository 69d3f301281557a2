"""What scoring gives: values with their protocol, without which they are no numbers."""

import dataclasses
import json
from dataclasses import field
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, NonNegativeInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..errors import GendiffError
from ..runs.record import complaint


class ScoreError(GendiffError):
    """Features that cannot be scored, or scores that do not compare."""


VALUES = ("classifier_score", "frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")


def _with_versions(made: dict[str, Any]) -> dict[str, Any]:
    """`made` itself; ValueError where the versions in it, which decide whether scores are outdated, are none."""
    TypeAdapter(dict[str, int]).validate_python(made.get("versions", {}), strict=True)
    return made


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True))
class Scores:
    """Values of a set of images with their standard errors and their protocol.

    Computed by Inception-v3 the first three are called IS, FID and KID, by any other extractor cs, fd and kd. An
    extractor without classes has no classifier score: None. Nothing is clamped: the Fréchet distance of a set to itself
    may come out at -1e-6, which is rounding, and the kernel distance, being unbiased, below zero by chance.
    """

    classifier_score: float | None = None
    classifier_score_std: float | None = None  # over the splits
    frechet_distance: float
    kernel_distance: float
    kernel_distance_std: float  # over the subsets
    precision: float
    recall: float
    density: float
    coverage: float
    errors: dict[str, float]  # the standard error of each value that there is, from `groups` groups of the fakes
    n_fake: NonNegativeInt
    n_real: NonNegativeInt
    n_real_frechet: (
        NonNegativeInt  # images behind the real side's mean and covariance, which may come without the images
    )
    reference: str  # the split that the real images are of
    extractor: str
    extractor_digest: str
    n_features: NonNegativeInt
    resize: str
    dtype: str
    splits: NonNegativeInt
    neighbours: NonNegativeInt
    density_neighbours: NonNegativeInt
    groups: NonNegativeInt
    kernel_subset_size: NonNegativeInt
    kernel_seed: NonNegativeInt
    shares: tuple[float, ...] = ()  # of the extractor's classes among the fakes, where these are the data set's
    # run, epochs, seeds, sampler, seconds, device of the fakes
    made: Annotated[dict[str, Any], AfterValidator(_with_versions)] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, str, str]:
        """What classifier score, Fréchet and kernel distance are called."""
        return ("IS", "FID", "KID") if self.extractor == "inception" else ("cs", "fd", "kd")

    @property
    def labels(self) -> dict[str, str]:
        """Field name of each value that there is -> the name that it may bear."""
        called = dict(zip(VALUES, (*self.names, *VALUES[3:]), strict=True))
        return {name: label for name, label in called.items() if getattr(self, name) is not None}

    @property
    def values(self) -> dict[str, float]:
        """The values that there are, by the names that they may bear."""
        return {label: getattr(self, name) for name, label in self.labels.items()}

    @property
    def classes_covered(self) -> int:
        """How many classes have at least a fifth of the fakes that an even share would be."""
        return sum(5 * len(self.shares) * round(share * self.n_fake) >= self.n_fake for share in self.shares)

    @property
    def reals(self) -> str:
        """How many images of which split the fakes were compared with; what is told of more is named."""
        more = f" ({self.names[1]}: {self.n_real_frechet:,})" if self.n_real_frechet != self.n_real else ""
        return f"{self.n_real:,} {self.reference} images{more}"

    @property
    def protocol(self) -> str:
        """How the values were made, in a line."""
        splits = "" if self.classifier_score is None else f", {self.splits} splits"
        return (
            f"n = {self.n_fake:,} against {self.reals}, extractor {self.extractor} "
            f"({self.extractor_digest}, {self.n_features} features in {self.dtype}, resize {self.resize}), "
            f"k = {self.neighbours} (density and coverage {self.density_neighbours}){splits}"
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Scores":
        """Undo dataclasses.asdict; ScoreError where a field is missing, ValueError where one is of another kind."""
        known = {f.name for f in dataclasses.fields(cls)}
        if missing := known - values.keys():
            raise ScoreError(f"these scores lack {', '.join(sorted(missing))}: compute them again")
        kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        try:
            return cls(**kept)
        except ValidationError as error:
            raise ValueError(complaint(error, "scores have")) from None


# What of `Scores.made` may differ between scores that are averaged: the seeds, and where and when it was computed.
_FREE = {
    "run", "training_seed", "sampling_seed", "training_seconds", "sampling_seconds", "training_device", "device",
    "threads", "commit", "training_command", "training_commit", "packages",
}  # fmt: skip


def protocol_of(s: Scores, *, made: bool = True) -> str:
    """All that scores must share to be averaged, as text; without `made`, to be compared."""
    skip = {*VALUES, "classifier_score_std", "kernel_distance_std", "errors", "shares", "made"}
    fields = {f.name: getattr(s, f.name) for f in dataclasses.fields(s) if f.name not in skip}
    # of a field that did not exist when it was scored, a score has none
    how = {k: v for k, v in s.made.items() if k not in _FREE and v is not None} if made else {}
    # text is the same for what was kept as for what was just made
    return json.dumps([fields, how], sort_keys=True, default=str)
