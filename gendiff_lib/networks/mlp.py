"""Multilayer perceptrons: as denoiser, and both players of a GAN in the plane."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .layers import TimeEmbedding, waves


class MLP(nn.Module):
    """Residual layers on the flattened sample, the time added before each."""

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        n_layers: int,
        hidden_dim: int,
        timestep_embedding_dim: int = 256,
        fourier: int = 0,
        outputs: int = 1,
        n_classes: int | None = None,
        spans: bool = False,
    ) -> None:
        super().__init__()
        hidden = hidden_dim
        self.time = TimeEmbedding(timestep_embedding_dim, hidden, n_classes, spans)
        self.fourier = fourier
        self.enter = nn.Linear(math.prod(shape) * (1 + 2 * fourier), hidden)
        self.blocks = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(n_layers))
        self.leave = nn.Linear(hidden, outputs * math.prod(shape))

    def forward(self, x: Tensor, s: Tensor, y: Tensor | None = None, span: Tensor | None = None) -> Tensor:
        """x (N, C, ...) to (N, outputs * C, ...); see TimeEmbedding for the others."""
        h, e = self.enter(waves(x.flatten(1), self.fourier)), self.time(s, y, span)
        for block in self.blocks:
            h = h + F.silu(block(h + e))
        out: Tensor = self.leave(h)
        return out.view(len(x), -1, *x.shape[2:])


def perceptron(c_in: int, width: int, c_out: int) -> nn.Sequential:
    """Three hidden layers; the plane needs no convolutions."""
    layers: list[nn.Module] = []
    for a, b in ((c_in, width), (width, width), (width, width)):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Linear(width, c_out))


class PointGenerator(nn.Module):
    """z (N, nz, 1, 1) to points (N, 2)."""

    def __init__(self, shape: tuple[int, ...], *, nz: int, width: int) -> None:
        super().__init__()
        if len(shape) != 1:
            raise ConfigError(f"network 'mlp' makes points in the plane, not samples of shape {shape}: use dcgan")
        self.main = perceptron(nz, width, shape[0])

    def forward(self, z: Tensor) -> Tensor:
        """(N, nz, 1, 1) to (N, 2)."""
        points: Tensor = self.main(z.flatten(1))
        return points


class PointDiscriminator(nn.Module):
    """Points to logits, above 0 for what is taken to be real."""

    def __init__(self, shape: tuple[int, ...], *, width: int, fourier: int = 0) -> None:
        super().__init__()
        self.fourier = fourier
        self.main = perceptron(shape[0] * (1 + 2 * fourier), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2) to float32 logits (N,)."""
        logits: Tensor = self.main(waves(x, self.fourier)).flatten().float()
        return logits
