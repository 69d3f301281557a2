"""An autoencoder of images, and the latents it gives a diffusion model to work on (Rombach et al. 2022)."""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from .config import Config, Sampling, setting
from .data import images
from .data.dataset import Dataset, ImageBridge
from .errors import ConfigError
from .learner import Learner, Step, in_one_pass, set_rate, weights_of
from .networks.autoencoder import ConvAutoencoder
from .progress import Progress
from .versions import register

MEASURED = 10_000  # training images at most whose latents' standard deviation is measured
CHUNK = 500  # images encoded at a time
COLUMNS = 10  # of a sheet


class AutoencoderConfig(Config):
    """A convolutional autoencoder, its latents drawn towards a standard normal distribution by a little."""

    kind: ClassVar[str] = "autoencoder"
    widths: tuple[Annotated[int, Field(ge=1)], ...] = setting((32, 64), "channels of each level", absent=(32, 64))
    channels: int = setting(4, "channels of the latent", absent=4, ge=1)
    kl_weight: float = setting(
        1e-4, "weight of the latents' divergence from a standard normal distribution", absent=1e-4, ge=0.0
    )
    lr: float = setting(1e-3, "Adam's learning rate", absent=1e-3, ge=0.0, le=1.0)
    lr_decay: int | None = setting(
        None, "images over which the learning rate falls to 0; none to keep it", absent=None, ge=1
    )

    def check(self) -> None:
        if not self.widths:
            raise ConfigError(f"widths={self.widths} name no level: give at least one width")


# of what a training computes: raised when the same configuration gives other weights
VERSION = register("autoencoder", 1)


class Codec(NamedTuple):
    """Images in [-1, 1] (N, 3, H, W) to latents of unit variance (N, *latent), and back."""

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


class Autoencoder(Learner):
    """Mean squared error of the reconstruction, and a little of the divergence that a variational one has in full."""

    saved = ("net",)
    entries = ("encode", "decode")

    def __init__(self, config: AutoencoderConfig, shape: tuple[int, ...]) -> None:
        """The network; ConfigError for samples that are no images, or whose side cannot be halved so often."""
        super().__init__(config, shape)
        self.autoencoder = config
        self.net = ConvAutoencoder(shape, widths=config.widths, channels=config.channels)
        self.modules = {"net": self.net}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"net": torch.optim.Adam(self.net.parameters(), self.autoencoder.lr, fused=True)}

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; `loss`, and its parts: the squared `error`, and `kl` in nats an element of the latent."""
        set_rate(self.optimizers["net"], self.autoencoder.lr, self.autoencoder.lr_decay, progress.images)
        with self.autocast():
            mean, log_variance = (part.float() for part in self.net.encode(x))
            noise = torch.randn(mean.shape, generator=rng, device=x.device)
            made = self.net.decode(mean + (log_variance / 2).exp() * noise).float()
        error = F.mse_loss(made, x)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).mean() / 2
        loss = error + self.autoencoder.kl_weight * kl
        self._differentiate("net", loss)
        self.optimizers["net"].step()
        return {"loss": loss.detach(), "error": error.detach(), "kl": kl.detach()}

    def assess(self, split: Callable[[str], Dataset]) -> dict[str, float]:
        """See Learner.assess: the test images' PSNR in dB, and the standard deviation of training images' latents."""
        codec, train = self.codec(), split("train").choose(self.config.n_train, "n_train", "n_train")
        some = train.choose(min(MEASURED, len(train.samples)), "checked").samples
        test = split("test").samples
        error = torch.cat([(x - codec.decode(codec.encode(x))).square().mean((1, 2, 3)) for x in self._parts(test)])
        std = torch.cat([codec.encode(x) for x in self._parts(some)]).double().std().item()
        return {"test_psnr": 10 * math.log10(4 / error.double().mean().item()), "latent_std": std}

    def _parts(self, samples: Tensor) -> list[Tensor]:
        return [images.to_model(part.to(self.device), self.config.image_size) for part in samples.split(CHUNK)]

    def codec(self, std: float = 1.0) -> Codec:
        """Means of latents divided by `std`, and back, by weights rounded as they are when they are published."""
        net = deepcopy(self.net).half().float().eval()

        @torch.no_grad()
        def encode(x: Tensor) -> Tensor:
            return net.encode(x)[0] / std

        @torch.no_grad()
        def decode(z: Tensor) -> Tensor:
            return net.decode(z * std)

        return Codec(encode, decode)

    def states(self, samples: Tensor) -> Iterator[Step]:
        """What a sampler yields, of images uint8 (N, 3, H, W): themselves, then their reconstructions (N, *shape)."""
        codec, parts = self.codec(), self._parts(samples)
        seen, made = torch.cat(parts), torch.cat([codec.decode(codec.encode(x)) for x in parts])
        yield from (Step(1.0, seen, seen), Step(0.0, made, made))

    def pairs(self, samples: Tensor) -> Tensor:
        """Images uint8 (N, 3, H, W) in rows of COLUMNS, each above the row of their reconstructions, (2 N, 3, H, W)."""
        *_, last = self.states(samples)
        made = images.to_images(last.x, samples.shape[-1]).cpu()
        rows = zip(samples.split(COLUMNS), made.split(COLUMNS), strict=True)
        return torch.cat([part for row in rows for part in row])


def resolve(sampling: Sampling) -> Sampling:
    """An autoencoder's samples are reconstructions of test images; ConfigError for what does not apply to those."""
    sampling = in_one_pass(sampling, "reconstruction", "an autoencoder")
    if sampling.batchnorm is not None:
        raise ConfigError(f"batchnorm={sampling.batchnorm} does not apply to an autoencoder: leave it out")
    return sampling.but(weights=weights_of(sampling, has_ema=False))


@dataclass(frozen=True)
class LatentBridge(ImageBridge):
    """uint8 images (N, 3, size, size) outside; latents (N, *latent) of unit variance inside.

    `opened` finds the codec, when it is first needed: what asks for images alone needs none.
    """

    latent: tuple[int, ...]
    opened: Callable[[], Codec]

    @cached_property
    def codec(self) -> Codec:
        """Between images as an autoencoder sees them and latents."""
        return self.opened()

    def shape(self, image_size: int | None) -> tuple[int, ...]:
        """The shape of a latent, whatever the side of the images."""
        return self.latent

    def encode(self, samples: Tensor, image_size: int | None) -> Tensor:
        """Stored images to latents."""
        parts = (super(LatentBridge, self).encode(part, image_size) for part in samples.split(CHUNK))
        return torch.cat([self.codec.encode(x) for x in parts])

    def decode(self, x: Tensor) -> Tensor:
        """Latents to stored images."""
        return super().decode(self.codec.decode(x))


class _Stored(LatentBridge):
    """Latents outside, too."""

    def encode(self, samples: Tensor, image_size: int | None) -> Tensor:
        return samples


def encoded(dataset: Dataset, image_size: int | None) -> Dataset:
    """What a training on latents reads: latents in the place of images, encoded once. Other data as they are."""
    bridge = dataset.bridge
    if not isinstance(bridge, LatentBridge):
        return dataset
    latents = bridge.encode(dataset.samples, image_size)
    return replace(dataset, samples=latents, bridge=_Stored(bridge.size, bridge.latent, bridge.opened))
