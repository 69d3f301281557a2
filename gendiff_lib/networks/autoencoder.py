"""A small convolutional autoencoder in the manner of latent diffusion's (Rombach et al. 2022, section 3.1)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from .layers import group_norm
from .unet import ResBlock

PATCH = 2  # pixels folded into channels along each side, which saves the costly layers at full resolution


def latent_shape(shape: tuple[int, ...], widths: Sequence[int], channels: int) -> tuple[int, ...]:
    """The shape of the latent of images of a shape; ConfigError where their side cannot be halved so often."""
    if len(shape) != 3:
        raise ConfigError(f"an autoencoder works on images, not on samples of shape {shape}: name a data set of images")
    factor = PATCH * 2 ** (len(widths) - 1)
    if shape[-1] % factor:
        raise ConfigError(
            f"widths={tuple(widths)} make latents {factor} times smaller than the images, which {shape[-1]} pixels do "
            "not allow: use fewer widths or another image_size"
        )
    return (channels, shape[-2] // factor, shape[-1] // factor)


class ConvAutoencoder(nn.Module):
    """An encoder to the mean and log-variance of a Gaussian over latents, and a decoder: a residual block a level.

    `widths` are the channels of the levels, from the images down; each level but the first halves the side.
    """

    def __init__(self, shape: tuple[int, ...], *, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.latent_shape = latent_shape(shape, widths, channels)
        folded = shape[0] * PATCH**2
        down: list[nn.Module] = [nn.PixelUnshuffle(PATCH), nn.Conv2d(folded, widths[0], 3, padding=1)]
        up: list[nn.Module] = [nn.Conv2d(channels, widths[-1], 3, padding=1)]
        for level, width in enumerate(widths):
            if level:
                down.append(nn.Conv2d(widths[level - 1], width, 3, stride=2, padding=1))
            down.append(ResBlock(width, width))
        for level, width in reversed(list(enumerate(widths))):
            up.append(ResBlock(width, width))
            if level:
                up += [nn.Upsample(scale_factor=2.0), nn.Conv2d(width, widths[level - 1], 3, padding=1)]
        self.down = nn.Sequential(*down, group_norm(widths[-1]), nn.SiLU())
        self.moments = nn.Conv2d(widths[-1], 2 * channels, 3, padding=1)
        leave = [nn.Conv2d(widths[0], folded, 3, padding=1), nn.PixelShuffle(PATCH)]
        self.up = nn.Sequential(*up, group_norm(widths[0]), nn.SiLU(), *leave)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) to the mean and log-variance of their latents, each (N, *latent_shape)."""
        mean, log_variance = self.moments(self.down(x)).chunk(2, 1)
        return mean, F.hardtanh(log_variance, -30.0, 20.0)  # so that no variance overflows

    def decode(self, z: Tensor) -> Tensor:
        """Latents (N, *latent_shape) to images (N, C, H, W), which nothing bounds."""
        images: Tensor = self.up(z)
        return images
