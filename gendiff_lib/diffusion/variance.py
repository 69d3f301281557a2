"""The variance of a step back where the network learns it, between the two that a schedule knows."""

import torch
from torch import Tensor

from .samplers import posterior_std, reverse
from .schedules import Schedule, like


def bounds(schedule: Schedule, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """(beta_tilde, beta) of a step from t to s, float64 in the shape of t: the posterior's variance and the large one.

    At the data (s = 0) the posterior has none. That of the step before, as long as this one, stands for it (Nichol and
    Dhariwal 2021, in their code); where there is none before, beta itself.
    """
    beta = reverse(schedule, t, s).beta
    before = (2 * t - s).clamp(max=schedule.end)
    small = torch.where(s > 0, posterior_std(schedule, t, s), posterior_std(schedule, before, t)) ** 2
    return torch.where(small > 0, small, beta), beta


def interpolated(schedule: Schedule, t: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """exp(v log(beta) + (1 - v) log(beta_tilde)), in the shape of v (N, ...), at t and s, which are single or (N,).

    Nichol and Dhariwal 2021, eq. 15. The v that the network gives has no bounds.
    """
    small, large = (like(variance.log(), v) for variance in bounds(schedule, t, s))
    return (v * large + (1 - v) * small).exp()
