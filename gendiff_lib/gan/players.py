"""From a GAN's configuration to its two networks."""

from typing import Any

from torch import nn

from ..networks import dcgan, mlp, progressive, r3gan, resnet_gan
from .config import (
    DCGANNetwork,
    GANConfig,
    PointGANNetwork,
    ProgressiveNetwork,
    R3GANNetwork,
    ResNetGANNetwork,
)


def players(config: GANConfig, shape: tuple[int, ...], n_classes: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator for samples of a shape, and of so many classes where they are told them.

    ConfigError where the network does not fit the samples.
    """
    nz, told = config.nz, {"n_classes": n_classes if config.conditional else None}
    options: dict[str, Any]
    match config.network:
        case DCGANNetwork() as net:
            options = {"norm": net.norm, "slope": net.slope, "resampling": net.resampling}
            generator: nn.Module = dcgan.Generator(shape, nz=nz, ngf=net.ngf, **options).apply(dcgan.dcgan_weights)
            options |= {"norm": net.norm_d, "slope": net.slope_d}
            return generator, dcgan.Discriminator(shape, ndf=net.ndf, **options).apply(dcgan.dcgan_weights)
        case ResNetGANNetwork() as net:
            options = {"attention": net.attention, **told}
            generator = resnet_gan.Generator(shape, nz=nz, width=net.ngf, spectral=net.spectral, **options)
            return generator, resnet_gan.Discriminator(shape, width=net.ndf, spectral=net.spectral_d, **options)
        case R3GANNetwork() as net:
            options = {"widths": net.widths, "blocks": net.blocks, **told}
            return r3gan.Generator(shape, nz=nz, **options), r3gan.Discriminator(shape, **options)
        case ProgressiveNetwork() as net:
            generator = progressive.Generator(shape, nz=nz, width=net.ngf, fade=net.fade)
            return generator, progressive.Discriminator(shape, width=net.ndf, fade=net.fade)
        case PointGANNetwork() as net:
            generator = mlp.PointGenerator(shape, nz=nz, width=net.ngf)
            return generator, mlp.PointDiscriminator(shape, width=net.ndf, fourier=net.fourier)
