"""Labelled points, in the colours of their sides."""

import itertools
import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .plots import legend, logarithmic
from .style import CYCLE, SIDES

Labelled = Sequence[tuple[str, str, float, float]]  # series, label, x, y
HEIGHT = 190  # of the axes, in points, about
LINE = 0.05  # of a label, as a share of the axes' height


def scatter(points: Labelled, *, xlabel: str, ylabel: str, joined: bool = False) -> Figure:
    """Labelled points (series, label, x, y) over a logarithmic x: one colour a series, joined where asked.

    GAN and diffusion have the colours of these sides. Labels at nearly one x are moved up from each other.
    """
    figure, axes = plt.subplots()
    names = sorted({p[0] for p in points})  # a method has one colour, whichever of its points comes first
    free = [colour for colour in CYCLE if not (colour in SIDES.values() and SIDES.keys() & set(names))]
    colours = dict(zip((n for n in names if n not in SIDES), itertools.cycle(free), strict=False)) | SIDES
    for series in names:
        mine = [p for p in points if p[0] == series]
        x, y, line = [p[2] for p in mine], [p[3] for p in mine], "-" if joined else "none"
        axes.plot(x, y, linestyle=line, marker="o", color=colours[series], label=series)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    logarithmic(axes, "x")
    axes.margins(x=0.15)
    _label(axes, points)
    legend(figure)
    return figure


def _label(axes: Axes, points: Labelled) -> None:
    low, high = axes.get_ylim()
    taken: dict[float, float] = {}  # by x, how high its labels reach, as a share of the axis
    for _, label, x, y in sorted(points, key=lambda p: p[3]):
        column = next((other for other in taken if math.isclose(other, x, rel_tol=0.05)), x)
        place = max((y - low) / (high - low), taken.get(column, -1.0) + LINE)
        lift = (place - (y - low) / (high - low)) * HEIGHT
        axes.annotate(label, (x, y), textcoords="offset points", xytext=(4, 4 + lift), fontsize=8)
        taken[column] = place
