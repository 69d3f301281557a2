"""Training within a budget of time: in order of worth, nothing begun that cannot finish, nothing lost."""

import re
import time
from collections.abc import Iterator, Sequence

import torch

from . import store
from .config import Config, ConfigError, GendiffError
from .data import Dataset, load
from .engine import WARM_UP, accelerate
from .experiments import WORTH
from .recorder import OutOfTime, train
from .runs import find, folders
from .training import build, fit, start

PROBE_SECONDS = 5.0  # how long a training's speed is measured before it is begun
MARGIN = 1.15  # for snapshots, sheets and checkpoints


def seconds_of(text: str) -> float:
    """A span such as 90s, 25m or 1.5h in seconds; ConfigError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget must be a span such as 90s, 25m or 1.5h, not {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def by_worth(configs: Sequence[Config], seeds: int = 1) -> list[Config]:
    """Configurations in the order in which a report needs them: one seed of everything, then the next of everything.

    There is one classifier, and the live chapter has the seeds that it shows.
    """
    known = {name: place for place, name in enumerate(WORTH)}
    ranked = sorted(configs, key=lambda c: known.get(f"{c.name} {c.epochs}", known.get(c.name, len(known))))
    again = [c for c in ranked if c.kind != "classifier" and not c.name.startswith("live-")]
    return list(dict.fromkeys(ranked + [c.but(seed=c.seed + i) for i in range(1, seeds) for c in again]))


def seconds_needed(config: Config) -> float:
    """How long the rest of a training will take on this machine, by a short trial of its own steps."""
    dataset = load(config.dataset).first(config.n_train, "n_train")
    per_image = _seconds_per_image(config, dataset)
    steps = len(dataset.samples) // config.batch_size
    return MARGIN * per_image * (config.epochs * steps * config.batch_size - _images_done(config))


def _images_done(config: Config) -> int:
    """Of a training that was interrupted, or is finished at fewer epochs: it will go on from there."""
    places = (store.runs_dir() / f".training-{config.digest}", *folders(config))
    kept = [place / "checkpoint.pt" for place in places if (place / "checkpoint.pt").exists()]
    epoch, _, images = store.read_checkpoint(kept[0])["counts"] if kept else (0, 0, 0)
    return int(images) if epoch < config.epochs else 0


def _seconds_per_image(config: Config, dataset: Dataset) -> float:
    learner = build(config, dataset)
    device = learner.device
    # the graph alone: compiling for a trial would cost more than it tells, so long trainings are faster than this
    trial = fit(learner, dataset.to(device), config, start(config, device), accelerate(learner, "graph"))
    images, started = 0, time.monotonic()
    for i, progress in enumerate(trial):
        if i == WARM_UP:  # the first steps allocate and capture
            _finish(device)
            images, started = progress.images, time.monotonic()
        elif time.monotonic() - started > PROBE_SECONDS and i > WARM_UP:
            break
    _finish(device)
    return (time.monotonic() - started) / max(progress.images - images, config.batch_size)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def train_within(configs: Sequence[Config], budget: float) -> Iterator[str]:
    """Train what is missing, a line of news each, until `budget` seconds are used; then say what is left."""
    deadline, left = time.monotonic() + budget, []
    for config in configs:
        name = f"{config.name}, {config.epochs} epochs, seed {config.seed}"
        if find(config):
            yield f"{name}: is there"
            continue
        remaining = deadline - time.monotonic()
        try:
            needed = seconds_needed(config) if remaining > 0 else float("inf")
            remaining = deadline - time.monotonic()
            if needed > remaining:
                left.append(f"{name} (needs about {needed:.0f} s)" if needed < float("inf") else name)
                continue
            run = train(config, deadline)
        except OutOfTime as stopped:
            left.append(f"{name} (begun: {stopped})")
            continue
        except (GendiffError, torch.OutOfMemoryError) as error:  # one that fails costs no other its time
            left.append(f"{name} (failed: {str(error).splitlines()[0]})")
            continue
        yield f"{run.id}, {config.epochs} epochs: trained in {run.snapshot['seconds']:.1f} s ({run.folder})"
    yield f"left: {'; '.join(left)}" if left else "nothing is left"
