"""Curves of GANs and diffusion models on one pair of axes, a colour a side."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
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

    Bands lie where several seeds differ; each curve has its name at its end. `marks` are faint: by name the side and
    points (x, y).
    """
    figure, axes = plt.subplots(figsize=size)
    for side, colour in SIDES.items():
        axes.plot([], [], color=colour, marker="o", label=side)
    for side, x, y in lines.values():
        means, lows, highs = zip(*y, strict=True)
        axes.plot(x, means, color=SIDES[side], marker="o", markersize=3, linewidth=1.2)
        axes.fill_between(x, lows, highs, color=SIDES[side], alpha=0.2, linewidth=0)
    ends = {name: (x[-1], y[-1][0]) for name, (_, x, y) in lines.items()}
    for name, rise in _apart(ends).items():
        axes.annotate(name, ends[name], xytext=(5, rise), textcoords="offset points", fontsize=7, va="center")
    for name, (side, points) in (marks or {}).items():
        x, values = zip(*points, strict=True)
        axes.plot(x, values, color=SIDES[side], marker="x", markersize=4, linewidth=0.8, alpha=0.4)
        axes.annotate(name, points[-1], xytext=(5, 0), textcoords="offset points", fontsize=7, va="center", alpha=0.6)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for axis in "xy":
        logarithmic(axes, axis)
    axes.margins(x=0.2)
    axes.legend(fontsize=8)
    return figure


def _apart(ends: Mapping[str, tuple[float, float]], height: float = 8.0) -> dict[str, float]:
    """How many points each label is moved up so that those at nearly one place do not lie upon each other."""
    moved: dict[str, float] = {}
    order = sorted(ends, key=lambda name: ends[name][1])
    for below, name in zip([None, *order], order, strict=False):
        near = below is not None and all(
            b < a * r for a, b, r in zip(ends[below], ends[name], (1.3, 1.05), strict=True)
        )
        moved[name] = moved[below] + height if near and below else 0.0
    return moved
