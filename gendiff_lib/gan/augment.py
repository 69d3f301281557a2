"""Differentiable augmentation: what the discriminator sees of real images and of fakes (Zhao et al. 2020, section 3).

Images are (N, 3, H, W) in [-1, 1]; each has random numbers of its own, all from the generator that is given. Colours
may leave [-1, 1], as in the paper's code; what moves in or is cut out is 0, a middle grey.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import ConfigError


def augment(x: Tensor, policy: Sequence[str], rng: torch.Generator) -> Tensor:
    """Images x (N, 3, H, W) after each of the policy's augmentations in turn; x itself where there is none.

    ConfigError where a name is not in AUGMENTATIONS.
    """
    for name in policy:
        if name not in AUGMENTATIONS:
            raise ConfigError(f"augment={name!r} is unknown: choose from {', '.join(AUGMENTATIONS)}")
        for change in AUGMENTATIONS[name]:
            x = change(x, rng)
    return x


def brightness(x: Tensor, rng: torch.Generator) -> Tensor:
    """A number within 0.5 of 0 added to each image, a quarter of the range of values."""
    return x + _uniform(x, rng) - 0.5


def saturation(x: Tensor, rng: torch.Generator) -> Tensor:
    """Each pixel's difference from its grey, the mean of its channels, 0 to 2 times as large."""
    return _stretch(x, x.mean(1, keepdim=True), 2 * _uniform(x, rng))


def contrast(x: Tensor, rng: torch.Generator) -> Tensor:
    """Each image's difference from its mean over pixels and channels, 0.5 to 1.5 times as large."""
    return _stretch(x, x.mean((1, 2, 3), keepdim=True), 0.5 + _uniform(x, rng))


def translation(x: Tensor, rng: torch.Generator) -> Tensor:
    """Each image moved by up to an eighth of its sides, in whole pixels, zeros moving in."""
    for dim in (2, 3):
        far = x.shape[dim] // 8
        x = _move(x, _whole(x, -far, far, rng), dim)
    return x


def cutout(x: Tensor, rng: torch.Generator) -> Tensor:
    """Each image with a square of half its sides set to 0; its middle is in the image, its rim need not be."""
    rows, columns = (_half(x, dim, rng) for dim in (2, 3))
    return x.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


def _uniform(x: Tensor, rng: torch.Generator) -> Tensor:
    """(N, 1, 1, 1) in [0, 1)."""
    return torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device, dtype=x.dtype)


def _whole(x: Tensor, low: int, high: int, rng: torch.Generator) -> Tensor:
    """Whole numbers (N, 1) from low to high, both included."""
    return torch.randint(low, high + 1, (len(x), 1), generator=rng, device=x.device)


def _stretch(x: Tensor, centre: Tensor, by: Tensor) -> Tensor:
    return centre + (x - centre) * by


def _move(x: Tensor, by: Tensor, dim: int) -> Tensor:
    """Images moved along one of their sides by (N, 1) pixels, towards higher numbers."""
    side, shape = x.shape[dim], [len(x), 1, 1, 1]
    shape[dim] = side
    source = (torch.arange(side, device=x.device) - by).view(shape)
    moved = x.gather(dim, source.clamp(0, side - 1).expand_as(x))
    return moved.masked_fill((source < 0) | (source >= side), 0.0)


def _half(x: Tensor, dim: int, rng: torch.Generator) -> Tensor:
    """Which of the pixels along a side (N, side) lie within a quarter of it of a random place."""
    side = x.shape[dim]
    start = _whole(x, 0, side - side // 2 % 2, rng) - side // 4
    place = torch.arange(side, device=x.device)
    return (place >= start) & (place < start + side // 2)


AUGMENTATIONS: dict[str, tuple[Callable[[Tensor, torch.Generator], Tensor], ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}
