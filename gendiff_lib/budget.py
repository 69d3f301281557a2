"""Training within a budget of time: in order of worth, nothing begun that cannot finish, nothing lost."""

import re
import time
from collections.abc import Sequence

import torch

from .config import Config, ConfigError
from .engine import WARM_UP, accelerate
from .experiments import WORTH
from .recorder import training_data
from .training import build, fit, start

PROBE_SECONDS = 5.0  # how long a training's speed is measured before it is begun
MARGIN = 1.15  # for snapshots, sheets and checkpoints


def seconds_of(text: str) -> float:
    """A span such as 90s, 25m or 1.5h in seconds; ConfigError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget must be a span such as 90s, 25m or 1.5h, not {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


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
