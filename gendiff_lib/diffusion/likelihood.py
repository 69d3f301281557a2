"""Bits per dimension: what an image costs when a diffusion model's reverse chain is used as a code.

The variational bound of DDPM, eq. 5, term by term: on average, the negative log-likelihood is at most this.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data.images import to_images, to_model
from ..errors import ConfigError, GendiffError
from ..versions import register
from .estimate import Denoise
from .samplers import noise, reverse
from .schedules import Schedule, like
from .variance import bounds

VERSION = register("likelihood", 1)  # of the bound: raised whenever one of its numbers moves
HALF_BIN = 1 / 255  # half the distance between neighbouring byte values in [-1, 1]


class Bound(NamedTuple):
    """The bound's terms for each of N images, float64, in bits per dimension.

    `prior` (N,): what is left of x0 at the noise end, L_T. `steps` (N, T - 1): L_{t-1} for t = 2 .. T, in that order.
    `decoder` (N,): the bytes given the state at t = 1, L_0.
    """

    prior: Tensor
    steps: Tensor
    decoder: Tensor

    @property
    def total(self) -> Tensor:
        """(N,): the sum of all the terms."""
        return self.prior + self.steps.sum(1) + self.decoder


@dataclass(frozen=True, kw_only=True)
class Bits:
    """The bound's means over n images, in bits per dimension, and how they were made. Lower is better.

    `error` is the standard error of `total`; `steps` holds the terms for t = 2 .. T.
    """

    total: float
    error: float
    prior: float
    decoder: float
    steps: tuple[float, ...]
    n: int
    split: str
    seed: int
    weights: str
    seconds: float
    device: str
    commit: str | None
    version: int = VERSION  # of the code that computed it

    @classmethod
    def of(cls, bounds: Sequence[Bound], **how: Any) -> "Bits":
        """The means over batches of bounds; `how` names split, seed, weights, seconds, device and commit."""
        prior, steps, decoder = (torch.cat(parts).cpu() for parts in zip(*bounds, strict=True))
        total = Bound(prior, steps, decoder).total
        return cls(
            total=total.mean().item(),
            error=total.std().item() / math.sqrt(len(total)),
            prior=prior.mean().item(),
            decoder=decoder.mean().item(),
            steps=tuple(steps.mean(0).tolist()),
            n=len(total),
            **how,
        )


@torch.no_grad()
def bound(denoise: Denoise, schedule: Schedule, x0: Tensor, rng: torch.Generator) -> Bound:
    """The bound for images `x0` (N, ...), byte values in [-1, 1] as `images.to_model` gives them (DDPM, eq. 5).

    The reverse step has the posterior's mean with `denoise(x, t)` in the place of x0, and the variance that the network
    has learned, else the large one, beta (section 3.2). Each t draws its own noise, so every term is unbiased on its
    own. An image costs T evaluations of the network, which keeps its own precision (and which the caller has put in
    eval mode); the terms are float64.

    With the large variance no model is free: on the paper's schedule an oracle that knows x0 still pays 2.2 bits for a
    byte inside the range (0.5 for the steps' variance, 1.7 for a decoder wider than a byte).

    GendiffError for values that are no bytes; ConfigError for a schedule without steps of its own.
    """
    if schedule.n_timesteps is None:
        raise ConfigError("bits per dimension need a schedule with steps of its own, as linear has: this one has none")
    _check_bytes(x0)
    n_steps = schedule.n_timesteps
    steps = torch.zeros(len(x0), n_steps - 1, dtype=torch.float64, device=x0.device)
    for t, s in pairwise(schedule.steps(n_steps)):
        x = like(schedule.scale(t), x0) * x0 + like(schedule.std(t), x0) * noise(x0, rng)
        estimate = denoise(x, t)
        variance = estimate.variance(s) if estimate.variance else None
        if s > 0:
            steps[:, int(t) - 2] = bits(step_kl(schedule, t, s, x0, estimate.x0, variance))
    decoder = -bits(log_prob(x0, estimate.x0, decoder_std(schedule, t, s, variance)))
    return Bound(bits(prior_kl(schedule, x0)), steps, decoder)


def prior_kl(schedule: Schedule, x0: Tensor) -> Tensor:
    """KL(q(x_T | x0) || N(0, 1)) of each value, in nats, float64 in x0's shape: L_T of DDPM, eq. 5."""
    end = torch.tensor(schedule.end, dtype=torch.float64)
    variance = schedule.std(end).item() ** 2
    return (variance - 1 - math.log(variance) + (schedule.scale(end).item() * x0.double()) ** 2) / 2


def step_kl(
    schedule: Schedule, t: Tensor, s: Tensor, x0: Tensor, estimate: Tensor, variance: Tensor | None = None
) -> Tensor:
    """KL(q(x_s | x_t, x0) || p(x_s | x_t)) of each value, in nats, float64 in x0's shape: L_{t-1} of DDPM, eq. 5.

    `t` and `s` are single times, or one for each of x0 (N, ...); `variance` (in x0's shape) is that of p, None for
    beta. Both means hold the same share of x_t, so they differ by x0's share of the error of `estimate` alone (eq. 8).
    """
    exact = x0.double()
    small, large, share = (like(c, exact) for c in (*bounds(schedule, t, s), reverse(schedule, t, s).share))
    variance = large if variance is None else variance.double()
    ratio = small / variance
    return (ratio - 1 - ratio.log() + (share * (exact - estimate.double())) ** 2 / variance) / 2


def decoder_std(schedule: Schedule, t: Tensor, s: Tensor, variance: Tensor | None = None) -> Tensor:
    """The deviation of the decoder's Gaussian, float64: of the step to the data, as `step_kl` has its variance."""
    return (reverse(schedule, t, s).beta if variance is None else variance.double()).sqrt()


def log_prob(x0: Tensor, mean: Tensor, std: float | Tensor) -> Tensor:
    """The log-probability of the byte at `x0` under a Gaussian cut into 256 bins, in nats, float64 (DDPM, eq. 13).

    The bins of the two end values reach to infinity. The difference of two cdfs is taken in the lower tail and in
    logarithms: log(a - b) = log a + log(1 - b / a). So a byte far from the mean has a finite price.
    """
    centre, mean = x0.double(), mean.double()
    low = ((centre - HALF_BIN - mean) / std).masked_fill(centre < -1 + HALF_BIN, -math.inf)
    high = ((centre + HALF_BIN - mean) / std).masked_fill(centre > 1 - HALF_BIN, math.inf)
    upper = low + high > 0  # the bin lies above the mean: its mirror image has the same mass
    low, high = torch.where(upper, -high, low), torch.where(upper, -low, high)
    above: Tensor = torch.special.log_ndtr(high)
    return above + torch.log(-torch.expm1(torch.special.log_ndtr(low) - above))


def bits(nats: Tensor) -> Tensor:
    """Values in nats (N, ...) to their means (N,) in bits per dimension."""
    return nats.flatten(1).mean(1) / math.log(2)


def _check_bytes(x0: Tensor) -> None:
    if not (to_model(to_images(x0)) - x0).abs().max() < HALF_BIN / 100:  # so worded, NaN is refused too
        raise GendiffError(
            "x0 holds values that are no bytes in [-1, 1]: give images by images.to_model, at the data's own size"
        )
