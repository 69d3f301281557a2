"""How much of an image's power lies in which frequencies: what is blurred lacks the high ones, noise has too many."""

import torch
from torch import Tensor

from ..data.images import check_images
from ..errors import GendiffError


def radial_power(images: Tensor) -> Tensor:
    """The power of each of uint8 (N, 3, S, S) by spatial frequency, float64 (N, S // 2), without the mean.

    The k-th value sums |FFT|^2 of all channels over frequencies of k + 1/2 to k + 3/2 cycles an image, k from 0: rings
    around the mean, the last of them cut by the square. GendiffError for images that are not square.
    """
    check_images(images)
    side = images.shape[-1]
    if images.shape[-2] != side:
        raise GendiffError(f"images are {images.shape[-2]}x{side}: rings of frequencies need square ones")
    spectrum = torch.fft.fft2(images.double()).abs().square().sum(1).flatten(1)
    cycles = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
    ring = (cycles[:, None].square() + cycles[None].square()).sqrt().round().long().flatten()
    summed = torch.zeros(len(images), int(ring.max()) + 1, dtype=torch.float64).index_add_(1, ring, spectrum)
    return summed[:, 1 : side // 2 + 1]


def upper_share(power: Tensor) -> Tensor:
    """The share of power (..., R) in the upper half of its frequencies, (...)."""
    return power[..., power.shape[-1] // 2 :].sum(-1) / power.sum(-1)
