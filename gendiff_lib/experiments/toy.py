"""Experiments of the live chapter, which train on the reader's own machine: shapes, and points in the plane."""

from typing import Any

from ..config import Config, Sampling
from ..diffusion.config import DiffusionConfig, MLPNetwork, UNetNetwork
from ..gan.config import DCGANNetwork, GANConfig, PointGANNetwork
from .diffusion import TINY_UNET
from .experiment import PRESETS, Experiment, Protocol
from .gan import TINY_GAN

# The live chapter's have one size in `laptop` and `paper`: they always train on the reader's own machine.
_SHAPES: dict[str, Any] = {"dataset": "shapes", "batch_size": 32, "epochs": 7, "snapshots": (1, 3, 5, 7)}
_PLANE: dict[str, Any] = {"dataset": "gaussians", "batch_size": 256, "epochs": 20, "snapshots": (4, 8, 12, 16, 20)}
_TINY: dict[str, Any] = {"n_train": 400, "batch_size": 50, "epochs": 2, "snapshots": (1, 2)}
_TINY_2D = {**_TINY, "n_train": 1000, "batch_size": 100}
_LIVE_GAN = GANConfig(
    name="live-gan", **_SHAPES, network=DCGANNetwork(ngf=32, ndf=32), lrG=4e-4, lrD=2e-4, real_label=0.9
)
_LIVE_DIFFUSION = DiffusionConfig(
    name="live-diffusion",
    **_SHAPES,
    network=UNetNetwork(widths=(16, 32, 64), n_blocks=1, attention=(), patch=2),
    schedule="flow",
    prediction="x0",
    times="logit-normal",
    weighting="inverse-std",
    lr=3e-3,
    ema=11_000.0,
)
# Two settings of one GAN: its discriminator sees two octaves, or ("fine") four, as the diffusion model does.
_LIVE_GAN_2D = GANConfig(
    name="live-gan-2d", **_PLANE, network=PointGANNetwork(ngf=64, ndf=64, fourier=2), nz=8, lrG=1e-3, lrD=1e-3
)
_LIVE_DIFFUSION_2D = DiffusionConfig(
    name="live-diffusion-2d",
    **_PLANE,
    network=MLPNetwork(n_layers=3, hidden_dim=64, timestep_embedding_dim=16, fourier=4),
    schedule="flow",
    prediction="v",
    lr=3e-3,
    ema=18_000.0,
)
_IMAGES, _POINTS = Sampling(n=1000, batch_size=100), Sampling(n=2500, batch_size=2500)


def _live(title: str, config: Config, sampling: Sampling, smoke: dict[str, Any]) -> Experiment:
    return Experiment(
        title,
        {"smoke": config.but(**smoke), "laptop": config, "overnight": config, "paper": config},
        {p: Protocol(sampling if p != "smoke" else sampling.but(n=100), 2000) for p in PRESETS},
        petaflops=None,
    )


EXPERIMENTS: dict[str, Experiment] = {
    "live-gan": _live("a small GAN on shapes", _LIVE_GAN, _IMAGES, {**_TINY, **TINY_GAN}),
    "live-diffusion": _live(
        "a small diffusion model on shapes",
        _LIVE_DIFFUSION,
        _IMAGES.but(sampler="ddim", n_steps=30),
        {**_TINY, **TINY_UNET},
    ),
    "live-gan-2d": _live("a GAN in the plane", _LIVE_GAN_2D, _POINTS, _TINY_2D),
    "live-gan-2d-fine": _live(
        "a GAN in the plane whose discriminator sees finer detail",
        _LIVE_GAN_2D.but(name="live-gan-2d-fine", **{"network.fourier": 4}),
        _POINTS,
        _TINY_2D,
    ),
    "live-diffusion-2d": _live(
        "a diffusion model in the plane",
        _LIVE_DIFFUSION_2D,
        _POINTS.but(sampler="ddim", n_steps=50, eta=1.0),
        _TINY_2D,
    ),
}
