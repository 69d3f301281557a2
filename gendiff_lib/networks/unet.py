"""DDPM's U-Net (Ho et al. 2020, appendix B)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .layers import TimeEmbedding, channels_of, group_norm


class ResBlock(nn.Module):
    """GroupNorm, SiLU, convolution, twice, with the time, where there is one, added between (DDPM, appendix B)."""

    def __init__(self, c_in: int, c_out: int, c_time: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = None if c_time is None else nn.Linear(c_time, c_out)
        self.norm2, self.conv2 = group_norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.drop = nn.Dropout(dropout)
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)
        nn.init.zeros_(self.conv2.weight)  # each block starts as its shortcut, but for a bias (DDPM's are 0 as well)

    def forward(self, x: Tensor, e: Tensor | None = None) -> Tensor:
        """(N, c_in, H, W), (N, c_time) to (N, c_out, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None:
            h = h + self.time(e)[:, :, None, None]
        out: Tensor = self.skip(x) + self.conv2(self.drop(F.silu(self.norm2(h))))
        return out


class Attention(nn.Module):
    """Self-attention of one head over the pixels, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv = group_norm(channels), nn.Conv2d(channels, 3 * channels, 1)
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

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        widths: tuple[int, ...],
        n_blocks: int,
        attention: tuple[int, ...] = (),
        patch: int = 1,
        dropout: float = 0.0,
        outputs: int = 1,
        n_classes: int | None = None,
        spans: bool = False,
    ) -> None:
        super().__init__()
        self.patch, channels = patch, channels_of(shape, "unet")
        _check_side(shape[-1], widths, patch)
        c_time = 4 * widths[0]
        self.time = TimeEmbedding(widths[0], c_time, n_classes, spans)
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
        self.norm, self.leave = group_norm(c), nn.Conv2d(c, outputs * channels * patch**2, 3, padding=1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, s: Tensor, y: Tensor | None = None, span: Tensor | None = None) -> Tensor:
        """x (N, C, H, W) to (N, outputs * C, H, W); see TimeEmbedding for the others."""
        e = F.silu(self.time(s, y, span))
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


def _check_side(side: int, widths: tuple[int, ...], patch: int) -> None:
    if side % (patch * 2 ** (len(widths) - 1)):
        raise ConfigError(
            f"widths={widths} with patch={patch} halve the side {len(widths) - 1} times after folding, "
            f"which {side} pixels do not allow: use fewer widths or a smaller patch"
        )
