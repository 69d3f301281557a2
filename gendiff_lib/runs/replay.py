"""Replaying: the first updates of a run, trained once more, show that today's code still makes it."""

from itertools import islice
from typing import NamedTuple

import torch

from ..autoencoder import encoded
from ..data.dataset import Dataset, check_same
from ..device import check_precision, default_device, device_name, packages
from ..errors import ConfigError, GendiffError
from ..progress import FIRST, TrainingError
from ..training.build import build, start, training_data
from ..training.loop import fit
from .run import Run, codec_of

# Relative, of a loss on another processor, another number of threads or with another torch, up to which update.
# Diffusion models and autoencoders were measured at 2e-7. A GAN's rounding errors grow, some twofold an update: those
# of live-gan, which went farthest, to 2e-4 within five updates, 1e-2 within ten and 4e-2 within twenty.
TOLERANCE = {
    "gan": {5: 2e-3, 10: 5e-2, FIRST: 2e-1},
    "diffusion": {FIRST: 1e-4},
    "autoencoder": {FIRST: 1e-4},
    "classifier": {FIRST: 2e-2},
}


class Replay(NamedTuple):
    """`verdict` is "bit-equal", "close" (within `tolerance`, where the machine is another), "differs" or "cannot"."""

    verdict: str
    why: str


class Refused(GendiffError):
    """Today's code does not take the configuration of a run."""


def replay(run: Run) -> Replay:
    """Train the first updates of `run` again and compare their losses with those recorded.

    They must agree bit for bit where processor, threads and torch are those of its first segment, and one process was.
    """
    recorded = run.record["first_losses"]
    if not recorded:
        return Replay("cannot", "its record keeps no losses of first updates")
    try:
        dataset = training_data(run.config, codec_of)
        check_same(dataset, run.record["data"]["digest"], f"run {run.id}")
        found = _first_losses(run, dataset)
    except (Refused, TrainingError) as error:
        return Replay("differs", str(error))
    except GendiffError as error:  # no data, other data, or no bf16 here
        return Replay("cannot", str(error))
    same, farthest = _same_machine(run), 0.0
    for update, (then, now) in enumerate(zip(recorded, found, strict=False), 1):
        if lacking := then.keys() - now.keys():
            return Replay("differs", f"update {update} has no {', '.join(sorted(lacking))} any more")
        for name, value in then.items():
            off = abs(now[name] - value) / max(abs(value), 1e-6)
            if (same and now[name] != value) or off > tolerance(run.config.kind, update):
                return Replay("differs", f"{name} of update {update} is {now[name]!r}, recorded is {value!r}")
            farthest = max(farthest, off)
    n = f"{min(len(recorded), len(found))} updates"
    elsewhere = "on another machine or torch, or more processes"
    return (
        Replay("bit-equal", n)
        if same
        else Replay("close", f"{n}, at most {farthest:.1g} off, {elsewhere}: allowed is {_told(run.config.kind)}")
    )


def tolerance(kind: str, update: int) -> float:
    """How far from the recorded one a loss of `update`, from 1, may be on another machine, relative to it."""
    return next(allowed for last, allowed in TOLERANCE[kind].items() if update <= last)


def _told(kind: str) -> str:
    steps = TOLERANCE[kind]
    return ", ".join(f"{allowed:g}" + (f" up to {last}" if len(steps) > 1 else "") for last, allowed in steps.items())


def _first_losses(run: Run, dataset: Dataset) -> list[dict[str, float]]:
    """The losses of the first updates, on as many threads as the run's first segment had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(run.record["segments"][0]["threads"])
    try:
        check_precision(run.config, default_device())
        try:
            learner = build(run.config, dataset)
        except ConfigError as error:
            raise Refused(f"today's code refuses its configuration: {error}") from None
        progress = start(run.config, dataset, learner.device)
        feed = encoded(dataset.to(learner.device), run.config.image_size)
        for _ in islice(fit(learner, feed, run.config, progress), FIRST):
            pass
        return progress.so_far(progress.table(), {})[1]
    finally:
        torch.set_num_threads(threads)


def _same_machine(run: Run) -> bool:
    first = run.record["segments"][0]
    here = device_name(default_device()), packages()["torch"], "eager", 1
    return here == (first["device"], first["packages"]["torch"], first["engine"], first.get("processes", 1))
