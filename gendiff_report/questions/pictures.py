"""What sets of pictures tell: how their power lies over frequencies, and how alike two answers to one noise are."""

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from gendiff_lib.evaluation.spectrum import radial_power, upper_share
from gendiff_lib.evaluation.uncertainty import Resampled


class Measured(NamedTuple):
    """A value of a set of images and its standard error, by leaving out each image in turn."""

    value: float
    error: float

    def apart(self, other: "Measured") -> int:
        """1 where this is greater by more than three standard errors of the difference, -1 where less, else 0."""
        apart = self.value - other.value
        return 0 if abs(apart) <= 3 * math.hypot(self.error, other.error) else 1 if apart > 0 else -1


def measured(power: Tensor, of: Callable[[Tensor], Tensor]) -> Measured:
    """`of` the mean of N spectra (N, R), with the error that leaving out each of them gives."""
    n = len(power)
    without = of((power.sum(0) - power) / (n - 1))
    whole = Resampled(of(power.mean(0)).item(), without)
    return Measured(whole.value, whole.error)


def sharpness(images: Tensor, real: Tensor) -> Measured:
    """How far the share of power in the upper half of frequencies is from that of real images, in dB, unsigned.

    Of uint8 images (N, 3, S, S) beside the mean power (S // 2,) of real ones. Blur makes the share smaller, noise
    larger.
    """
    goal = upper_share(real)
    return measured(radial_power(images), lambda power: (10 * (upper_share(power) / goal).log10()).abs())


def detail(images: Tensor, real: Tensor) -> Measured:
    """How far the whole spectrum is from that of real images: the root mean square over frequencies, in dB."""
    return measured(radial_power(images), lambda power: (10 * (power / real).log10()).square().mean(-1).sqrt())


class Likeness(NamedTuple):
    """The mean correlation of N pairs of images, and of images that are no pair, whose noise had nothing in common."""

    same: float
    other: float


def likeness(one: Tensor, other: Tensor) -> Likeness:
    """Of images uint8 (N, 3, H, W), the i-th of both from the same noise; pixels less the image's own mean."""
    a, b = (_directions(images) for images in (one, other))
    found = a @ b.T
    same = found.diagonal().mean()
    return Likeness(same.item(), ((found.sum() - found.trace()) / (found.numel() - len(found))).item())


def _directions(images: Tensor) -> Tensor:
    flat = images.double().flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    directions: Tensor = centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return directions
