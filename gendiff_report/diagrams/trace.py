"""What a network is made of: its parts in the order of their work, found by running it once without memory."""

import inspect
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

POINTWISE: dict[Any, str] = {
    F.silu: "SiLU",
    F.gelu: "GELU",
    torch.sigmoid: "Sigmoid",
    Tensor.sin: "Sine",
    Tensor.cos: "Cosine",
}
RESHAPING: dict[Any, str] = {
    torch.cat: "Concatenation",
    F.interpolate: "Upsampling",
    F.pixel_unshuffle: "Pixels to channels",
    F.pixel_shuffle: "Channels to pixels",
}
SUMS = {torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.add_, Tensor.__iadd__}
Names = tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """One part of a network. A function that a module calls itself is a part too: its name ends in ()."""

    name: str  # the path inside the network
    type: str
    kind: str  # the type with the settings that decide what it does
    shape: tuple[int, ...]  # of its output, without the batch
    parameters: int
    inputs: Names  # the parts, and arguments of the network, that it works on


def layers(module: nn.Module, *inputs: Tensor, depth: int | None = 1) -> list[Layer]:
    """The parts that work when `module` is given `inputs`, whose shapes alone matter.

    `depth` counts calls: 1 shows what the module calls itself, 2 what those call, None everything down to the last.
    An nn.Sequential is no call of its own. Parameters add up to the module's. The module is left as it is.
    """
    return trace(module, *inputs, depth=depth)[0]


def trace(module: nn.Module, *inputs: Tensor, depth: int | None = 1) -> tuple[list[Layer], Names]:
    """The same, and the parts that the output comes from: one, but where a network gives several."""
    shadow = _without_memory(module)
    tracer = _Tracer(shadow, depth)
    given = [x.detach().to("meta", copy=True) for x in inputs]
    for name, x in zip(inspect.signature(shadow.forward).parameters, given, strict=False):
        tracer.set_origin(x, (name,))
    with torch.no_grad(), tracer:
        output = shadow(*given)
    return [*tracer.found, *_alone(shadow, tracer.counted)], tracer.origin(output)


def entering(module: nn.Module, part: str, *inputs: Tensor) -> tuple[Tensor, ...]:
    """What `part` of a module is given when the module is given `inputs`, as tensors without memory, and no None."""
    shadow, caught = _without_memory(module), []
    shadow.get_submodule(part).register_forward_pre_hook(lambda _, given: caught.append(given))
    with torch.no_grad():
        shadow(*(x.detach().to("meta") for x in inputs))
    return tuple(x for x in caught[0] if x is not None)


def size(shape: tuple[int, ...]) -> str:
    """A shape in words, such as 3 x 64 x 64."""
    return " x ".join(f"{n:,}" for n in shape) or "1"


def _without_memory(module: nn.Module) -> nn.Module:
    """A copy on the device `meta`, which knows shapes but holds no values: its pass costs nothing and draws nothing."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in module.parameters()}
    memo |= {id(b): b.to("meta") for b in module.buffers()}
    return deepcopy(module, memo).eval()


def _alone(module: nn.Module, counted: set[int]) -> list[Layer]:
    """Parameters that belong to no part that worked, such as one that a module adds itself."""
    return [
        Layer(name, "Parameter", "Parameter", tuple(p.shape), p.numel(), ())
        for name, p in module.named_parameters()
        if id(p) not in counted
    ]


class _Tracer(TorchFunctionMode):
    """Watches one pass: hooks tell which part works, the mode follows tensors through what lies between parts."""

    def __init__(self, module: nn.Module, depth: int | None) -> None:
        super().__init__()
        self.depth, self.level, self.hidden = depth, 1, 0
        self.found: list[Layer] = []
        self.counted: set[int] = set()
        self.origins: dict[int, Names] = {}
        self.alive: list[Tensor] = []  # a tensor's id may be given again once it is gone
        self.entered: list[Names] = []
        for name, part in module.named_modules():
            if name and not isinstance(part, nn.Identity):
                part.register_forward_pre_hook(self._enter)
                part.register_forward_hook(lambda part, args, out, name=name: self._leave(name, part, out))

    def origin(self, *values: Any) -> Names:
        """The parts and arguments that tensors somewhere in `values` come from."""
        return tuple(dict.fromkeys(n for x in _tensors(values) for n in self.origins.get(id(x), ())))

    def set_origin(self, values: Any, names: Names) -> None:
        """Remember where the tensors somewhere in `values` come from."""
        for x in _tensors(values):
            self.alive.append(x)
            self.origins[id(x)] = names

    def _whole(self, part: nn.Module) -> bool:
        at_depth = self.depth is not None and self.level >= self.depth and not isinstance(part, nn.Sequential)
        return at_depth or not any(part.children())

    def _enter(self, part: nn.Module, args: Any) -> None:
        self.entered.append(self.origin(args))
        if self.hidden or self._whole(part):
            self.hidden += 1
        elif not isinstance(part, nn.Sequential):
            self.level += 1

    def _leave(self, name: str, part: nn.Module, out: Any) -> None:
        inputs = self.entered.pop()
        if self.hidden == 1:
            mine = {id(p): p.numel() for p in part.parameters() if id(p) not in self.counted}
            self.counted |= mine.keys()
            self._add(name, type(part).__name__, describe(part), out, sum(mine.values()), inputs)
        if self.hidden:
            self.hidden -= 1
        elif not isinstance(part, nn.Sequential):
            self.level -= 1

    def _add(self, name: str, type_: str, kind: str, out: Tensor, parameters: int, inputs: Names) -> None:
        same = sum(known.name.split(" ")[0] == name for known in self.found)
        name = f"{name} {same + 1}" if same else name
        self.found.append(Layer(name, type_, kind, tuple(out.shape[1:]), parameters, inputs))
        self.set_origin(out, (name,))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run `func`; its output comes from where its inputs came from, or is a part itself."""
        used = args[:1] if func is Tensor.view_as else args  # the other gives no more than its shape
        inputs = self.origin(used, tuple((kwargs or {}).values()))
        out = func(*args, **(kwargs or {}))
        kind = _kind(func, args, out, inputs)
        if kind and inputs and not self.hidden and out.numel():
            self._add(f"{kind.lower()}()", kind, kind, out, 0, inputs)
        else:
            self.set_origin(out, inputs)
        return out


def _kind(func: Any, args: Any, out: Any, inputs: Names) -> str | None:
    """The name of a function that is a part; None for one that only lies between parts, or does nothing here."""
    if func in SUMS:
        return "Sum" if len(inputs) > 1 else None
    if func in RESHAPING:
        return RESHAPING[func] if all(out.shape != x.shape for x in _tensors(args)) else None
    return POINTWISE.get(func)


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)


def describe(module: nn.Module) -> str:
    """A module's type and its decisive settings, such as "Conv2d 3x3, stride 2, padding 1, no bias"."""
    name = type(module).__name__
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d():
            words = [f"{name} {_pair(module.kernel_size)}", f"stride {_one(module.stride)}"]
            words += [f"padding {_one(module.padding)}"] if _one(module.padding) != "0" else []
            words += [f"dilation {_one(module.dilation)}"] if _one(module.dilation) != "1" else []
            return ", ".join(words + ([] if module.bias is not None else ["no bias"]))
        case nn.Linear():
            return f"{name} {module.in_features} to {module.out_features}" + (", no bias" * (module.bias is None))
        case nn.GroupNorm():
            return f"{name}, {module.num_groups} groups"
        case nn.LeakyReLU():
            return f"{name} {module.negative_slope:g}"
        case nn.Dropout():
            return f"{name} {module.p:g}"
    return name


def _pair(values: Any) -> str:
    return "x".join(str(v) for v in values)


def _one(values: Any) -> str:
    """A setting that is alike in height and width, as one number."""
    return _pair(values) if isinstance(values, tuple) and len(set(values)) > 1 else str(values[0])
