"""Plots: data in, picture out. Nothing here knows a model or a run."""

import itertools
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

from .style import COLOURS, CYCLE, LABELS, ON_BOTH, STYLES


def pixels(image: Tensor, zoom: int = 2) -> Image.Image:
    """A picture of uint8 (3, H, W), each pixel shown as zoom x zoom, never smoothed."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def loss_curves(
    history: Mapping[str, Sequence[float]], marks: Sequence[float] = (), *, collapse: float | None = None
) -> Figure:
    """Every loss of a run's history against epochs; `marks` are epochs to point out, and shaded is a `collapse`.

    Of marks so near to each other that their words would overlap, the first is told.
    """
    figure, axes = plt.subplots()
    lines = {name: values for name, values in history.items() if name in COLOURS and name != "error"}
    for name, values in lines.items():
        style, label = STYLES.get(name, "-"), LABELS[name]
        axes.plot(history["epoch"], values, color=COLOURS[name], linestyle=style, label=label, linewidth=1.4)
    told = -math.inf
    for epoch in sorted(marks):
        axes.axvline(epoch, color="black", linewidth=0.8, linestyle=":")
        if epoch - told > history["epoch"][-1] / 25:  # the height of a letter, with some air
            at, words = ("data", "axes fraction"), f"epoch {epoch:.4g}"
            axes.annotate(words, (epoch, 1), xycoords=at, ha="right", va="top", rotation=90)
            told = epoch
    if collapse is not None:
        axes.axvspan(collapse, history["epoch"][-1], color="tab:red", alpha=0.12, linewidth=0, label="collapsed")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None) if min(map(min, lines.values())) >= 0 else None)
    legend(figure)
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
    legend(figure)
    return figure


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    log: str | None = None,
    markers: bool = False,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Lines by name over one x. `log` names the axes that are logarithmic: "x", "y" or "xy".

    `colours` are those of the lines that have one of their own, by name.
    """
    figure, axes = plt.subplots()
    for (name, y), next_one in zip(lines.items(), itertools.cycle(CYCLE), strict=False):
        colour = (colours or {}).get(name, next_one)
        axes.plot(x[: len(y)], y, color=colour, marker="o" if markers else None, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for axis in log or ():
        logarithmic(axes, axis)
    legend(figure)
    return figure


def legend(figure: Figure) -> None:
    """Above the axes, where it covers no line, in as many columns as fit beside each other."""
    labels = [label for axes in figure.axes for label in axes.get_legend_handles_labels()[1]]
    if labels:
        longest = max(map(len, labels)) + 8  # with its handle, of some 90 letters in a line
        figure.legend(loc="outside upper center", ncols=max(1, min(4, 90 // longest)), fontsize=9)


def logarithmic(axes: Axes, name: str) -> None:
    """Labels at 1, 2, 5, 10, ... or, over more than two decades, at the powers of ten: few enough not to collide."""
    axes.set(**{f"{name}scale": "log"})
    axis = {"x": axes.xaxis, "y": axes.yaxis}[name]
    low, high = axis.get_data_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high <= 100 * low else (1,)))
    if low >= 1e-3 and high <= 1e4:
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def canvas(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray[Any, Any]]:
    """Axes for pictures, which no page recolours: nothing behind them, and words in a grey that is read on any page."""
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, facecolor="none")
    for ax in axes.flat:
        ax.set_facecolor("none")
        ax.tick_params(colors=ON_BOTH)
        for words in (ax.title, ax.xaxis.label, ax.yaxis.label):
            words.set(color=ON_BOTH, fontsize=11)
    return figure, axes


def strip(t: Tensor, rows: Mapping[str, Tensor], *, width: float = 9.0) -> Figure:
    """Rows of images over time: each row uint8 (F, n, 3, H, W), whose columns are the F frames at times t (F,)."""
    figure, axes = canvas(len(rows), 1, (width, 0.0))
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
    figure, axes = canvas(1, len(pictures), (width, width / len(pictures) * 0.6))
    tallest = 0.0
    for ax, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        ax.imshow(picture.permute(1, 2, 0).numpy(), interpolation="none")
        ax.set_title(name)
        ax.axis("off")
        tallest = max(tallest, picture.shape[1] / picture.shape[2])
    figure.set_size_inches(width, width / len(pictures) * tallest + 0.35)
    return figure


def gallery(pictures: Mapping[str, Tensor], *, columns: int = 3, width: float = 9.0) -> Figure:
    """Images uint8 (3, H, W) of one size in rows under their names, never smoothed."""
    columns = min(columns, len(pictures))
    rows, side = -(-len(pictures) // columns), width / columns
    _, h, w = next(iter(pictures.values())).shape
    figure, axes = canvas(rows, columns, (width, rows * (side * h / w + 0.3)))
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        ax.imshow(picture.permute(1, 2, 0).numpy(), interpolation="none")
        ax.set_title(name)
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
    legend(figure)
    return figure
