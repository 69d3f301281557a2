"""What a sampler is given: a denoiser's estimate of the clean sample."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """What a denoiser makes of a state: the clean sample `x0`, and the variance of the step back (the logarithm that
    the network gives is resolved inside) where it learns one, else None."""

    x0: Tensor
    variance: Tensor | None = None


Denoise = Callable[[Tensor, Tensor], Estimate]
