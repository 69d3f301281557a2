"""What a training costs, by counted operations."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from .. import paths
from ..config import Config
from ..data import check_name, count, load
from ..data.cifar10 import n_classes
from ..data.dataset import Dataset, ImageBridge
from ..data.toy import SHAPES, side_of
from ..learner import Learner
from ..progress import Progress
from ..runs import files
from ..runs.files import StoreError
from ..training.build import bridged, build, images_at, start
from ..training.operations import Cost, encoding_operations, operations_counter

N = TypeVar("N", int, float, int | None)
PETA = 10**15
SIZED = ("cifar10", "shapes")  # data sets whose name says how large an image is


def at_petaflops(config: Config, petaflops: float) -> float:
    """The epochs after which a training has done so many operations, in 10^15, rounded to a batch."""
    steps = steps_of(config)
    batches = _prices(config).updates_at((petaflops * PETA - operations_before(config)) / config.batch_size)
    return images_at(batches / steps, steps, config.batch_size) / config.batch_size / steps


def samples_of(config: Config) -> int:
    """How many samples a configuration trains on; CIFAR-10 need not be at hand."""
    return config.n_train or count(config.dataset)


def operations(config: Config) -> int:
    """The operations of training one image, the mean over the training; CIFAR-10 need not be at hand."""
    return round(training_operations(config) / images_at(config.epochs, steps_of(config), config.batch_size))


def training_operations(config: Config) -> int:
    """The operations of a whole training; CIFAR-10 need not be at hand."""
    updates = images_at(config.epochs, steps_of(config), 1)
    return _prices(config).after(updates) * config.batch_size + operations_before(config)


def operations_before(config: Config) -> int:
    """The operations before a training's first update: of the training that it needs, and of encoding its images."""
    if config.needs is None:
        return 0
    return training_operations(config.needs) + _prices(config).encoding * samples_of(config)


def steps_of(config: Config) -> int:
    """The updates of an epoch; CIFAR-10 need not be at hand."""
    return max(samples_of(config) // config.batch_size, 1)


class Prices:
    """What the updates of a training cost, an image of their batch.

    Counting takes a step of the training, so what was counted is kept in the user's cache, for the library as it is.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.spent = config, list[int]()
        self.counted: dict[str, Any] = {}
        sized = check_name(config.dataset)[0] in SIZED  # by its name; a folder's images may be of another size tomorrow
        self.path = paths.made_dir() / "operations" / _library() / f"{config.digest}.json" if sized else None
        if self.path and self.path.exists():
            with suppress(StoreError):  # damaged: counted again
                known = files.read_json(self.path)
                self.counted = known if isinstance(known, dict) else {}

    @property
    def each(self) -> int | None:
        """The operations of every update, or None where they depend on the update."""
        return self._once("each", lambda: self._at(0) if self._begun[0].steady else None)

    @property
    def encoding(self) -> int:
        """The operations of encoding one training image before the first update."""

        def each() -> int:
            seen = _blank(self.config.dataset, 1)
            return encoding_operations(self.config, seen) // len(seen.samples)

        return self._once("encoding", each)

    def after(self, updates: int) -> int:
        """The operations of the first `updates`."""
        if self.each is not None:
            return self.each * updates
        return self._once(f"after {updates}", lambda: int(self._until(updates)[updates - 1]))

    def updates_at(self, cost: float) -> float:
        """The updates, and the share of a last one, that cost so many operations."""
        return cost / self.each if self.each is not None else self._once(f"at {cost!r}", partial(self._search, cost))

    def _search(self, cost: float) -> float:
        updates = 1
        while (spent := self._until(updates))[-1] < cost:
            updates *= 2
        return float(np.interp(cost, np.concatenate(([0], spent)), np.arange(len(spent) + 1)))

    def _until(self, updates: int) -> npt.NDArray[np.float64]:
        """The operations of all updates so far, after each of the first ones, at least so many."""
        for update in range(len(self.spent), updates):
            self.spent.append(self._at(update) + (self.spent[-1] if self.spent else 0))
        return np.array(self.spent, dtype=np.float64)

    def _at(self, update: int) -> int:
        learner, progress, cost = self._begun
        progress.epoch, progress.step = divmod(update, progress.steps_per_epoch)
        progress.images = update * self.config.batch_size
        return cost(learner.phase(progress), progress)

    @cached_property
    def _begun(self) -> tuple[Learner, Progress, Cost]:
        whole, cpu = self.config.but(n_train=None), torch.device("cpu")
        dataset = bridged(self.config, _blank(self.config.dataset, self.config.batch_size))
        progress = start(whole, dataset, cpu)
        progress.steps_per_epoch = steps_of(self.config)
        return build(whole, dataset, cpu), progress, operations_counter(whole, dataset)

    def _once(self, what: str, count: Callable[[], N]) -> N:
        """What `count` gives, from the cache where it was counted before; a full or closed cache is no loss."""
        if what not in self.counted:
            self.counted[what] = count()
            if self.path:
                with suppress(StoreError):
                    files.write_json(self.path, self.counted)
        known: N = self.counted[what]
        return known


def _prices(config: Config) -> Prices:
    """Of what costs as much an image, update by update."""
    return _known(config.but(epochs=1.0, snapshots=(), seed=0, name="run", precision="fp32", flip=False))


@lru_cache(maxsize=256)
def _known(config: Config) -> Prices:
    return Prices(config)


@lru_cache(maxsize=1)
def _library() -> str:
    """A digest of what decides a count: the library's sources, and torch's version."""
    digest = hashlib.sha256(torch.__version__.encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _blank(name: str, n: int) -> Dataset:
    """The data set, where it is CIFAR-10 or shapes n blank images of it, since it is the size that costs."""
    base, argument = check_name(name)
    if base not in SIZED:
        return load(name)
    side, k = (32, n_classes(argument)) if base == "cifar10" else (side_of(argument), len(SHAPES))
    images = torch.zeros(n, 3, side, side, dtype=torch.uint8)
    return Dataset(name, "train", images, torch.zeros(n).long(), tuple(map(str, range(k))), ImageBridge(side))
