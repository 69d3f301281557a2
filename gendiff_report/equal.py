"""Runs side by side at equal operations of training."""

import math
from collections.abc import Mapping

from gendiff_lib.experiments.cost import PETA
from gendiff_lib.experiments.experiment import TRIAL
from gendiff_lib.experiments.queue import TRIALS
from gendiff_lib.runs.run import Run

from .asking import Asking


def at_equal_operations(runs: Mapping[str, Run], operations: float | None = None) -> dict[str, Run]:
    """Each run at the snapshot whose operations come nearest, by their ratio, to so many.

    None: as many as the run has that had the fewest. A run is looked at up to the epoch that it is given at.
    """
    if not runs:
        return {}
    least = operations or min(run.training_operations for run in runs.values())
    return {name: _nearest(run, least) for name, run in runs.items()}


def at_a_trials(asked: Asking, runs: Mapping[str, Run]) -> dict[str, Run]:
    """Each run at a trial's operations; in a preset without trials at those of the run that had the fewest."""
    return at_equal_operations(runs, TRIAL * PETA if asked.preset == "overnight" else None)


def _nearest(run: Run, operations: float) -> Run:
    return min(map(run.at, run.epochs_so_far), key=lambda r: abs(math.log(r.training_operations / operations)))


def tried(asked: Asking) -> dict[str, dict[str, Run]]:
    """The settings that were tried for the best pair, by side; in a preset without trials the paper's own."""
    own = dict(zip(TRIALS, ((name,) for name in asked.pair), strict=True))
    names = TRIALS if asked.preset == "overnight" else own
    return {side: at_a_trials(asked, asked.train_several(*some)) for side, some in names.items()}
