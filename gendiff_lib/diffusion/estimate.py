"""What a sampler is given: a denoiser's estimate of the clean sample."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """What a denoiser makes of a state: the clean sample `x0`, and where it learns one the `variance` of the step back.

    That depends on how far back: it is a function of the time s of the next state, and its value has x0's shape.
    """

    x0: Tensor
    variance: Callable[[Tensor], Tensor] | None = None


Denoise = Callable[[Tensor, Tensor], Estimate]
DenoiseTo = Callable[[Tensor, Tensor, Tensor], Estimate]  # of an average velocity: it is told the time stepped to
