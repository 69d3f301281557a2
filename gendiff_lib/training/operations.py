"""The operations of a training, counted by running a step."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..config import Config
from ..data.dataset import Dataset
from ..progress import Progress
from .build import build, start


def operations_counter(config: Config, dataset: Dataset) -> Callable[[str, Progress], int]:
    """(phase, progress) to the operations of an image trained there, each phase counted once."""
    known: dict[str, int] = {}

    def cost(phase: str, progress: Progress) -> int:
        if phase not in known:
            known[phase] = operations_per_image(config, dataset, progress)
        return known[phase]

    return cost


def operations_per_image(config: Config, dataset: Dataset, progress: Progress | None = None) -> int:
    """Floating-point operations of a training step divided by its images, counted by running a step of two images.

    `progress` says where in the training, since what a step does may depend on it.
    """
    with torch.random.fork_rng(devices=[]):  # dropout must not disturb the training
        config = config.but(precision="fp32")
        learner = build(config, dataset, torch.device("cpu"))
        here = replace(progress or start(config, dataset, torch.device("cpu")), rng=torch.Generator())
        x = dataset.bridge.encode(dataset.samples[:2].cpu(), config.image_size)
        with FlopCounterMode(display=False) as counter:
            learner.step(x, dataset.labels[:2].cpu(), here, here.rng)
    return int(counter.get_total_flops()) // 2
