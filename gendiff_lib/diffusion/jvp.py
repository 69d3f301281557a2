"""Products of a network's Jacobian with a vector, in one pass forward: the value, and how it changes along a way."""

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

Function = Callable[..., Tensor]


def jvp(f: Function, primals: Sequence[Tensor], tangents: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
    """f(*primals), and its derivative along `tangents`, of the primals' shapes; None for a primal that stays.

    What torch.func.jvp gives, with a third less work for a network: see FixedWeights. The value can be differentiated
    by the weights, the derivative is a constant.
    """
    _load_formulas()
    with forward_ad.dual_level(), FixedWeights():
        given = [p if t is None else forward_ad.make_dual(p, t) for p, t in zip(primals, tangents, strict=True)]
        value, change = forward_ad.unpack_dual(f(*given))
    return value, torch.zeros_like(value) if change is None else change.detach()


@cache
def _load_formulas() -> None:
    """Have torch load its own, once: it does so by a function that it calls deprecated."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", FutureWarning)
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


class FixedWeights(TorchFunctionMode):
    """Linear layers and convolutions in forward mode as for weights that do not change.

    PyTorch takes their change for a tensor of zeros and multiplies by it too, which costs a pass more.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See torch.overrides: `func` as it is called, with its change along the way beside it where it has one."""
        if func not in (F.linear, F.conv2d):
            return func(*args, **(kwargs or {}))
        x, weight, bias, *how = args
        x, change = forward_ad.unpack_dual(x)
        out = func(x, weight, bias, *how)
        return out if change is None else forward_ad.make_dual(out, func(change, weight, None, *how))
