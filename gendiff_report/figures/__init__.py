"""Figures of the report: plots of data, and views of runs that a reader moves through."""

from .against import against
from .convergence import convergence
from .panels import distributions, points, responses, spread
from .plots import bars, curves, pixels, side_by_side, strip, traces
from .scattered import scatter
from .style import CHANNELS
from .views import before_after, denoising, filmstrip, losses, sheets, two_ways

__all__ = [
    "CHANNELS",
    "against",
    "bars",
    "before_after",
    "convergence",
    "curves",
    "denoising",
    "distributions",
    "filmstrip",
    "losses",
    "pixels",
    "points",
    "responses",
    "scatter",
    "sheets",
    "side_by_side",
    "spread",
    "strip",
    "traces",
    "two_ways",
]
