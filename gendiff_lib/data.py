"""Data sets: samples, labels, and the bridge between what is stored and what a model sees.

A name is NAME or NAME:ARGUMENT: `cifar10`, `shapes:32` (the side), `folder:PATH`, `gaussians`, `moons`.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import images
from .config import GendiffError


class DataError(GendiffError):
    """A data set is missing, damaged or unknown."""


class MissingDataError(DataError):
    """A data set is neither there nor to be downloaded."""


@dataclass(frozen=True)
class ImageBridge:
    """uint8 (N, 3, size, size) outside; float32 in [-1, 1], at the model's own side, inside."""

    size: int

    def shape(self, image_size: int) -> tuple[int, ...]:
        """The shape of one sample as a model with this `image_size` (0 for the data's own) sees it."""
        return (3, image_size or self.size, image_size or self.size)

    def encode(self, samples: Tensor, image_size: int) -> Tensor:
        """Stored samples to what the model sees."""
        return images.to_model(samples, image_size)

    def decode(self, x: Tensor) -> Tensor:
        """What the model made, at any side, to stored form: so every score is taken at the data's own size."""
        return images.to_images(x, self.size)


@dataclass(frozen=True)
class PointBridge:
    """Points (N, 2) outside; inside, divided by `scale` so that each coordinate has about unit variance."""

    scale: float

    def shape(self, image_size: int) -> tuple[int, ...]:
        """(2,): the plane has no image side."""
        if image_size:
            raise DataError(f"image_size={image_size} does not apply to points in the plane: set image_size=0")
        return (2,)

    def encode(self, samples: Tensor, image_size: int) -> Tensor:
        """Divide by the scale."""
        return samples / self.scale

    def decode(self, x: Tensor) -> Tensor:
        """Multiply by the scale."""
        return x.float() * self.scale


Bridge = ImageBridge | PointBridge


@dataclass(frozen=True)
class Dataset:
    """Samples in memory: uint8 images (N, 3, H, W) or float32 points (N, 2), with labels int64 (N,)."""

    name: str
    split: str
    samples: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    bridge: Bridge
    modes: Tensor | None = field(default=None)  # the centres (K, 2), where the density has any

    @property
    def is_image(self) -> bool:
        """Whether the samples are images."""
        return isinstance(self.bridge, ImageBridge)

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits of SHA-256 over samples and labels."""
        h = hashlib.sha256(self.samples.cpu().numpy().tobytes())
        h.update(self.labels.cpu().numpy().tobytes())
        return h.hexdigest()[:12]

    def first(self, n: int, name: str = "n") -> "Dataset":
        """The first n samples (all for 0); DataError, which calls n by `name`, where there are fewer."""
        if n < 0:
            raise DataError(f"{name}={n} is no number of samples: give 0 for all, or more")
        if n > len(self.samples):
            raise DataError(f"{name}={n} is more than the {len(self.samples)} samples of {self.name}: lower it")
        keep = n or len(self.samples)
        cut = self.samples[:keep], self.labels[:keep]
        return Dataset(self.name, self.split, *cut, self.classes, self.bridge, self.modes)

    def to(self, device: torch.device) -> "Dataset":
        """The same data on `device`."""
        moved = self.samples.to(device), self.labels.to(device)
        return Dataset(self.name, self.split, *moved, self.classes, self.bridge, self.modes)


def batches(
    dataset: Dataset, batch_size: int, *, seed: int, epoch: int, skip: int = 0, image_size: int = 0, flip: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch's whole batches (x, labels), slices of a permutation that depends on (seed, epoch) alone.

    `skip` leaves out the first batches without changing the rest. The last, incomplete batch is dropped.
    """
    device = dataset.samples.device
    order_rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    n = len(dataset.samples)
    if n < batch_size:
        raise DataError(f"batch_size={batch_size} is more than the {n} training samples of {dataset.name}: lower it")
    order = torch.randperm(n, generator=order_rng)
    mirror = torch.rand(n, generator=order_rng) < 0.5
    order, mirror = order.to(device), mirror.to(device)
    for start in range(skip * batch_size, n - batch_size + 1, batch_size):
        index = order[start : start + batch_size]
        x = dataset.bridge.encode(dataset.samples[index], image_size)
        if flip:
            x = torch.where(mirror[start : start + batch_size, None, None, None], x.flip(-1), x)
        yield x, dataset.labels[index]


def named_path(variable: str) -> Path | None:
    """The path that an environment variable names, ~ for the user's home; None where it is unset or empty."""
    named = os.environ.get(variable)
    return Path(os.path.expanduser(named)) if named else None


def cache_dir() -> Path:
    """The per-user cache, by the XDG rule."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gendiff"


def data_dir() -> Path:
    """Where CIFAR-10 is looked for: GENDIFF_DATA_DIR, else the user's cache."""
    return named_path("GENDIFF_DATA_DIR") or cache_dir() / "data"


def cifar10(split: str, argument: str) -> Dataset:
    """CIFAR-10 (Krizhevsky 2009): 50,000 and 10,000 images of 32x32, through torchvision, MD5-checked.

    Looked for in `data_dir()`; downloaded into the user's cache only where GENDIFF_DATA_DIR is not set.
    """
    from torchvision.datasets import CIFAR10  # torchvision takes a second to import

    _no_argument("cifar10", argument)
    root = data_dir()
    _check_cifar10(root)
    present = (root / CIFAR10.base_folder).is_dir()
    if not present and named_path("GENDIFF_DATA_DIR"):
        raise MissingDataError(
            f"CIFAR-10 is not in GENDIFF_DATA_DIR={root}: put cifar-10-batches-py there, or unset it"
        )
    try:
        data = CIFAR10(str(root), train=split == "train", download=not present)
    except (OSError, RuntimeError) as error:
        raise MissingDataError(
            f"CIFAR-10 is neither in {root} nor downloadable ({type(error).__name__}): "
            "put cifar-10-batches-py into a folder and set GENDIFF_DATA_DIR to that folder"
        ) from error
    samples = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
    return Dataset("cifar10", split, samples, torch.tensor(data.targets), tuple(data.classes), ImageBridge(32))


def _check_cifar10(root: Path) -> None:
    """DataError naming the first file of an existing copy that is missing or damaged."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    folder = root / CIFAR10.base_folder
    for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list] if folder.is_dir() else []:
        if not check_integrity(str(folder / name), md5):
            word = "damaged" if (folder / name).is_file() else "missing"
            raise DataError(f"{folder / name} is {word}: restore that file, or delete {folder} to download it again")


SHAPES = ("circle", "ring", "square", "frame", "triangle", "diamond", "cross", "star", "heart", "crescent")


def shapes(split: str, argument: str) -> Dataset:
    """Ten classes of one big coloured shape on a flat background, drawn from a seed; 10,000 and 2,000 images.

    The argument is the side in pixels (32 where left out).
    """
    if argument and not (argument.isdecimal() and 8 <= int(argument) <= 256):
        raise DataError(f"shapes:{argument} is no data set: the side must be a whole number from 8 to 256")
    size = int(argument or 32)
    n = {"train": 10_000, "test": 2_000}[split]
    rng = torch.Generator().manual_seed({"train": 20_230, "test": 20_231}[split])
    labels = torch.arange(n) % len(SHAPES)
    drawn = [_draw(labels[i : i + 1000], size, rng) for i in range(0, n, 1000)]
    name = f"shapes:{size}" if argument else "shapes"
    return Dataset(name, split, torch.cat(drawn), labels, SHAPES, ImageBridge(size))


def _draw(labels: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Images uint8 (N, 3, size, size) of the classes `labels`, antialiased by drawing at four times the side."""
    n, fine = len(labels), 4 * size
    radius = 0.75 + 0.15 * torch.rand(n, 1, 1, generator=rng)
    centre = (torch.rand(n, 2, 1, 1, generator=rng) * 2 - 1) * (1 - radius[:, None])
    axis = (torch.arange(fine) + 0.5) / fine * 2 - 1
    u = (axis[None, None, :] - centre[:, 0]) / radius
    v = (axis[None, :, None] - centre[:, 1]) / radius
    mask = torch.zeros(n, fine, fine)
    for k, inside in enumerate(_INSIDE):
        mine = labels == k
        mask[mine] = inside(u[mine], v[mine]).float()
    alpha = torch.nn.functional.avg_pool2d(mask[:, None], 4)
    # Two colours at opposite hues, one bright and one dark, so that no shape fades into its background.
    hue = torch.rand(n, 1, generator=rng) + torch.tensor([0.0, 0.5])
    light = torch.rand(n, 2, generator=rng) * 0.25 + torch.tensor([0.65, 0.1])
    swap = torch.rand(n, generator=rng) < 0.5
    light[swap] = light[swap].flip(-1)
    angle = 2 * math.pi * (hue[..., None] + torch.tensor([0.0, 1 / 3, 2 / 3]))
    colour = (light[..., None] * (1 + 0.45 * torch.cos(angle))).clamp(0, 1)[..., None, None]
    return images.to_images(2 * (alpha * colour[:, 0] + (1 - alpha) * colour[:, 1]) - 1)


def _star(u: Tensor, v: Tensor) -> Tensor:
    turn = torch.remainder(torch.atan2(u, -v) / (2 * math.pi) * 5 + 0.5, 1) - 0.5  # -0.5..0.5 around each point
    return (u**2 + v**2).sqrt() < 0.42 + 0.58 * (1 - 2 * turn.abs()) ** 1.5


_INSIDE: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    lambda u, v: u**2 + v**2 < 0.81,
    lambda u, v: ((u**2 + v**2) < 0.9) & ((u**2 + v**2) > 0.3),
    lambda u, v: (u.abs() < 0.8) & (v.abs() < 0.8),
    lambda u, v: (torch.maximum(u.abs(), v.abs()) < 0.85) & (torch.maximum(u.abs(), v.abs()) > 0.5),
    lambda u, v: (v < 0.75) & (u.abs() < (v + 0.95) * 0.58),
    lambda u, v: u.abs() + v.abs() < 1,
    lambda u, v: torch.minimum(u.abs(), v.abs()).lt(0.27) & torch.maximum(u.abs(), v.abs()).lt(0.95),
    _star,
    lambda u, v: (
        ((1.15 * u) ** 2 + (1.15 * v - 0.2) ** 2 - 0.65) ** 3 * 1.0 + (1.15 * u) ** 2 * (1.15 * v - 0.2) ** 3 < 0
    ),
    lambda u, v: (u**2 + v**2 < 0.9) & ((u - 0.4) ** 2 + v**2 > 0.5),
)


def folder(split: str, argument: str) -> Dataset:
    """The user's own images, one sub-folder a class (ImageFolder layout), or PATH/train and PATH/test where both exist.

    Each image is cut to its central square and brought to the shortest side among the first hundred, at most 64 pixels.
    """
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import functional as TF

    root = Path(argument).expanduser()
    if not argument or not root.is_dir():
        raise DataError(f"folder:{argument} is no folder: give folder:PATH with one sub-folder of images a class")
    parts = (root / "train").is_dir() and (root / "test").is_dir()
    try:
        found = ImageFolder(str(root / split if parts else root))
    except FileNotFoundError as error:
        raise DataError(f"folder:{argument} holds no images in sub-folders, one a class: {error}") from None

    def picture_of(path: str) -> Any:
        try:
            return found.loader(path)
        except OSError:
            raise DataError(f"{path} is no image that Pillow can read: remove it") from None

    size = min(64, min(min(picture_of(path).size) for path, _ in found.samples[:100]))
    square = []
    for path, _ in found.samples:
        picture = picture_of(path)
        cut = TF.center_crop(TF.pil_to_tensor(picture), [min(picture.size)] * 2)
        square.append(TF.resize(cut, [size, size], antialias=True))
    labels = torch.tensor([label for _, label in found.samples])
    keep = torch.ones(len(labels), dtype=torch.bool)
    if not parts:  # every sixth image of each class is the test split, as in CIFAR-10's proportions
        rank = torch.stack([(labels[:i] == labels[i]).sum() for i in range(len(labels))])
        keep = (rank % 6 == 5) if split == "test" else (rank % 6 != 5)
    if not keep.any():
        raise DataError(f"folder:{argument} leaves no image for split {split!r}: give at least six images a class")
    return Dataset(
        f"folder:{argument}", split, torch.stack(square)[keep], labels[keep], tuple(found.classes), ImageBridge(size)
    )


def gaussians(split: str, argument: str) -> Dataset:
    """25 Gaussians of standard deviation 0.05 on the grid {-4, -2, 0, 2, 4}^2; 20,000 and 10,000 points."""
    _no_argument("gaussians", argument)
    n, rng = _points(split)
    grid = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
    modes = torch.cartesian_prod(grid, grid)
    labels = torch.arange(n) % len(modes)
    samples = modes[labels] + 0.05 * torch.randn(n, 2, generator=rng)
    return Dataset("gaussians", split, samples, labels, tuple(map(str, range(25))), PointBridge(2.83), modes)


def moons(split: str, argument: str) -> Dataset:
    """Two interleaved half circles of unit radius with Gaussian noise of 0.05; 20,000 and 10,000 points."""
    _no_argument("moons", argument)
    n, rng = _points(split)
    labels = torch.arange(n) % 2
    turn = math.pi * torch.rand(n, generator=rng)
    upper = torch.stack([turn.cos() - 0.5, turn.sin() - 0.25], 1)
    samples = torch.where(labels[:, None] == 0, upper, -upper) + 0.05 * torch.randn(n, 2, generator=rng)
    return Dataset("moons", split, samples, labels, ("upper", "lower"), PointBridge(0.7))


def _points(split: str) -> tuple[int, torch.Generator]:
    n = {"train": 20_000, "test": 10_000}[split]
    return n, torch.Generator().manual_seed(n)


def _no_argument(name: str, argument: str) -> None:
    if argument:
        raise DataError(f"{name}:{argument} is no data set: {name} takes no argument")


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


@lru_cache(maxsize=4)
def load(name: str, split: str = "train") -> Dataset:
    """The data set called NAME or NAME:ARGUMENT; split is `train` or `test`. Kept in memory for the next caller."""
    base, argument = check_name(name)
    if split not in ("train", "test"):
        raise DataError(f"split {split!r} is unknown: it is train or test")
    return DATASETS[base](split, argument)


def at_hand(name: str) -> str:
    """The empty string if `load(name)` works, else why it is missing; a damaged copy is a DataError all the same."""
    try:
        load(name)
    except MissingDataError as error:
        return str(error)
    return ""
