"""A traced network, sorted for drawing: what its first argument goes through, what stands aside, what goes together."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from .trace import Layer, Names, trace

FOLLOWERS = {"BatchNorm2d", "GroupNorm", "ReLU", "LeakyReLU", "SiLU", "GELU", "Sigmoid", "Tanh", "Dropout"}


@dataclass(frozen=True)
class Plan:
    """A pass, sorted: `main` is what the first argument goes through, `aside` what only the other arguments reach."""

    entry: Layer  # the first argument
    layers: list[Layer]
    reached: set[str]  # names of what is aside
    output: Names

    @property
    def main(self) -> list[Layer]:
        """In the order of their work."""
        return [layer for layer in self.layers if layer.name not in self.reached]

    @property
    def aside(self) -> list[Layer]:
        """In the order of their work."""
        return [layer for layer in self.layers if layer.name in self.reached]

    @property
    def parameters(self) -> int:
        """Of the whole module."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def joined(self) -> bool:
        """Whether some part gets what another one has put by."""
        return any(layer.type == "Concatenation" for layer in self.main)

    @property
    def resized(self) -> bool:
        """Whether feature maps change their size on the way."""
        return len({layer.shape[1:] for layer in self.main if len(layer.shape) == 3}) > 1


def plan(module: nn.Module, *inputs: Tensor) -> Plan:
    """Trace `module` and sort its parts: by its blocks where some are joined (a U-Net), else down to the last layer."""
    found = _plan(module, inputs, 1)
    return found if found.joined else _plan(module, inputs, None)


def _plan(module: nn.Module, inputs: tuple[Tensor, ...], depth: int | None) -> Plan:
    found, output = trace(module, *inputs, depth=depth)
    first, *others = inspect.signature(module.forward).parameters
    reached = set(others)
    for layer in found:
        if set(layer.inputs) <= reached:
            reached.add(layer.name)
    return Plan(Layer(first, "Input", first, tuple(inputs[0].shape[1:]), 0, ()), found, reached, output)


def stages(main: Sequence[Layer]) -> list[list[Layer]]:
    """Each layer together with the norms and activations that follow it."""
    found: list[list[Layer]] = []
    for layer in main:
        last = found[-1][-1] if found else None
        if last and last.type != "Sum" and layer.type in FOLLOWERS and layer.inputs == (last.name,):
            found[-1].append(layer)
        else:
            found.append([layer])
    return found
