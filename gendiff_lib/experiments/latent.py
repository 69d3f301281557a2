"""An autoencoder, and the transformer in the paper's process on its latents (Rombach et al. 2022)."""

from typing import Any

from ..autoencoder import AutoencoderConfig
from ..config import Config, Sampling
from .diffusion import EXPERIMENTS as DENOISERS
from .experiment import DDIM, Experiment, presets_of, protocols_of

PAPER = AutoencoderConfig(name="autoencoder", widths=(128,), channels=4, batch_size=128, epochs=20, lr_decay=1_000_000)
NIGHT = PAPER.but(
    widths=(32, 64), channels=8, batch_size=32, epochs=2.0, lr_decay=100_000
)  # its operations count as the model's
_SMALL: dict[str, Any] = {"widths": (16, 32), "n_train": 10_000, "batch_size": 64, "epochs": 4, "lr_decay": 40_000}
_TINY: dict[str, Any] = {"widths": (8, 16), "snapshots": (), "lr_decay": None}
SIZES = presets_of(PAPER, _SMALL, _TINY, NIGHT)
RECONSTRUCTED = protocols_of(Sampling(n=10_000, batch_size=500))


def _on_latents(preset: str, pixels: Config) -> Config:
    """A transformer of pixels on latents in their place: as many tokens, each of one element's channels."""
    return pixels.but(name="ddpm-latent", latent=SIZES[preset], **{"network.patch": 1})


EXPERIMENTS: dict[str, Experiment] = {
    "autoencoder": Experiment("the autoencoder whose latents are diffused", SIZES, RECONSTRUCTED, petaflops=None),
    "ddpm-latent": Experiment(
        "the same transformer in the paper's process, on latents",
        {preset: _on_latents(preset, pixels) for preset, pixels in DENOISERS["ddpm-transformer"].presets.items()},
        DDIM,
    ),
}
