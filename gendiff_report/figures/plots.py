"""Plots: data in, picture out. Nothing here knows a model or a run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image
from torch import Tensor

from .style import COLOURS, CYCLE, LABELS, STYLES


def pixels(image: Tensor, zoom: int = 2) -> Image.Image:
    """A picture of uint8 (3, H, W), each pixel shown as zoom x zoom, never smoothed."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def loss_curves(
    history: Mapping[str, Sequence[float]], marks: Sequence[float] = (), *, collapse: float | None = None
) -> Figure:
    """Every loss of a run's history against epochs; `marks` are epochs to point out, and shaded is a `collapse`."""
    figure, axes = plt.subplots()
    lines = {name: values for name, values in history.items() if name in COLOURS and name != "error"}
    for name, values in lines.items():
        style, label = STYLES.get(name, "-"), LABELS[name]
        axes.plot(history["epoch"], values, color=COLOURS[name], linestyle=style, label=label, linewidth=1.4)
    for epoch in marks:
        axes.axvline(epoch, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"epoch {epoch:.4g}", (epoch, 1), xycoords=("data", "axes fraction"), ha="right", va="top", rotation=90
        )
    if collapse is not None:
        axes.axvspan(collapse, history["epoch"][-1], color="tab:red", alpha=0.12, linewidth=0, label="collapsed")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None) if min(map(min, lines.values())) >= 0 else None)
    axes.legend()
    return figure


def traces(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, xlabel: str, ylabel: str, log: str | None = None
) -> Figure:
    """Lines by name, each of an x and a y of its own; `log` as in `curves`."""
    figure, axes = plt.subplots()
    for i, (name, (x, y)) in enumerate(lines.items()):
        style = ("-", "--", ":")[i // len(CYCLE) % 3]  # where colours come again
        axes.plot(x, y, label=name, linewidth=1.2, color=CYCLE[i % len(CYCLE)], linestyle=style)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for axis in log or ():
        logarithmic(axes, axis)
    axes.legend(fontsize=8)
    return figure


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    log: str | None = None,
    markers: bool = False,
) -> Figure:
    """Lines by name over one x. `log` names the axes that are logarithmic: "x", "y" or "xy"."""
    figure, axes = plt.subplots()
    for name, y in lines.items():
        axes.plot(x[: len(y)], y, marker="o" if markers else None, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for axis in log or ():
        logarithmic(axes, axis)
    axes.legend()
    return figure


def logarithmic(axes: Axes, name: str) -> None:
    """Labels at 1, 2, 5, 10, ... or, over more than two decades, at the powers of ten: few enough not to collide."""
    axes.set(**{f"{name}scale": "log"})
    axis = {"x": axes.xaxis, "y": axes.yaxis}[name]
    low, high = axis.get_data_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high <= 100 * low else (1,)))
    if low >= 1e-3 and high <= 1e4:
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def strip(t: Tensor, rows: Mapping[str, Tensor], *, width: float = 9.0) -> Figure:
    """Rows of images over time: each row uint8 (F, n, 3, H, W), whose columns are the F frames at times t (F,)."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(width, 0.0), squeeze=False)
    height = 0.0
    for ax, (name, frames) in zip(axes[:, 0], rows.items(), strict=True):
        n_frames, n, _, h, w = frames.shape
        joined = frames.permute(1, 3, 0, 4, 2).reshape(n * h, n_frames * w, 3).numpy()
        ax.imshow(joined, interpolation="none")
        ax.set_xticks([(i + 0.5) * w - 0.5 for i in range(n_frames)], [f"{v:.4g}" for v in t.tolist()])
        ax.set_yticks([])
        ax.set_ylabel(name)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        height += width * (n * h) / (n_frames * w) + 0.35
    axes[-1, 0].set_xlabel("t")
    figure.set_size_inches(width, height + 0.25)
    return figure


def side_by_side(pictures: Mapping[str, Tensor], *, width: float = 9.0) -> Figure:
    """Images uint8 (3, H, W) beside each other under their names, never smoothed."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(width, width / len(pictures) * 0.6), squeeze=False)
    tallest = 0.0
    for ax, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        ax.imshow(picture.permute(1, 2, 0).numpy(), interpolation="none")
        ax.set_title(name, fontsize=10)
        ax.axis("off")
        tallest = max(tallest, picture.shape[1] / picture.shape[2])
    figure.set_size_inches(width, width / len(pictures) * tallest + 0.35)
    return figure


def gallery(pictures: Mapping[str, Tensor], *, columns: int = 3, width: float = 9.0) -> Figure:
    """Images uint8 (3, H, W) of one size in rows under their names, never smoothed."""
    rows, side = -(-len(pictures) // columns), width / columns
    _, h, w = next(iter(pictures.values())).shape
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * (side * h / w + 0.3)), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        ax.imshow(picture.permute(1, 2, 0).numpy(), interpolation="none")
        ax.set_title(name, fontsize=10)
    return figure


def bars(
    groups: Mapping[str, Sequence[float]], ticks: Sequence[str], *, xlabel: str, level: float | None = None
) -> Figure:
    """Grouped bars from left to right: one group a tick, one colour a name; `level` draws a dotted line."""
    figure, axes = plt.subplots(figsize=(7.0, 1.2 + 0.22 * len(ticks) * len(groups)))
    place, step = np.arange(len(ticks)), 0.8 / len(groups)
    for i, (name, values) in enumerate(groups.items()):
        axes.barh(place + (i - (len(groups) - 1) / 2) * step, values, step, label=name)
    if level is not None:
        axes.axvline(level, color="black", linewidth=0.8, linestyle=":")
    axes.set_yticks(place, ticks)
    axes.invert_yaxis()
    axes.set_xlabel(xlabel)
    axes.legend()
    return figure


def points(panels: Mapping[str, Tensor], truth: Tensor, columns: int = 4) -> Figure:
    """Clouds of points (N, 2) by name, each over the same faint truth (M, 2)."""
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.25 * columns, 2.45 * rows), squeeze=False)
    low, high = truth.min().item(), truth.max().item()
    margin = 0.12 * (high - low)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, cloud) in zip(axes.flat, panels.items(), strict=False):
        ax.scatter(*truth[:2000].T, s=1, color="0.8", rasterized=True)
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
