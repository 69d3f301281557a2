"""The variational bound as a loss: one of its terms for each sample of a batch."""

import torch
from torch import Tensor

from .likelihood import bits, decoder_std, log_prob, step_kl
from .schedules import Schedule


def term(schedule: Schedule, t: Tensor, x0: Tensor, estimate: Tensor, variance: Tensor | None = None) -> Tensor:
    """L_{t-1} of x0 (N, ...) at whole times t (N,), float64 (N,), in bits per dimension: L_0, the decoder, where t = 1.

    `estimate` is the denoiser's of x0, `variance` that of the step back, both in x0's shape; None for beta. The terms
    for t = 1 .. T and the prior, which has no parameters, sum to `likelihood.bound`.
    """
    s = t - 1
    divergence = bits(step_kl(schedule, t, s, x0, estimate, variance))
    std = decoder_std(schedule, t, s, variance)
    decoder = -bits(log_prob(x0, estimate, std if variance is not None else std.view(-1, *[1] * (x0.ndim - 1))))
    return torch.where(t > 1, divergence, decoder)


def loss(schedule: Schedule, t: Tensor, x0: Tensor, estimate: Tensor, variance: Tensor | None = None) -> Tensor:
    """L_vlb of Improved DDPM (eq. 4), less its prior: T times the mean of `term`, for t drawn evenly from 1 .. T."""
    return schedule.end * term(schedule, t, x0, estimate, variance).mean()
