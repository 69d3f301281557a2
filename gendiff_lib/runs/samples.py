"""Samples of a run: drawn once, and kept beside it. A published run's folder is never written to."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import ranks
from ..autoencoder import Autoencoder
from ..config import Sampling
from ..data import images, load
from ..device import check_precision, conditions
from ..errors import GendiffError
from ..learner import Method
from ..streams import stream
from ..versions import outdated, result_versions
from . import drafts, drawing, files, layout, locks
from .claims import Claim
from .run import Run


@dataclass(frozen=True)
class Trajectory:
    """States on the way from noise to samples: t (F,), x and the estimate x0, each uint8 (F, n, 3, H, W)."""

    t: Tensor
    x: Tensor
    x0: Tensor


def beside(run: Run, sampling: Sampling, name: str) -> tuple[Path, bool]:
    """Where a file `name` is kept for a resolved sampling, and whether it is there."""
    return run.place(layout.samples(run.images, sampling.digest) / name)


def _states(run: Run, n: int, sampling: Sampling, batch: int) -> Iterator[Any]:
    learner = run.learner
    check_precision(run.config, learner.device)
    if isinstance(learner, Autoencoder):
        first = batch * sampling.batch_size
        return learner.states(load(run.config.dataset, "test").choose(sampling.n, "checked").samples[first : first + n])
    assert isinstance(learner, Method)
    return learner.sample(n, sampling, stream("samples", sampling.seed, batch, learner.device))


def check_weights(run: Run, sampling: Sampling) -> None:
    """Light where the weights are not there; GendiffError where raw ones are asked for and only averaged ones are."""
    if "ema" not in run.learner.saved or sampling.weights != "raw":
        return
    names = files.read_tensors(run.folder / layout.weights(run.images))
    if not any(name.startswith(f"{run.learner.saved[0]}.") for name in names):
        raise GendiffError(f"{run.id} is published with its averaged weights alone: leave out weights=raw")


def sample(run: Run, sampling: Sampling, *, again: bool = False) -> Tensor:
    """Samples in stored form: uint8 (n, 3, H, W) at the data's own size, or points (n, 2); kept.

    `again` draws anew what older samplers drew. Processes that torchrun started draw batches by turns.
    """
    sampling = run.resolve(sampling)
    look = partial(_kept_samples, run, sampling, again)
    if (kept := ranks.lead(look)) is not None:
        return kept
    check_weights(run, sampling)  # before anything is written
    with locks.lock(f"samples-{run.id}-{run.images}-{sampling.digest}", f"drawing samples of {run.id}") as held:
        if (kept := ranks.lead(look)) is not None:
            return kept
        return _make(run, sampling, held)


def drawn_once_more(run: Run, sampling: Sampling) -> Tensor:
    """These samples drawn from the weights, whether or not they are kept; nothing is written. Light without weights."""
    sampling = run.resolve(sampling)
    check_weights(run, sampling)
    return torch.cat([batch for batch, _ in _batches(run, sampling, 0)])


def check_drawable(run: Run, sampling: Sampling) -> None:
    """Light where samples of a resolved sampling are neither kept nor to be drawn, which needs no data to be told."""
    if not beside(run, sampling, layout.SAMPLES)[1]:
        _ = run.learner


def _kept_samples(run: Run, sampling: Sampling, again: bool) -> Tensor | None:
    """Samples that were drawn before, checked to be all; None where there are none, or older ones do not count."""
    path, there = beside(run, sampling, layout.SAMPLES)
    whole = there and beside(run, sampling, layout.SAMPLING)[1]  # which is written last
    if not whole or (again and outdated(sampling_record(run, sampling)["versions"])):
        return None
    if files.sha256(path) != sampling_record(run, sampling)["sha256"]:
        raise files.damaged(path, f"its SHA-256 is not the one that {layout.SAMPLING} tells")
    with files.understanding(path):
        return files.read_tensors(path)["samples"]


def _make(run: Run, sampling: Sampling, held: Claim) -> Tensor:
    path, there = beside(run, sampling, layout.SAMPLES)
    drawn = ranks.lead(lambda: _begun(run, path.parent))
    for batch, seconds in _batches(run, sampling, drawn.counts["batches"]):
        ranks.lead(partial(_append, drawn, held, batch, seconds))
    told = {"processes": ranks.count(), **conditions(run.learner.device)}
    return ranks.lead(lambda: _finished(run, sampling, drawn, path, there, told))


def _begun(run: Run, folder: Path) -> drawing.Stream:
    """The file that batches go to one by one, new or as an interrupted drawing left it."""
    drafts.sweep(folder)
    like = run.dataset.samples
    return drawing.Stream(folder / layout.DRAWING, like.dtype, like.shape[1:], result_versions("sampling")["sampling"])


def _append(drawn: drawing.Stream, held: Claim, batch: Tensor, seconds: float) -> None:
    held.check()
    drawn.append(batch, seconds)


def _finished(
    run: Run, sampling: Sampling, drawn: drawing.Stream, path: Path, there: bool, told: dict[str, Any]
) -> Tensor:
    """All samples, kept at `path` with their sheet and record, which has what is `told` of how they were drawn."""
    made = drawn.read()
    if len(made) != sampling.n:
        drawn.forget()
        raise GendiffError(f"{len(made)} of {sampling.n} samples of {run.id} were drawn: draw them once more")
    if run.dataset.is_image:
        with files.writing(path.with_name(layout.SHEET)) as draft:
            images.save_png(images.sheet(made[:40], columns=10), draft)
    files.write_tensors(path, {"samples": made})
    record = {"sampling": sampling.to_dict(), "seconds": drawn.counts["seconds"], "sha256": files.sha256(path)}
    record |= {"versions": result_versions("sampling"), **told}
    files.write_json(path.with_name(layout.SAMPLING), record)
    drawn.forget()
    for name in ("trajectory-*", "neighbours-*"):  # of what older samplers drew; scores tell it themselves
        for older in path.parent.glob(name) if there else ():
            older.unlink()
    return made


def _batches(run: Run, sampling: Sampling, first: int) -> Iterator[tuple[Tensor, float]]:
    """The batches of the samples from number `first` on, in stored form, and the seconds that each took.

    A batch's noise depends on its number alone, so an interrupted drawing can go on, and several processes can draw as
    many batches at a time.
    """
    bridge, n_batches = run.dataset.bridge, -(-sampling.n // sampling.batch_size)
    for start in range(first, n_batches, ranks.count()):
        started, batch, mine = time.monotonic(), start + ranks.rank(), None
        if batch < n_batches:
            n = min(sampling.batch_size, sampling.n - batch * sampling.batch_size)
            last = deque(_states(run, n, sampling, batch), maxlen=1).pop()
            if not last.x.isfinite().all():  # as bytes they would be black, and scored
                raise GendiffError(f"samples of {run.id} are not finite: draw them by another sampler or in more steps")
            mine = bridge.decode(last.x).cpu()
        drawn = [found for found in ranks.gathered(mine) if found is not None]
        seconds = (time.monotonic() - started) / len(drawn)
        yield from ((found, seconds) for found in drawn)


def sampling_record(run: Run, sampling: Sampling) -> dict[str, Any]:
    """How long these samples took, on what, and the resolved sampling."""
    path = _made(run, sampling, layout.SAMPLING)
    record: dict[str, Any] = files.read_json(path)
    with files.understanding(path):
        _ = [record[k] for k in ("seconds", "device", "threads", "commit", "versions", "sha256")]
    return record


def sample_sheet(run: Run, sampling: Sampling) -> Tensor:
    """The first 40 of these samples as a contact sheet, uint8 (3, H, W)."""
    return files.read_picture(_made(run, sampling, layout.SHEET))


def _made(run: Run, sampling: Sampling, name: str) -> Path:
    """The path of a file that is written beside the samples, which are made where it is missing."""
    path, there = beside(run, run.resolve(sampling), name)
    if not there:
        sample(run, sampling)
    return path


def trajectory(run: Run, sampling: Sampling) -> Trajectory:
    """At most FRAMES states on the way to sampling.n samples, evenly spaced, from noise to the end; kept."""
    sampling = run.resolve(sampling)
    path, there = beside(run, sampling, layout.TRAJECTORY)
    if not there:
        check_weights(run, sampling)  # before the data are asked for: without weights they are of no use
        last = layout.FRAMES - 1
        wanted = {round(i * (sampling.n_steps or 1) / last) for i in range(layout.FRAMES)}
        decode = run.dataset.bridge.decode
        states = [s for i, s in enumerate(_states(run, sampling.n, sampling, 0)) if i in wanted]
        kept = {
            "t": torch.tensor([s.t for s in states]),
            "x": torch.stack([decode(s.x).cpu() for s in states]),
            "x0": torch.stack([decode(s.x0).cpu() for s in states]),
        }
        files.write_tensors(path, kept)
    with files.understanding(path):
        return Trajectory(**files.read_tensors(path))
