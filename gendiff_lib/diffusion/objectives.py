"""What a denoiser predicts, how its loss is weighted, and how training times are drawn."""

from collections.abc import Callable

import torch
from torch import Tensor

from .edm import SIGMA_DATA, SIGMA_MINMAX, log_normal
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

SNR_GAMMA = 5.0  # of min-SNR, its authors' choice


def _snr(schedule: Schedule, t: Tensor) -> Tensor:
    """scale^2 / std^2, at most what EDM's least sigma has, so that it is finite at the data."""
    return ((schedule.scale(t) / schedule.std(t)) ** 2).clamp(max=SIGMA_MINMAX[0] ** -2)


def _of_x0(weight: Tensor, schedule: Schedule, t: Tensor, prediction: str) -> Tensor:
    """A weight of squared errors of x0 as one of squared errors of the prediction."""
    _, to_x0 = PREDICTIONS[prediction]
    share = to_x0(schedule, torch.zeros_like(t), torch.ones_like(t), t)  # of an error of the output that x0 has
    return weight * share**2


def _min_snr(schedule: Schedule, t: Tensor, prediction: str) -> Tensor:
    return _of_x0(_snr(schedule, t).clamp(max=SNR_GAMMA), schedule, t, prediction)


def _edm(schedule: Schedule, t: Tensor, prediction: str) -> Tensor:
    return _of_x0(
        _snr(schedule, t) + SIGMA_DATA**-2, schedule, t, prediction
    )  # lambda = 1 / sigma^2 + 1 / sigma_data^2


# Schedule, t (N,), prediction to the weight (N,) of the prediction's squared error.
WEIGHTINGS: dict[str, Callable[[Schedule, Tensor, str], Tensor]] = {
    "uniform": lambda schedule, t, prediction: torch.ones_like(t),
    "inverse-std": lambda schedule, t, prediction: 1 / schedule.std(t).clamp(min=0.2),
    "min-snr": _min_snr,  # Hang et al. (2023), eq. 9
    "edm": _edm,  # Karras et al. (2022), table 1
}


def _uniform(n: int, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)


def _logit_normal(n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, generator=rng, device=rng.device, dtype=torch.float64).sigmoid()


# Draws u in [0, 1); the schedule turns it into t.
TIMES: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "uniform": _uniform,
    "logit-normal": _logit_normal,  # Esser et al. (2024), eq. 19
    "log-normal": log_normal,  # of sigma, on EDM's schedule: Karras et al. (2022), table 1
}
