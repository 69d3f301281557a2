"""What validations and calibrations say: whether damage is put in order, and whether standard errors are right."""

from itertools import pairwise
from pathlib import Path

import torch

from gendiff_lib.evaluation.calibration import Calibration, calibration_path
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.validation import Validation
from gendiff_lib.runs import files

# kinds of damage -> the unit of their levels
UNITS = {
    "blur": "deviation in pixels",
    "noise": "deviation in bytes",
    "jpeg": "100 - quality",
    "quantisation": "bits taken",
    "dropped classes": "classes dropped",
}


def ordered(found: Validation, value: str) -> dict[str, bool]:
    """For each kind of damage: whether the value (a field of Scores) grows strictly with every level."""
    return {name: all(a < b for a, b in pairwise(found.response(name, value)[1])) for name in UNITS}


def calibration(found: Validation, value: str) -> tuple[float, float]:
    """How much a value (a field of Scores) varies over disjoint sets, and the standard error that a set tells.

    The root of the mean variance within each permutation, and the root of the mean square of the errors told.
    """
    levels, values, errors = found.response("independent sets", value)
    cuts = torch.tensor(values, dtype=torch.float64).reshape(len(set(levels)), -1)
    told = torch.tensor(errors, dtype=torch.float64).square().mean()
    return cuts.var(1).mean().sqrt().item(), told.sqrt().item()


def published_calibrations(dataset: str) -> dict[str, Calibration]:
    """Those of a data set by extractor; empty where there are none. StoreError for a damaged one."""
    pattern = calibration_path(dataset, "*")
    several = map(read_calibration, sorted(pattern.parent.glob(pattern.name)))
    return {found.draws[0].extractor: found for found in several}


def read_calibration(path: Path) -> Calibration:
    """One that was published; StoreError where it is damaged."""
    kept = files.read_json(path)
    with files.understanding(path):
        draws = tuple(Scores.from_dict(s) for s in kept["draws"])
        return Calibration(kept["n"], kept["pool"], draws, kept["made"])
