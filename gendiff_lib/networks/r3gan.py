"""R3GAN's generator and discriminator (Huang et al. 2024, "The GAN is dead; long live the GAN!", arXiv 2501.05441).

Neither has a normalisation, and the generator no tanh. CIFAR-10's have widths 768,768,768,768 and two blocks a stage.
As in the authors' code, a class is embedded beside the latent, and is the direction that D's features are projected on.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .layers import Layer, channels_at, drawn

BOTTOM = 4  # pixels of the smallest feature maps
EXPANSION, GROUP = 2, 16  # a block's inner channels over its outer ones, channels that a 3x3 convolution mixes
REMEDY = "each width after the first doubles the side from 4 pixels"
SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the second moment through a leaky ReLU


def _normal(layer: Layer, gain: float = 1.0) -> Layer:
    """The layer itself, its weights drawn from N(0, gain^2 / fan_in), its biases zero."""
    return drawn(layer, gain / math.sqrt(layer.weight[0].numel()))


def _pointwise(c_in: int, c_out: int) -> nn.Module:
    """A 1x1 convolution where the channels change, else nothing."""
    return nn.Identity() if c_in == c_out else _normal(nn.Conv2d(c_in, c_out, 1, bias=False))


def _embedding(n_classes: int, dim: int, gain: float = 1.0) -> nn.Embedding:
    """Vectors of N(0, gain^2 / n_classes): a linear map of one-hot classes."""
    embed = nn.Embedding(n_classes, dim)
    nn.init.normal_(embed.weight, 0.0, gain / math.sqrt(n_classes))
    return embed


class Block(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolutions with leaky ReLUs between, twice as wide inside; the identity at the start.

    The weights of `n_blocks` such blocks, all that a network has, shrink by n_blocks^(-1/4), as Fixup's do.
    """

    def __init__(self, channels: int, n_blocks: int) -> None:
        super().__init__()
        inner = EXPANSION * channels
        if inner % GROUP:
            raise ConfigError(f"widths={channels} of r3gan makes no groups of {GROUP} channels: use multiples of 8")
        gain = GAIN * n_blocks**-0.25
        self.widen = _normal(nn.Conv2d(channels, inner, 1), gain)
        self.mix = _normal(nn.Conv2d(inner, inner, 3, padding=1, groups=inner // GROUP), gain)
        self.narrow = _normal(nn.Conv2d(inner, channels, 1, bias=False), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        h = F.leaky_relu(self.mix(F.leaky_relu(self.widen(x), SLOPE)), SLOPE)
        out: Tensor = x + self.narrow(h)
        return out


class Resample(nn.Module):
    """Twice or half the side with the filter 1 3 3 1, which is bilinear interpolation; outside the image is zero."""

    def __init__(self, *, up: bool) -> None:
        super().__init__()
        self.up = up
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / (4 if up else 8)
        self.register_buffer("kernel", taps.outer(taps)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 2H, 2W) or (N, C, H/2, W/2)."""
        convolve = F.conv_transpose2d if self.up else F.conv2d
        channels = x.shape[1]  # each is filtered alone
        out: Tensor = convolve(
            x, self.get_buffer("kernel").expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels
        )
        return out


def _stages(widths: tuple[int, ...], blocks: tuple[int, ...]) -> Iterator[nn.Sequential]:
    """The blocks of each stage, from 4x4 pixels up; ConfigError where widths and blocks differ in number."""
    if len(widths) != len(blocks) or not widths:
        raise ConfigError(
            f"widths={widths} and blocks={blocks} of r3gan differ in length: give one of each for a stage"
        )
    for width, n in zip(widths, blocks, strict=True):
        yield nn.Sequential(*(Block(width, sum(blocks)) for _ in range(n)))


class Generator(nn.Module):
    """z (N, nz, 1, 1) to images: a learned 4x4 basis, its channels scaled by the latent, then stages that double it."""

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        nz: int,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        n_classes: int | None = None,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, stage in enumerate(_stages(widths, blocks)):
            layers += [_pointwise(widths[i - 1], widths[i]), Resample(up=True), stage] if i else [stage]
        channels = channels_at(shape, BOTTOM * 2 ** (len(widths) - 1), "r3gan", REMEDY)
        self.basis = nn.Parameter(torch.randn(widths[0], BOTTOM, BOTTOM))
        self.embed = None if n_classes is None else _embedding(n_classes, nz)
        self.scale = _normal(nn.Linear(nz if n_classes is None else 2 * nz, widths[0], bias=False))
        self.main = nn.Sequential(*layers, _normal(nn.Conv2d(widths[-1], channels, 1, bias=False)))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z (N, nz, 1, 1), and classes (N,) if there are any, to (N, 3, side, side), which nothing bounds."""
        z = z.flatten(1) if self.embed is None else torch.cat([z.flatten(1), self.embed(y)], 1)
        images: Tensor = self.main(self.basis * self.scale(z)[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """Images to logits: stages of halved side, then a depthwise 4x4 basis; `widths` and `blocks` as the generator's."""

    def __init__(
        self, shape: tuple[int, ...], *, widths: tuple[int, ...], blocks: tuple[int, ...], n_classes: int | None = None
    ) -> None:
        super().__init__()
        *stages, last = reversed(list(_stages(widths, blocks)))
        layers: list[nn.Module] = []
        for stage, (c_in, c_out) in zip(stages, pairwise(reversed(widths)), strict=True):
            layers += [stage, Resample(up=False), _pointwise(c_in, c_out)]
        channels = channels_at(shape, BOTTOM * 2 ** (len(widths) - 1), "r3gan", REMEDY)
        enter = _normal(nn.Conv2d(channels, widths[-1], 1, bias=False))
        self.main = nn.Sequential(enter, *layers, last)
        self.basis = _normal(nn.Conv2d(widths[0], widths[0], BOTTOM, groups=widths[0], bias=False))
        self.leave = _normal(nn.Linear(widths[0], 1 if n_classes is None else widths[0], bias=False))
        self.embed = None if n_classes is None else _embedding(n_classes, widths[0], widths[0] ** -0.5)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, 3, side, side), and classes (N,) if there are any, to float32 logits (N,)."""
        features: Tensor = self.leave(self.basis(self.main(x)).flatten(1)).float()
        return features.squeeze(1) if self.embed is None else (features * self.embed(y)).sum(1)
