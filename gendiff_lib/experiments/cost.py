"""What a training costs, by counted operations."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from ..config import Config
from ..data import check_name, count, load
from ..data.cifar10 import n_classes
from ..data.dataset import Dataset, ImageBridge
from ..data.toy import SHAPES, side_of
from ..training.build import bridged, build, images_at, start
from ..training.operations import encoding_operations, operations_counter

PETA = 10**15


def at_petaflops(config: Config, petaflops: float) -> float:
    """The epochs after which a training has done so many operations, in 10^15, rounded to a batch."""
    steps = steps_of(config)
    batches = _updates(config, (petaflops * PETA - operations_before(config)) / config.batch_size)
    return images_at(batches / steps, steps, config.batch_size) / config.batch_size / steps


def samples_of(config: Config) -> int:
    """How many samples a configuration trains on; CIFAR-10 need not be at hand."""
    return config.n_train or count(config.dataset)


def operations(config: Config) -> int:
    """The operations of training one image, the mean over the training; CIFAR-10 need not be at hand."""
    return round(training_operations(config) / images_at(config.epochs, steps_of(config), config.batch_size))


def training_operations(config: Config) -> int:
    """The operations of a whole training; CIFAR-10 need not be at hand."""
    price, updates = _prices(_alike(config)), images_at(config.epochs, steps_of(config), 1)
    total = price.each * updates if price.each is not None else int(price.until(updates)[updates - 1])
    return total * config.batch_size + operations_before(config)


def operations_before(config: Config) -> int:
    """The operations before a training's first update: of the training that it needs, and of encoding its images."""
    if config.needs is None:
        return 0
    seen = _blank(config.dataset, 1)
    return training_operations(config.needs) + encoding_operations(config, seen) * samples_of(config) // len(
        seen.samples
    )


def steps_of(config: Config) -> int:
    """The updates of an epoch; CIFAR-10 need not be at hand."""
    return max(samples_of(config) // config.batch_size, 1)


def _updates(config: Config, cost: float) -> float:
    """The updates, and the share of a last one, that cost so many operations for each image of a batch."""
    price = _prices(_alike(config))
    if price.each is not None:
        return cost / price.each
    updates = 1
    while (spent := price.until(updates))[-1] < cost:
        updates *= 2
    return float(np.interp(cost, np.concatenate(([0], spent)), np.arange(len(spent) + 1)))


def _alike(config: Config) -> Config:
    """What costs as much an image, update by update."""
    return config.but(epochs=1.0, snapshots=(), seed=0, name="run", precision="fp32", flip=False)


class Prices:
    """What the updates of a training cost: `each` image, or None where that depends on the update."""

    def __init__(self, config: Config) -> None:
        whole, cpu = config.but(n_train=None), torch.device("cpu")
        dataset = bridged(config, _blank(config.dataset, config.batch_size))
        self.config, self.learner = config, build(whole, dataset, cpu)
        self.progress, self.cost = start(whole, dataset, cpu), operations_counter(whole, dataset)
        self.progress.steps_per_epoch = steps_of(config)
        self.each = self._at(0) if self.learner.steady else None
        self.spent: list[int] = []

    def until(self, updates: int) -> npt.NDArray[np.float64]:
        """The operations an image of all updates so far, after each of the first ones, at least so many."""
        for update in range(len(self.spent), updates):
            self.spent.append(self._at(update) + (self.spent[-1] if self.spent else 0))
        return np.array(self.spent, dtype=np.float64)

    def _at(self, update: int) -> int:
        self.progress.epoch, self.progress.step = divmod(update, self.progress.steps_per_epoch)
        self.progress.images = update * self.config.batch_size
        return self.cost(self.learner.phase(self.progress), self.progress)


@lru_cache(maxsize=256)
def _prices(config: Config) -> Prices:
    return Prices(config)


def _blank(name: str, n: int) -> Dataset:
    """The data set, where it is CIFAR-10 or shapes n blank images of it, since it is the size that costs."""
    base, argument = check_name(name)
    if base not in ("cifar10", "shapes"):
        return load(name)
    side, k = (32, n_classes(argument)) if base == "cifar10" else (side_of(argument), len(SHAPES))
    images = torch.zeros(n, 3, side, side, dtype=torch.uint8)
    return Dataset(name, "train", images, torch.zeros(n).long(), tuple(map(str, range(k))), ImageBridge(side))
