"""A data set: samples, labels, and the bridge between what is stored and what a model sees."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DataError
from ..streams import stream
from . import images


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
            raise DataError(f"image_size={image_size} does not apply to points in the plane: set image_size=none")
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
    modes: Tensor | None = None  # the centres (K, 2), where the density has any

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
        if not 1 <= n <= len(self.samples):
            there = f"from 1 to {len(self.samples)}, the samples of {self.name}"
            raise DataError(f"{field}={n} is not {there}: change it, or leave it out for all of them")
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
        f"data set {dataset.name} ({dataset.split}) is not the one that {what} was made with "
        f"(its digest is {dataset.digest}, not {digest}): {remedy}"
    )


def _balanced_order(labels: Tensor, purpose: str) -> Tensor:
    """All indices in rounds: each takes the next of one random permutation per class, the classes in random order.

    Classes that have run out are passed over.
    """
    rng = stream(purpose, 0)
    order = torch.randperm(len(labels), generator=rng)
    within = torch.rand(len(labels), generator=rng, dtype=torch.float64)  # where in its round a sample stands
    standing = F.one_hot(labels[order]).cumsum(0)  # (N, classes): how many of each class stand up to a sample
    rank = standing.gather(1, labels[order, None]).squeeze(1)  # in its own class
    return order[(rank + within).argsort(stable=True)]


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
        raise DataError(f"batch_size={batch_size} is more than the {n} training samples of {dataset.name}: lower it")
    order = torch.randperm(n, generator=stream("order", seed, epoch)).to(device)
    mirror = (torch.rand(n, generator=stream("flip", seed, epoch)) < 0.5).to(device)
    for start in range(skip * batch_size, n - batch_size + 1, batch_size):
        index = order[start : start + batch_size]
        x = dataset.bridge.encode(dataset.samples[index], image_size)
        if flip:
            x = torch.where(mirror[start : start + batch_size, None, None, None], x.flip(-1), x)
        yield x, dataset.labels[index]


def no_argument(name: str, argument: str) -> None:
    """DataError where a data set that takes none is given an argument."""
    if argument:
        raise DataError(f"{name}:{argument} is no data set: {name} takes no argument")
