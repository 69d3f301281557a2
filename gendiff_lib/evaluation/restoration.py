"""Test images as a model gives them back: a diffusion model from noise, a GAN as the nearest image it can make.

The two are asked what each can be asked. Noise hides a share of an image, and a denoiser restores it; a generator has
no way in, so the latent is searched whose image comes nearest.
"""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import Sampling
from ..data import load
from ..data.dataset import Bridge
from ..diffusion.grids import OnGrid
from ..diffusion.model import Diffusion
from ..diffusion.samplers import ddim
from ..diffusion.schedules import Schedule, like
from ..errors import ConfigError
from ..gan.model import GAN
from ..runs import files, layout
from ..runs.run import Run
from ..runs.samples import check_weights
from ..streams import stream
from ..versions import register
from .features import Extractor, extract

VERSION = register("restoration", 1)  # raised when the same model restores the same images otherwise
LEVELS = tuple(i / 10 for i in range(1, 11))  # of the way from data to noise
N_STEPS = 50  # of DDIM, from the noise end; in proportion from elsewhere
STARTS, SEARCH_STEPS, SEARCH_RATE = 4, 300, 0.05  # of the search for latents, by Adam
N_IMAGES = 64  # that are given back
SHOWN = 4  # images that are kept as pictures
PEAK = 255.0


class Restored(NamedTuple):
    """N test images, given back from L levels of noise: `level` (L,) is the share of the way to noise, from 0 to 1.

    `psnr` (L, N) in dB, of bytes; `feature` (L, N) the distance in an extractor's features, over the mean distance of
    two different test images there. `shown` uint8 (L + 1, SHOWN, 3, H, W): the first images, then as they come back.
    Of a GAN L is 1, and its level 0: no noise is added, the nearest image is searched.
    """

    level: Tensor
    psnr: Tensor
    feature: Tensor
    shown: Tensor
    seconds: Tensor


def restored_of(run: Run, extractor: Extractor, n: int = N_IMAGES) -> Restored:
    """The first n test images of a balanced choice, restored by a run's snapshot; kept beside it.

    ConfigError for fewer than two images, and for a run that makes no images or makes them of latents or of classes.
    """
    if n < 2:
        raise ConfigError(f"n={n} images tell no spread: give at least 2")
    path, there = run.place(layout.restored(run.images, extractor.name, extractor.digest, n))
    if not there:
        files.write_tensors(path, _restored(run, extractor, n)._asdict())
    with files.understanding(path):
        return Restored(**files.read_tensors(path))


def _restored(run: Run, extractor: Extractor, n: int) -> Restored:
    learner, sampling = run.learner, run.resolve(Sampling())
    check_weights(run, sampling)
    test = load(run.config.dataset, "test").choose(n, "checked").samples
    started = time.monotonic()
    level: tuple[float, ...] = (0.0,)
    if getattr(run.config, "conditional", False):
        raise ConfigError(f"{run.id} is told classes, which a test image has none of here: name a model that is not")
    if isinstance(learner, GAN):
        several = [projected(learner, sampling, test, run.dataset.bridge)]
    elif isinstance(learner, Diffusion) and learner.diffusion.latent is None and len(learner.shape) == 3:
        level, several = LEVELS, denoised(learner, sampling, test, run.dataset.bridge)
    else:
        raise ConfigError(f"{run.id} gives no image back: name a GAN, or a diffusion model of pixels")
    seconds = torch.tensor(time.monotonic() - started)
    features = [extract(extractor, images).features for images in (test, *several)]
    unlike = _distance(features[0], features[0].roll(1, 0)).mean()
    return Restored(
        torch.tensor(level),
        torch.stack([psnr(test, images) for images in several]),
        torch.stack([_distance(features[0], back) / unlike for back in features[1:]]),
        torch.stack([images[:SHOWN] for images in (test, *several)]),
        seconds,
    )


def psnr(images: Tensor, others: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of each two of uint8 (N, ...), in dB (N,).

    An exact copy has that of the rounding to bytes, so that no mean is infinite.
    """
    error = (images.double() - others.double()).square().flatten(1).mean(1)
    return 20 * math.log10(PEAK) - 10 * error.clamp(min=1 / 12).log10()


def _distance(a: Tensor, b: Tensor) -> Tensor:
    distance: Tensor = (a.double() - b.double()).norm(dim=1)
    return distance


@torch.no_grad()
def denoised(learner: Diffusion, sampling: Sampling, images: Tensor, bridge: Bridge) -> list[Tensor]:
    """uint8 (N, 3, H, W), noised to each of LEVELS and brought back by DDIM, as uint8; the same noise at each."""
    x0 = bridge.encode(images, learner.config.image_size).to(learner.device)
    rng = stream("restored", 0, device=learner.device)
    eps = torch.randn(x0.shape, generator=rng, device=learner.device)
    schedule, denoise = learner.schedule, learner.denoise(sampling)
    for module in learner.modules.values():  # no dropout
        module.eval()
    found = []
    for level in LEVELS:
        t = torch.tensor(schedule.end * level, dtype=torch.float64)
        t = t if schedule.n_timesteps is None else t.round().clamp(min=1)
        x = like(schedule.scale(t), x0) * x0 + like(schedule.std(t), x0) * eps
        way, n_steps = OnGrid(schedule, _from(t)), max(1, round(N_STEPS * level))
        *_, last = ddim(denoise, way, x, n_steps=n_steps, rng=rng)
        found.append(bridge.decode(last.x).cpu())
    return found


def _from(t: Tensor) -> Callable[[Schedule, int], Tensor]:
    """A grid that begins at t; of a schedule with steps of its own it has no more of them than there are."""

    def grid(schedule: Schedule, n: int) -> Tensor:
        if schedule.n_timesteps is None:
            return torch.linspace(t.item(), 0, n + 1, dtype=torch.float64)
        return torch.linspace(t.item(), 0, min(n, int(t)) + 1, dtype=torch.float64).round()

    return grid


def projected(learner: GAN, sampling: Sampling, images: Tensor, bridge: Bridge) -> Tensor:
    """The images nearest in pixels to uint8 (N, 3, H, W) that the generator was found to make, as uint8.

    Of each, STARTS latents follow the gradient of the squared error by Adam; the best of them stands.
    """
    target = bridge.encode(images, learner.config.image_size).to(learner.device)
    generate, rng = learner.generate(sampling), stream("restored", 0, device=learner.device)
    tried = [_searched(generate, learner.latents(len(images), rng), target) for _ in range(STARTS)]
    errors = torch.stack([(made - target).square().flatten(1).mean(1) for made in tried])
    best = torch.stack(tried)[errors.argmin(0), torch.arange(len(images))]
    return bridge.decode(best).cpu()


def _searched(generate: Callable[[Tensor], Tensor], z: Tensor, target: Tensor) -> Tensor:
    z = z.requires_grad_()
    optimizer = torch.optim.Adam([z], SEARCH_RATE)
    for _ in range(SEARCH_STEPS):
        optimizer.zero_grad()
        (generate(z) - target).square().flatten(1).mean(1).sum().backward()
        optimizer.step()
    with torch.no_grad():
        return generate(z)
