"""Experiments with GANs on images."""

from typing import Any

from ..gan.config import DCGANNetwork
from .experiment import GENERATOR, Experiment, presets_of
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
TINY_GAN: dict[str, Any] = {"network.ngf": 8, "network.ndf": 8}


def _altered_dcgan(title: str, name: str, **changes: Any) -> Experiment:
    """The paper's DCGAN with one thing changed, at every size."""
    laptop = {**_SMALL_GAN, "epochs": 3, "snapshots": (3,)}
    paper, night = (base.but(name=name, **changes) for base in (DCGAN, NIGHT_GAN))
    return Experiment(title, presets_of(paper, laptop, TINY_GAN, night), GENERATOR)


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
            {**_SMALL_GAN, "network.ngf": 32, "network.ndf": 32, "epochs": 3, "snapshots": (3,)},
            TINY_GAN,
            NIGHT_GAN,
        ),
        GENERATOR,
        petaflops=1 / 4,
    ),
    "dcgan-minimax": _altered_dcgan(
        "the DCGAN with the saturating loss of equation 1", "dcgan-minimax", loss="minimax"
    ),
    "dcgan-plain": _altered_dcgan(
        "the DCGAN without batch norm after its transposed convolutions", "dcgan-plain", **{"network.norm": "none"}
    ),
    "dcgan-clipped": _altered_dcgan(
        "the DCGAN with the gradients of both players clipped to norm 1", "dcgan-clipped", clip_grad=1.0
    ),
}
