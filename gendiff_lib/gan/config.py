"""The fields of a GAN and of its networks."""

from typing import ClassVar, Literal

from ..config import Config, Part, setting


class DCGANNetwork(Part):
    """The paper's generator and discriminator (Figs. 14 and 15), of as many stages as the image's side needs."""

    type: Literal["dcgan"] = setting("dcgan", "convolutional players", absent=None)
    ngf: int = setting(64, "width of the generator", absent=None, ge=1)
    ndf: int = setting(64, "width of the discriminator", absent=None, ge=1)
    norm: Literal["batch", "none"] = setting("batch", "what follows the transposed convolutions", absent="batch")


class PointGANNetwork(Part):
    """Two multilayer perceptrons, for points in the plane."""

    type: Literal["mlp"] = setting("mlp", "perceptrons, for points in the plane", absent=None)
    ngf: int = setting(64, "width of the generator", absent=None, ge=1)
    ndf: int = setting(64, "width of the discriminator", absent=None, ge=1)
    fourier: int = setting(0, "octaves of Fourier features that the discriminator sees", absent=0, ge=0, le=8)


class GANConfig(Config):
    """A generator against a discriminator; names of Fig. 16."""

    kind: ClassVar[str] = "gan"
    network: DCGANNetwork | PointGANNetwork = setting(
        DCGANNetwork(), "networks of both players", absent=None, discriminator="type"
    )
    nz: int = setting(100, "length of the latent z", absent=100, ge=1)
    lrG: float = setting(2e-4, "Adam's learning rate of the generator", absent=2e-4, ge=0.0, le=1.0)
    lrD: float = setting(2e-4, "Adam's learning rate of the discriminator", absent=2e-4, ge=0.0, le=1.0)
    beta1: float = setting(0.5, "Adam's first decay rate", absent=0.5, ge=0.0, le=0.999)
    loss: Literal["non-saturating", "minimax"] = setting("non-saturating", "generator's loss", absent="non-saturating")
    real_label: float = setting(1.0, "target of real images (0.9 smooths)", absent=1.0, ge=0.5, le=1.0)
    clip_grad: float | None = setting(None, "largest gradient norm of either player", absent=None, gt=0.0)
