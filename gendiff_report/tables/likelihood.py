"""Bits per dimension, and what may be said of them."""

import math
from collections.abc import Mapping


def lowest(found: Mapping[str, tuple[float, float]]) -> str:
    """A sentence: which of several (value, standard error) is lowest, if any is beyond the noise."""
    ranked = sorted(found, key=lambda k: found[k][0])
    if len(ranked) == 1:
        return "there is {}: {:.3f} ± {:.3f}.".format(ranked[0], *found[ranked[0]])
    (a, error_a), (b, error_b) = found[ranked[0]], found[ranked[1]]
    shown = f"{a:.3f} ± {error_a:.3f} against {b:.3f} ± {error_b:.3f} of {ranked[1]}"
    if b - a > 3 * math.hypot(error_a, error_b):
        return f"{ranked[0]} is lowest beyond the noise, {shown}."
    return f"{ranked[0]} has the lowest value, {shown}, but not beyond the noise."
