"""Solvers of the probability flow: each function is one algorithm box of one paper, nothing in it is random.

They have the samplers' signature and take the samplers' schedules. At the data (s = 0) the log-SNR is infinite, and so
it is at the noise end of a flow; the coefficients below have their limits there, so no step needs a formula of its own.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..learner import Step
from .estimate import Denoise, DenoiseTo
from .schedules import Schedule, like

SMALLEST_SCALE = 1e-3  # at the noise end; with less, sigma spans so much there that a line in it tells nothing (cosine)


def heun(denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator) -> Iterator[Step]:
    """Heun's method (Karras et al. 2022, algorithm 1): Euler's step, then again along the mean of both ends' slopes.

    As their table 1 advises, x / scale is the state and sigma = std / scale the time; on a flow x against t, and on the
    cosine schedule likewise (see `_unit`). 2 n_steps - 1 evaluations: the step to the data, where there is no slope, is
    Euler's.
    """
    yield Step(schedule.end, x, x)
    for t, s in pairwise(schedule.steps(n_steps)):
        x0 = denoise(x, t).x0
        slope = _slope(schedule, t, x, x0)
        later, time = _unit(schedule, s), _time(schedule, s)
        y = x0 + like(time, x) * slope  # Euler's step: x / unit is x0 + time * slope
        if s > 0:
            x = like(later, x) * y
            y = y + like((time - _time(schedule, t)) / 2, x) * (_slope(schedule, s, x, denoise(x, s).x0) - slope)
        x = like(later, x) * y
        yield Step(s.item(), x, x0)


def dpmpp_2m(denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2): x0 is carried on along the log-SNR from its last two estimates.

    The first step has one estimate only, and before the data nothing can be carried on: both are DDIM's.
    """
    yield Step(schedule.end, x, x)
    before = None
    for t, s in pairwise(schedule.steps(n_steps)):
        now = _Known(_log_snr(schedule, t), denoise(x, t).x0)
        x = _exact(schedule, t, s, x, _extrapolated(_log_snr(schedule, s), now, before))
        before = now
        yield Step(s.item(), x, now.x0)


def unipc(denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator) -> Iterator[Step]:
    """UniPC of order 2 (Zhao et al. 2023, section 3) for data prediction, with B(h) = exp(h) - 1, which is called bh2.

    With this B the predictor is DPM-Solver++(2M). The estimate at its end corrects the step that led there, and serves
    as the next step's first: a step costs one evaluation. Yields predicted states; the last is not corrected.
    """
    yield Step(schedule.end, x, x)
    steps = schedule.steps(n_steps)
    corrected, before, now = x, None, _Known(_log_snr(schedule, steps[0]), denoise(x, steps[0]).x0)
    for t, s in pairwise(steps):
        x = _exact(schedule, t, s, corrected, _extrapolated(_log_snr(schedule, s), now, before))
        yield Step(s.item(), x, now.x0)
        if s > 0:
            there = _Known(_log_snr(schedule, s), denoise(x, s).x0)
            corrected = _exact(schedule, t, s, corrected, _interpolated(there, now, before))
            before, now = now, there


def meanflow(
    denoise: DenoiseTo, schedule: Schedule, x: Tensor, *, n_steps: int, rng: torch.Generator
) -> Iterator[Step]:
    """MeanFlow's sampler (Geng et al. 2025, algorithm 2): x - (t - s) u, with u the average velocity between s and t.

    `denoise` is told s too, and its estimate is where that velocity would lead to: x - t u. So a step is DDIM's, and
    exact for any length, one of the whole way included.
    """
    yield Step(schedule.end, x, x)
    for t, s in pairwise(schedule.steps(n_steps)):
        x0 = denoise(x, t, s).x0
        x = _exact(schedule, t, s, x, x0)
        yield Step(s.item(), x, x0)


def invert(denoise: Denoise, schedule: Schedule, x: Tensor, *, n_steps: int) -> Iterator[Step]:
    """DDIM backwards (Song et al. 2021, section 5.4): from data to the noise of which `ddim` makes them again.

    Euler's method from 0 to the schedule's end. The slope of each step is that at its far end, since at the data there
    is none; so the way there and back is exact to first order. `denoise` must not clip.
    """
    yield Step(0.0, x, x)
    for s, t in pairwise(schedule.steps(n_steps).flip(0)):
        x0 = denoise(x, t).x0
        way = like(_time(schedule, t) - _time(schedule, s), x) * _slope(schedule, t, x, x0)
        x = like(_unit(schedule, t), x) * (x / like(_unit(schedule, s), x) + way)
        yield Step(t.item(), x, x0)


# ---------------------------------------------------------------- Euler's and Heun's variables


def _unit(schedule: Schedule, t: Tensor) -> Tensor:
    """What x is divided by so that DDIM is Euler's method: scale, or scale + std, where sigma has no sensible end.

    Both are EDM's algorithm 1, which takes any time: sigma, and the t of a flow, on which scale + std is 1.
    """
    scale = schedule.scale(t)
    left = schedule.scale(torch.tensor(schedule.end, dtype=torch.float64))
    return scale if left > SMALLEST_SCALE else scale + schedule.std(t)


def _time(schedule: Schedule, t: Tensor) -> Tensor:
    """The time of Euler's method, std / unit: EDM's sigma, or that of the flow with the same share of noise."""
    return schedule.std(t) / _unit(schedule, t)


def _slope(schedule: Schedule, t: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    """The derivative of x / unit with respect to the time, (x / unit - x0) / time."""
    return (x - like(_unit(schedule, t), x) * x0) / like(schedule.std(t), x)


# ---------------------------------------------------------------- exponential integrators, in the log-SNR


class _Known(NamedTuple):
    """An estimate of x0 and half the log-SNR that it was made at (Lu et al.'s lambda)."""

    log_snr: float
    x0: Tensor


def _log_snr(schedule: Schedule, t: Tensor) -> float:
    return torch.log(schedule.scale(t) / schedule.std(t)).item()


def _exact(schedule: Schedule, t: Tensor, s: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    """The flow from t to s while x0 stays what it is (Lu et al. 2022b, proposition 4.1); with the one at t, DDIM."""
    ratio = schedule.std(s) / schedule.std(t)
    return like(ratio, x) * x + like(schedule.scale(s) - ratio * schedule.scale(t), x) * x0


def _extrapolated(log_snr: float, now: _Known, before: _Known | None) -> Tensor:
    """x0 in the middle of a step to `log_snr`, on the line through two estimates; the last one where there is no line.

    There is none to an infinite log-SNR, the data: diffusers calls that lower_order_final, and asks for it there too.
    """
    if before is None or math.isinf(log_snr):
        return now.x0
    share = (log_snr - now.log_snr) / (now.log_snr - before.log_snr) / 2  # 1 / 2r; nothing from a flow's noise end
    return now.x0 + share * (now.x0 - before.x0)


def _interpolated(there: _Known, now: _Known, before: _Known | None) -> Tensor:
    """x0 in a step from `now` to `there`, corrected by the estimate there (UniC-2, whose weights solve R rho = b).

    With two estimates the weight is a half at any h, as in the authors' code.
    """
    if before is None:
        return now.x0 + (there.x0 - now.x0) / 2
    h = there.log_snr - now.log_snr
    r = (before.log_snr - now.log_snr) / h  # minus infinity at a flow's noise end: the estimate there weighs nothing
    b1 = -1 / math.expm1(-h) - 1 / h
    b2 = b1 + (1 - 2 * b1) / h
    rho = (b1 - b2) / (1 - r)
    return now.x0 + rho / r * (before.x0 - now.x0) + (b1 - rho) * (there.x0 - now.x0)
