"""Samplers: each function is one algorithm box of one paper, a generator that yields every state.

A sampler is given `denoise(x, t) -> Estimate`, in which prediction type and clipping are resolved, and a schedule.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import Sampling
from ..errors import ConfigError
from ..learner import Step, weights_of
from ..versions import register
from . import guidance
from .estimate import Denoise
from .grids import GRIDS
from .schedules import Schedule, like
from .solvers import dpmpp_2m, heun, meanflow, unipc

VERSION = register("sampling", 1)  # of what sampling computes: raised when the same noise gives other samples


def noise(x: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal noise in x's shape and type, drawn where `rng` is and moved to x's device."""
    return torch.randn(x.shape, generator=rng, device=rng.device, dtype=x.dtype).to(x.device)


def ddim(
    denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator, eta: float = 0.0
) -> Iterator[Step]:
    """DDIM (Song et al. 2021, eqs. 12 and 16): scale(s) x0 + sqrt(std(s)^2 - sd^2) eps + sd noise.

    sd is eta times the posterior's standard deviation, so eta = 1 is ancestral sampling with the small variance; with
    eta = 0 it is Euler's method on a flow schedule.
    """
    yield Step(schedule.end, x, x)
    for t, s in pairwise(schedule.steps(n_steps)):
        x0 = denoise(x, t).x0
        eps = (x - like(schedule.scale(t), x) * x0) / like(schedule.std(t), x)
        sd = eta * posterior_std(schedule, t, s)
        x = like(schedule.scale(s), x) * x0 + like((schedule.std(s) ** 2 - sd**2).clamp(min=0).sqrt(), x) * eps
        if eta > 0:
            x = x + like(sd, x) * noise(x, rng)
        yield Step(s.item(), x, x0)


def ddpm(denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator) -> Iterator[Step]:
    """Ancestral sampling with the variance that the network has learned, else the small one.

    That is the posterior's, of q(s | t, x0) (DDPM, eqs. 6 and 7). A step to the data has no noise with either.
    """
    return _ancestral(denoise, schedule, x, n_steps, rng, large=False)


def ddpm_large(
    denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator
) -> Iterator[Step]:
    """Ancestral sampling with the large variance, beta itself (DDPM, section 3.2); no noise in the last step."""
    return _ancestral(denoise, schedule, x, n_steps, rng, large=True)


def _ancestral(
    denoise: Denoise, schedule: Schedule, x: Tensor, n_steps: int, rng: torch.Generator, large: bool
) -> Iterator[Step]:
    yield Step(schedule.end, x, x)
    for t, s in pairwise(schedule.steps(n_steps)):
        x0, variance = denoise(x, t)
        keep, share, beta = reverse(schedule, t, s)
        x = like(keep, x) * x + like(share, x) * x0
        if variance and not large:
            sd = variance(s).sqrt() * (s > 0)
        else:
            sd = beta.sqrt() * (s > 0) if large else posterior_std(schedule, t, s)
        x = x + like(sd, x) * noise(x, rng)
        yield Step(s.item(), x, x0)


def tutorial(denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator) -> Iterator[Step]:
    """The sampler of the tutorial that the paper seems to descend from, with two quirks (Jackson-Kang, notebook 01).

    Ancestral with variance beta, but every intermediate x (not the x0 estimate) is clamped to [-1, 1], and the noise
    is already off in the last two steps.
    """
    yield Step(schedule.end, x, x)
    for t, s in pairwise(schedule.steps(n_steps)):
        x0 = denoise(x, t).x0
        eps = (x - like(schedule.scale(t), x) * x0) / like(schedule.std(t), x)
        alpha = (schedule.scale(t) / schedule.scale(s)) ** 2
        x = (x - like((1 - alpha) / schedule.std(t), x) * eps) / like(alpha.sqrt(), x)
        if t > 2:
            x = x + like((1 - alpha).sqrt(), x) * noise(x, rng)
        x = x.clamp(-1, 1)
        yield Step(s.item(), x, x0)


class Reverse(NamedTuple):
    """One step from t back to s: q(x_s | x_t, x0) has the mean keep * x_t + share * x0 (DDPM, eq. 7).

    `beta` is the variance of q(x_t | x_s), DDPM's large choice for the reverse step's (section 3.2).
    """

    keep: Tensor
    share: Tensor
    beta: Tensor


def reverse(schedule: Schedule, t: Tensor, s: Tensor) -> Reverse:
    """The coefficients of the step from t back to s, float64."""
    ratio = schedule.scale(t) / schedule.scale(s)  # sqrt(alpha) of this step
    beta = (schedule.std(t) ** 2 - (ratio * schedule.std(s)) ** 2).clamp(min=0)  # rounding may leave a trace below zero
    return Reverse(
        ratio * (schedule.std(s) / schedule.std(t)) ** 2, schedule.scale(s) * beta / schedule.std(t) ** 2, beta
    )


def posterior_std(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """The standard deviation of q(x_s | x_t, x0): std(s)/std(t) * sqrt(beta), beta as in `reverse`."""
    return schedule.std(s) / schedule.std(t) * reverse(schedule, t, s).beta.sqrt()


@dataclass(frozen=True)
class Sampler:
    """A sampler and what it can honour."""

    run: Callable[..., Iterator[Step]]
    takes_eta: bool = False
    clips_x0: bool = True
    own_steps_only: bool = False
    n_steps: int | None = None  # where none are asked for; None: those of the schedule
    evaluations: Callable[[int], int] = int  # of the network, in so many steps
    averages: bool = False  # whether it asks for average velocities, which a MeanFlow alone has learned


SAMPLERS: dict[str, Sampler] = {
    "ddpm": Sampler(ddpm),
    "ddpm-large": Sampler(ddpm_large),
    "ddim": Sampler(ddim, takes_eta=True),
    "tutorial": Sampler(tutorial, clips_x0=False, own_steps_only=True),
    "heun": Sampler(heun, n_steps=18, evaluations=lambda n_steps: 2 * n_steps - 1),  # 18: EDM's for CIFAR-10
    "dpmpp-2m": Sampler(dpmpp_2m, n_steps=20),
    "unipc": Sampler(unipc, n_steps=20),
    "meanflow": Sampler(meanflow, clips_x0=False, n_steps=1, averages=True),
}


def evaluations(sampling: Sampling) -> int:
    """How often the network is evaluated for a sample, by a resolved sampling."""
    return SAMPLERS[sampling.sampler or ""].evaluations(sampling.n_steps or 0) * guidance.evaluations(sampling.guidance)


def resolve(sampling: Sampling, schedule: Schedule, *, is_image: bool, has_ema: bool) -> Sampling:
    """`sampling` with every None replaced by what will be done; ConfigError for what its sampler cannot honour.

    `is_image` says whether samples have a range: points in the plane and latents have none.
    """
    name = sampling.sampler or ("ddim" if schedule.n_timesteps is None else "ddpm")
    if name not in SAMPLERS:
        raise ConfigError(f"sampler {name!r} is unknown: there are {', '.join(SAMPLERS)}")
    sampler = SAMPLERS[name]
    n_steps = sampling.n_steps or sampler.n_steps or schedule.n_timesteps or 50
    if sampler.own_steps_only and schedule.n_timesteps is None:
        raise ConfigError(f"sampler {name!r} needs a schedule with steps of its own, as linear has: use ddim")
    if sampler.own_steps_only and n_steps != schedule.n_timesteps:
        raise ConfigError(
            f"n_steps={n_steps} does not fit sampler {name!r}: it runs the schedule's own {schedule.n_timesteps}"
        )
    if sampling.grid is not None and sampling.grid not in GRIDS:
        raise ConfigError(f"grid {sampling.grid!r} is unknown: there are {', '.join(GRIDS)}")
    if sampler.own_steps_only and sampling.grid not in (None, "trailing"):
        raise ConfigError(f"grid={sampling.grid} does not apply to sampler {name!r}: it walks the schedule's own steps")
    if sampling.eta is not None and not sampler.takes_eta:
        raise ConfigError(f"eta={sampling.eta} does not apply to sampler {name!r}: only ddim takes it")
    if sampling.clip_x0 and not sampler.clips_x0:
        raise ConfigError(f"clip_x0=true does not apply to sampler {name!r}: leave it out")
    if sampling.clip_x0 and not is_image:
        raise ConfigError(
            "clip_x0=true does not apply to points in the plane and to latents, which have no range: leave it out"
        )
    if sampling.batchnorm is not None:
        raise ConfigError(f"batchnorm={sampling.batchnorm} does not apply to a diffusion model: leave it out")
    return sampling.but(
        sampler=name,
        n_steps=n_steps,
        grid=None if sampling.grid == "trailing" else sampling.grid,  # None: so that what was drawn before answers
        eta=(sampling.eta or 0.0) if sampler.takes_eta else None,
        clip_x0=(is_image if sampling.clip_x0 is None else sampling.clip_x0) if sampler.clips_x0 else False,
        weights=weights_of(sampling, has_ema),
    )
