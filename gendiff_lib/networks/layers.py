"""What several networks are made of."""

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def sinusoids(s: Tensor, dim: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N,) to (N, dim): sines then cosines of s * 10000^(-k / (dim/2 - 1)), as DDPM and the tutorial have them."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=s.device, dtype=dtype) * (-math.log(10_000) / max(half - 1, 1)))
    angles = s.to(dtype)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def waves(x: Tensor, octaves: int) -> Tensor:
    """(N, D) to (N, D * (1 + 2 * octaves)): x, and sines and cosines of x, 2x, 4x, … (Tancik et al. 2020).

    A small network sees fine detail in the plane only through them.
    """
    angles = (x[:, :, None] * 2.0 ** torch.arange(octaves, device=x.device)).flatten(1)
    return torch.cat([x, angles.sin(), angles.cos()], 1)


class TimeEmbedding(nn.Module):
    """Sinusoids, then two linear layers with SiLU between (the tutorial's 1x1 convolutions are the same maps).

    What else a denoiser may be told is added: the class, and the length of the interval that a MeanFlow's velocity is
    the average of. Their weights are there only where they are asked for.
    """

    def __init__(self, dim: int, out: int, n_classes: int | None = None, spans: bool = False) -> None:
        super().__init__()
        self.dim, self.none = dim, n_classes or 0
        self.first = nn.Linear(dim, out)
        self.second = nn.Linear(out, out)
        self.span = TimeEmbedding(dim, out) if spans else None
        self.classes = None if n_classes is None else nn.Embedding(n_classes + 1, out)  # the last row: no class
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, 0.0, 0.02)  # DiT's, as small beside the time

    def forward(self, s: Tensor, y: Tensor | None = None, span: Tensor | None = None) -> Tensor:
        """Times (N,), classes (N,) and spans (N,) to (N, out); without y of no class, without spans of none, 0."""
        hidden: Tensor = self.second(F.silu(self.first(sinusoids(s, self.dim, self.first.weight.dtype))))
        if self.classes is not None:
            hidden = hidden + self.classes(torch.full_like(s, self.none, dtype=torch.long) if y is None else y)
        if self.span is not None:
            hidden = hidden + self.span(torch.zeros_like(s) if span is None else span)
        return hidden


def drawn(layer: Layer, deviation: float) -> Layer:
    """The layer itself, its weights drawn from N(0, deviation^2), its biases zero."""
    nn.init.normal_(layer.weight, 0.0, deviation)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer itself, its parameters set to zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def group_norm(channels: int) -> nn.GroupNorm:
    """A group norm of 32 groups, fewer where a group would have less than 4 channels.

    One of a single channel would subtract the time that was added to it.
    """
    return nn.GroupNorm(math.gcd(32, channels, max(channels // 4, 1)), channels, eps=1e-6)


def channels_of(shape: tuple[int, ...], name: str) -> int:
    """The channels of images of this shape; ConfigError, which names the network, for samples that are none."""
    if len(shape) != 3:
        raise ConfigError(f"network {name!r} works on images, not on samples of shape {shape}: use network=mlp")
    return shape[0]


def channels_at(shape: tuple[int, ...], side: int, name: str, remedy: str | None = None) -> int:
    """The channels of images of side x side pixels; ConfigError, which names the network, for other samples."""
    if len(shape) != 3 or shape[1:] != (side, side):
        raise ConfigError(
            f"network {name!r} is built for images of {side}x{side} pixels, not for samples of shape {shape}: "
            f"{remedy or f'set image_size={side}'}"
        )
    return shape[0]
