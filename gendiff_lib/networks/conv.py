"""The paper's denoiser (Fig. 17)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .layers import TimeEmbedding, channels_of


class Conv(nn.Module):
    """The paper's denoiser: dilated residual convolutions at full resolution, no U-Net.

    With eight layers of 256 channels it has 4,900,611 parameters. After eight layers the dilations repeat.
    """

    DILATIONS = (1, 1, 1, 3, 3, 9, 9, 27)

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        n_layers: int = 8,
        hidden_dim: int = 256,
        timestep_embedding_dim: int = 256,
        outputs: int = 1,
        n_classes: int | None = None,
        spans: bool = False,
    ) -> None:
        super().__init__()
        hidden, channels = hidden_dim, channels_of(shape, "conv")
        self.time = TimeEmbedding(timestep_embedding_dim, hidden, n_classes, spans)
        self.enter = nn.Conv2d(channels, hidden, 7, padding=3)
        dilations = [self.DILATIONS[i % len(self.DILATIONS)] for i in range(n_layers)]
        self.convs = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, padding=d, dilation=d) for d in dilations)
        self.norms = nn.ModuleList(nn.GroupNorm(8, hidden) for _ in range(n_layers - 1))
        self.leave = nn.Conv2d(hidden, outputs * channels, 3, padding=1)

    def forward(self, x: Tensor, s: Tensor, y: Tensor | None = None, span: Tensor | None = None) -> Tensor:
        """x (N, C, H, W) to (N, outputs * C, H, W); see TimeEmbedding for the others."""
        h = self.enter(x)
        e = self.time(s, y, span)[:, :, None, None]
        for i, conv in enumerate(self.convs):
            h = h + e
            h = h + conv(h)
            if i:  # the first block has neither norm nor activation
                h = F.silu(self.norms[i - 1](h))
        out: Tensor = self.leave(h)
        return out
