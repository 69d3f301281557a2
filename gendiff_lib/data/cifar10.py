"""CIFAR-10, through torchvision."""

import os
from pathlib import Path

import torch

from ..errors import DataError, MissingDataError
from ..parsing import whole_number
from ..paths import data_dir, named_path
from .dataset import Dataset, ImageBridge

FOLDER = "cifar-10-batches-py"  # torchvision's, which takes seconds to import: not asked where no images are wanted
SPLITS = {"train": 50_000, "test": 10_000}  # images, known though they be not at hand
N_CLASSES = 10


def cifar10(split: str, argument: str) -> Dataset:
    """CIFAR-10 (Krizhevsky 2009): 50,000 and 10,000 images of 32x32, through torchvision, MD5-checked.

    The argument k, from 1 to 9, leaves the images of its first k classes. Looked for in `data_dir()`; downloaded into
    the user's cache only where GENDIFF_DATA_DIR is not set.
    """
    k = n_classes(argument)
    root = data_dir()
    present = os.path.isdir(root / FOLDER)  # False for what may not be looked into, where is_dir raises
    if not present and named_path("GENDIFF_DATA_DIR"):
        raise MissingDataError(f"CIFAR-10 is not in GENDIFF_DATA_DIR={root}: put cifar-10-batches-py there or unset it")
    from torchvision.datasets import CIFAR10

    if present:
        _check_cifar10(root)
    try:
        data = CIFAR10(str(root), train=split == "train", download=not present)
    except (OSError, RuntimeError) as error:
        raise MissingDataError(
            f"CIFAR-10 is neither in {root} nor downloadable ({type(error).__name__}): "
            "put cifar-10-batches-py into a folder and set GENDIFF_DATA_DIR to that folder"
        ) from error
    samples = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
    labels, name = torch.tensor(data.targets), f"cifar10:{argument}" if argument else "cifar10"
    if argument:
        samples, labels = samples[labels < k], labels[labels < k]
    return Dataset(name, split, samples, labels, tuple(data.classes[:k]), ImageBridge(32))


def n_classes(argument: str) -> int:
    """How many of the ten classes cifar10:ARGUMENT has; DataError for an argument that is no number of them."""
    k = whole_number(argument) if argument else N_CLASSES
    if k is None or (argument and not 1 <= k < N_CLASSES):
        raise DataError(
            f"cifar10:{argument} is no data set: the number of its first classes must be from 1 to {N_CLASSES - 1}; "
            "cifar10 alone has all of them"
        )
    return k


def n_images(split: str, argument: str) -> int:
    """How many images a split has, each class as many; see n_classes."""
    return SPLITS[split] * n_classes(argument) // N_CLASSES


def _check_cifar10(root: Path) -> None:
    """DataError naming the first file of a copy that is missing or damaged."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    folder = root / FOLDER
    for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list]:
        try:
            whole = check_integrity(str(folder / name), md5)
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read ({error.strerror}): make it readable") from None
        if not whole:
            word = "damaged" if os.path.isfile(folder / name) else "missing"
            raise DataError(f"{folder / name} is {word}: restore that file, or delete {folder} to download it again")
