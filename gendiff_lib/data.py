"""Data sets: samples, labels, and the bridge between what is stored and what a model sees.

A name is NAME or NAME:ARGUMENT: `cifar10`, `shapes:32` (the side), `folder:PATH`, `gaussians`, `moons`.
A data set is known by its content (`Dataset.digest`), not by its name: what a folder holds can change.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from . import folders, images
from .folders import DataError as DataError
from .folders import legible
from .parsing import whole_number
from .streams import stream


class MissingDataError(DataError):
    """A data set is neither there nor to be downloaded."""


@dataclass(frozen=True)
class ImageBridge:
    """uint8 (N, 3, size, size) outside; float32 in [-1, 1], at the model's own side, inside."""

    size: int

    def shape(self, image_size: int | None) -> tuple[int, ...]:
        """The shape of one sample as a model with this `image_size` (None for the data's own) sees it."""
        side = self.size if image_size is None else image_size
        return (3, side, side)

    def encode(self, samples: Tensor, image_size: int | None) -> Tensor:
        """Stored samples to what the model sees."""
        return images.to_model(samples, image_size)

    def decode(self, x: Tensor) -> Tensor:
        """What the model made, at any side, to stored form: so every score is taken at the data's own size."""
        return images.to_images(x, self.size)


@dataclass(frozen=True)
class PointBridge:
    """Points (N, 2) outside; inside, divided by `scale` so that each coordinate has about unit variance."""

    scale: float

    def shape(self, image_size: int | None) -> tuple[int, ...]:
        """(2,): the plane has no image side; DataError where one is given."""
        if image_size is not None:
            raise DataError(f"image_size={image_size} does not apply to points in the plane: leave it out (None)")
        return (2,)

    def encode(self, samples: Tensor, image_size: int | None) -> Tensor:
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

    def choose(self, n: int | None, purpose: str, field: str = "n") -> "Dataset":
        """n samples, as many of each class as there can be; all of them, as they stand, for None.

        `purpose` is that of a stream: "n_train", "n_real", "checked" or "validation". A larger choice of one purpose
        begins with the smaller one, and no prefix has two more of one class than of another that has any left.
        DataError, which calls n by `field`, for a number below 1 or above the number of samples.
        """
        if n is None:
            return self
        if n < 1:
            raise DataError(f"{field}={n} is no number of samples: give at least 1, or leave it out for all of them")
        if n > len(self.samples):
            raise DataError(
                f"{field}={n} is more than the {len(self.samples)} samples of {legible(self.name)}: "
                "lower it, or leave it out for all of them"
            )
        chosen = _balanced_order(self.labels.cpu(), purpose)[:n].to(self.labels.device)
        return replace(self, samples=self.samples[chosen], labels=self.labels[chosen])

    def to(self, device: torch.device) -> "Dataset":
        """The data on `device`."""
        return replace(self, samples=self.samples.to(device), labels=self.labels.to(device))


def check_same(dataset: Dataset, digest: str, what: str) -> None:
    """DataError where the content of `dataset` is not that whose digest is given; `what` names what was made with it.

    The data set of a choice of n samples is compared with the digest of that choice.
    """
    if dataset.digest == digest:
        return
    if dataset.name.startswith("folder:"):
        remedy = "restore its images, or give the changed folder another name and train on that"
    else:
        remedy = f"use the versions of gendiff and torch that made it, or make {what} anew"
    raise DataError(
        f"data set {legible(dataset.name)} ({dataset.split}) is not the one that {what} was made with "
        f"(its digest is {dataset.digest}, not {digest}): {remedy}"
    )


def _balanced_order(labels: Tensor, purpose: str) -> Tensor:
    """All indices in rounds: each takes the next of one random permutation per class, the classes in random order.

    Classes that have run out are passed over.
    """
    rng = stream(purpose, 0)
    order = torch.randperm(len(labels), generator=rng)
    within = torch.rand(len(labels), generator=rng, dtype=torch.float64)  # where in its round a sample stands
    return order[(_rank_in_class(labels[order]) + within).argsort(stable=True)]


def _rank_in_class(labels: Tensor) -> Tensor:
    """How many samples of its own class stand before each sample."""
    by_class = labels.argsort(stable=True)
    sizes = labels.bincount()
    starts = sizes.cumsum(0) - sizes
    rank = torch.empty_like(labels)
    rank[by_class] = torch.arange(len(labels)) - starts[labels[by_class]]
    return rank


def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    skip: int = 0,
    image_size: int | None = None,
    flip: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch's whole batches (x, labels), slices of a permutation that depends on (seed, epoch) alone.

    `skip` leaves out the first batches without changing the rest. The last, incomplete batch is dropped.
    `flip` mirrors each image with probability 1/2. DataError where there are fewer samples than one batch takes.
    """
    device = dataset.samples.device
    n = len(dataset.samples)
    if n < batch_size:
        raise DataError(
            f"batch_size={batch_size} is more than the {n} training samples of {legible(dataset.name)}: lower it"
        )
    order = torch.randperm(n, generator=stream("order", seed, epoch)).to(device)
    mirror = (torch.rand(n, generator=stream("flip", seed, epoch)) < 0.5).to(device)
    for start in range(skip * batch_size, n - batch_size + 1, batch_size):
        index = order[start : start + batch_size]
        x = dataset.bridge.encode(dataset.samples[index], image_size)
        if flip:
            x = torch.where(mirror[start : start + batch_size, None, None, None], x.flip(-1), x)
        yield x, dataset.labels[index]


def named_path(variable: str) -> Path | None:
    """The path that an environment variable names, ~ for the user's home; None where it is unset or empty.

    DataError where it begins with ~ and there is no such home.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    path = os.path.expanduser(named)
    if path.startswith("~"):
        raise DataError(f"{variable}={legible(named)} names a home that is not known: give the whole path")
    return Path(path)


def cache_dir() -> Path:
    """The per-user cache, by the XDG rule. It may not exist; DataError where the user has no home to keep it in."""
    if named := named_path("XDG_CACHE_HOME"):
        return named / "gendiff"
    home = os.path.expanduser("~")
    if home == "~":
        raise DataError("no home is known to keep the cache in: set XDG_CACHE_HOME to a folder")
    return Path(home) / ".cache" / "gendiff"


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
    present = os.path.isdir(root / CIFAR10.base_folder)  # False for what may not be looked into, where is_dir raises
    if not present and named_path("GENDIFF_DATA_DIR"):
        raise MissingDataError(
            f"CIFAR-10 is not in GENDIFF_DATA_DIR={legible(str(root))}: put cifar-10-batches-py there, or unset it"
        )
    try:
        data = CIFAR10(str(root), train=split == "train", download=not present)
    except (OSError, RuntimeError) as error:
        raise MissingDataError(
            f"CIFAR-10 is neither in {legible(str(root))} nor downloadable ({type(error).__name__}): "
            "put cifar-10-batches-py into a folder and set GENDIFF_DATA_DIR to that folder"
        ) from error
    samples = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
    return Dataset("cifar10", split, samples, torch.tensor(data.targets), tuple(data.classes), ImageBridge(32))


def _check_cifar10(root: Path) -> None:
    """DataError naming the first file of an existing copy that is missing or damaged."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    folder = root / CIFAR10.base_folder
    for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list] if os.path.isdir(folder) else []:
        try:
            whole = check_integrity(str(folder / name), md5)
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read ({error.strerror}): make it readable") from None
        if not whole:
            word = "damaged" if os.path.isfile(folder / name) else "missing"
            raise DataError(f"{folder / name} is {word}: restore that file, or delete {folder} to download it again")


SHAPES = ("circle", "ring", "square", "frame", "triangle", "diamond", "cross", "star", "heart", "crescent")


def shapes(split: str, argument: str) -> Dataset:
    """Ten classes of one big coloured shape on a flat background, drawn from a seed; 10,000 and 2,000 images.

    The argument is the side in pixels (32 where left out).
    """
    size = whole_number(argument) if argument else 32
    if size is None or not 8 <= size <= 256:
        raise DataError(f"shapes:{legible(argument)} is no data set: the side must be a whole number from 8 to 256")
    n = {"train": 10_000, "test": 2_000}[split]
    rng = _data_stream(f"shapes:{size}", split)
    labels = torch.arange(n) % len(SHAPES)
    drawn = [_draw(labels[i : i + 100], size, rng) for i in range(0, n, 100)]
    name = f"shapes:{size}" if argument else "shapes"
    return Dataset(name, split, torch.cat(drawn), labels, SHAPES, ImageBridge(size))


def _draw(labels: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Images uint8 (N, 3, size, size) of the classes `labels`, antialiased by drawing at four times the side.

    In float64, as are the points in the plane: processors differ in the last bit of a cosine, which float32 would let
    decide about pixels, and the data set would have another digest on another machine.
    """
    n, fine = len(labels), 4 * size
    uniform = partial(torch.rand, generator=rng, dtype=torch.float64)
    radius = 0.75 + 0.15 * uniform(n, 1, 1)
    centre = (uniform(n, 2, 1, 1) * 2 - 1) * (1 - radius[:, None])
    axis = (torch.arange(fine, dtype=torch.float64) + 0.5) / fine * 2 - 1
    u = (axis[None, None, :] - centre[:, 0]) / radius
    v = (axis[None, :, None] - centre[:, 1]) / radius
    mask = torch.zeros(n, fine, fine)  # of 0 and 1, whose means of 16 are exact
    for k, inside in enumerate(_INSIDE):
        mine = labels == k
        mask[mine] = inside(u[mine], v[mine]).float()
    alpha = torch.nn.functional.avg_pool2d(mask[:, None], 4)
    # Two colours at opposite hues, one bright and one dark, so that no shape fades into its background.
    hue = uniform(n, 1) + torch.tensor([0.0, 0.5])
    light = uniform(n, 2) * 0.25 + torch.tensor([0.65, 0.1])
    swap = uniform(n) < 0.5
    light[swap] = light[swap].flip(-1)
    angle = 2 * math.pi * (hue[..., None] + torch.arange(3) / 3)
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
    """The user's own images, one sub-folder a class, divided five to one, or PATH/train and PATH/test.

    `folders.splits` says which files count and `folders.square` how each is read: its central square, upright, on white
    where it is transparent, brought to the shortest side among all images of both splits, at most 64 pixels.
    """
    found = folders.splits(argument)
    side = folders.common_side(found)
    classes = sorted(found[split])
    labelled = [(file.path, label) for label, name in enumerate(classes) for file in found[split][name]]
    samples = torch.stack([folders.square(path, side) for path, _ in labelled])
    labels = torch.tensor([label for _, label in labelled])
    return Dataset(f"folder:{argument}", split, samples, labels, tuple(map(legible, classes)), ImageBridge(side))


def gaussians(split: str, argument: str) -> Dataset:
    """25 Gaussians of standard deviation 0.05 on the grid {-4, -2, 0, 2, 4}^2; 20,000 and 10,000 points."""
    _no_argument("gaussians", argument)
    n, rng = N_POINTS[split], _data_stream("gaussians", split)
    grid = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
    modes = torch.cartesian_prod(grid, grid)
    labels = torch.arange(n) % len(modes)
    samples = (modes[labels] + _noise(n, rng)).float()
    return Dataset("gaussians", split, samples, labels, tuple(map(str, range(25))), PointBridge(2.83), modes)


def moons(split: str, argument: str) -> Dataset:
    """Two interleaved half circles of unit radius with Gaussian noise of 0.05; 20,000 and 10,000 points."""
    _no_argument("moons", argument)
    n, rng = N_POINTS[split], _data_stream("moons", split)
    labels = torch.arange(n) % 2
    turn = math.pi * torch.rand(n, generator=rng, dtype=torch.float64)
    upper = torch.stack([turn.cos() - 0.5, turn.sin() - 0.25], 1)
    samples = (torch.where(labels[:, None] == 0, upper, -upper) + _noise(n, rng)).float()
    return Dataset("moons", split, samples, labels, ("upper", "lower"), PointBridge(0.7))


N_POINTS = {"train": 20_000, "test": 10_000}


def _noise(n: int, rng: torch.Generator) -> Tensor:
    """Gaussian noise (n, 2) of standard deviation 0.05, float64."""
    return 0.05 * torch.randn(n, 2, generator=rng, dtype=torch.float64)


def _data_stream(name: str, split: str) -> torch.Generator:
    """The random numbers of one split of one generated data set: the index of its stream spells both."""
    return stream("data", 0, int.from_bytes(f"{name} {split}".encode(), "big"))


def _no_argument(name: str, argument: str) -> None:
    if argument:
        raise DataError(f"{name}:{legible(argument)} is no data set: {name} takes no argument")


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
    if split not in ("train", "test"):
        raise DataError(f"split {split!r} is unknown: it is train or test")
    return _kept(base, split, argument, _source(base, argument))


@lru_cache(maxsize=4)
def _kept(base: str, split: str, argument: str, source: str) -> Dataset:
    """The data set itself; `source` tells the states of one name apart."""
    return DATASETS[base](split, argument)


def _source(base: str, argument: str) -> str:
    """What decides a data set's content beside its name: the state of a folder's files, the folder of CIFAR-10."""
    if base == "folder":
        return folders.state(folders.splits(argument))
    return str(data_dir()) if base == "cifar10" else ""


def is_there(name: str) -> bool:
    """False for a data set that `load(name)` would have to download, or to ask for where it is not."""
    from torchvision.datasets import CIFAR10

    return check_name(name)[0] != "cifar10" or os.path.isdir(data_dir() / CIFAR10.base_folder)


def at_hand(name: str) -> str:
    """The empty string if `load(name)` works, else why it is missing; a damaged copy is a DataError all the same."""
    try:
        load(name)
    except MissingDataError as error:
        return str(error)
    return ""
