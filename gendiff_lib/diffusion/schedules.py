"""Schedules: how a sample becomes noise, x = scale(t) * x0 + std(t) * eps, with t = 0 at the data.

A schedule is (scale, std) as functions of t; the ends are in the grid, so no sampler needs a branch for its last step.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ..errors import ConfigError

LARGEST_ALPHA_BAR = 0.05  # at the noise end: sampling starts from pure noise, so more would be a step never trained


class Schedule(Protocol):
    """What samplers and training need to know of a schedule. `t` is a float64 tensor of any shape."""

    end: float
    n_timesteps: int | None

    def scale(self, t: Tensor) -> Tensor:
        """The share of x0 in x."""
        ...

    def std(self, t: Tensor) -> Tensor:
        """The share of eps in x."""
        ...

    def velocity(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(a, b) such that the velocity is a * x0 + b * eps; b * scale(t) - a * std(t) = 1 on every schedule."""
        ...

    def time_input(self, t: Tensor) -> Tensor:
        """The number that the network sees for t."""
        ...

    def steps(self, n: int) -> Tensor:
        """n + 1 times from `end` down to 0."""
        ...

    def times(self, u: Tensor) -> Tensor:
        """Training times for u in [0, 1)."""
        ...


class VariancePreserving:
    """scale = sqrt(alpha_bar), std = sqrt(1 - alpha_bar) on t = 0..T with alpha_bar[0] = 1 (DDPM, eq. 4)."""

    def __init__(self, betas: Tensor) -> None:
        """`betas` float64 (T,): beta_1 .. beta_T."""
        self.n_timesteps: int | None = len(betas)
        self.end = float(len(betas))
        # In logarithms, so that times between the grid's are sensible too: samplers may ask for more than T steps.
        self._tables: dict[torch.device, Tensor] = {}  # one a device, so that no step waits for a copy
        self._log_alpha_bar = torch.cat([torch.zeros(1, dtype=torch.float64), torch.log1p(-betas).cumsum(0)])

    def alpha_bar(self, t: Tensor) -> Tensor:
        """The product of (1 - beta) up to t, exact at whole t, log-linear between."""
        if t.device not in self._tables:
            self._tables[t.device] = self._log_alpha_bar.to(t.device)
        table = self._tables[t.device]
        low = t.floor().long().clamp(0, len(table) - 1)
        high = (low + 1).clamp(max=len(table) - 1)
        return torch.lerp(table[low], table[high], t.double() - low).exp()

    def scale(self, t: Tensor) -> Tensor:
        return self.alpha_bar(t).sqrt()

    def std(self, t: Tensor) -> Tensor:
        return (1 - self.alpha_bar(t)).sqrt()

    def velocity(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return -self.std(t), self.scale(t)  # Salimans and Ho (2022), appendix D: v = scale * eps - std * x0

    def time_input(self, t: Tensor) -> Tensor:
        return t - 1  # the networks count their steps 0 .. T-1

    def steps(self, n: int) -> Tensor:
        grid = torch.linspace(self.end, 0, n + 1, dtype=torch.float64)
        return grid.round() if n <= self.end else grid

    def times(self, u: Tensor) -> Tensor:
        return (u.double() * self.end).floor() + 1


class Flow:
    """The straight line from data to noise: scale = 1 - t, std = t (Liu et al. 2022; Lipman et al. 2022)."""

    end = 1.0
    n_timesteps: int | None = None

    def scale(self, t: Tensor) -> Tensor:
        return 1 - t

    def std(self, t: Tensor) -> Tensor:
        return t

    def velocity(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(t), torch.ones_like(t)

    def time_input(self, t: Tensor) -> Tensor:
        return 1000 * t

    def steps(self, n: int) -> Tensor:
        return torch.linspace(1, 0, n + 1, dtype=torch.float64)

    def times(self, u: Tensor) -> Tensor:
        return u.double()


def linear(n_timesteps: int | None, beta_minmax: tuple[float, float] | None) -> Schedule:
    """Betas evenly spaced between the two of `beta_minmax` (DDPM, section 4)."""
    if n_timesteps is None or beta_minmax is None:
        raise ConfigError("schedule 'linear' needs n_timesteps and beta_minmax: the paper's are 1000 and 1e-4,2e-2")
    schedule = VariancePreserving(torch.linspace(*beta_minmax, n_timesteps, dtype=torch.float64))
    left = schedule.alpha_bar(torch.tensor(schedule.end)).item()
    if left > LARGEST_ALPHA_BAR:
        raise ConfigError(
            f"beta_minmax={beta_minmax} in n_timesteps={n_timesteps} do not end in noise (alpha_bar_T = {left:.2g}, "
            f"at most {LARGEST_ALPHA_BAR} may be left): give larger betas, or more steps"
        )
    return schedule


def cosine(n_timesteps: int | None, beta_minmax: tuple[float, float] | None) -> Schedule:
    """alpha_bar follows a squared cosine, beta clipped at 0.999 (improved DDPM, eq. 17)."""
    if n_timesteps is None or beta_minmax is not None:
        raise ConfigError("schedule 'cosine' needs n_timesteps and has no beta_minmax: set beta_minmax=none")
    t = torch.arange(n_timesteps + 1, dtype=torch.float64) / n_timesteps
    alpha_bar = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return VariancePreserving((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999))


def flow(n_timesteps: int | None, beta_minmax: tuple[float, float] | None) -> Schedule:
    """Continuous time: it has no steps and no betas of its own."""
    if n_timesteps is not None or beta_minmax is not None:
        raise ConfigError("schedule 'flow' has neither n_timesteps nor beta_minmax: set both to none")
    return Flow()


def like(value: Tensor, x: Tensor) -> Tensor:
    """A schedule's float64 coefficient, in x's type and device, with x's number of dimensions.

    A single number stays on the CPU, where it can be used without a copy.
    """
    if not value.ndim:
        return value.to(x.dtype)
    value = value.to(x.device, x.dtype)
    return value.reshape(value.shape + (1,) * (x.ndim - value.ndim))


# ---------------------------------------------------------------- time grids

RHO = 7.0  # EDM's, table 1
SIGMA_MINMAX = (0.002, 80.0)  # EDM's, table 1


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

SCHEDULES: dict[str, Callable[[int | None, tuple[float, float] | None], Schedule]] = {
    "linear": linear,
    "cosine": cosine,
    "flow": flow,
}
