"""Recording: train(config) turns a training into a run, idempotent, resumable and atomic."""

import datetime
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from .. import paths, ranks
from ..autoencoder import encoded
from ..config import Config
from ..data import load
from ..data.dataset import Dataset, check_same
from ..device import forget_peak, peak_memory, wait_for
from ..errors import GendiffError
from ..learner import Learner
from ..progress import Progress, TrainingError, check_state
from ..training.build import build, images_at, start, training_data
from ..training.engine import accelerate, engine_for, fitting_threads
from ..training.loop import check_losses, fit
from ..training.operations import encoding_operations, operations_counter
from . import drafts, files, handover, layout, locks
from .claims import Claim
from .merge import merge
from .record import images_in
from .run import Run, codec_of, find, folders, needed
from .segments import Clock, begin_segment, new_record
from .sheets import write_sheet

CHECKPOINT_SECONDS = 30.0
Deadline = float | Callable[[], float]  # a time of time.monotonic(), or what tells it, for one that may change
BAR: dict[str, Any] = {"unit": "img", "unit_scale": True, "mininterval": 1.0}  # of the bar that shows progress


class OutOfTime(GendiffError):
    """A training was stopped at its deadline; its checkpoint is kept."""


def found(config: Config, again: bool) -> Run | None:
    """What `find` finds; with `again` a published run is no answer."""
    run = find(config)
    return None if run and again and run.published else run


def train(config: Config, deadline: Deadline = math.inf, *, again: bool = False, wait: bool = True) -> Run:
    """The finished run of `config`: from disk where there is one, else trained, from a checkpoint if one is left.

    Another process that trains the same run is waited for; without `wait` that is locks.Busy. GendiffError where
    something cannot be done; OutOfTime where time.monotonic() passes `deadline` before the end. With `again` a
    published run is no answer: it is trained here. Processes that torchrun started train it together.
    """
    ranks.lead(lambda: drafts.sweep(paths.runs_dir()))
    if run := ranks.lead(lambda: found(config, again)):
        run.check_data()
        return run
    dataset = training_data(config, codec_of)
    learner = build(config, dataset)  # refuses what does not fit before anything is written
    if config.needs:
        train(config.needs, deadline, wait=wait)
    with locks.lock(f"training-{config.digest}", f"training {config.name} (seed {config.seed})", wait=wait) as held:
        if run := found(config, again):
            return run
        training = _Training(config, dataset.to(learner.device), learner, held)
        try:
            return training.run(deadline)
        finally:
            begun = training.hidden.exists() and not (training.hidden / layout.CHECKPOINT).exists()
            if begun and ranks.rank() == 0:
                with drafts.removing(training.hidden):
                    pass  # nothing in it could be gone on from


class _Training:
    """One training in its hidden folder, which becomes the run, or is added to it, when it is whole."""

    def __init__(self, config: Config, dataset: Dataset, learner: Learner, held: Claim) -> None:
        self.config, self.dataset, self.learner, self.held = config, dataset, learner, held
        self.progress = start(config, dataset, learner.device)
        self.target = self._images(config.epochs)
        self.wanted = {self._images(e) for e in (*config.snapshots, config.epochs)}
        self.finished = next((f for f in folders(config) if f.parent == paths.runs_dir()), None)
        self.hidden = self._hidden()
        self.checkpoint = self.hidden / layout.CHECKPOINT
        self.engine = engine_for(learner, self.target)
        self.cost = operations_counter(config, dataset)
        first = self.cost(learner.phase(self.progress), self.progress)
        self.record = new_record(config, dataset, learner, self.progress.steps_per_epoch, first)
        self._count_what_it_needs()
        self.saved_at = time.monotonic()

    def _count_what_it_needs(self) -> None:
        """Operations and seconds of the run that this one works on are counted as its own, and that run is named."""
        if (run := needed(self.config)) is None:
            return
        told = {k: run.snapshot[k] for k in ("operations", "seconds", "processor_seconds", "sha256")}
        self.record["needs"] = {"run": run.id, "epochs": run.config.epochs, **told}
        self.record |= {k: told[k] for k in ("seconds", "processor_seconds")}
        self.progress.operations = told["operations"] + encoding_operations(self.config, self.dataset)

    def _images(self, epochs: float) -> int:
        return images_at(epochs, self.progress.steps_per_epoch, self.config.batch_size)

    def _hidden(self) -> Path:
        """Where this training goes on: apart from a longer one that is under way, which it must not disturb."""
        usual = paths.runs_dir() / layout.training(self.config.digest)
        longer = images_in(usual / layout.CHECKPOINT) > self.target
        return usual.with_name(layout.training(self.config.digest, self.target)) if longer else usual

    def run(self, deadline: Deadline) -> Run:
        """Train to the end and return the finished run."""
        ranks.lead(lambda: handover.take_up(self.hidden, self.target))
        ranks.lead(lambda: self.hidden.mkdir(parents=True, exist_ok=True))
        self._resume()
        if self.progress.images < self.target:
            with fitting_threads(self.record["operations_per_image"] * self.config.batch_size // ranks.count()):
                self._train(deadline)
        return ranks.lead(self._finish)

    def _train(self, deadline: Deadline) -> None:
        step = accelerate(self.learner, self.engine)  # after a resume: a graph keeps the memory that it was captured on
        forget_peak(self.learner.device)
        clock = Clock(begin_segment(self.record, self.learner.device, self.engine, self.progress.images), self.record)
        bar = tqdm(
            total=self.target, initial=self.progress.images, desc=self.config.name, disable=not ranks.watched(), **BAR
        )
        try:
            with bar:
                feed = encoded(self.dataset, self.config.image_size)
                for progress in fit(self.learner, feed, self.config, self.progress, step, self.cost):
                    bar.update(progress.images - bar.n)
                    now, wanted = time.monotonic(), progress.images in self.wanted
                    until = deadline() if callable(deadline) else deadline
                    due, late = ranks.agreed(now - self.saved_at > CHECKPOINT_SECONDS, now > until)
                    late = late and progress.images < self.target
                    if due or wanted or late:
                        wait_for(self.learner.device)
                        with clock.aside(progress):
                            ranks.lead(partial(self._pause, bar, progress, wanted))
                    if late:
                        raise OutOfTime(f"{progress.epochs:.4g} of {self.config.epochs:g} epochs are in its checkpoint")
        except TrainingError as error:
            kept = f"; the last good checkpoint is in {self.hidden}" if self.checkpoint.exists() else ""
            raise TrainingError(f"{self.config.name}: {error}{kept}") from None

    def _pause(self, bar: "tqdm[Any]", progress: Progress, wanted: bool) -> None:
        """What is done between steps: show losses, keep a snapshot that is wanted, save a checkpoint."""
        if progress.history:
            bar.set_postfix({k: f"{v:.4g}" for k, v in progress.history[-1].items() if k.startswith("loss")})
        if wanted and str(progress.images) not in self.record["snapshots"]:
            check_losses(progress, self.config)
            self._snapshot(progress)
        self._save()

    def _resume(self) -> None:
        """Go on from the checkpoint that is furthest on the way, of this training or of the finished run."""
        places = [self.checkpoint, *([self.finished / layout.CHECKPOINT] if self.finished else [])]
        path = max(places, key=lambda p: images_in(p) if images_in(p) <= self.target else -1)
        if not 0 < images_in(path) <= self.target:
            return
        state = files.read_checkpoint(path)
        with files.understanding(path):
            record = state["record"]
            digest, data, device = record["digest"], record["data"]["digest"], record["device"]
        if digest != self.config.digest:
            raise files.damaged(path, "it is of another training")
        check_same(self.dataset, data, f"the interrupted training of {self.config.name}")
        needs, here = record.get("needs") or {}, self.record.get("needs") or {}
        if needs.get("sha256") != here.get("sha256"):
            raise files.damaged(path, f"it is of other weights of {here['run']} than are here")
        try:
            check_state(state)  # before anything is taken over
            self.learner.load_state_dict(state["learner"])
            self.progress.load_state_dict(state)
        except torch.OutOfMemoryError:  # a RuntimeError too, but the checkpoint is whole
            raise
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise files.damaged(path, f"it does not fit this code and device; it is of {device}") from None
        self.record |= record  # with the versions that it began with: a raised one makes it stale

    def _snapshot(self, progress: Progress) -> None:
        """Keep weights and a contact sheet."""
        path = self.hidden / layout.weights(progress.images)
        files.write_tensors(path, {k: v.clone() for k, v in self.learner.weights().items()})
        entry: dict[str, Any] = {k: getattr(progress, k) for k in ("epochs", "images", "operations")}
        entry |= {k: self.record[k] for k in ("seconds", "processor_seconds")}
        entry |= {"rows": len(progress.history), "sha256": files.sha256(path)}
        entry |= self.learner.assess(partial(load, self.config.dataset))
        if self.dataset.is_image:
            how = write_sheet(self.hidden / layout.sheet(progress.images), self.learner, self.dataset)
            entry |= {"sheet": how} if how else {}
        self.record["snapshots"][str(progress.images)] = entry

    def _save(self) -> None:
        """A checkpoint, unless the losses since the last one are not finite: then the last good one stays."""
        check_losses(self.progress, self.config)
        self.held.check()
        state = self.progress.state_dict() | {"learner": self.learner.state_dict(), "record": self.record}
        files.write_checkpoint(self.checkpoint, state)
        self.saved_at = time.monotonic()

    def _finish(self) -> Run:
        """Write record and history; then the hidden folder becomes the run, or its snapshots are added to it."""
        self.held.check()
        if str(self.target) not in self.record["snapshots"]:  # a checkpoint from just here was taken up
            self._snapshot(self.progress)
        history, first = self.progress.so_far(check_losses(self.progress, self.config), self.learner.diagnose())
        self.record |= {
            "config": self.config.to_dict(),
            "images": self.progress.images,
            "operations": self.progress.operations,
            "images_per_second": self.progress.images / max(sum(s["seconds"] for s in self.record["segments"]), 1e-9),
            "peak_memory": peak_memory(self.learner.device),
            "rows": len(history),
            "first_losses": first,
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        files.write_table(self.hidden / layout.HISTORY, history)
        files.write_json(self.hidden / layout.RECORD, self.record)
        final = self.finished or paths.runs_dir() / f"{self.config.name}-{self.config.digest}"
        if final.exists():
            self.record = merge(self.hidden, self.record, final)
        else:
            self.hidden.rename(final)
        return Run(final, self.record, self.config)
