"""What a validation says of its extractor: whether damage is put in order, and whether standard errors are right."""

from itertools import pairwise

import torch

from gendiff_lib.evaluation.validation import Validation

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
