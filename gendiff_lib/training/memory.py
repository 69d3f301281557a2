"""The memory that a training step takes of activations, counted by running a step."""

from collections import Counter

import torch
from torch import Tensor

from ..config import Config
from ..progress import Progress
from .build import make


class _Ledger:
    """Bytes of tensors that a graph holds for its gradients, each storage once, now and at most."""

    def __init__(self, ignored: set[int]) -> None:
        self.ignored, self.holders, self.now, self.most = ignored, Counter[int](), 0, 0

    def take(self, tensor: Tensor) -> "_Held":
        """What the graph keeps in the tensor's place."""
        return _Held(tensor, self)


class _Held:
    """A tensor that a graph holds; the ledger is told when the graph lets it go."""

    def __init__(self, tensor: Tensor, ledger: _Ledger) -> None:
        self.tensor, self.ledger = tensor, ledger
        storage = tensor.untyped_storage()
        self.key, self.size = storage.data_ptr(), storage.nbytes()
        if self.key not in ledger.ignored:
            ledger.now += self.size * (not ledger.holders[self.key])
            ledger.holders[self.key] += 1
            ledger.most = max(ledger.most, ledger.now)

    def __del__(self) -> None:
        if self.key not in self.ledger.ignored:
            self.ledger.holders[self.key] -= 1
            self.ledger.now -= self.size * (not self.ledger.holders[self.key])


def activation_bytes(config: Config, shape: tuple[int, ...], n_classes: int) -> int:
    """The most bytes that a first training step holds of one image for its gradients, weights left out, in float32.

    That of a step of a few images over their number; `shape` is one sample's, as the networks see it. It is what grows
    with the batch, and most of what a step takes.
    """
    with torch.random.fork_rng(devices=[]):
        learner = make(config.but(precision="fp32"), shape, n_classes)
        n, progress = learner.counted, Progress(torch.Generator(), 1)
        weights = {p.untyped_storage().data_ptr() for net in learner.modules.values() for p in net.parameters()}
        ledger = _Ledger(weights)
        with torch.autograd.graph.saved_tensors_hooks(ledger.take, lambda held: held.tensor):
            learner.step(torch.zeros(n, *shape), torch.zeros(n, dtype=torch.long), progress, progress.rng)
    return ledger.most // n
