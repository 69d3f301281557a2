"""Schedules: how a sample becomes noise, x = scale(t) * x0 + std(t) * eps, with t = 0 at the data.

A schedule is (scale, std) as functions of t; the ends are in the grid, so no sampler needs a branch for its last step.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ..errors import ConfigError
from .edm import EDM

LARGEST_ALPHA_BAR = 0.05  # at the noise end: sampling starts from pure noise, so more would be a step never trained
LARGEST_BETA = 0.999  # where alpha_bar is told, which may end at 0 (improved DDPM)
LINEAR_STEPS = 1000  # DDPM's, of which `respaced` takes betas


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

    @classmethod
    def of(cls, alpha_bar: Tensor, largest: float = 1.0) -> "VariancePreserving":
        """That of `alpha_bar` float64 (T + 1,), which falls from 1; no beta is larger than `largest`."""
        return cls((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=largest))

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
    remedy = (
        "give larger betas, more steps, or schedule=respaced, which spreads the betas of 1000 steps over any number"
    )
    return _to_noise(torch.linspace(*beta_minmax, n_timesteps, dtype=torch.float64), beta_minmax, remedy)


def respaced(n_timesteps: int | None, beta_minmax: tuple[float, float] | None) -> Schedule:
    """The linear schedule of 1000 steps at any depth T: its alpha_bar at every 1000/T-th time.

    Its betas times 1000/T would do where T is large, but pass 1 where the last step alone has to hide the sample.
    """
    if n_timesteps is None or beta_minmax is None:
        raise ConfigError("schedule 'respaced' needs n_timesteps, and the beta_minmax of 1000 steps: such as 1e-4,2e-2")
    betas = torch.linspace(*beta_minmax, LINEAR_STEPS, dtype=torch.float64)
    whole = _to_noise(betas, beta_minmax, "give larger betas, which are those of 1000 steps here")
    times = torch.linspace(0, LINEAR_STEPS, n_timesteps + 1, dtype=torch.float64)
    return VariancePreserving.of(whole.alpha_bar(times))


def _to_noise(betas: Tensor, beta_minmax: tuple[float, float], remedy: str) -> VariancePreserving:
    schedule = VariancePreserving(betas)
    left = schedule.alpha_bar(torch.tensor(schedule.end)).item()
    if left > LARGEST_ALPHA_BAR:
        raise ConfigError(
            f"beta_minmax={beta_minmax} in n_timesteps={len(betas)} do not end in noise (alpha_bar_T = {left:.2g}, "
            f"at most {LARGEST_ALPHA_BAR} may be left): {remedy}"
        )
    return schedule


def cosine(n_timesteps: int | None, beta_minmax: tuple[float, float] | None) -> Schedule:
    """alpha_bar follows a squared cosine, beta clipped at 0.999 (improved DDPM, eq. 17)."""
    if n_timesteps is None or beta_minmax is not None:
        raise ConfigError("schedule 'cosine' needs n_timesteps and has no beta_minmax: set beta_minmax=none")
    t = torch.arange(n_timesteps + 1, dtype=torch.float64) / n_timesteps
    alpha_bar = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return VariancePreserving.of(alpha_bar, LARGEST_BETA)


def sigmoid(n_timesteps: int | None, beta_minmax: tuple[float, float] | None) -> Schedule:
    """alpha_bar is the sigmoid from 3 to -3, brought to the range from 1 to 0 (Jabri et al. 2022); beta is clipped."""
    if n_timesteps is None or beta_minmax is not None:
        raise ConfigError("schedule 'sigmoid' needs n_timesteps and has no beta_minmax: set beta_minmax=none")
    falling = torch.linspace(3, -3, n_timesteps + 1, dtype=torch.float64).sigmoid()
    return VariancePreserving.of((falling - falling[-1]) / (falling[0] - falling[-1]), LARGEST_BETA)


def edm(n_timesteps: int | None, beta_minmax: tuple[float, float] | None) -> Schedule:
    """Continuous time; x0 is not scaled."""
    if n_timesteps is not None or beta_minmax is not None:
        raise ConfigError("schedule 'edm' has neither n_timesteps nor beta_minmax: set both to none")
    return EDM()


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


def start_std(schedule: Schedule) -> float:
    """The deviation of the noise that sampling starts from: 1, unless the schedule adds noise to an unscaled sample."""
    return max(1.0, schedule.std(torch.tensor(schedule.end, dtype=torch.float64)).item())


SCHEDULES: dict[str, Callable[[int | None, tuple[float, float] | None], Schedule]] = {
    "linear": linear,
    "respaced": respaced,
    "cosine": cosine,
    "sigmoid": sigmoid,
    "flow": flow,
    "edm": edm,
}
