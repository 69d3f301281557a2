"""What a training takes on this machine, in which order trainings are worth it, and how long one may be waited for."""

import re
import sys
import time
from collections.abc import Sequence

import torch

from ..config import Config
from ..errors import ConfigError, GendiffError
from ..graphs import WARM_UP
from ..runs.run import all_runs, find
from ..training.build import build, start, training_data
from ..training.engine import accelerate
from ..training.loop import fit
from .book import WORTH
from .cost import operations, samples_of

PROBE_SECONDS = 5.0  # how long a training's speed is measured before it is begun
PATIENCE = 20 * 60.0  # seconds that a training may take without being asked for twice
SLOWEST = 5e9  # operations a second that any machine reaches: what is short even so need not be measured


def seconds_of(text: str) -> float:
    """A span such as 90s, 25m or 1.5h in seconds; ConfigError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget must be a span such as 90s, 25m or 1.5h, not {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def seconds_left(config: Config) -> float:
    """How long this machine will train, from what was done of it before; 0 for a run that is there."""
    if find(config):
        return 0.0
    done = max(
        (r.record["images"] for r in all_runs() if r.config.digest == config.digest and not r.published), default=0
    )
    images = max(config.epochs * samples_of(config) - done, 0)
    if images * operations(config) < SLOWEST * PATIENCE:
        return images * operations(config) / SLOWEST
    return images * seconds_of_image(config)


def check_patience(config: Config, hours: float | None, remedy: str) -> None:
    """Say how long a training will take, where that is long; GendiffError with the remedy where it is longer than
    `hours`, or than PATIENCE where that is None."""
    if not find(config):
        build(config, training_data(config))  # what is refused is refused before anything is measured or told
    seconds = seconds_left(config)
    allowed = PATIENCE if hours is None else hours * 3600
    if seconds > min(allowed, 60.0):
        told = f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.0f} minutes"
        if seconds > allowed:
            raise GendiffError(f"{config.name} to {config.epochs:.5g} epochs takes about {told} here: {remedy}")
        print(f"{config.name} to {config.epochs:.5g} epochs takes about {told} here", file=sys.stderr)


def by_worth(configs: Sequence[Config], seeds: int = 1) -> list[Config]:
    """Configurations in the order in which a report needs them: one seed of everything, then the next of everything.

    There is one classifier, and the live chapter has the seeds that it shows.
    """
    known = {name: place for place, name in enumerate(WORTH)}
    ranked = sorted(configs, key=lambda c: known.get(f"{c.name} {c.epochs:g}", known.get(c.name, len(known))))
    again = [c for c in ranked if c.kind != "classifier" and not c.name.startswith("live-")]
    return list(dict.fromkeys(ranked + [c.but(seed=c.seed + i) for i in range(1, seeds) for c in again]))


def seconds_of_image(config: Config) -> float:
    """How long this machine trains on one image, by a short trial of the training's own steps."""
    dataset = training_data(config)
    learner = build(config, dataset)
    device = learner.device
    # the graph alone: compiling for a trial would cost more than it tells, so long trainings are faster than this
    trial = fit(learner, dataset.to(device), config, start(config, dataset, device), accelerate(learner, "graph"))
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
