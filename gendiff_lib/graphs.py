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


def for_sampling(net: nn.Module, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """`net(x, s)` as a sampler should call it: replayed on a GPU, itself elsewhere."""
    return CapturedNetwork(net) if device.type == "cuda" and named_engine() != "eager" else net


class CapturedNetwork:
    """net(x, s) without gradients as one CUDA graph a shape, for samplers, which call it many times."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.graphs: dict[tuple[int, ...], tuple[Any, Tensor, Tensor, Tensor]] = {}

    def __call__(self, x: Tensor, s: Tensor) -> Tensor:
        """x (N, ...), s (N,) to what the network gives."""
        shape = tuple(x.shape)
        if shape not in self.graphs:
            self.graphs[shape] = self._capture(x, s)
        graph, x_in, s_in, out = self.graphs[shape]
        x_in.copy_(x)
        s_in.copy_(s)
        graph.replay()
        return out.clone()  # the next replay writes over its own

    def _capture(self, x: Tensor, s: Tensor) -> tuple[Any, Tensor, Tensor, Tensor]:
        x_in, s_in = x.clone(), s.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.net(x_in, s_in)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        torch.clear_autocast_cache()  # weights that were cast before would be freed under the graph
        with torch.cuda.graph(graph, stream=side):
            out = self.net(x_in, s_in)
        torch.clear_autocast_cache()
        return graph, x_in, s_in, out
