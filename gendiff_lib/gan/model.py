"""Generative adversarial networks: the paper's DCGAN (Figs. 14 and 15), its 32x32 variant, and one for the plane."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn

from ..config import Sampling
from ..errors import ConfigError
from ..learner import Method, Step, gradient_norm
from ..networks.dcgan import Discriminator, Generator, dcgan_weights
from ..networks.mlp import PointDiscriminator, PointGenerator
from ..progress import Progress
from ..streams import stream
from ..versions import register
from .config import DCGANNetwork, GANConfig, PointGANNetwork
from .losses import discriminator_loss, generator_loss

# of what a training computes: raised when the same configuration gives other losses or weights
VERSION = register("gan", 1)
DIVERSITY_BATCH = 64  # images of the fixed batch
STATISTICS_BATCHES, STATISTICS_BATCH = 20, 128  # of fixed noise, for a snapshot's batch statistics


def players(network: DCGANNetwork | PointGANNetwork, nz: int, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of a network's fields, for latents of length nz and samples of a shape."""
    if isinstance(network, DCGANNetwork):
        generator = Generator(shape, nz=nz, ngf=network.ngf, norm=network.norm).apply(dcgan_weights)
        return generator, Discriminator(shape, ndf=network.ndf).apply(dcgan_weights)
    points = PointGenerator(shape, nz=nz, width=network.ngf)
    return points, PointDiscriminator(shape, width=network.ndf, fourier=network.fourier)


def resolve(sampling: Sampling, config: GANConfig) -> Sampling:
    """A generator has no steps, no eta, nothing to clip and no averaged weights; ConfigError where one is asked for."""
    allowed = {"sampler": "generator", "n_steps": 1, "eta": None, "clip_x0": None, "weights": "raw"}
    for name, only in allowed.items():
        if getattr(sampling, name) not in (None, only):
            raise ConfigError(f"{name}={getattr(sampling, name)} does not apply to a GAN: leave it out")
    normed = isinstance(config.network, DCGANNetwork) and config.network.norm == "batch"
    if not normed and sampling.batchnorm:
        raise ConfigError(f"batchnorm={sampling.batchnorm} does not apply: this generator has none; leave it out")
    return sampling.but(**allowed, batchnorm=sampling.batchnorm or ("recomputed" if normed else None))


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
        self.generator, self.discriminator = players(config.network, config.nz, shape)
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
        loss_d = discriminator_loss(real, made, self.gan.real_label)
        norm_d = self._update("discriminator", loss_d)
        self.discriminator.requires_grad_(False)  # the generator's update needs no gradient of D's weights
        loss_g = generator_loss(self._judge(fake), self.gan.loss)
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
        """See Method.resolve."""
        return resolve(sampling, self.gan)

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
