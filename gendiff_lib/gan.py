"""Generative adversarial networks: the paper's DCGAN (Figs. 14 and 15), its 32x32 variant, and one for the plane."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ConfigError, DCGANNetwork, GANConfig, PointGANNetwork, Sampling
from .denoisers import waves
from .learner import Method, gradient_norm
from .progress import Progress
from .samplers import Step
from .streams import stream


def _stages(shape: tuple[int, ...]) -> int:
    """How often 4x4 is doubled to reach the image's side."""
    side = shape[-1]
    if len(shape) != 3 or side < 8 or side & (side - 1):
        raise ConfigError(f"network 'dcgan' makes images of 8, 16, 32, 64, … pixels, not samples of shape {shape}")
    return side.bit_length() - 3


class Generator(nn.Module):
    """z (N, nz, 1, 1) to images in [-1, 1]; at 64x64 it is Fig. 15, each halving of the side drops one doubling."""

    def __init__(self, config: DCGANNetwork, nz: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        n = _stages(shape)
        widths = [config.ngf * 2 ** (n - 1 - i) for i in range(n)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(nz, widths[0], 4, 1, 0, bias=False)]
        for c_in, c_out in zip(widths, [*widths[1:], shape[0]], strict=True):
            layers += [nn.BatchNorm2d(c_in)] if config.norm == "batch" else []
            layers += [nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(c_in, c_out, 4, 2, 1, bias=False)]
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """(N, nz, 1, 1) to (N, 3, side, side)."""
        images: Tensor = self.main(z)
        return images


class Discriminator(nn.Module):
    """Images to the probability that they are real; at 64x64 it is Fig. 14."""

    def __init__(self, config: DCGANNetwork, shape: tuple[int, ...]) -> None:
        super().__init__()
        ndf = config.ndf
        widths = [ndf * 2**i for i in range(_stages(shape))]
        layers: list[nn.Module] = [nn.Conv2d(shape[0], ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for c_in, c_out in pairwise(widths):
            layers += [nn.Conv2d(c_in, c_out, 4, 2, 1, bias=False), nn.BatchNorm2d(c_out)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, side, side) to probabilities (N,), float32 whatever the arithmetic of the convolutions."""
        return torch.sigmoid(self.main[:-1](x).flatten().float())  # a bf16 sigmoid would round to 1 from 6 on


def _mlp(c_in: int, width: int, c_out: int) -> nn.Sequential:
    """Three hidden layers; the plane needs no convolutions."""
    layers: list[nn.Module] = []
    for a, b in ((c_in, width), (width, width), (width, width)):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Linear(width, c_out))


class PointGenerator(nn.Module):
    """z (N, nz, 1, 1) to points (N, 2)."""

    def __init__(self, config: PointGANNetwork, nz: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(shape) != 1:
            raise ConfigError(f"network 'mlp' makes points in the plane, not samples of shape {shape}: use dcgan")
        self.main = _mlp(nz, config.ngf, shape[0])

    def forward(self, z: Tensor) -> Tensor:
        """(N, nz, 1, 1) to (N, 2)."""
        points: Tensor = self.main(z.flatten(1))
        return points


class PointDiscriminator(nn.Module):
    """Points to the probability that they are real."""

    def __init__(self, config: PointGANNetwork, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.fourier = config.fourier
        self.main = _mlp(shape[0] * (1 + 2 * config.fourier), config.ndf, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2) to probabilities (N,)."""
        return torch.sigmoid(self.main(waves(x, self.fourier)).flatten().float())


NETWORKS: dict[str, tuple[Any, Any]] = {
    "dcgan": (Generator, Discriminator),
    "mlp": (PointGenerator, PointDiscriminator),
}


def _init(module: nn.Module) -> None:
    """The DCGAN paper's weights (Radford et al. 2016, section 4)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


VERSION = 1  # of what a training computes: raised when the same configuration gives other losses or weights
DIVERSITY_BATCH = 64  # images of the fixed batch
STATISTICS_BATCHES, STATISTICS_BATCH = 20, 128  # of fixed noise, for a snapshot's batch statistics


def _bce(p: Tensor, label: float) -> Tensor:
    with torch.autocast(p.device.type, enabled=False):
        return F.binary_cross_entropy(p, torch.full_like(p, label))


def _norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


@contextmanager
def _unchanged_buffers(module: nn.Module) -> Iterator[None]:
    """While a network runs in training mode: its batch norms use the batch's statistics, and remember none."""
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in module.named_buffers():
            buffer.copy_(before[name])


class GAN(Method):
    """One update of the discriminator, then one of the generator, with the same fakes (Goodfellow et al. 2014)."""

    saved = ("generator",)
    capturable = True

    def __init__(self, config: GANConfig, shape: tuple[int, ...]) -> None:
        """Both networks and their optimisers; ConfigError where the network does not fit the samples."""
        super().__init__(config, shape)
        self.gan = config
        make_g, make_d = NETWORKS[config.network.type]
        self.generator: nn.Module = make_g(config.network, config.nz, shape).apply(_init)
        self.discriminator: nn.Module = make_d(config.network, shape).apply(_init)
        self.modules = {"generator": self.generator, "discriminator": self.discriminator}
        self.running: dict[str, Tensor] = {}  # of loaded weights: the batch statistics that training left
        betas = (config.beta1, 0.999)
        self.optimizers = {
            "generator": torch.optim.Adam(self.generator.parameters(), config.lrG, betas, fused=True),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), config.lrD, betas, fused=True),
        }

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; losses are `loss_d` (on real plus on fake) and `loss_g`."""
        with self.autocast():
            fake = self.generator(self._latent(len(x), rng))
        real, made = self._judge(x), self._judge(fake.detach())
        loss_d = _bce(real, self.gan.real_label) + _bce(made, 0.0)
        norm_d = self._update("discriminator", loss_d)
        self.discriminator.requires_grad_(False)  # the generator's update needs no gradient of D's weights
        if self.gan.loss == "minimax":
            loss_g = -_bce(self._judge(fake), 0.0)  # minimise log(1 - D(G(z))), eq. 1 of the paper
        else:
            loss_g = _bce(self._judge(fake), 1.0)  # maximise log D(G(z))
        norm_g = self._update("generator", loss_g)
        self.discriminator.requires_grad_(True)
        right = {"accuracy_real": (real > 0.5).float().mean(), "accuracy_fake": (made < 0.5).float().mean()}
        losses = {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}
        return losses | {"grad_norm_d": norm_d, "grad_norm_g": norm_g} | right

    @torch.no_grad()
    def diagnose(self) -> dict[str, Tensor]:
        """See Learner.diagnose; `diversity` is the root mean square difference of two images of a fixed batch."""
        z = self._latent(DIVERSITY_BATCH, stream("diversity", self.gan.seed, device=self.device))
        with _unchanged_buffers(self.generator), self.autocast():
            x = self.generator(z).float()
        return {"diversity": (2 * x.var(0).mean()).sqrt()}

    def resolve(self, sampling: Sampling) -> Sampling:
        """See Method.resolve: a generator has no steps, no eta, nothing to clip and no averaged weights."""
        allowed = {"sampler": "generator", "n_steps": 1, "eta": None, "clip_x0": None, "weights": "raw"}
        for name, only in allowed.items():
            if getattr(sampling, name) not in (None, only):
                raise ConfigError(f"{name}={getattr(sampling, name)} does not apply to a GAN: leave it out")
        if not _norms(self.generator) and sampling.batchnorm:
            raise ConfigError(f"batchnorm={sampling.batchnorm} does not apply: this generator has none; leave it out")
        recomputed = "recomputed" if _norms(self.generator) else None
        return sampling.but(**allowed, batchnorm=sampling.batchnorm or recomputed)

    @torch.no_grad()
    def sample(self, n: int, sampling: Sampling, rng: torch.Generator) -> Iterator[Step]:
        """See Method.sample; yields once."""
        generator = self._with_statistics(self.resolve(sampling).batchnorm)
        with self.autocast():
            x = generator(self._latent(n, rng)).float()
        yield Step(0.0, x, x)

    def _with_statistics(self, which: str | None) -> nn.Module:
        """A copy of the generator whose batch norms use recomputed or running statistics, or those of the batch.

        A snapshot holds the recomputed ones in their place, and the running ones beside them.
        """
        generator = deepcopy(self.generator).train(which == "batch")
        if which == "recomputed" and not self.running:
            self._recompute(generator)
        for name, value in self.running.items() if which == "running" else ():
            generator.get_buffer(name).copy_(value)
        return generator

    @torch.no_grad()
    def _recompute(self, generator: nn.Module) -> None:
        """Give the batch norms of `generator` the mean statistics over batches of fixed noise.

        The running ones lag behind weights that move, in a GAN far enough to change what samples look like.
        """
        for norm in _norms(generator):
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for a plain mean over batches
        generator.train()
        for i in range(STATISTICS_BATCHES if _norms(generator) else 0):
            rng = stream("batchnorm", self.gan.seed, i, self.device)
            with self.autocast():
                generator(self._latent(STATISTICS_BATCH, rng))
        generator.eval()

    def weights(self) -> dict[str, Tensor]:
        """See Learner.weights: the generator with recomputed batch statistics, and the running ones."""
        generator = self._with_statistics("recomputed")
        buffers = self.running or dict(self.generator.named_buffers())
        running = {f"running.{k}": v for k, v in buffers.items() if not k.endswith("num_batches_tracked")}
        return {f"generator.{k}": v for k, v in generator.state_dict().items()} | running

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """See Learner.load_weights."""
        super().load_weights(weights)
        self.running = {k.removeprefix("running."): v for k, v in weights.items() if k.startswith("running.")}

    def _latent(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.gan.nz, 1, 1, generator=rng, device=self.device)

    def _judge(self, x: Tensor) -> Tensor:
        with self.autocast():
            p: Tensor = self.discriminator(x)
        return p

    def _update(self, name: str, loss: Tensor) -> Tensor:
        """One step of a player's optimiser; returns the norm of its gradients."""
        self.optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        norm = gradient_norm(self.modules[name], self.gan.clip_grad)
        self.optimizers[name].step()
        return norm
