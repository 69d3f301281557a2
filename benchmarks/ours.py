"""This library's side of the speed benchmark: the training loop and the sampler that `gendiff` itself uses."""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch

from gendiff_lib.config import Config, Sampling
from gendiff_lib.diffusion.config import DiffusionConfig
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.experiments import get
from gendiff_lib.gan.config import GANConfig
from gendiff_lib.gan.model import GAN
from gendiff_lib.learner import Learner
from gendiff_lib.training.build import build, start
from gendiff_lib.training.loop import fit

from .turns import Contestant, Setup, drawing, size

WIDTHS = (32, 64, 64, 64)  # DDPM's U-Net at 0.84 GFLOP for an image of 32x32


def gan_config(dataset: str, *, tiny: bool) -> GANConfig:
    """The paper's DCGAN."""
    changes: dict[str, Any] = {"network.ngf": 4, "network.ndf": 4, "batch_size": 8} if tiny else {}
    config = get("dcgan", "paper", dataset=dataset, **changes)
    assert isinstance(config, GANConfig)
    return config


def unet_config(dataset: str, *, tiny: bool) -> DiffusionConfig:
    """DDPM's U-Net made smaller, without what the others' loops lack: averaged weights and dropout."""
    changes: dict[str, Any] = {"network.widths": (8, 16), "batch_size": 8} if tiny else {"network.widths": WIDTHS}
    config = get("ddpm-unet", "paper", dataset=dataset, ema=None, **{"network.dropout": 0.0, **changes})
    assert isinstance(config, DiffusionConfig)
    return config


def gan(setup: Setup, precision: str) -> Contestant:
    """Steps of the GAN's training."""
    learner = build(setup.gan.but(precision=precision), setup.dataset, setup.device)
    assert isinstance(learner, GAN)

    def forward() -> object:
        z = torch.randn(1, setup.gan.nz, 1, 1, device=setup.device)
        return learner.discriminator(learner.generator(z))

    return _training(learner, setup, forward)


def diffusion(setup: Setup, precision: str) -> Contestant:
    """Steps of the U-Net's training."""
    learner = _diffusion(setup, precision)
    return _training(learner, setup, lambda: _forward(learner, setup))


def sampling(setup: Setup, precision: str) -> Contestant:
    """Batches of images, drawn by DDIM and brought back to bytes."""
    learner = _diffusion(setup, precision)
    rng = torch.Generator(setup.device).manual_seed(0)
    with torch.no_grad():  # some weights start at zero, which must not spare any work
        for weight in learner.net.parameters():
            weight.add_(0.01 * torch.randn_like(weight))

    def draw(n: int, steps: int) -> None:
        how = Sampling(n=setup.n_samples, sampler="ddim", n_steps=steps)
        for _ in range(n):
            last = deque(learner.sample(setup.n_samples, how, rng), maxlen=1).pop()
            setup.dataset.bridge.decode(last.x).cpu()

    return drawing(setup, "ours", precision, [learner.net], draw, lambda: _forward(learner, setup))


def _diffusion(setup: Setup, precision: str) -> Diffusion:
    learner = build(setup.unet.but(precision=precision), setup.dataset, setup.device)
    assert isinstance(learner, Diffusion)
    return learner


def _forward(learner: Diffusion, setup: Setup) -> object:
    return learner.net(torch.randn(1, *learner.shape, device=setup.device), torch.zeros(1, device=setup.device))


def _training(learner: Learner, setup: Setup, forward: Callable[[], object]) -> Contestant:
    endless: Config = learner.config.but(epochs=1e6)
    progress = start(endless, setup.dataset, setup.device)
    stream = fit(learner, setup.dataset.to(setup.device), endless, progress)

    def turn(n: int) -> None:
        for _ in islice(stream, n):
            pass

    return Contestant(
        whose="ours",
        precision=endless.precision,
        images=endless.batch_size,
        parameters=size(list(learner.modules.values())),
        turn=turn,
        forward=forward,
    )
