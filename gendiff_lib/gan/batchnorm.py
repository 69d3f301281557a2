"""Statistics of a generator's batch norms."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def unchanged_buffers(module: nn.Module) -> Iterator[None]:
    """While a network runs in training mode: its batch norms use the batch's statistics, and remember none."""
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in module.named_buffers():
            buffer.copy_(before[name])


@torch.no_grad()
def recompute(generator: nn.Module, run: Callable[[int], None], batches: int) -> None:
    """Give the batch norms of `generator` the mean statistics over batches, the i-th of which `run` lets it make.

    The running ones lag behind weights that move, in a GAN far enough to change what samples look like.
    """
    norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain mean over batches
    generator.train()
    for i in range(batches if norms else 0):
        run(i)
    generator.eval()
