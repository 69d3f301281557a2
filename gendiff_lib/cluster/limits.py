"""How long a job may take."""

import math
from collections.abc import Iterable

from ..config import Config
from ..experiments.budget import SLOWEST
from ..experiments.cost import steps_of, training_operations
from ..runs.run import Run
from ..training.build import images_at

LEAST = 15  # minutes; every limit is this, doubled so many times as is needed: few limits make few arrays
MARGIN = 2.0  # by how much another machine of the kind may be slower than the one that was measured
SLOWEST_GPU = 5e11  # operations a second that any GPU reaches, small networks included


class Limits:
    """Time limits by what runs have taken, on a GPU or on none; where there is none alike, by counted operations."""

    def __init__(self, runs: Iterable[Run], *, gpu: bool) -> None:
        """`runs` are those that are known."""
        self.slowest = SLOWEST_GPU if gpu else SLOWEST
        self.rates: dict[str, float] = {}  # seconds an image, the most of those that differ in their seed alone
        for run in runs:
            if gpu == (run.record.get("engine", "eager") != "eager"):  # a CPU's is the eager one
                alike, rate = run.config.but(seed=0).digest, run.snapshot["seconds"] / run.images
                self.rates[alike] = max(self.rates.get(alike, 0.0), rate)

    def minutes(self, config: Config) -> int:
        """How long a job that trains `config` from the start may take."""
        if (rate := self.rates.get(config.but(seed=0).digest)) is not None:
            seconds = MARGIN * rate * images_at(config.epochs, steps_of(config), config.batch_size)
        else:
            seconds = training_operations(config) / self.slowest
        return int(LEAST * 2 ** max(math.ceil(math.log2(seconds / 60 / LEAST)), 0))
