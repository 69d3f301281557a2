"""Data sets: samples, labels, and the bridge between what is stored and what a model sees.

A name is NAME or NAME:ARGUMENT: `cifar10`, `cifar10:3` (its first classes), `shapes:32` (the side), `folder:PATH`,
`gaussians`, `moons`.
A data set is known by its content (`Dataset.digest`), not by its name: what a folder holds can change.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache

from ..errors import DataError
from ..paths import data_dir
from . import folder as folders
from .cifar10 import SPLITS, cifar10, n_images
from .dataset import Dataset
from .folder import folder
from .toy import N_SHAPES, gaussians, moons, shapes, side_of

DATASETS: dict[str, Callable[[str, str], Dataset]] = {
    "cifar10": cifar10,
    "shapes": shapes,
    "folder": folder,
    "gaussians": gaussians,
    "moons": moons,
}


def check_name(name: str) -> tuple[str, str]:
    """The two parts of NAME or NAME:ARGUMENT; DataError for a data set that is none."""
    base, _, argument = name.partition(":")
    if base not in DATASETS:
        raise DataError(f"data set {name!r} is unknown: there are {', '.join(DATASETS)}")
    return base, argument


def load(name: str, split: str = "train") -> Dataset:
    """The data set called NAME or NAME:ARGUMENT; split is `train` or `test`.

    Kept in memory for the next caller, as long as it would be read from the same place and no file of a folder changes.
    """
    base, argument = check_name(name)
    if split not in SPLITS:
        raise DataError(f"split {split!r} is unknown: it is {' or '.join(SPLITS)}")
    return _kept(base, split, argument, _source(base, argument))


def count(name: str, split: str = "train") -> int:
    """How many samples a split of a data set has; of CIFAR-10 it is known without the data, of shapes undrawn."""
    base, argument = check_name(name)
    if base == "cifar10":
        return n_images(split, argument)
    if base == "shapes":
        side_of(argument)  # refuses what is none
        return N_SHAPES[split]
    return len(load(name, split).samples)


@lru_cache(maxsize=4)
def _kept(base: str, split: str, argument: str, source: str) -> Dataset:
    """The data set itself; `source` tells the states of one name apart."""
    return DATASETS[base](split, argument)


def _source(base: str, argument: str) -> str:
    """What decides a data set's content beside its name: a digest of a folder's files, the folder of CIFAR-10."""
    if base == "folder":
        return hashlib.sha256(repr(folders.splits(argument)).encode()).hexdigest()
    return str(data_dir()) if base == "cifar10" else ""
