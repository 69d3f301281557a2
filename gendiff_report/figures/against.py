"""Curves of GANs and diffusion models on one pair of axes, a colour a side."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .plots import logarithmic
from .style import SIDES


def against(
    lines: Mapping[str, tuple[str, Sequence[float], Sequence[tuple[float, float, float]]]],
    *,
    xlabel: str,
    ylabel: str,
    marks: Mapping[str, tuple[str, Sequence[tuple[float, float]]]] | None = None,
    size: tuple[float, float] = (8.5, 5.2),
) -> Figure:
    """Curves of two sides, a colour each: by name the side, x, and (mean, least, greatest) of y. Both axes logarithmic.

    Bands lie where several seeds differ; names stand at the right, led to the ends of their curves. `marks` are faint:
    by name the side and points (x, y); they are of larger trainings, so with them names stand at the left.
    """
    figure, axes = plt.subplots(figsize=size)
    for side, colour in SIDES.items():
        axes.plot([], [], color=colour, marker="o", label=side)
    for side, x, y in lines.values():
        means, lows, highs = zip(*y, strict=True)
        axes.plot(x, means, color=SIDES[side], marker="o", markersize=3, linewidth=1.2)
        axes.fill_between(x, lows, highs, color=SIDES[side], alpha=0.2, linewidth=0)
    for name, (side, points) in (marks or {}).items():
        x, values = zip(*points, strict=True)
        axes.plot(x, values, color=SIDES[side], marker="x", markersize=4, linewidth=0.8, alpha=0.6)
        axes.annotate(name, points[-1], xytext=(5, 0), textcoords="offset points", fontsize=7, va="center", alpha=0.85)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for axis in "xy":
        logarithmic(axes, axis)
    axes.margins(x=0.05 if marks is None else 0.2)
    if marks is not None:
        axes.set_xlim(left=axes.get_xlim()[0] / 5)  # room for the names
    axes.legend(fontsize=8)
    _named(axes, {name: (side, x[-1], y[-1][0]) for name, (side, x, y) in lines.items()}, size[1], marks is None)
    return figure


def _named(axes: Axes, ends: Mapping[str, tuple[str, float, float]], inches: float, right: bool) -> None:
    """The names of curves in a column beside them, in the order of their ends, each with a thin line to its own."""
    order = sorted(ends, key=lambda name: ends[name][2])
    across = [_share(axes.get_xlim(), x) for _, x, _ in ends.values()]
    column, ha = (max(across) + 0.04, "left") if right else (min(across) - 0.04, "right")
    heights = [_share(axes.get_ylim(), ends[name][2]) for name in order]
    places = _apart(heights, least=9 / (72 * inches * 0.8))  # a label's height of the axes', which fill most of it
    for name, place in zip(order, places, strict=True):
        side, x, y = ends[name]
        line = {
            "arrowstyle": "-",
            "color": SIDES[side],
            "linewidth": 0.5,
            "alpha": 0.6,
            "shrinkA": 0,
            "shrinkB": 2,
            "relpos": (0 if right else 1, 0.5),
        }
        at: dict[str, Any] = {"xytext": (column, place), "textcoords": "axes fraction", "arrowprops": line}
        axes.annotate(name, (x, y), fontsize=7, ha=ha, va="center", color=SIDES[side], **at)


def _share(limits: tuple[float, float], value: float) -> float:
    """Where a value lies between the limits of a logarithmic axis, from 0 to 1."""
    low, high = map(math.log, limits)
    return (math.log(value) - low) / (high - low)


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Ascending places moved as little as may be so that each is so far above the one below."""
    up, down = list(places), list(places)
    for i in range(1, len(up)):
        up[i] = max(up[i], up[i - 1] + least)
        down[-i - 1] = min(down[-i - 1], down[-i] - least)
    return [(a + b) / 2 for a, b in zip(up, down, strict=True)]
