"""The residual generator and discriminator of SNGAN for 32x32 pixels (Miyato et al. 2018, appendix B.4).

Classes enter as in cGANs with projection discriminator (Miyato and Koyama 2018).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from .attention import SelfAttention
from .layers import channels_at

SIDE, BOTTOM = 32, 4  # pixels of an image, of the generator's first feature maps


def _conv(c_in: int, c_out: int, side: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, side, padding=side // 2)


def _initialised(module: nn.Module) -> None:
    """Glorot's uniform weights, those of 3x3 convolutions times sqrt(2), and no biases: as in the authors' code."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight, 2**0.5 if module.weight.shape[2:] == (3, 3) else 1.0)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _normalise(net: nn.Module) -> None:
    """Give every layer's weights a largest singular value of 1; the gains and biases of `Norm` are no such layers."""
    norms = {embed for norm in net.modules() if isinstance(norm, Norm) for embed in norm.children()}
    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding)) and m not in norms]
    for layer in layers:
        spectral_norm(layer)


class Norm(nn.Module):
    """Batch norm; with classes, each has gains (that start at 1) and biases (at 0) of its own.

    Stored is a gain's difference from 1: embeddings of zeros make a plain batch norm.
    """

    def __init__(self, channels: int, n_classes: int | None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=n_classes is None)
        self.conditional = n_classes is not None
        if n_classes is not None:
            self.gain, self.bias = nn.Embedding(n_classes, channels), nn.Embedding(n_classes, channels)
            nn.init.zeros_(self.gain.weight)
            nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """(N, C, H, W) and classes (N,) to (N, C, H, W)."""
        normed: Tensor = self.norm(x)
        if not self.conditional:
            return normed
        gain, bias = (embed(y)[:, :, None, None] for embed in (self.gain, self.bias))
        return torch.addcmul(bias, normed, 1 + gain)


class Up(nn.Module):
    """(N, C, H, W) to (N, C, 2H, 2W): norm, ReLU, 3x3 convolution, twice, the first upsampled; the shortcut is 1x1."""

    def __init__(self, channels: int, n_classes: int | None) -> None:
        super().__init__()
        self.norm1, self.conv1 = Norm(channels, n_classes), _conv(channels, channels, 3)
        self.norm2, self.conv2 = Norm(channels, n_classes), _conv(channels, channels, 3)
        self.skip = _conv(channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """(N, C, H, W) and classes (N,) to (N, C, 2H, 2W)."""
        h = self.conv1(F.interpolate(F.relu(self.norm1(x, y)), scale_factor=2.0))
        h = self.conv2(F.relu(self.norm2(h, y)))
        out: Tensor = h + F.interpolate(self.skip(x), scale_factor=2.0)  # 1x1 and nearest upsampling commute
        return out


class Generator(nn.Module):
    """z (N, nz, 1, 1) to images in [-1, 1] of 32x32 pixels; width 256 and nz 128 in the paper.

    `spectral` normalises the weights of every layer, as SAGAN does, and `attention` is at 16x16 pixels.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        nz: int,
        width: int,
        spectral: bool = False,
        attention: bool = False,
        n_classes: int | None = None,
    ) -> None:
        super().__init__()
        channels = channels_at(shape, SIDE, "resnet")
        self.enter = nn.Linear(nz, width * BOTTOM**2)
        self.blocks = nn.ModuleList(Up(width, n_classes) for _ in range(3))
        self.attend = SelfAttention(width) if attention else nn.Identity()
        self.norm, self.leave = nn.BatchNorm2d(width), _conv(width, channels, 3)
        self.apply(_initialised)
        nn.init.xavier_uniform_(self.leave.weight)
        if spectral:
            _normalise(self)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z (N, nz, 1, 1), and classes (N,) if there are any, to (N, 3, 32, 32)."""
        h = self.enter(z.flatten(1)).unflatten(1, (-1, BOTTOM, BOTTOM))
        for i, block in enumerate(self.blocks):
            h = block(h, y)
            h = self.attend(h) if i == 1 else h  # at 16x16
        return torch.tanh(self.leave(F.relu(self.norm(h))))


class Down(nn.Module):
    """ReLU, 3x3 convolution, twice, added to the shortcut; with `pool`, the sum is pooled to half the side.

    The `first` block of a discriminator is given pixels, whose negative half a ReLU would throw away.
    """

    def __init__(self, c_in: int, c_out: int, *, pool: bool, first: bool = False) -> None:
        super().__init__()
        self.pool, self.first = pool, first
        self.conv1, self.conv2 = _conv(c_in, c_out, 3), _conv(c_out, c_out, 3)
        self.skip = _conv(c_in, c_out, 1) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) to (N, c_out, H, W), or half of H and W."""
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        out: Tensor = h + self.skip(x)
        return F.avg_pool2d(out, 2) if self.pool else out


class Discriminator(nn.Module):
    """Images of 32x32 pixels to logits; width 128 in the paper, and `spectral` normalises the weights of every layer.

    Classes add the inner product of their embedding with the pooled features (projection).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int,
        spectral: bool = True,
        attention: bool = False,
        n_classes: int | None = None,
    ) -> None:
        super().__init__()
        first = Down(channels_at(shape, SIDE, "resnet"), width, pool=True, first=True)
        attend = [SelfAttention(width)] if attention else []  # at 16x16
        rest = [Down(width, width, pool=pool) for pool in (True, False, False)]
        self.blocks = nn.Sequential(first, *attend, *rest)
        self.leave = nn.Linear(width, 1)
        self.embed = None if n_classes is None else nn.Embedding(n_classes, width)
        self.apply(_initialised)
        if self.embed is not None:
            nn.init.xavier_uniform_(self.embed.weight)
        if spectral:
            _normalise(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, 3, 32, 32), and classes (N,) if there are any, to logits (N,), float32 whatever the convolutions are."""
        h = F.relu(self.blocks(x)).sum((2, 3))
        logits: Tensor = self.leave(h).squeeze(1).float()
        return logits if self.embed is None else logits + (self.embed(y) * h).sum(1).float()
