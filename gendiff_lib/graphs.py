"""The sampler's network as a CUDA graph: replayed with one launch on a GPU, itself elsewhere."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ConfigError

WARM_UP = 3  # eager steps before a capture: they allocate what the graph will use again

ENGINES = ("auto", "eager", "graph", "compile")  # compile includes the graph where there is a GPU


def named_engine() -> str:
    """The engine that GENDIFF_ENGINE names, `auto` where it names none; ConfigError for one that is unknown."""
    named = os.environ.get("GENDIFF_ENGINE") or "auto"
    if named not in ENGINES:
        raise ConfigError(f"GENDIFF_ENGINE={named} is no engine: there are {', '.join(ENGINES)}")
    return named


def for_sampling(net: nn.Module, device: torch.device) -> Callable[..., Tensor]:
    """`net(x, s, …)` as a sampler should call it: replayed on a GPU, itself elsewhere."""
    return CapturedNetwork(net) if device.type == "cuda" and named_engine() != "eager" else net


class CapturedNetwork:
    """net(x, s, …) without gradients as one CUDA graph a shape, for samplers, which call it many times."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.graphs: dict[tuple[Any, ...], tuple[Any, dict[str, Tensor], Tensor]] = {}

    def __call__(self, x: Tensor, s: Tensor, **told: Tensor) -> Tensor:
        """x (N, ...), s (N,) and what else the network is told (N,) to what it gives."""
        inputs = {"x": x, "s": s, **told}
        key = (*inputs, *x.shape)
        if key not in self.graphs:
            self.graphs[key] = self._capture(inputs)
        graph, kept, out = self.graphs[key]
        for name, value in inputs.items():
            kept[name].copy_(value)
        graph.replay()
        return out.clone()  # the next replay writes over its own

    def _capture(self, inputs: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor], Tensor]:
        kept = {name: value.clone() for name, value in inputs.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.net(**kept)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        torch.clear_autocast_cache()  # weights that were cast before would be freed under the graph
        with torch.cuda.graph(graph, stream=side):
            out = self.net(**kept)
        torch.clear_autocast_cache()
        return graph, kept, out
