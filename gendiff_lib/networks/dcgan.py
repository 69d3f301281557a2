"""The paper's generator and discriminator (Figs. 14 and 15)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ..errors import ConfigError


def _stages(shape: tuple[int, ...]) -> int:
    """How often 4x4 is doubled to reach the image's side."""
    side = shape[-1]
    if len(shape) != 3 or side < 8 or side & (side - 1):
        raise ConfigError(f"network 'dcgan' makes images of 8, 16, 32, 64, … pixels, not samples of shape {shape}")
    return side.bit_length() - 3


class Generator(nn.Module):
    """z (N, nz, 1, 1) to images in [-1, 1]; at 64x64 it is Fig. 15, each halving of the side drops one doubling."""

    def __init__(self, shape: tuple[int, ...], *, nz: int, ngf: int, norm: str = "batch") -> None:
        super().__init__()
        n = _stages(shape)
        widths = [ngf * 2 ** (n - 1 - i) for i in range(n)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(nz, widths[0], 4, 1, 0, bias=False)]
        for c_in, c_out in zip(widths, [*widths[1:], shape[0]], strict=True):
            layers += [nn.BatchNorm2d(c_in)] if norm == "batch" else []
            layers += [nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(c_in, c_out, 4, 2, 1, bias=False)]
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """(N, nz, 1, 1) to (N, 3, side, side)."""
        images: Tensor = self.main(z)
        return images


class Discriminator(nn.Module):
    """Images to the probability that they are real; at 64x64 it is Fig. 14."""

    def __init__(self, shape: tuple[int, ...], *, ndf: int) -> None:
        super().__init__()
        widths = [ndf * 2**i for i in range(_stages(shape))]
        layers: list[nn.Module] = [nn.Conv2d(shape[0], ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for c_in, c_out in pairwise(widths):
            layers += [nn.Conv2d(c_in, c_out, 4, 2, 1, bias=False), nn.BatchNorm2d(c_out)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, side, side) to probabilities (N,), float32 whatever the arithmetic of the convolutions."""
        return torch.sigmoid(self.main[:-1](x).flatten().float())  # a bf16 sigmoid would round to 1 from 6 on


def dcgan_weights(module: nn.Module) -> None:
    """The DCGAN paper's weights (Radford et al. 2016, section 4)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
