"""One training step by several processes: each evaluates the networks on its rows of the batch.

All else is done by every process, on the whole batch: each draws the batch's noise, masks and times, is handed what the
others' rows became in a network, and takes the losses of all of them. So a learner's step is what it is in one process,
whatever it does between its networks: several losses, backward passes and optimisers, slopes as penalties, derivatives
in forward mode. Only the sums over a batch are rounded otherwise. Three things look beyond a row inside a network, and
are replaced by what does it for the whole batch: batch norms, dropout's masks and the map of deviations.

This stands in the place of torch's DistributedDataParallel, and is more exact. That averages the gradients of losses
of each process's own rows, drawn with its own noise, which are other losses wherever they are no plain mean (error by
quarter, adaptive weights, batch norm), and does not work with torch.autograd.grad, by which penalties are taken. The
price: gradients are added up after the backward pass, not during it, and what is outside the networks is not split.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils._pytree import tree_map_only

from .. import ranks
from ..errors import ConfigError
from ..learner import Learner
from ..networks.progressive import Deviation, minibatch_deviation
from ..progress import Progress


class _Batch:
    """Whether a step is shared at the moment, and the rows of the batch that a network is being evaluated on."""

    shared = False
    n: int | None = None


class SharedStep:
    """A learner's step, its networks evaluated by all processes together. See Learner.step."""

    def __init__(self, learner: Learner) -> None:
        """Prepare the learner's networks, which outside of such a step do what they did."""
        self.learner = learner
        learner.add_up = ranks.add_up
        for name, net in learner.modules.items():
            if name != "ema":  # it is only ever averaged into
                _prepare(net, learner.entries)

    def __call__(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; ConfigError where there are fewer rows than processes."""
        _Batch.shared = True
        try:
            return self.learner.step(x, labels, progress, rng)
        finally:
            _Batch.shared = False


def _prepare(net: nn.Module, entries: tuple[str, ...]) -> None:
    for module in net.modules():
        if type(module) in WHOLE:
            module.__class__ = WHOLE[type(module)]
    for entry in entries:
        setattr(net, entry, MethodType(_shared(entry), net))  # of its own copy, where the network is copied


def _shared(entry: str) -> Any:
    """The method `entry` of a network: in a shared step of these rows alone, and what it gives of all rows."""

    def evaluate(net: nn.Module, *args: Tensor, **told: Tensor) -> Any:
        method = getattr(type(net), entry)
        if not _Batch.shared:
            return method(net, *args, **told)
        with _rows_of(len(args[0])) as n:
            mine, also = tree_map_only(Tensor, Split.apply, (args, told))
            return tree_map_only(Tensor, lambda y: Join.apply(y, n), method(net, *mine, **also))

    return evaluate


@contextmanager
def _rows_of(n: int) -> Iterator[int]:
    if n < ranks.count():
        raise ConfigError(f"a batch of {n} cannot be shared by {ranks.count()} processes: start {n} at most")
    _Batch.n = n
    try:
        yield n
    finally:
        _Batch.n = None


# ---------------------------------------------------------------- rows, and sums over all of them


class Split(Function):
    """Of (N, ...), which all have, the rows of this process; its gradient is of all rows. It has all derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(N, ...) to (n, ...)."""
        ctx.n = len(x)
        return x[ranks.rows(len(x))].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """(n, ...) to (N, ...)."""
        return Join.apply(grads[0], ctx.n)

    @staticmethod
    def jvp(ctx: Any, *changes: Tensor) -> Any:
        """(N, ...) to (n, ...)."""
        return Split.apply(changes[0])


class Join(Function):
    """All processes' rows (N, ...), which all are given and use alike; its gradient is of this process's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
        """(n, ...) to (N, ...)."""
        ctx.n = n
        whole = x.new_zeros(n, *x.shape[1:])
        whole[ranks.rows(n)] = x
        ranks.add_up([whole])  # of rows and zeros, which nothing rounds
        return whole

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """(N, ...) to (n, ...)."""
        return Split.apply(grads[0]), None

    @staticmethod
    def jvp(ctx: Any, *changes: Tensor) -> Any:
        """(n, ...) to (N, ...)."""
        return Join.apply(changes[0], ctx.n)


class Total(Function):
    """The sum of what each process has, which each uses for its own rows; so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Any shape to the same."""
        total = x.contiguous().clone()
        ranks.add_up([total])
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Any shape to the same."""
        return Total.apply(grads[0])


# ---------------------------------------------------------------- what looks beyond a row


class WholeBatchNorm(nn.BatchNorm2d):
    """Batch norm by the statistics of all rows (torch's SyncBatchNorm is for GPUs alone, and for equal parts)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if _Batch.n is None or not self.training:
            return super().forward(x)
        share, values = len(x) / _Batch.n, _Batch.n * x.shape[2] * x.shape[3]
        variance, mean = (part.double() for part in torch.var_mean(x.float(), (0, 2, 3), correction=0))
        mean, square = Total.apply(share * torch.stack([mean, variance + mean.square()]))
        variance = square - mean.square()  # in float64, where nothing is lost by it
        self._remember(mean.detach(), variance.detach() * (values / (values - 1)))
        scale = (variance + self.eps).rsqrt() * (1.0 if self.weight is None else self.weight)
        shift = (0.0 if self.bias is None else self.bias) - mean * scale
        return torch.addcmul(shift.float()[:, None, None], x, scale.float()[:, None, None]).to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        for kept, value in ((self.running_mean, mean), (self.running_var, variance)):
            assert kept is not None
            kept.lerp_(value.to(kept.dtype), self.momentum)


class WholeDropout(nn.Dropout):
    """Dropout by these rows of the mask that one process draws for all rows, on a CPU the same bits."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to the same shape."""
        if _Batch.n is None or not self.training or not self.p:
            return super().forward(x)
        mask = x.new_empty(_Batch.n, *x.shape[1:]).bernoulli_(1 - self.p).div_(1 - self.p)
        return x * mask[ranks.rows(_Batch.n)]


class WholeDeviation(Deviation):
    """The deviation of all rows, at those of this process."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 1, H, W)."""
        if _Batch.n is None:
            return super().forward(x)
        mine = ranks.rows(_Batch.n)
        padded = torch.cat([x.new_zeros(mine.start, *x.shape[1:]), x, x.new_zeros(_Batch.n - mine.stop, *x.shape[1:])])
        return torch.cat([x, minibatch_deviation(Total.apply(padded))[mine, -1:]], 1)


WHOLE: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: WholeBatchNorm,
    nn.Dropout: WholeDropout,
    Deviation: WholeDeviation,
}
