"""What a training takes on this machine, in which order trainings are worth it, and how long one may be waited for."""

import math
import re
import sys
import time
from collections.abc import Sequence

import torch

from .. import paths
from ..autoencoder import Codec, encoded
from ..config import Config
from ..device import wait_for
from ..diffusion.config import DiffusionConfig
from ..errors import ConfigError, GendiffError
from ..graphs import WARM_UP
from ..runs import layout
from ..runs.record import images_in
from ..runs.run import folders
from ..runs.train import found
from ..training.build import build, images_at, seen_shape, start, training_data
from ..training.engine import accelerate
from ..training.loop import fit
from .book import WORTH
from .cost import operations, steps_of

PROBE_SECONDS = 5.0  # how long a training's speed is measured before it is begun
PATIENCE = 20 * 60.0  # seconds that a training may take without being asked for twice
ROOM = 1.25  # by how much a machine may be slower when it is asked again
SLOWEST = 5e9  # operations a second that any machine reaches: what is short even so need not be measured


class TooLong(GendiffError):
    """A training takes longer on this machine than may be waited for."""


def seconds_of(text: str) -> float:
    """A span such as 90s, 25m or 1.5h in seconds; ConfigError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--budget must be a span such as 90s, 25m or 1.5h, not {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def seconds_left(config: Config, again: bool = False) -> float:
    """How long this machine will train, from the furthest checkpoint on; 0 for a run that is there (see `found`)."""
    if found(config, again):
        return 0.0
    target = images_at(config.epochs, steps_of(config), config.batch_size)
    places = (paths.runs_dir() / layout.training(config.digest), *folders(config))
    done = [images_in(place / layout.CHECKPOINT) for place in places]
    images = target - max((n for n in done if n <= target), default=0)
    if images * operations(config) < SLOWEST * PATIENCE:
        return images * operations(config) / SLOWEST
    return images * seconds_of_image(config)


def check_patience(config: Config, hours: float | None, remedy: str, *, again: bool = False) -> None:
    """Say how long a training will take, where that is long; with `again` of one that is published too.

    TooLong where it is longer than `hours`, or than PATIENCE where that is None, with the remedy, which may name the
    {hours} that would be enough.
    """
    check_patience_of([config], f"{config.name} to {config.epochs:.5g} epochs takes", hours, remedy, again=again)


def check_patience_of(
    configs: Sequence[Config], what: str, hours: float | None, remedy: str, *, again: bool = False
) -> None:
    """The same of several trainings together, of which those of other seeds take equally long; `what` begins it."""
    alike: dict[Config, list[Config]] = {}
    for config in (each for each in configs if not found(each, again)):
        build(config, training_data(config))  # what is refused is refused before anything is measured or told
        alike.setdefault(config.but(seed=0), []).append(config)
    if not alike:
        return
    seconds = sum(len(several) * seconds_left(several[0], again) for several in alike.values())
    allowed = PATIENCE if hours is None else hours * 3600
    span = f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.0f} minutes"
    told = f"{what} about {span} here"
    if seconds > allowed:
        raise TooLong(f"{told}: {remedy.format(hours=math.ceil(ROOM * seconds / 3600))}")
    if seconds > 60.0:
        print(told, file=sys.stderr)


def by_worth(configs: Sequence[Config], seeds: int = 1) -> list[Config]:
    """Configurations in the order in which a report needs them: one seed of everything, then the next of everything.

    There is one classifier, and the live chapter has the seeds that it shows.
    """
    known = {name: place for place, name in enumerate(WORTH)}
    ranked = sorted(configs, key=lambda c: known.get(f"{c.name} {c.epochs:g}", known.get(c.name, len(known))))
    again = [c for c in ranked if c.kind != "classifier" and not c.name.startswith("live-")]
    return list(dict.fromkeys(ranked + [c.but(seed=c.seed + i) for i in range(1, seeds) for c in again]))


def _noise(config: DiffusionConfig) -> Codec:
    """In the place of an autoencoder that may not be trained yet: noise for latents takes as long to train on."""
    return Codec(lambda x: torch.randn(len(x), *seen_shape(config, tuple(x.shape[1:])), device=x.device), lambda z: z)


def seconds_of_image(config: Config, probed: float | None = None) -> float:
    """How long this machine trains on one image, by `probed` seconds (None: PROBE_SECONDS) of the training's steps."""
    dataset = encoded(training_data(config, _noise), config.image_size)
    learner = build(config, dataset)
    device = learner.device
    # the graph alone: compiling for a trial would cost more than it tells, so long trainings are faster than this
    trial = fit(learner, dataset.to(device), config, start(config, dataset, device), accelerate(learner, "graph"))
    images, started, probed = 0, time.monotonic(), PROBE_SECONDS if probed is None else probed
    for i, progress in enumerate(trial):
        if i == WARM_UP:  # the first steps allocate and capture
            wait_for(device)
            images, started = progress.images, time.monotonic()
        elif time.monotonic() - started > probed and i > WARM_UP:
            break
    wait_for(device)
    return (time.monotonic() - started) / max(progress.images - images, config.batch_size)
