"""Generative adversarial networks: the paper's DCGAN (Figs. 14 and 15), its 32x32 variant, and one for the plane."""

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ConfigError, GANConfig, Sampling
from .denoisers import waves
from .learner import Method
from .samplers import Step


def _stages(shape: tuple[int, ...]) -> int:
    """How often 4x4 is doubled to reach the image's side."""
    side = shape[-1]
    if len(shape) != 3 or side < 8 or side & (side - 1):
        raise ConfigError(f"network 'dcgan' makes images of 8, 16, 32, 64, … pixels, not samples of shape {shape}")
    return side.bit_length() - 3


class Generator(nn.Module):
    """z (N, nz, 1, 1) to images in [-1, 1]; at 64x64 it is Fig. 15, each halving of the side drops one doubling."""

    def __init__(self, config: GANConfig, shape: tuple[int, ...]) -> None:
        super().__init__()
        n = _stages(shape)
        widths = [config.ngf * 2 ** (n - 1 - i) for i in range(n)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(config.nz, widths[0], 4, 1, 0, bias=False)]
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

    def __init__(self, config: GANConfig, shape: tuple[int, ...]) -> None:
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

    def __init__(self, config: GANConfig, shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(shape) != 1:
            raise ConfigError(f"network 'mlp' makes points in the plane, not samples of shape {shape}: use dcgan")
        self.main = _mlp(config.nz, config.ngf, shape[0])

    def forward(self, z: Tensor) -> Tensor:
        """(N, nz, 1, 1) to (N, 2)."""
        points: Tensor = self.main(z.flatten(1))
        return points


class PointDiscriminator(nn.Module):
    """Points to the probability that they are real."""

    def __init__(self, config: GANConfig, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.fourier = config.fourier
        self.main = _mlp(shape[0] * (1 + 2 * config.fourier), config.ndf, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2) to probabilities (N,)."""
        return torch.sigmoid(self.main(waves(x, self.fourier)).flatten().float())


NETWORKS = {"dcgan": (Generator, Discriminator), "mlp": (PointGenerator, PointDiscriminator)}


def _init(module: nn.Module) -> None:
    """The DCGAN paper's weights (Radford et al. 2016, section 4)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class GAN(Method):
    """One update of the discriminator, then one of the generator, with the same fakes (Goodfellow et al. 2014)."""

    saved = ("generator",)
    capturable = True

    def __init__(self, config: GANConfig, shape: tuple[int, ...]) -> None:
        """Both networks and their optimisers; ConfigError where the network does not fit the samples."""
        super().__init__(config, shape)
        self.gan = config
        make_g, make_d = NETWORKS[config.network]
        self.generator = make_g(config, shape).apply(_init)
        self.discriminator = make_d(config, shape).apply(_init)
        self.modules = {"generator": self.generator, "discriminator": self.discriminator}
        betas = (config.beta1, 0.999)
        self.optimizers = {
            "generator": torch.optim.Adam(self.generator.parameters(), config.lrG, betas, fused=True),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), config.lrD, betas, fused=True),
        }

    def step(self, x: Tensor, labels: Tensor, progress: float, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; losses are `loss_d` (on real plus on fake) and `loss_g`."""
        with self.autocast():
            fake = self.generator(self._latent(len(x), rng))
        loss_d = self._bce(x, self.gan.real_label) + self._bce(fake.detach(), 0.0)
        self._update("discriminator", loss_d)
        self.discriminator.requires_grad_(False)  # the generator's update needs no gradient of D's weights
        if self.gan.loss == "minimax":
            loss_g = -self._bce(fake, 0.0)  # minimise log(1 - D(G(z))), eq. 1 of the paper
        else:
            loss_g = self._bce(fake, 1.0)  # maximise log D(G(z))
        self._update("generator", loss_g)
        self.discriminator.requires_grad_(True)
        return {"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}

    def settle(self, sampling: Sampling) -> Sampling:
        """See Method.settle: a generator has no steps, no eta, nothing to clip and no averaged weights."""
        allowed = {"sampler": "generator", "n_steps": 1, "eta": None, "clip_x0": None, "weights": "raw"}
        for name, only in allowed.items():
            if getattr(sampling, name) not in (None, only):
                raise ConfigError(f"{name}={getattr(sampling, name)} does not apply to a GAN: leave it out")
        return sampling.but(**allowed)

    @torch.no_grad()
    def sample(self, n: int, sampling: Sampling, rng: torch.Generator) -> Iterator[Step]:
        """See Method.sample; yields once. Batch norm uses its running statistics."""
        self.generator.eval()
        with self.autocast():
            x = self.generator(self._latent(n, rng)).float()
        self.generator.train()
        yield Step(0.0, x, x)

    def _latent(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.gan.nz, 1, 1, generator=rng, device=self.device)

    def _bce(self, x: Tensor, label: float) -> Tensor:
        with self.autocast():
            p = self.discriminator(x)
        with torch.autocast(self.device.type, enabled=False):
            return F.binary_cross_entropy(p, torch.full_like(p, label))

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers[name].step()
