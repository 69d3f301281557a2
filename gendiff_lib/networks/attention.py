"""Self-attention for generators and discriminators (SAGAN, Zhang et al. 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError


class SelfAttention(nn.Module):
    """Attention of one head over the pixels, added to its input through a learned gate that starts at 0.

    Queries and keys have an eighth of the channels, values a half; keys and values are max-pooled 2x2, as in the
    authors' code. The scores are not scaled, and no convolution has a bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 8:
            raise ConfigError(
                f"attention works on channels in eighths, which width={channels} has not: use multiples of 8"
            )
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.leave = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; H and W are even."""
        q = self.query(x).flatten(2)
        k, v = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))
        weights = (q.transpose(1, 2) @ k).softmax(-1)  # (N, H * W, H * W / 4)
        seen = (v @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        out: Tensor = x + self.gate * self.leave(seen)
        return out
