"""What a training costs, by counted operations."""

from functools import lru_cache

import torch

from ..config import Config
from ..data import count, load
from ..data.dataset import Dataset, ImageBridge
from ..training.build import images_at
from ..training.operations import operations_per_image

PETA = 10**15


def at_petaflops(config: Config, petaflops: float) -> float:
    """The epochs after which a training has done so many operations, in 10^15, rounded to a batch."""
    steps = samples_of(config) // config.batch_size
    images = petaflops * PETA / operations(config)
    return images_at(images / config.batch_size / steps, steps, config.batch_size) / config.batch_size / steps


def samples_of(config: Config) -> int:
    """How many samples a configuration trains on; CIFAR-10 need not be at hand."""
    return config.n_train or count(config.dataset)


def operations(config: Config) -> int:
    """The operations of training one image, counted on a blank one; CIFAR-10 need not be at hand."""
    return _operations(config.but(epochs=1.0, snapshots=(), seed=0, name="run", batch_size=2, n_train=None))


@lru_cache(maxsize=256)
def _operations(config: Config) -> int:
    if config.dataset != "cifar10":
        return operations_per_image(config, load(config.dataset))
    blank, classes = torch.zeros(2, 3, 32, 32, dtype=torch.uint8), tuple(map(str, range(10)))
    return operations_per_image(
        config, Dataset("cifar10", "train", blank, torch.zeros(2).long(), classes, ImageBridge(32))
    )
