"""The fields of a GAN and of its networks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..config import Config, Part, setting
from ..errors import ConfigError

LABELLED = ("non-saturating", "minimax")  # losses that have a target for real images


class DCGANNetwork(Part):
    """The paper's generator and discriminator (Figs. 14 and 15), of as many stages as the image's side needs."""

    type: Literal["dcgan"] = setting("dcgan", "convolutional players", absent=None)
    ngf: int = setting(64, "width of the generator", absent=None, ge=1)
    ndf: int = setting(64, "width of the discriminator", absent=None, ge=1)
    norm: Literal["batch", "none"] = setting("batch", "what follows the transposed convolutions", absent="batch")
    norm_d: Literal["batch", "none"] = setting("batch", "what follows the discriminator's", absent="batch")
    slope: float = setting(0.0, "slope of the generator's negative values", absent=0.0, ge=0.0, lt=1.0)
    slope_d: float = setting(0.2, "slope of the discriminator's negative values", absent=0.2, ge=0.0, lt=1.0)
    resampling: Literal["stride", "pool"] = setting("stride", "what changes the side in both players", absent="stride")


class ResNetGANNetwork(Part):
    """SNGAN's residual generator and discriminator for 32x32 pixels."""

    type: Literal["resnet"] = setting("resnet", "residual players, for 32x32 pixels", absent=None)
    ngf: int = setting(256, "width of the generator", absent=None, ge=1)
    ndf: int = setting(128, "width of the discriminator", absent=None, ge=1)
    spectral: bool = setting(False, "spectral normalisation of the generator", absent=None)
    spectral_d: bool = setting(True, "spectral normalisation of the discriminator", absent=None)
    attention: bool = setting(False, "self-attention at 16x16 pixels in both", absent=None)


class R3GANNetwork(Part):
    """R3GAN's players, each with a width and a number of blocks a stage, from 4x4 pixels up."""

    type: Literal["r3gan"] = setting("r3gan", "residual players without norms", absent=None)
    widths: tuple[Annotated[int, Field(ge=1)], ...] = setting(
        (768, 768, 768, 768), "channels of each stage", absent=None
    )
    blocks: tuple[Annotated[int, Field(ge=1)], ...] = setting((2, 2, 2, 2), "blocks of each stage", absent=None)


class ProgressiveNetwork(Part):
    """Players that grow from 8x8 to 32x32 pixels."""

    type: Literal["progressive"] = setting("progressive", "players that grow, for 32x32 pixels", absent=None)
    ngf: int = setting(64, "width of the generator", absent=None, ge=1)
    ndf: int = setting(64, "width of the discriminator", absent=None, ge=1)
    fade: int = setting(600_000, "images that a stage fades in over, and then stays for", absent=None, ge=1)


class PointGANNetwork(Part):
    """Two multilayer perceptrons, for points in the plane."""

    type: Literal["mlp"] = setting("mlp", "perceptrons, for points in the plane", absent=None)
    ngf: int = setting(64, "width of the generator", absent=None, ge=1)
    ndf: int = setting(64, "width of the discriminator", absent=None, ge=1)
    fourier: int = setting(0, "octaves of Fourier features that the discriminator sees", absent=0, ge=0, le=8)


Network = DCGANNetwork | ResNetGANNetwork | R3GANNetwork | ProgressiveNetwork | PointGANNetwork


class GANConfig(Config):
    """A generator against a discriminator; names of Fig. 16."""

    kind: ClassVar[str] = "gan"
    network: Network = setting(DCGANNetwork(), "networks of both players", absent=None, discriminator="type")
    nz: int = setting(100, "length of the latent z", absent=100, ge=1)
    conditional: bool = setting(False, "whether both players are told the class", absent=False)
    lrG: float = setting(2e-4, "Adam's learning rate of the generator", absent=2e-4, ge=0.0, le=1.0)
    lrD: float = setting(2e-4, "Adam's learning rate of the discriminator", absent=2e-4, ge=0.0, le=1.0)
    beta1: float = setting(0.5, "Adam's first decay rate", absent=0.5, ge=0.0, le=0.999)
    beta2: float = setting(0.999, "Adam's second decay rate", absent=0.999, gt=0.0, lt=1.0)
    warm_up: int | None = setting(
        None, "images over which R3GAN's rates, beta2 and penalty settle; none for no such change", absent=None, ge=1
    )
    lr_decay: int | None = setting(
        None, "images over which both learning rates fall to 0; none to keep them", absent=None, ge=1
    )
    loss: Literal["non-saturating", "minimax", "hinge", "wasserstein", "relativistic"] = setting(
        "non-saturating", "what both players minimise", absent="non-saturating"
    )
    real_label: float = setting(1.0, "target of real images (0.9 smooths)", absent=1.0, ge=0.5, le=1.0)
    penalty: Literal["r1", "r1+r2", "wgan-gp"] | None = setting(
        None, "penalty on the discriminator's slope", absent=None
    )
    gamma: float | None = setting(None, "weight of the penalty", absent=None, gt=0.0)
    n_critic: int = setting(1, "updates of the discriminator for one of the generator", absent=1, ge=1, le=100)
    augment: tuple[Literal["color", "translation", "cutout"], ...] = setting(
        (), "how images are changed before the discriminator sees them", absent=()
    )
    clip_grad: float | None = setting(None, "largest gradient norm of either player", absent=None, gt=0.0)
    ema: float | None = setting(None, "half-life of the generator's averaged weights, in images", absent=None, gt=0.0)

    def check(self) -> None:
        """See Value.check."""
        if (self.penalty is None) != (self.gamma is None):
            raise ConfigError(f"penalty={self.penalty} and gamma={self.gamma} go together: give both or neither")
        if self.real_label != 1 and self.loss not in LABELLED:
            raise ConfigError(f"real_label={self.real_label} does not apply to loss={self.loss}, which has no labels")
        if self.conditional and self.network.type not in ("resnet", "r3gan"):
            raise ConfigError(
                f"conditional=true does not apply to network={self.network.type}: use resnet or r3gan, or leave it out"
            )
        if self.augment and self.network.type == "mlp":
            raise ConfigError(f"augment={','.join(self.augment)} is for images: leave it out in the plane")
