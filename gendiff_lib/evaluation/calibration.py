"""Are standard errors right? Draws of one model's samples, each with the error that it tells, against their spread."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from .. import paths
from ..config import Sampling
from ..data import load
from ..device import conditions, default_device
from ..errors import ConfigError
from ..runs import files
from ..runs.run import Run
from ..runs.samples import sample
from ..streams import stream
from ..versions import result_versions
from .evaluate import REFERENCE, provenance
from .features import Extractor, extract
from .metrics import kept_reference, score
from .scores import VALUES, Scores
from .statistics import published_statistics
from .validation import VERSIONED


@dataclass(frozen=True)
class Calibration:
    """Scores of `draws` sets of n samples, each drawn without replacement from `pool` samples of one snapshot."""

    n: int
    pool: int
    draws: tuple[Scores, ...]
    made: dict[str, Any]

    def spread(self, value: str) -> float:
        """The standard deviation of a value (a field of Scores) over draws of n fresh samples.

        Draws from a finite pool agree more than fresh ones would, by the share of it that each takes.
        """
        found = torch.tensor([getattr(s, value) for s in self.draws], dtype=torch.float64)
        return (found.std() / math.sqrt(1 - self.n / self.pool)).item()

    def told(self, value: str) -> float:
        """The root mean square of the standard errors that the draws tell."""
        return math.sqrt(sum(s.errors[value] ** 2 for s in self.draws) / len(self.draws))

    def ratios(self) -> dict[str, float]:
        """Told over measured, for each value that there is: 1 would be exact; nan where a value never changes."""
        there = [v for v in VALUES if getattr(self.draws[0], v) is not None]
        return {value: self.told(value) / s if (s := self.spread(value)) > 0 else math.nan for value in there}


def calibrate(
    run: Run, sampling: Sampling, judge: Extractor, *, n: int, draws: int, n_real: int | None = None
) -> Calibration:
    """Draw `sampling.n` samples once, and score `draws` sets of n of them; ConfigError where those tell no spread."""
    if not 20 <= n < sampling.n or draws < 3:
        raise ConfigError(
            f"n={n} of {sampling.n} samples in {draws} draws tell no spread: draw fewer, three times or more"
        )
    started = time.monotonic()
    fakes = extract(judge, sample(run, sampling))
    real = kept_reference(judge, load(run.config.dataset).choose(n_real, "n_real", "n_real").samples)
    whole = published_statistics(run.config.dataset, judge, REFERENCE)
    found = []
    for i in range(draws):
        index = torch.randperm(sampling.n, generator=stream("calibration", 0, i))[:n]
        found.append(score(fakes.cut(index), real, judge, reference=REFERENCE, statistics=whole))
    made = provenance(run, sampling) | conditions(default_device())
    made |= {"seconds": time.monotonic() - started, "versions": result_versions(*VERSIONED)}
    return Calibration(n, sampling.n, tuple(found), made)


def calibration_path(dataset: str, extractor: str) -> Path:
    """Where the calibration of an extractor on a data set is published."""
    return paths.published_dir() / "validation" / f"{dataset.partition(':')[0]}-{extractor}-calibration.json"


def publish_calibration(found: Calibration, dataset: str) -> Path:
    """Write it into runs/, where the pages find it; what was there before is replaced."""
    path = calibration_path(dataset, found.draws[0].extractor)
    files.write_json(path, asdict(found))
    return path
