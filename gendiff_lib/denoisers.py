"""Denoisers: networks net(x, s) -> a tensor of x's shape, where s (N,) is the number that the path shows for t."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ConfigError, ConvNetwork, MLPNetwork, TransformerNetwork, UNetNetwork


def sinusoids(s: Tensor, dim: int) -> Tensor:
    """(N,) to (N, dim): sines then cosines of s * 10000^(-k / (dim/2 - 1)), as DDPM and the tutorial have them."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=s.device) * (-math.log(10_000) / max(half - 1, 1)))
    angles = s.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def waves(x: Tensor, octaves: int) -> Tensor:
    """(N, D) to (N, D * (1 + 2 * octaves)): x, and sines and cosines of x, 2x, 4x, … (Tancik et al. 2020).

    A small network sees fine detail in the plane only through them.
    """
    angles = (x[:, :, None] * 2.0 ** torch.arange(octaves, device=x.device)).flatten(1)
    return torch.cat([x, angles.sin(), angles.cos()], 1)


class TimeEmbedding(nn.Module):
    """Sinusoids, then two linear layers with SiLU between (the tutorial's 1x1 convolutions are the same maps)."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.dim = dim
        self.first = nn.Linear(dim, out)
        self.second = nn.Linear(out, out)

    def forward(self, s: Tensor) -> Tensor:
        """(N,) to (N, out)."""
        hidden: Tensor = self.second(F.silu(self.first(sinusoids(s, self.dim))))
        return hidden


class MLP(nn.Module):
    """Residual layers on the flattened sample, the time added before each."""

    def __init__(self, config: MLPNetwork, shape: tuple[int, ...]) -> None:
        super().__init__()
        hidden, n_layers = config.hidden_dim, config.n_layers
        self.time = TimeEmbedding(config.timestep_embedding_dim, hidden)
        self.fourier = config.fourier
        self.enter = nn.Linear(math.prod(shape) * (1 + 2 * config.fourier), hidden)
        self.blocks = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(n_layers))
        self.leave = nn.Linear(hidden, math.prod(shape))

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x (N, ...) to the same shape."""
        h, e = self.enter(waves(x.flatten(1), self.fourier)), self.time(s)
        for block in self.blocks:
            h = h + F.silu(block(h + e))
        out: Tensor = self.leave(h)
        return out.view_as(x)


class Conv(nn.Module):
    """The paper's denoiser: dilated residual convolutions at full resolution, no U-Net.

    With eight layers of 256 channels it has 4,900,611 parameters. After eight layers the dilations repeat.
    """

    DILATIONS = (1, 1, 1, 3, 3, 9, 9, 27)

    def __init__(self, config: ConvNetwork, shape: tuple[int, ...]) -> None:
        super().__init__()
        hidden, n_layers, channels = config.hidden_dim, config.n_layers, _channels(shape, "conv")
        self.time = TimeEmbedding(config.timestep_embedding_dim, hidden)
        self.enter = nn.Conv2d(channels, hidden, 7, padding=3)
        dilations = [self.DILATIONS[i % len(self.DILATIONS)] for i in range(n_layers)]
        self.convs = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, padding=d, dilation=d) for d in dilations)
        self.norms = nn.ModuleList(nn.GroupNorm(8, hidden) for _ in range(n_layers - 1))
        self.leave = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x (N, C, H, W) to the same shape."""
        h = self.enter(x)
        e = self.time(s)[:, :, None, None]
        for i, conv in enumerate(self.convs):
            h = h + e
            h = h + conv(h)
            if i:  # the first block has neither norm nor activation
                h = F.silu(self.norms[i - 1](h))
        out: Tensor = self.leave(h)
        return out


class ResBlock(nn.Module):
    """GroupNorm, SiLU, convolution, twice, with the time added between (DDPM, appendix B)."""

    def __init__(self, c_in: int, c_out: int, c_time: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(c_time, c_out)
        self.norm2, self.conv2 = _norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.drop = nn.Dropout(dropout)
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)
        nn.init.zeros_(self.conv2.weight)  # each block starts as its shortcut

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(N, c_in, H, W), (N, c_time) to (N, c_out, H, W)."""
        h = self.conv1(F.silu(self.norm1(x))) + self.time(e)[:, :, None, None]
        out: Tensor = self.skip(x) + self.conv2(self.drop(F.silu(self.norm2(h))))
        return out


class Attention(nn.Module):
    """Self-attention of one head over the pixels, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv = _norm(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.leave = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, 1)
        weights = (q.transpose(1, 2) @ k * q.shape[1] ** -0.5).softmax(-1)  # faster on a CPU than the fused kernel
        out: Tensor = x + self.leave((v @ weights.transpose(1, 2)).view_as(x))
        return out


class UNet(nn.Module):
    """DDPM's U-Net (appendix B).

    Widths 128,256,256,256, two blocks a level and attention at level 1 make its 35.7M parameters for CIFAR-10.
    `patch` folds patch x patch pixels into channels first, which divides the cost by patch^2.
    """

    def __init__(self, config: UNetNetwork, shape: tuple[int, ...]) -> None:
        super().__init__()
        widths, n_blocks, patch = config.widths, config.n_blocks, config.patch
        attention, dropout = config.attention, config.dropout
        self.patch, channels = patch, _channels(shape, "unet")
        if shape[-1] % (patch * 2 ** (len(widths) - 1)):
            raise ConfigError(
                f"widths={widths} with patch={patch} halve the side {len(widths) - 1} times after folding, "
                f"which {shape[-1]} pixels do not allow: use fewer widths or a smaller patch"
            )
        c_time = 4 * widths[0]
        self.time = TimeEmbedding(widths[0], c_time)
        self.enter = nn.Conv2d(channels * patch**2, widths[0], 3, padding=1)

        def block(c_in: int, level: int) -> nn.ModuleList:
            attend = Attention(widths[level]) if level in attention else nn.Identity()
            return nn.ModuleList([ResBlock(c_in, widths[level], c_time, dropout), attend])

        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, c = [widths[0]], widths[0]
        for level, width in enumerate(widths):
            for _ in range(n_blocks):
                self.down.append(block(c, level))
                c = width
                skips.append(c)
            if level < len(widths) - 1:
                self.down.append(nn.Conv2d(c, c, 3, stride=2, padding=1))
                skips.append(c)
        self.middle = nn.ModuleList([ResBlock(c, c, c_time, dropout), Attention(c), ResBlock(c, c, c_time, dropout)])
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(n_blocks + 1):
                self.up.append(block(c + skips.pop(), level))
                c = width
            if level:
                self.up.append(nn.Conv2d(c, c, 3, padding=1))
        self.norm = _norm(c)
        self.leave = nn.Conv2d(c, channels * patch**2, 3, padding=1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x (N, C, H, W) to the same shape."""
        e = F.silu(self.time(s))
        h = self.enter(F.pixel_unshuffle(x, self.patch))
        skips = [h]
        for layer in self.down:
            h = layer[1](layer[0](h, e)) if isinstance(layer, nn.ModuleList) else layer(h)
            skips.append(h)
        first, attend, last = self.middle
        h = last(attend(first(h, e)), e)
        for layer in self.up:
            if isinstance(layer, nn.ModuleList):
                h = layer[1](layer[0](torch.cat([h, skips.pop()], 1), e))
            else:
                h = layer(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.leave(F.silu(self.norm(h))), self.patch)


class TransformerBlock(nn.Module):
    """Attention of several heads, then a perceptron; time shifts, scales and gates both (DiT's adaLN-Zero)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.heads = max(hidden // 64, 1)  # of 64 channels each
        self.norm1, self.norm2 = (nn.LayerNorm(hidden, eps=1e-6, elementwise_affine=False) for _ in range(2))
        self.qkv, self.leave = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.widen, self.narrow = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
        self.time = _zeros(nn.Linear(hidden, 6 * hidden))  # each block starts as its shortcut

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(N, T, hidden), (N, hidden) to (N, T, hidden)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.time(e)[:, None].chunk(6, -1)
        x = x + gate1 * self.attend(self.norm1(x) * (1 + scale1) + shift1)
        h = self.widen(self.norm2(x) * (1 + scale2) + shift2)
        out: Tensor = x + gate2 * self.narrow(F.gelu(h, approximate="tanh"))
        return out

    def attend(self, x: Tensor) -> Tensor:
        """Self-attention over the T tokens of (N, T, hidden)."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(2, 3) * q.shape[3] ** -0.5).softmax(-1)
        out: Tensor = self.leave((weights @ v).transpose(1, 2).flatten(2))
        return out


class Transformer(nn.Module):
    """DiT, without classes (Peebles and Xie 2023): `patch` x `patch` pixels are a token, and tokens know their place.

    Width 384, twelve layers and patches of 2 make its DiT-S/2.
    """

    def __init__(self, config: TransformerNetwork, shape: tuple[int, ...]) -> None:
        super().__init__()
        hidden, n_layers, patch = config.hidden_dim, config.n_layers, config.patch
        self.patch, channels = patch, _channels(shape, "transformer") * patch**2
        if shape[1] % patch or shape[2] % patch:
            raise ConfigError(
                f"patch={patch} does not divide images of {shape[1]}x{shape[2]} pixels: use one that does"
            )
        self.time = TimeEmbedding(config.timestep_embedding_dim, hidden)
        self.enter = nn.Linear(channels, hidden)
        self.register_buffer("places", places(shape[1] // patch, shape[2] // patch, hidden), persistent=False)
        self.blocks = nn.ModuleList(TransformerBlock(hidden) for _ in range(n_layers))
        self.norm = nn.LayerNorm(hidden, eps=1e-6, elementwise_affine=False)
        self.last = _zeros(nn.Linear(hidden, 2 * hidden))
        self.leave = _zeros(nn.Linear(hidden, channels))

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x (N, C, H, W) to the same shape."""
        e = F.silu(self.time(s))
        folded = F.pixel_unshuffle(x, self.patch)
        h = self.enter(folded.flatten(2).transpose(1, 2)) + self.places
        for block in self.blocks:
            h = block(h, e)
        shift, scale = self.last(e)[:, None].chunk(2, -1)
        h = self.leave(self.norm(h) * (1 + scale) + shift)
        return F.pixel_shuffle(h.transpose(1, 2).unflatten(2, folded.shape[2:]), self.patch)


def places(rows: int, columns: int, dim: int) -> Tensor:
    """(rows * columns, dim): the sinusoids of each token's row, then of its column."""
    row, column = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
    return torch.cat([sinusoids(row, dim // 2), sinusoids(column, dim // 2)], 1)


def _zeros(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _norm(channels: int) -> nn.GroupNorm:
    # 32 groups, fewer where a group would have less than 4 channels: one of a single channel would subtract the time
    return nn.GroupNorm(math.gcd(32, channels, max(channels // 4, 1)), channels, eps=1e-6)


def _channels(shape: tuple[int, ...], name: str) -> int:
    if len(shape) != 3:
        raise ConfigError(f"network {name!r} works on images, not on samples of shape {shape}: use network=mlp")
    return shape[0]


DENOISERS: dict[str, Callable[[Any, tuple[int, ...]], nn.Module]] = {
    "mlp": MLP,
    "conv": Conv,
    "unet": UNet,
    "transformer": Transformer,
}
