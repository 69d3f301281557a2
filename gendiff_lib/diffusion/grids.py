"""Time grids: where the steps of a sampler lie, from the schedule's end down to 0."""

from collections.abc import Callable

import torch
from torch import Tensor

from .edm import RHO, SIGMA_MINMAX
from .schedules import Schedule


def trailing(schedule: Schedule, n: int) -> Tensor:
    """The schedule's own steps, evenly spaced from its end down to 0 (Lin et al. 2024, table 2)."""
    return schedule.steps(n)


def quadratic(schedule: Schedule, n: int) -> Tensor:
    """Steps that shorten towards the data: end * (i / n)^2 (Song et al. 2021, appendix D.2)."""
    return _whole(schedule, schedule.end * torch.linspace(1, 0, n + 1, dtype=torch.float64) ** 2)


def rho(schedule: Schedule, n: int) -> Tensor:
    """Even steps in the seventh root of sigma = std / scale, then one to 0 (Karras et al. 2022, eq. 5).

    Of EDM's range of sigma, what the schedule was trained on. The first time is the schedule's end, since that is where
    the noise is that sampling starts from.
    """
    ends = torch.tensor([schedule.end, 1.0 if schedule.n_timesteps else 0.0], dtype=torch.float64)
    high, low = _sigma(schedule, ends).clamp(*SIGMA_MINMAX).tolist()
    sigma = torch.linspace(high ** (1 / RHO), low ** (1 / RHO), n, dtype=torch.float64) ** RHO
    times = torch.cat([ends[:1], time_at(schedule, sigma)[1:], torch.zeros(1, dtype=torch.float64)])
    return _whole(schedule, times)


def time_at(schedule: Schedule, sigma: Tensor) -> Tensor:
    """The times at which std / scale is `sigma` float64 (N,), by bisection, as it rises from 0 on every schedule."""
    low, high = torch.zeros_like(sigma), torch.full_like(sigma, schedule.end)
    for _ in range(60):  # float64 has 53 binary digits
        middle = (low + high) / 2
        above = _sigma(schedule, middle) > sigma
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return high


def _sigma(schedule: Schedule, t: Tensor) -> Tensor:
    return schedule.std(t) / schedule.scale(t)


def _whole(schedule: Schedule, times: Tensor) -> Tensor:
    """Falling times, rounded to steps that the network was trained at, none twice; as they are where n is more."""
    n = len(times) - 1
    if n > (schedule.n_timesteps or 0):
        return times
    i = torch.arange(n, -1, -1)
    spare = (times.round() - i).flip(0).cummax(0).values.flip(0)  # steps below each that may be left out: never falls
    return spare.clamp(max=schedule.end - n) + i


class OnGrid:
    """A schedule that is walked by another grid than its own."""

    def __init__(self, schedule: Schedule, grid: "Grid") -> None:
        self.end, self.n_timesteps = schedule.end, schedule.n_timesteps
        self.scale, self.std, self.velocity = schedule.scale, schedule.std, schedule.velocity
        self.time_input, self.times = schedule.time_input, schedule.times
        self._schedule, self._grid = schedule, grid

    def steps(self, n: int) -> Tensor:
        return self._grid(self._schedule, n)


Grid = Callable[[Schedule, int], Tensor]  # n + 1 times from the schedule's end down to 0
GRIDS: dict[str, Grid] = {"trailing": trailing, "quadratic": quadratic, "rho": rho}
