"""What a denoiser predicts, how its loss is weighted, and how training times are drawn."""

from collections.abc import Callable

import torch
from torch import Tensor

from .schedules import Schedule, like

# Each prediction is (target, to_x0): what the network is trained to say, and x0 from what it said.
Target = Callable[[Schedule, Tensor, Tensor, Tensor], Tensor]  # schedule, x0, eps, t
ToX0 = Callable[[Schedule, Tensor, Tensor, Tensor], Tensor]  # schedule, x, output, t


def _velocity(schedule: Schedule, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    a, b = schedule.velocity(t)
    return like(a, x0) * x0 + like(b, x0) * eps


def _x0_from_velocity(schedule: Schedule, x: Tensor, v: Tensor, t: Tensor) -> Tensor:
    _, b = schedule.velocity(t)  # b * scale - a * std = 1, so x0 = b * x - std * v
    return like(b, x) * x - like(schedule.std(t), x) * v


def _x0_from_eps(schedule: Schedule, x: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    return (x - like(schedule.std(t), x) * eps) / like(schedule.scale(t), x)


PREDICTIONS: dict[str, tuple[Target, ToX0]] = {
    "eps": (lambda schedule, x0, eps, t: eps, _x0_from_eps),  # DDPM, eq. 14
    "x0": (lambda schedule, x0, eps, t: x0, lambda schedule, x, output, t: output),
    "v": (_velocity, _x0_from_velocity),  # Salimans and Ho (2022), appendix D
}

WEIGHTINGS: dict[str, Callable[[Schedule, Tensor], Tensor]] = {
    "uniform": lambda schedule, t: torch.ones_like(t),
    "inverse-std": lambda schedule, t: 1 / schedule.std(t).clamp(min=0.2),
}


def _uniform(n: int, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)


def _logit_normal(n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, generator=rng, device=rng.device, dtype=torch.float64).sigmoid()


# Draws u in [0, 1); the schedule turns it into t.
TIMES: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "uniform": _uniform,
    "logit-normal": _logit_normal,  # Esser et al. (2024), eq. 19
}
