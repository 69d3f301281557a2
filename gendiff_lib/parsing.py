"""Numbers as users write them: plain ASCII, one spelling each, or no number at all."""

import math
import re

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def whole_number(text: str) -> int | None:
    """The whole number from 0 that `text` spells in at most 18 ASCII digits; None for anything else.

    No sign, blank, `1_000`, leading zero or digit of another script, all of which int() takes.
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def real_number(text: str) -> float | None:
    """The finite number that `text` spells as -1, .5 or 2e-4; None for anything else.

    No blank, `nan`, `inf`, `1_000`, digit of another script or number beyond float's range, all of which float() takes.
    """
    value = float(text) if _REAL.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None
