"""Views of runs that a reader moves through. Each is one output, so that it can be a numbered figure."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gendiff_lib.data.images import sheet
from gendiff_lib.errors import GendiffError
from gendiff_lib.gan.collapse import collapsed
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import Trajectory

from .. import viewers
from ..downloads import download
from ..exhibit import Exhibit
from ..provenance import epoch
from ..results import FEW, few
from ..verdict import said
from .plots import gallery, loss_curves
from .style import LABELS, svg


def losses(run: Run, marks: Sequence[float] = ()) -> Exhibit[None]:
    """The run's losses over training, `marks` being epochs to point out, and their points as a file.

    Of a GAN, with the verdict on whether it has collapsed.
    """
    verdict = None
    names = [name for name in run.history if name in LABELS and name != "error"]
    text, every = viewers.columns_csv(run.history)
    link = download(f"{run.id}-losses.csv", text)
    note = f"Every point: {link}" if every == 1 else f"One point in {every}, the last among them: {link}"
    alt = f"Loss of {' and '.join(LABELS[name] for name in names)} over epochs, to {epoch(run)}"
    if run.config.kind == "gan":
        verdict = collapsed(run.history)
        note += f". By the rule of the method's page: {said(verdict, run)}"
    drawn = loss_curves(run.history, marks, collapse=verdict.epoch if verdict else None)
    return Exhibit(viewers.plot(svg(drawn), alt, note), None)


def denoising(way: Trajectory, n_steps: int | None) -> Exhibit[None]:
    """A slider over the way from noise to samples: the state and the estimate of the clean images beside it."""
    return _way({"state x": way.x, "estimate of x0": way.x0}, way.t, n_steps)


def two_ways(ways: Mapping[str, Trajectory], n_steps: int | None) -> Exhibit[None]:
    """A slider over the states of several samplings, by name, that take the same steps."""
    return _way({name: way.x for name, way in ways.items()}, next(iter(ways.values())).t, n_steps)


def _way(tracks: Mapping[str, Tensor], t: Tensor, n_steps: int | None) -> Exhibit[None]:
    """`n_steps` that the sampler takes, one where it is None, as it is for a network that draws in one."""
    steps, n = n_steps or 1, next(iter(tracks.values())).shape[1]
    times = [f"t = {v:.4g}" for v in t.tolist()]
    said = [f"{time}, step {round(i * steps / (len(times) - 1)):,} of {steps:,}" for i, time in enumerate(times)]
    alt = f"{n} samples that clear up from noise, in {len(times)} frames: {', '.join(tracks)}"
    return Exhibit(viewers.frames(tracks, times, said=said, name="Step from noise to image", alt=alt), None)


def filmstrip(*runs: Run, beside: Mapping[str, Tensor] | None = None) -> Exhibit[None]:
    """A slider over the snapshots of which all `runs` keep a sheet: its first samples, of the same noise.

    It begins at the epoch that the page shows. `beside` adds frames of other images (n, 3, H, W) by their names.
    GendiffError where the runs have no snapshot in common.
    """
    epochs = sorted(set.intersection(*({e for e in run.epochs if run.at(e).keeps_sheet()} for run in runs)))
    if not epochs:
        raise GendiffError(f"{', '.join(run.id for run in runs)} keep no epoch in common: train them equally long")
    extra = {name: shown[:FEW] for name, shown in (beside or {}).items()}
    tracks = {
        run.config.name if len(runs) > 1 else "": torch.stack([*(few(run.at(e)) for e in epochs), *extra.values()])
        for run in runs
    }
    shown_at = [f"epoch {e:.4g}" for e in epochs]
    names = " and ".join(run.config.name for run in runs)
    alt = f"{FEW} samples of {names} at {', '.join(shown_at)}{''.join(f'; {k}' for k in extra)}"
    start = epochs.index(min(epochs, key=lambda e: abs(e - runs[0].config.epochs)))
    strip = viewers.frames(tracks, [*shown_at, *extra], name="Epoch", alt=alt, columns=5, start=start)
    return Exhibit(strip, None)


def sheets(runs: Mapping[str, Run]) -> Figure:
    """The first samples of each run's sheet, under its name, of those that keep one."""
    there = {name: run for name, run in runs.items() if run.keeps_sheet()}
    return gallery({name: sheet(few(run), columns=5) for name, run in there.items()})


def before_after(run: Run, epochs: tuple[float, float]) -> Exhibit[None]:
    """A slider between the run's sheets at two epochs, of the same noise; a sentence where the two are one."""
    labels = f"epoch {epochs[0]:.4g}", f"epoch {epochs[1]:.4g}"
    if epochs[0] == epochs[1]:
        text = f"This run keeps {labels[0]} alone: there is no second sheet to hold beside this one."
        picture = viewers.picture(run.at(epochs[0]).sheet(), f"Samples at {labels[0]}")
        return Exhibit(f"{picture}<p>{text}</p>", None)
    before, after = (run.at(e).sheet() for e in epochs)
    name, alt = f"Divider between {' and '.join(labels)}", f"Samples of {run.config.name}"
    return Exhibit(viewers.compare(before, after, labels, name=name, alt=alt), None)
