"""Recording: train(config) turns a training into a run, idempotent, resumable and atomic."""

import datetime
import hashlib
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from . import images, store
from .classifier import Classifier
from .config import ClassifierConfig, Config, ConfigError, GendiffError, Sampling
from .data import Dataset, cache_dir, load
from .engine import accelerate, engine_for
from .learner import Learner, Method
from .machine import commit, device_name, forget_peak, peak_memory, versions
from .runs import Run, find, folders, read_record
from .samplers import generator
from .sources import source_digest
from .training import Progress, TrainingError, build, check_losses, fit, start

CHECKPOINT_SECONDS = 30.0
MADE = ("samples", "bits")  # what is made of a finished run, maybe while a longer training goes on from it
SHEET = Sampling(n=40, seed=0, batch_size=40)  # the fixed noise of the contact sheets over training


class OutOfTime(GendiffError):
    """A training was stopped at its deadline; its checkpoint is kept."""


def train(config: Config, deadline: float | None = None, *, again: bool = False) -> Run:
    """The finished run of `config`: from disk where there is one, else trained, from a checkpoint if one is left.

    Another process that trains the same run is waited for. GendiffError where something cannot be done; OutOfTime
    where time.monotonic() passes `deadline` before the end. `again` counts no published run.
    """
    if (run := find(config)) and not (again and run.published):
        return run
    dataset = load(config.dataset).first(config.n_train, "n_train")
    if config.flip and not dataset.is_image:
        raise ConfigError(f"flip=true does not apply to {config.dataset}, which holds no images: set flip=false")
    if isinstance(config, ClassifierConfig) and dataset.is_image and config.crop >= dataset.samples.shape[-1]:
        side = dataset.samples.shape[-1]
        raise ConfigError(f"crop={config.crop} shifts images of {side} pixels out of sight: give less than {side}")
    learner = build(config, dataset)  # refuses what does not fit before anything is written
    store.check_writable(store.runs_dir())
    with _alone(config):
        if (run := find(config)) and not (again and run.published):
            return run
        training = _Training(config, dataset.to(learner.device), learner)
        try:
            return training.run(deadline)
        finally:
            if training.hidden.exists() and not training.checkpoint.exists():
                shutil.rmtree(training.hidden)  # nothing in it that could be gone on from


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """Hold the lock of this run; the system frees it when a process dies.

    Lock files stay behind, since removing one is a race; so they are kept in the user's cache, not among the runs.
    """
    place = hashlib.sha256(f"{store.runs_dir().resolve()}/{config.digest}".encode()).hexdigest()[:16]
    store.check_writable(cache_dir() / "locks", "set XDG_CACHE_HOME to a folder that can")
    lock = FileLock(cache_dir() / "locks" / place)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{config.name}: another process trains this run; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Training:
    """One training in its hidden directory, which is renamed when whole."""

    def __init__(self, config: Config, dataset: Dataset, learner: Learner) -> None:
        self.config, self.dataset, self.learner = config, dataset, learner
        self.hidden = store.runs_dir() / f".training-{config.digest}"
        self.checkpoint = self.hidden / "checkpoint.pt"
        self.progress = start(config, learner.device)
        n_images = config.epochs * len(dataset.samples)
        self.engine = engine_for(learner, n_images)
        self.record = self._new_record()
        self.saved_at = time.monotonic()

    def run(self, deadline: float | None = None) -> Run:
        """Train to the end and return the finished run."""
        finished = self._begin()
        step = accelerate(self.learner, self.engine)  # after a resume: a graph keeps the memory that it was captured on
        forget_peak(self.learner.device)
        started, before = time.monotonic(), self.record["seconds"]
        aside = 0.0  # seconds spent on sheets and snapshots, which are no training
        bar = tqdm(
            total=self.config.epochs * (len(self.dataset.samples) // self.config.batch_size) * self.config.batch_size,
            initial=self.progress.images,
            desc=self.config.name,
            unit="img",
            unit_scale=True,
            mininterval=1.0,
            disable=not (sys.stderr.isatty() or "ipykernel" in sys.modules),
        )
        try:
            with bar:
                for progress in fit(self.learner, self.dataset, self.config, self.progress, step):
                    bar.update(progress.images - bar.n)
                    due = time.monotonic() - self.saved_at > CHECKPOINT_SECONDS
                    if due or progress.step == 0:
                        self._wait_for_device()
                        now = time.monotonic()
                        self.record["seconds"] = before + now - started - aside
                        self._pause(bar, progress, due)
                        aside += time.monotonic() - now
                    if deadline and time.monotonic() > deadline and progress.epoch < self.config.epochs:
                        self._wait_for_device()
                        self.record["seconds"] = before + time.monotonic() - started - aside
                        self._save()
                        raise OutOfTime(f"{progress.epoch} epochs and {progress.step} steps are in its checkpoint")
        except TrainingError as error:
            kept = f"; the last good checkpoint is in {self.hidden}" if self.checkpoint.exists() else ""
            raise TrainingError(f"{self.config.name}: {error}{kept}") from None
        return self._finish(finished)

    def _pause(self, bar: "tqdm[Any]", progress: Progress, due: bool) -> None:
        """What is done between steps: show losses, keep a snapshot that is wanted, save a checkpoint that is due."""
        epoch = progress.epoch
        if progress.step == 0 and progress.history:
            bar.set_postfix({k: f"{v:.4g}" for k, v in progress.history[-1].items() if k.startswith("loss")})
        wanted = progress.step == 0 and epoch in (*self.config.snapshots, self.config.epochs)
        if wanted and str(epoch) not in self.record["snapshots"]:
            self._snapshot(epoch)
        if due or wanted:
            self._save()

    def _begin(self) -> Path | None:
        """Take up what is there: an interrupted training, or a finished run that is to go on. Returns the latter."""
        finished = next((f for f in folders(self.config) if f.parent == store.runs_dir()), None)
        if not self.hidden.exists():
            longer = finished and max(map(int, read_record(finished)["snapshots"])) < self.config.epochs
            if finished and longer and (finished / "checkpoint.pt").exists():
                draft = self.hidden.with_name(f".draft-{self.config.digest}")
                shutil.rmtree(draft, ignore_errors=True)
                shutil.copytree(finished, draft, ignore=shutil.ignore_patterns(*MADE))
                draft.rename(self.hidden)
            self.hidden.mkdir(exist_ok=True)
        for draft in self.hidden.glob(".checkpoint.pt.*"):  # of a process that was killed while it wrote
            draft.unlink()
        if self.checkpoint.exists():
            state = store.read_checkpoint(self.checkpoint)
            with store.understanding(self.checkpoint):
                epoch, step, _ = state["counts"]
                done = (epoch, step) == (self.config.epochs, 0) and str(epoch) in state["record"]["snapshots"]
            if epoch < self.config.epochs or done:
                self._resume(state)
        return finished

    def _resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. The record keeps the sources it began with, so a later change makes it stale."""
        try:
            self.learner.load_state_dict(state["learner"])
            self.progress.load_state_dict(state)
        except torch.OutOfMemoryError:  # a RuntimeError too, but the checkpoint is whole
            raise
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError):
            device = state["record"]["device"]
            raise store.damaged(self.checkpoint, f"it does not fit this code and device; it is of {device}") from None
        self.record |= {k: state["record"][k] for k in ("seconds", "snapshots", "resumed", "sources")}
        self.record["resumed"] += 1

    def _new_record(self) -> dict[str, Any]:
        config, dataset = self.config, self.dataset
        return {
            "format": 1,
            "kind": config.kind,
            "name": config.name,
            "config": config.to_dict(),
            "digest": config.digest,
            "snapshots": {},
            "seconds": 0.0,
            "resumed": 0,
            "data": {"name": dataset.name, "digest": dataset.digest, "samples": len(dataset.samples)},
            "sample_shape": list(dataset.samples.shape[1:]),
            "classes": list(dataset.classes),
            "parameters": {k: sum(p.numel() for p in m.parameters()) for k, m in self.learner.modules.items()},
            "flops_per_image": flops_per_image(config, dataset),
            "sources": source_digest(config.kind),
            "device": device_name(self.learner.device),
            "engine": self.engine,
            "tf32": self.learner.device.type == "cuda" and torch.backends.cudnn.allow_tf32,
            "threads": torch.get_num_threads(),
            "versions": versions(),
            **commit(),
        }

    def _wait_for_device(self) -> None:
        if self.learner.device.type == "cuda":
            torch.cuda.synchronize()

    def _snapshot(self, epoch: int) -> None:
        """Keep weights and a contact sheet of this epoch."""
        weights = {k: v.clone() for k, v in self.learner.weights().items()}
        store.write_tensors(self.hidden / "weights" / f"epoch-{epoch:04d}.safetensors", weights)
        entry = {"seconds": self.record["seconds"], "images": self.progress.images, "rows": len(self.progress.history)}
        if isinstance(self.learner, Classifier):
            test = load(self.config.dataset, "test")
            entry["test_accuracy"] = self.learner.accuracy(test.samples, test.labels)
        if isinstance(self.learner, Method) and self.dataset.is_image:
            sampling = self.learner.resolve(_sheet_sampling(self.learner))
            rng = generator(self.learner.device, "sheet", sampling.seed)
            with torch.compiler.set_stance("force_eager"):  # not worth compiling for another shape
                last = deque(self.learner.sample(sampling.n, sampling, rng), maxlen=1).pop()
            path = self.hidden / "sheets" / f"epoch-{epoch:04d}.png"
            with store.writing(path) as draft:
                images.save_png(images.sheet(self.dataset.bridge.decode(last.x).cpu(), columns=10), draft)
            entry["sheet"] = sampling.to_dict()
        self.record["snapshots"][str(epoch)] = entry

    def _save(self) -> None:
        """A checkpoint, unless the losses since the last one are not finite: then the last good one stays."""
        check_losses(self.progress, self.config)
        state = self.progress.state_dict() | {"learner": self.learner.state_dict(), "record": self.record}
        store.write_checkpoint(self.checkpoint, state)
        self.saved_at = time.monotonic()

    def _finish(self, finished: Path | None) -> Run:
        """Write history and record, then rename. A longer run that is there already only gains this snapshot."""
        if finished and (old := read_record(finished)) and max(map(int, old["snapshots"])) > self.config.epochs:
            _add_snapshots(self.hidden, self.record, finished, old)
            store.write_json(finished / "run.json", old)
            shutil.rmtree(self.hidden)
            return Run(finished, old, self.config)
        if finished:
            _add_snapshots(finished, read_record(finished), self.hidden, self.record)
            for name in MADE:
                if (finished / name).exists():
                    shutil.copytree(finished / name, self.hidden / name)
        device = self.learner.device
        self.record |= {
            "config": self.config.to_dict(),
            "images": self.progress.images,
            "images_per_second": self.progress.images / max(self.record["seconds"], 1e-9),
            "peak_memory": peak_memory(device),
            "rows": len(self.progress.history),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        store.write_table(self.hidden / "history.csv", self.progress.history)
        store.write_json(self.hidden / "run.json", self.record)
        final = store.runs_dir() / f"{self.config.name}-{self.config.digest}" if finished is None else finished
        store.replace_folder(self.hidden, final)
        return Run(final, self.record, self.config)


def _add_snapshots(source: Path, theirs: dict[str, Any], target: Path, mine: dict[str, Any]) -> None:
    """Copy to the run in `target` the snapshots of `source` that it has not."""
    for epoch in theirs["snapshots"].keys() - mine["snapshots"].keys():
        for part in (f"weights/epoch-{int(epoch):04d}.safetensors", f"sheets/epoch-{int(epoch):04d}.png"):
            if (source / part).exists():
                (target / part).parent.mkdir(exist_ok=True)
                shutil.copy(source / part, target / part)
        mine["snapshots"][epoch] = theirs["snapshots"][epoch]


def _sheet_sampling(learner: Method) -> Sampling:
    """DDIM in at most 50 steps for a diffusion model, one pass for a GAN."""
    if learner.config.kind == "gan":
        return SHEET
    return SHEET.but(sampler="ddim", n_steps=50)


def flops_per_image(config: Config, dataset: Dataset) -> int:
    """Floating-point operations of one training step divided by its images, counted by running one of two images."""
    with torch.random.fork_rng(devices=[]):  # dropout must not disturb the training that is about to start
        return _counted_flops(config.but(precision="fp32"), dataset)


def _counted_flops(config: Config, dataset: Dataset) -> int:
    learner = build(config, dataset, torch.device("cpu"))
    x = dataset.bridge.encode(dataset.samples[:2].cpu(), config.image_size)
    with FlopCounterMode(display=False) as counter:
        learner.step(x, dataset.labels[:2].cpu(), 0.0, torch.Generator().manual_seed(0))
    return int(counter.get_total_flops()) // 2
