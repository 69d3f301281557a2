"""Averaged weights."""

from copy import deepcopy

import torch
from torch import Tensor, nn

RAMP = 0.05  # of the images seen, the longest half-life: the first weights are soon forgotten (EDM, its code)


class EMA:
    """The exponential moving average of a network's weights, `net`, of a half-life in images, shorter at first.

    Its buffers are the network's own. Updates are counted on the device, where a replayed step finds the count.
    """

    def __init__(self, source: nn.Module, half_life: float) -> None:
        """Begin with the weights of `source`."""
        self.net = deepcopy(source).requires_grad_(False)
        self.half_life = half_life
        self.updates = torch.zeros((), dtype=torch.float64)

    @torch.no_grad()
    def update(self, source: nn.Module, batch: int) -> None:
        """Average the weights of `source` in, after an update from `batch` images."""
        self.updates += 1
        half_life = (RAMP * batch * self.updates).clamp(max=self.half_life)
        decay = (0.5 ** (batch / half_life)).float()
        old: list[Tensor] = list(self.net.parameters())
        new: list[Tensor] = list(source.parameters())
        torch._foreach_mul_(old, decay)
        torch._foreach_add_(old, torch._foreach_mul(new, 1 - decay))
        for mine, theirs in zip(self.net.buffers(), source.buffers(), strict=True):
            mine.copy_(theirs)
