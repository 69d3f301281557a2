"""A user's own pictures: which files a folder holds, by split and class."""

import os
import stat
from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple

import torch

from ..errors import DataError, legible
from . import pictures
from .dataset import Dataset, ImageBridge

SMALLEST, LARGEST = 8, 64  # sides in pixels
LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what systems leave beside pictures


class File(NamedTuple):
    """One file of a class: its path, and what changes where its content does.

    The time of the last change of its entry (ctime) tells where its time of writing was put back or kept.
    """

    path: str
    size: int
    written: int
    changed: int


Splits = dict[str, dict[str, list[File]]]  # files by split and class, all in the order of their names


def splits(argument: str) -> Splits:
    """The files of `folder:ARGUMENT`; DataError for one that does not give both splits of every class.

    PATH/train and PATH/test, where both are there, each hold one sub-folder a class, under the same names; what lies
    beside the two is not read. Else PATH holds one sub-folder a class, and every sixth file of each class, by name, is
    of the test split, as in CIFAR-10's proportions. Sub-folders of a class belong to it. Hidden files and folders,
    what systems leave behind (`LITTER`) and files outside the classes are not read.
    """
    root = _root(argument)
    parts = [part for part in ("train", "test") if os.path.isdir(os.path.join(root, part))]
    if len(parts) == 2:
        return _same_classes(argument, {part: _classes(os.path.join(root, part)) for part in parts})
    if parts and _folders(os.path.join(root, parts[0])):
        (other,) = {"train", "test"} - set(parts)
        raise DataError(
            f"folder:{argument} has {parts[0]}/ with classes but no {other}/: add {other}/ with the same "
            f"classes, or name folder:{argument.rstrip('/')}/{parts[0]} to have it split five to one"
        )
    return _divided(argument, _classes(root))


def common_side(found: Splits) -> int:
    """The shortest side among all pictures of both splits, at most 64; DataError for a picture below 8 pixels."""
    paths = [file.path for classes in found.values() for files in classes.values() for file in files]
    least, path = min((pictures.shortest_side(path), path) for path in paths)
    if least < SMALLEST:
        raise DataError(f"{path} is {least} pixels wide or high: remove it, or give one of at least {SMALLEST}")
    return min(least, LARGEST)


def _root(argument: str) -> str:
    """The folder that ARGUMENT names, ~ for the user's home; DataError where it is none."""
    root = os.path.expanduser(argument)
    if not os.path.isdir(root):
        what = "a file, no folder" if os.path.isfile(root) else "no folder"
        raise DataError(f"folder:{argument} is {what}: give folder:PATH with one sub-folder of images for each class")
    return root


def _names(folder: str) -> list[str]:
    """What a folder holds, hidden names and `LITTER` left out; DataError where it may not be read."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}): make it readable") from None
    return [name for name in names if not name.startswith(".") and name not in LITTER]


def _folders(folder: str) -> list[str]:
    return [name for name in _names(folder) if os.path.isdir(os.path.join(folder, name))]


def _classes(folder: str) -> dict[str, list[File]]:
    """The files of each class of one split; DataError where there is no class, or one is empty."""
    found = {name: list(_files(os.path.join(folder, name))) for name in _folders(folder)}
    if not found:
        raise DataError(f"{folder} holds no images in sub-folders: make one sub-folder for each class")
    for name, files in found.items():
        if not files:
            raise DataError(f"{os.path.join(folder, name)} holds no image: remove it or put some there")
    return found


def _files(folder: str) -> Iterator[File]:
    """All files below a folder, by name; DataError for a link that leads round in a circle, or to nothing."""
    here = os.path.realpath(folder)
    if any(PurePath(os.path.realpath(above)).is_relative_to(here) for above in PurePath(folder).parents):
        raise DataError(f"{folder} is a link to a folder that it lies in: remove the link")
    for name in _names(folder):
        path = os.path.join(folder, name)
        try:
            about = os.stat(path)
        except OSError as error:
            why = f"{path} cannot be reached ({error.strerror})"
            raise DataError(f"{why}: mend its link or permission, or remove it") from None
        if stat.S_ISDIR(about.st_mode):
            yield from _files(path)
        elif stat.S_ISREG(about.st_mode):
            yield File(path, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        else:  # to open a pipe would wait for ever
            raise DataError(f"{path} is no image but a device, pipe or socket: remove it")


def _same_classes(argument: str, found: Splits) -> Splits:
    """`found` itself; DataError naming a class that one split lacks, as its images could be learnt or tested only."""
    for split, other in (("train", "test"), ("test", "train")):
        for name in sorted(found[other].keys() - found[split].keys()):
            raise DataError(
                f"folder:{argument} has class {name!r} in {other}/ but not in {split}/: "
                f"add {split}/{name} with images, or remove {other}/{name}"
            )
    return found


def _divided(argument: str, classes: dict[str, list[File]]) -> Splits:
    """Every sixth file of each class for the test split; DataError naming a class that has fewer."""
    for name, files in classes.items():
        if len(files) < 6:
            raise DataError(
                f"folder:{argument} has {len(files)} of class {name!r}, which leaves no image for its test "
                "split: give at least six images a class, or train/ and test/ of your own"
            )
    train = {name: [file for i, file in enumerate(files) if i % 6 != 5] for name, files in classes.items()}
    return {"train": train, "test": {name: files[5::6] for name, files in classes.items()}}


def folder(split: str, argument: str) -> Dataset:
    """The user's own images, one sub-folder a class, divided five to one, or PATH/train and PATH/test.

    `folders.splits` says which files count and `folders.square` how each is read: its central square, upright, on white
    where it is transparent, brought to the shortest side among all images of both splits, at most 64 pixels.
    """
    found = splits(argument)
    side = common_side(found)
    classes = sorted(found[split])
    labelled = [(file.path, label) for label, name in enumerate(classes) for file in found[split][name]]
    samples = torch.stack([pictures.square(path, side) for path, _ in labelled])
    labels = torch.tensor([label for _, label in labelled])
    return Dataset(f"folder:{argument}", split, samples, labels, tuple(map(legible, classes)), ImageBridge(side))
