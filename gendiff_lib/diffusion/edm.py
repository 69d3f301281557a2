"""EDM's process and its settings (Karras et al. 2022, table 1): noise is added to a sample that is not scaled."""

import math

import torch
from torch import Tensor

RHO = 7.0
SIGMA_MINMAX = (0.002, 80.0)
SIGMA_DATA = 0.5  # the deviation that data are taken to have
LOG_SIGMA = (-1.2, 1.2)  # mean and deviation of ln(sigma) in training
_ROOTS = tuple(sigma ** (1 / RHO) for sigma in SIGMA_MINMAX)
LEAST = _ROOTS[0] / _ROOTS[1]  # the time of the least sigma


class EDM:
    """x = x0 + sigma * eps, with sigma = 80 t^7: even steps in t, and a last one from 0.002 to 0, are EDM's (eq. 5)."""

    end = 1.0
    n_timesteps: int | None = None

    def scale(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def std(self, t: Tensor) -> Tensor:
        sigma: Tensor = SIGMA_MINMAX[1] * t**RHO
        return sigma

    def velocity(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(t), torch.ones_like(t)  # the derivative of x with respect to sigma

    def time_input(self, t: Tensor) -> Tensor:
        return c_noise(self.std(t))

    def steps(self, n: int) -> Tensor:
        times = torch.linspace(1, LEAST, n, dtype=torch.float64)
        return torch.cat([times, torch.zeros(1, dtype=torch.float64)])

    def times(self, u: Tensor) -> Tensor:
        t: Tensor = LEAST + (1 - LEAST) * u.double()
        return t


def log_normal(n: int, rng: torch.Generator) -> Tensor:
    """u (n,) float64 in [0, 1) at whose times of EDM ln(sigma) is normal, within the range of sigma (table 1)."""
    mean, deviation = LOG_SIGMA
    log_sigma = mean + deviation * torch.randn(n, generator=rng, device=rng.device, dtype=torch.float64)
    t = ((log_sigma - math.log(SIGMA_MINMAX[1])) / RHO).exp()
    u: Tensor = (t - LEAST) / (1 - LEAST)
    return u.clamp(0, 1 - 1e-12)


def c_noise(sigma: Tensor) -> Tensor:
    """The number that the network sees for sigma, at least the least one's: ln(sigma) / 4 (table 1)."""
    return sigma.clamp(min=SIGMA_MINMAX[0]).log() / 4
