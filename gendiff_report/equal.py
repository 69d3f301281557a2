"""Runs side by side at equal operations of training."""

import math
from collections.abc import Mapping

from gendiff_lib.experiments.queue import TRIALS
from gendiff_lib.runs.run import Run

from .asking import Asking


def at_equal_operations(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Each run at the snapshot whose operations come nearest, by their ratio, to those of the run that had the fewest.

    A run is looked at up to the epoch that it is given at.
    """
    if not runs:
        return {}
    least = min(run.training_operations for run in runs.values())
    return {name: _nearest(run, least) for name, run in runs.items()}


def _nearest(run: Run, operations: int) -> Run:
    earlier = [run.at(epochs) for epochs in run.epochs if epochs <= run.config.epochs]
    return min(earlier, key=lambda r: abs(math.log(r.training_operations / operations)))


def tried(asked: Asking) -> dict[str, dict[str, Run]]:
    """The settings that were tried for the best pair, by side; in a preset without trials the paper's own."""
    own = dict(zip(TRIALS, ((name,) for name in asked.pair), strict=True))
    names = TRIALS if asked.preset == "overnight" else own
    return {side: at_equal_operations(asked.train_several(*some)) for side, some in names.items()}
