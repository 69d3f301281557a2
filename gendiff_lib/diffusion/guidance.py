"""Classifier-free guidance (Ho and Salimans 2022): one network with and without the class, and what is between them."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ConfigError

DROPPED = 0.1  # share of the training's classes that are dropped: p_uncond of Ho and Salimans, section 4

Network = Callable[..., Tensor]  # (x, s, …) to x's shape; y= tells it the classes, n_classes that there is none


def drop_class(y: Tensor, n_classes: int, rng: torch.Generator) -> Tensor:
    """Classes (N,) of which each is left with probability 0.9, and else is n_classes, which stands for none."""
    dropped = torch.rand(len(y), generator=rng, device=rng.device) < DROPPED
    return y.masked_fill(dropped.to(y.device), n_classes)


def guided(net: Network, y: Tensor, n_classes: int, w: float | None) -> Network:
    """`net` for classes y (N,), as samplers call it: (1 + w) net(x, y) - w net(x, none) (Ho and Salimans, eq. 6).

    Written for eps there. It holds for x0 and for velocities too, as each is eps and x in shares that sum to the same.
    With no w, or w = 0, it is the conditional network itself, at one evaluation.
    """
    none = torch.full_like(y, n_classes)

    def outputs(x: Tensor, s: Tensor, **told: Tensor) -> Tensor:
        conditional = net(x, s, y=y, **told)
        if not w:
            return conditional
        return (1 + w) * conditional.to(x.dtype) - w * net(x, s, y=none, **told).to(x.dtype)

    return outputs


def evaluations(w: float | None) -> int:
    """How often the network is evaluated where it would be once without guidance."""
    return 2 if w else 1


def check(w: float | None, conditional: bool, *, learned: bool) -> None:
    """ConfigError where guidance is asked of a model without classes, or of a learned variance, which it would bend."""
    if w and learned:
        raise ConfigError(f"guidance={w:g} does not apply to variance=learned: leave it out, or train variance=fixed")
    if w is not None and not conditional:
        raise ConfigError(f"guidance={w:g} does not apply to a model without classes: train it with conditional=true")
