"""A transformer of DiT's shape (Peebles and Xie 2023)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .layers import TimeEmbedding, channels_of, sinusoids, zeroed


class TransformerBlock(nn.Module):
    """Attention of several heads, then a perceptron; time shifts, scales and gates both (DiT's adaLN-Zero)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.heads = max(hidden // 64, 1)  # of 64 channels each
        self.norm1, self.norm2 = (nn.LayerNorm(hidden, eps=1e-6, elementwise_affine=False) for _ in range(2))
        self.qkv, self.leave = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.widen, self.narrow = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
        self.time = zeroed(nn.Linear(hidden, 6 * hidden))  # each block starts as its shortcut

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
    """DiT (Peebles and Xie 2023): `patch` x `patch` pixels are a token, and tokens know their place.

    Width 384, twelve layers and patches of 2 make its DiT-S/2.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        n_layers: int,
        hidden_dim: int,
        patch: int,
        timestep_embedding_dim: int = 256,
        outputs: int = 1,
        n_classes: int | None = None,
        spans: bool = False,
    ) -> None:
        super().__init__()
        hidden = hidden_dim
        self.patch, channels = patch, channels_of(shape, "transformer") * patch**2
        if shape[1] % patch or shape[2] % patch:
            raise ConfigError(
                f"patch={patch} does not divide images of {shape[1]}x{shape[2]} pixels: use one that does"
            )
        self.time = TimeEmbedding(timestep_embedding_dim, hidden, n_classes, spans)
        self.enter = nn.Linear(channels, hidden)
        self.register_buffer("places", places(shape[1] // patch, shape[2] // patch, hidden), persistent=False)
        self.blocks = nn.ModuleList(TransformerBlock(hidden) for _ in range(n_layers))
        self.norm = nn.LayerNorm(hidden, eps=1e-6, elementwise_affine=False)
        self.last = zeroed(nn.Linear(hidden, 2 * hidden))
        self.leave = zeroed(nn.Linear(hidden, outputs * channels))

    def forward(self, x: Tensor, s: Tensor, y: Tensor | None = None, span: Tensor | None = None) -> Tensor:
        """x (N, C, H, W) to (N, outputs * C, H, W); see TimeEmbedding for the others."""
        e = F.silu(self.time(s, y, span))
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
