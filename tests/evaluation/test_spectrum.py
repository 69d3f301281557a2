"""Radial power spectra: closed forms, and what blur and noise do to them."""

import math

import pytest
import torch

from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation.spectrum import radial_power, upper_share


def wave(cycles, side=32):
    """One image whose rows are a cosine of so many cycles."""
    row = 127.5 + 100 * torch.cos(2 * math.pi * cycles * torch.arange(side) / side)
    return row.round().byte().expand(1, 3, side, side).contiguous()


@pytest.mark.parametrize("cycles", [1, 5, 12, 16])
def test_a_cosine_has_its_power_at_its_own_frequency(cycles):
    power = radial_power(wave(cycles))[0]
    assert power.shape == (16,)
    assert power.argmax() == cycles - 1
    assert power[cycles - 1] / power.sum() > 0.999


def test_power_is_that_of_the_pixels_less_their_mean():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    centred = images.double() - images.double().mean((2, 3), keepdim=True)
    all_of_it = centred.square().sum((1, 2, 3)) * 64  # Parseval
    corners = 1 - radial_power(images).sum(1) / all_of_it
    assert ((corners > 0) & (corners < 0.5)).all()  # what lies beyond the last ring


def test_white_noise_has_its_share_of_frequencies_and_blur_has_less():
    noise = torch.randint(0, 256, (50, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    share = upper_share(radial_power(noise).mean(0))
    rings = sum(2 * math.pi * k for k in range(9, 17)) / sum(2 * math.pi * k for k in range(1, 17))
    assert abs(share - rings) < 0.02  # a ring of radius k has about 2 pi k frequencies
    blurred = torch.nn.functional.avg_pool2d(noise.double(), 3, 1, 1).round().byte()
    assert upper_share(radial_power(blurred).mean(0)) < share / 3


def test_images_that_are_not_square_have_no_rings():
    with pytest.raises(GendiffError, match="8x16: rings of frequencies need square ones"):
        radial_power(torch.zeros(1, 3, 8, 16, dtype=torch.uint8))
