"""Preconditioning: what is done to a network's input and output, so that both are of ordinary size at every noise."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from .edm import SIGMA_DATA, c_noise
from .schedules import Schedule, like

Net = Callable[..., Tensor]  # (x, s, …): what else it is told is handed through


class Coefficients(NamedTuple):
    """EDM's D = c_skip * x + c_out * F(c_in * x, c_noise), float64 in the shape of t; D estimates x0."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


def coefficients(schedule: Schedule, t: Tensor) -> Coefficients:
    """Those of Karras et al. 2022, table 1, for the states x = scale * x0 + std * eps of any schedule.

    Theirs are of x / scale, at sigma = std / scale; c_skip and c_in hold the division here. On a schedule whose scale
    ends at 0 all but c_noise are finite there.
    """
    scale, std = schedule.scale(t), schedule.std(t)
    variance = std**2 + (SIGMA_DATA * scale) ** 2
    return Coefficients(
        skip=SIGMA_DATA**2 * scale / variance,
        out=SIGMA_DATA * std / variance.sqrt(),
        into=1 / variance.sqrt(),
        noise=c_noise(std / scale),
    )


def none(net: Net, schedule: Schedule, x: Tensor, t: Tensor, **told: Tensor) -> Tensor:
    """The network itself, at the number that the schedule has it see for t (N,)."""
    return net(x, schedule.time_input(t), **told)


def edm(net: Net, schedule: Schedule, x: Tensor, t: Tensor, **told: Tensor) -> Tensor:
    """EDM's estimate of x0 from x (N, ...) at t (N,), in x's type."""
    c = coefficients(schedule, t)
    output = net(like(c.into, x) * x, c.noise, **told)
    return like(c.skip, x) * x + like(c.out, x) * output.to(x.dtype)


PRECONDITIONINGS: dict[str, Callable[..., Tensor]] = {"none": none, "edm": edm}
