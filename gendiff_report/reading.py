"""What a page may make, and what it may only read: the published runs of the presets that take hours."""

import os
from collections.abc import Mapping
from typing import TypeVar

from gendiff_lib.config import Config
from gendiff_lib.data import check_name
from gendiff_lib.data.cifar10 import FOLDER
from gendiff_lib.errors import ConfigError, GendiffError, Light
from gendiff_lib.experiments.book import LIVE_POINTS
from gendiff_lib.paths import data_dir
from gendiff_lib.runs import layout
from gendiff_lib.runs.run import Run, folders

T = TypeVar("T")

FAMOUS = ("inception", "efficientnet", "vgg16")  # extractors that the literature knows, the foremost first
PLANE = {name for methods in LIVE_POINTS.values() for name in methods.values()}  # seconds each: always trained


class Unpublished(GendiffError):
    """A page asks for what is neither there nor to be made while a book is built."""


LACKING = (Unpublished, Light)  # why a table leaves a row out


def training_allowed() -> bool:
    """False while a book is built from what is there: the build sets GENDIFF_TRAIN=0."""
    told = os.environ.get("GENDIFF_TRAIN") or "1"
    if told not in ("0", "1"):
        raise ConfigError(f"GENDIFF_TRAIN={told} says neither yes nor no: set it to 1 or 0")
    return told == "1"


def pick(found: Mapping[str, T], *names: str) -> list[T]:
    """What is found under some names; Unpublished where one of them was left out."""
    if lacking := [name for name in names if name not in found]:
        raise Unpublished(f"{', '.join(lacking)}: not there yet")
    return [found[name] for name in names]


def is_there(dataset: str) -> bool:
    """False for a data set that loading would have to download, or to ask for where it is not."""
    return check_name(dataset)[0] != "cifar10" or os.path.isdir(data_dir() / FOLDER)


def has_weights(run: Run) -> bool:
    """Whether samples of a run can be drawn: most published ones are without the weights of their snapshots."""
    return (run.folder / layout.weights(run.images)).exists()


def epochs_there(config: Config) -> list[float]:
    """The epochs at which a run of this identity is there, published or not."""
    return sorted({epochs for folder in folders(config) for epochs in Run.read(folder).epochs})


def longest(config: Config) -> Run | None:
    """The run of this identity that goes furthest up to config.epochs, there; of equal ones a published one."""
    runs = map(Run.read, (*folders(config, published=True), *folders(config)))
    ends = [run.at(max(earlier)) for run in runs if (earlier := [e for e in run.epochs if e <= config.epochs])]
    return max(ends, key=lambda run: run.config.epochs, default=None)


def check_hours(patience: object) -> None:
    """ConfigError for a patience that is no number of hours."""
    if patience is None:
        return
    if isinstance(patience, bool) or not isinstance(patience, (int, float)) or not patience > 0:
        raise ConfigError(f"patience must be a number of hours, more than 0, or None, not {patience!r}")
