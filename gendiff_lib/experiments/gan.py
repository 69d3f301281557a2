"""Experiments with GANs on images."""

from typing import Any

from ..gan.config import DCGANNetwork, GANConfig, ProgressiveNetwork, R3GANNetwork, ResNetGANNetwork
from .experiment import GENERATOR, TRIAL, Experiment, presets_of
from .paper import DCGAN

# Overnight, the paper's own two keep every value of Figs. 16 and 17 but size and seed; DCGAN at the 32x32 of its text.
NIGHT_GAN = DCGAN.but(image_size=None, network=DCGANNetwork(ngf=32, ndf=32))
# At this size the paper's learning rates let the discriminator win at once (grey squares); these give texture.
_SMALL_GAN: dict[str, Any] = {
    "n_train": 10_000,
    "batch_size": 64,
    "network.ngf": 16,
    "network.ndf": 16,
    "lrG": 4e-4,
    "lrD": 2e-4,
}
_LAPTOP_32: dict[str, Any] = {**_SMALL_GAN, "network.ngf": 32, "network.ndf": 32, "epochs": 3, "snapshots": (3,)}
TINY_GAN: dict[str, Any] = {"network.ngf": 8, "network.ndf": 8}
_LAPTOP: dict[str, Any] = {"n_train": 10_000, "batch_size": 64, "epochs": 3, "snapshots": (3,)}


def altered_dcgan(
    title: str, name: str, *, petaflops: float = 1 / 8, claimed: bool = False, changes: dict[str, Any]
) -> Experiment:
    """The DCGAN at 32x32 pixels with one thing changed, at every size.

    What a claim of the paper is about (`claimed`) has the 64x64 of its Fig. 16 in the preset `paper`.
    """
    laptop = {**_LAPTOP_32, "image_size": None, **changes}
    paper = DCGAN.but(name=name, image_size=64 if claimed else None, **changes)
    night = NIGHT_GAN.but(name=name, **changes)
    return Experiment(title, presets_of(paper, laptop, {**TINY_GAN, **changes}, night), GENERATOR, petaflops=petaflops)


def _named(title: str, paper: GANConfig, small: dict[str, Any], tiny: dict[str, Any], **night: Any) -> Experiment:
    """A GAN of another paper: at its own size, `small` at the laptop's, and with the changes `night` overnight."""
    return Experiment(
        title,
        presets_of(paper, {**_LAPTOP, **small}, tiny, paper.but(**{**small, "batch_size": 32, **night})),
        GENERATOR,
    )


# SNGAN's settings as its authors' code has them for CIFAR-10 without classes: 50,000 updates of the generator, each
# after five of the critic. There the generator's batch is of 128 fresh fakes, here it is the critic's last; and there
# the critic's last layer has no bias.
SNGAN = GANConfig(
    name="sngan",
    image_size=32,
    network=ResNetGANNetwork(),
    nz=128,
    loss="hinge",
    lrG=2e-4,
    lrD=2e-4,
    beta1=0.0,
    beta2=0.9,
    n_critic=5,
    lr_decay=250_000 * 64,
    batch_size=64,
    epochs=320,
)
# Narrow, and without a decay, since a longer training goes on from a shorter one. One update of the critic for each of
# the generator's: at 1/8 petaFLOP five would leave the generator a few thousand.
_SMALL_RESNET: dict[str, Any] = {"network.ngf": 24, "network.ndf": 24, "n_critic": 1, "lr_decay": None}
_TINY_RESNET: dict[str, Any] = {"network.ngf": 8, "network.ndf": 8}
SAGAN = SNGAN.but(  # Zhang et al. 2018, section 4: spectral normalisation of both, attention, two time scales
    name="sagan",
    network=ResNetGANNetwork(spectral=True, attention=True),
    lrG=1e-4,
    lrD=4e-4,
    n_critic=1,
    lr_decay=None,
    epochs=100,
)
# Gulrajani et al. 2017: a plain residual critic and its penalty, 100,000 updates of the generator. The networks are
# SNGAN's, whose critic sums over pixels where theirs takes the mean.
WGAN_GP = SNGAN.but(
    name="wgan-gp",
    network=ResNetGANNetwork(ngf=128, ndf=128, spectral_d=False),
    loss="wasserstein",
    penalty="wgan-gp",
    gamma=10.0,
    lr_decay=500_000 * 64,
    epochs=640,
)
# Huang et al. 2024, but for its augmentation, and for the average's half-life, which theirs brings to its end over the
# warm-up and ours as EDM does (see ema.py). Each player's update has real images of its own: ours counts both, theirs
# the one, so that 250 million of theirs are 500 of ours.
R3GAN = GANConfig(
    name="r3gan",
    image_size=32,
    network=R3GANNetwork(),
    nz=64,
    conditional=True,
    loss="relativistic",
    penalty="r1+r2",
    gamma=0.005,
    lrG=5e-5,
    lrD=5e-5,
    beta1=0.0,
    beta2=0.99,
    warm_up=40_000_000,
    ema=10_000_000.0,
    flip=True,
    batch_size=512,
    epochs=10_000,
    precision="bf16",
)
NIGHT_R3GAN: dict[str, Any] = {
    "network.widths": (64, 48, 32, 16),
    "network.blocks": (1, 1, 1, 1),
    "conditional": False,
    "flip": False,
    "precision": "fp32",
    "lrG": 2e-4,
    "lrD": 2e-4,
    "gamma": 1.0,
    "warm_up": 40_000,
    "ema": 22_000.0,
    "batch_size": 32,
}
# Karras et al. 2018, in their code's default lengths; theirs begins at 4x4 pixels, and adds a small drift to the loss.
PROGRESSIVE = GANConfig(
    name="progressive",
    image_size=32,
    network=ProgressiveNetwork(ngf=512, ndf=512, fade=600_000),
    nz=512,
    loss="wasserstein",
    penalty="wgan-gp",
    gamma=10.0,
    lrG=1e-3,
    lrD=1e-3,
    beta1=0.0,
    beta2=0.99,
    ema=10_000.0,
    batch_size=16,
    epochs=240,
)

ONE_PART: dict[str, tuple[str, dict[str, Any]]] = {
    "dcgan-plain-d": ("without batch norm in the discriminator", {"network.norm_d": "none"}),
    "dcgan-relu": ("with ReLU in the discriminator, which has LeakyReLU", {"network.slope_d": 0.0}),
    "dcgan-leaky": ("with LeakyReLU in the generator, which has ReLU", {"network.slope": 0.2}),
    "dcgan-pool": (
        "with pooling and enlarging in the place of strided convolutions",
        {"network.resampling": "pool"},
    ),
}

EXPERIMENTS: dict[str, Experiment] = {
    "dcgan": Experiment(
        "the paper's DCGAN, at 64x64 pixels",
        presets_of(
            DCGAN,
            {**_SMALL_GAN, "epochs": 3, "snapshots": (3, 5, 10)},
            TINY_GAN,
            DCGAN.but(network=DCGANNetwork(ngf=32, ndf=32)),
        ),
        GENERATOR,
        in_paper=True,
    ),
    "dcgan-32": Experiment(
        "a DCGAN at the data's own 32x32 pixels",
        presets_of(
            DCGAN.but(name="dcgan-32", image_size=None),
            _LAPTOP_32,
            TINY_GAN,
            NIGHT_GAN,
        ),
        GENERATOR,
        petaflops=1 / 4,
    ),
    "dcgan-minimax": altered_dcgan(
        "the DCGAN with the saturating loss of equation 1", "dcgan-minimax", claimed=True, changes={"loss": "minimax"}
    ),
    "dcgan-plain": altered_dcgan(
        "the DCGAN without batch norm after its transposed convolutions",
        "dcgan-plain",
        claimed=True,
        changes={"network.norm": "none"},
    ),
    "dcgan-clipped": altered_dcgan(
        "the DCGAN with the gradients of both players clipped to norm 1",
        "dcgan-clipped",
        claimed=True,
        changes={"clip_grad": 1.0},
    ),
    **{
        name: altered_dcgan(f"the DCGAN {title}", name, petaflops=TRIAL, changes=changes)
        for name, (title, changes) in ONE_PART.items()
    },
    "dcgan-augmented": altered_dcgan(
        "the DCGAN whose discriminator sees augmented images",
        "dcgan-augmented",
        changes={"augment": ("color", "translation", "cutout")},
    ),
    "sngan": _named("residual players, the critic's weights spectrally normalised", SNGAN, _SMALL_RESNET, _TINY_RESNET),
    "sngan-cond": _named(
        "SNGAN told the class: conditional batch norm, projection critic",
        SNGAN.but(name="sngan-cond", conditional=True),
        _SMALL_RESNET,
        _TINY_RESNET,
    ),
    "sagan": _named("residual players with self-attention, two time scales", SAGAN, _SMALL_RESNET, _TINY_RESNET),
    "wgan-gp": _named(
        "Wasserstein's critic under a gradient penalty",
        WGAN_GP,
        {**_SMALL_RESNET, "n_critic": 5},
        _TINY_RESNET,
    ),
    "r3gan": _named(
        "the modern baseline: relativistic pairing under penalties on real images and fakes",
        R3GAN,
        {**NIGHT_R3GAN, "network.widths": (32, 32, 16, 16)},
        {"network.widths": (8, 8, 8, 8)},
        **NIGHT_R3GAN,
    ),
    "progressive": _named(
        "players that grow from 8x8 over 16x16 to 32x32 pixels",
        PROGRESSIVE,
        {"network.ngf": 16, "network.ndf": 16, "network.fade": 5000, "nz": 64},
        {"network.ngf": 8, "network.ndf": 8, "network.fade": 200},
        **{"network.ngf": 24, "network.ndf": 24, "network.fade": 50_000},
    ),
}
