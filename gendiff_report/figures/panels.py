"""Several panels in one figure: a panel a cause, a measure or a model."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from .style import CYCLE


def points(panels: Mapping[str, Tensor], truth: Tensor, columns: int = 4) -> Figure:
    """Clouds of points (N, 2) by name, each over the same faint truth (M, 2)."""
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.25 * columns, 2.45 * rows), squeeze=False)
    low, high = truth.min().item(), truth.max().item()
    margin = 0.12 * (high - low)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, cloud) in zip(axes.flat, panels.items(), strict=False):
        ax.scatter(*truth[:2000].T, s=1, color="0.6", rasterized=True)
        ax.scatter(*cloud[:1500].T, s=1, color=CYCLE[0], rasterized=True)
        ax.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal")
        ax.set_title(name, fontsize=9)
    return figure


def spread(x: Sequence[float], panels: Mapping[str, Mapping[str, Any]], *, xlabel: str, columns: int = 2) -> Figure:
    """One panel a measure: lines by name, each (seeds, len(x)), as means with bands from the least to the greatest."""
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 2.9 * rows), squeeze=False)
    for ax in list(axes.flat)[len(panels) :]:
        ax.axis("off")
    names = dict.fromkeys(name for lines in panels.values() for name in lines)
    colours = dict(zip(names, CYCLE, strict=False))  # a name has one colour in all panels
    for ax, (measure, lines) in zip(axes.flat, panels.items(), strict=False):
        for name, values in lines.items():
            table = np.asarray(values, dtype=float)
            ax.plot(x, table.mean(0), color=colours[name], marker="o", markersize=3, label=name)
            ax.fill_between(x, table.min(0), table.max(0), color=colours[name], alpha=0.2, linewidth=0)
        ax.set(xlabel=xlabel, ylabel=measure, ylim=(0, None))
        ax.legend(fontsize=8)
    return figure


def responses(
    panels: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    *,
    ylabel: str,
    xlabels: Mapping[str, str],
    level: float | None = None,
    columns: int = 3,
) -> Figure:
    """One panel a cause: a measure with its standard errors, (x, y, error), over how much was done.

    `level` draws a dotted line in every panel.
    """
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.1 * columns, 2.6 * rows), squeeze=False)
    for ax in list(axes.flat)[len(panels) :]:
        ax.axis("off")
    for ax, (name, (x, y, error)) in zip(axes.flat, panels.items(), strict=False):
        bars = [e if math.isfinite(e) else 0.0 for e in error]  # none where an error is unknown
        ax.errorbar(x, y, bars, marker="o", markersize=3, linewidth=1.2, capsize=2)
        if level is not None:
            ax.axhline(level, color="black", linewidth=0.8, linestyle=":")
        ax.set(xlabel=xlabels[name], ylabel=ylabel, ylim=(0, None))
        ax.set_title(name, fontsize=10)
    return figure


def distributions(panels: Mapping[str, Mapping[str, Tensor]], *, xlabel: str, bins: int = 40) -> Figure:
    """One panel a subject: outlined histograms, as shares, of the named values (N,), over the same bins."""
    figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 2.8), squeeze=False, sharey=True)
    for ax, (name, groups) in zip(axes[0], panels.items(), strict=True):
        low = min(float(values.min()) for values in groups.values())
        high = max(float(values.max()) for values in groups.values())
        for label, values in groups.items():
            weights = np.full(len(values), 1 / len(values))
            edges = np.linspace(low, high, bins + 1)
            ax.hist(values.numpy(), edges, weights=weights, histtype="step", linewidth=1.4, label=label)
        ax.set(xlabel=xlabel)
        ax.set_title(name, fontsize=10)
    axes[0, 0].set_ylabel("share")
    axes[0, 0].legend(fontsize=8)
    return figure
