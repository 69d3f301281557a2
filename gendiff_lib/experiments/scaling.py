"""What scales: the same two models on fewer classes, on drawn images, and at 64 pixels, at equal operations."""

from functools import cache

from ..config import Config
from . import get
from .cost import at_petaflops
from .experiment import TRIAL

# By side: the model at 32 pixels and the one at 64. The diffusion model is the U-Net, as where the claim is judged.
SCALED: dict[str, tuple[str, str]] = {"GAN": ("dcgan-32", "dcgan"), "diffusion": ("ddpm-unet", "ddpm-unet-64")}
# From the plainest on; what is larger than 32 pixels by itself goes to the models at 64. A laptop's book has none.
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "smoke": ("shapes:16", "shapes"),
    "laptop": (),
    "overnight": ("cifar10:1", "cifar10:3", "cifar10", "shapes:64"),
    "paper": ("cifar10:1", "cifar10:3", "cifar10", "shapes:64"),
}
PARTIAL = set(DISTRIBUTIONS["overnight"]) - {"cifar10"}  # looked at beside the whole, in one table alone


@cache
def on_distributions(preset: str) -> dict[str, dict[str, Config]]:
    """By data set and side the trainings that are compared; overnight each of a trial's operations."""
    return {d: {side: _on(d, pair, preset) for side, pair in SCALED.items()} for d in DISTRIBUTIONS[preset]}


def _on(dataset: str, pair: tuple[str, str], preset: str) -> Config:
    config = get(pair[dataset.endswith(":64")], preset, dataset=dataset)
    return config.but(epochs=at_petaflops(config, TRIAL)) if preset == "overnight" else config


def scaling(preset: str) -> list[Config]:
    """Every training that is asked for here: those on distributions, and the models at 64 pixels by themselves."""
    some = [config for sides in on_distributions(preset).values() for config in sides.values()]
    return [*some, *(get(large, preset) for _, large in SCALED.values())]
