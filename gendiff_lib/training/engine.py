"""Speed, in one place: memory layouts, compilation, graph capture. What is computed stays the same, to rounding.

On a GPU a small step is bound by the launches of its kernels: captured once as a graph, it is replayed with one
launch. Networks whose layers are worth fusing are compiled first. A CPU runs everything eagerly: compiling a U-Net
there takes minutes and gives little.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .. import ranks
from ..diffusion.config import DiffusionConfig
from ..graphs import WARM_UP, named_engine
from ..learner import Learner
from ..paths import cache_dir
from ..progress import Progress
from .distributed import SharedStep

WORTH_COMPILING = 5_000_000  # images that a training must see before compiling pays: a guess, not measured
WORTH_A_THREAD = 4e9  # operations of a step


def engine_for(learner: Learner, images: int) -> str:
    """How a training of so many images will run: what GENDIFF_ENGINE names, else what pays.

    A graph takes a GPU, and a learner whose step can be captured: "graph" is "eager" where there is none. Several
    processes run eagerly: their messages are in no graph.
    """
    if ranks.count() > 1:
        return "eager"
    named, able = named_engine(), learner.device.type == "cuda" and learner.capturable
    if named == "auto":
        config = learner.config
        heavy = isinstance(config, DiffusionConfig) and config.network.type in ("unet", "conv", "transformer")
        named = "compile" if able and heavy and images >= WORTH_COMPILING else "graph"
    return "eager" if named == "graph" and not able else named


Step = Callable[[Tensor, Tensor, Progress, torch.Generator], dict[str, Tensor]]


@contextmanager
def fitting_threads(operations: int) -> Iterator[None]:
    """As many threads as steps of so many operations are worth, at most those that torch has, for as long as it lasts.

    Small steps are many small kernels, after each of which threads wait for each other: beside other processes a small
    GAN fell from 790 to 24 images a second on two.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, int(operations / WORTH_A_THREAD))))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def lay_out(learner: Learner) -> None:
    """Put a learner's weights into the memory layout that is fastest for it, measured on one core in float32.

    Channels last is 1.13 times as fast for a DCGAN, 1.05 to 1.10 for the convolutional denoiser, nothing for a U-Net.
    In bfloat16 group norms are many times slower in it.
    """
    config = learner.config
    convolutional = isinstance(config, DiffusionConfig) and config.network.type == "conv"
    cpu_fp32 = learner.device.type == "cpu" and config.precision == "fp32"
    if not isinstance(config, DiffusionConfig) or (convolutional and cpu_fp32):
        for module in learner.modules.values():
            module.to(memory_format=torch.channels_last)


def accelerate(learner: Learner, engine: str) -> Step:
    """The learner's step by an engine, or by several processes.

    Learners whose step cannot be captured keep to eager or compiled steps.
    """
    if engine == "compile":
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "inductor"))
        for name, module in learner.modules.items():
            if name != "ema":  # it is only ever averaged into
                module.compile(dynamic=False)
    captured = engine != "eager" and learner.device.type == "cuda" and learner.capturable
    for optimizer in learner.optimizers.values():
        for group in optimizer.param_groups:
            if "capturable" in group:  # a checkpoint may have come from another engine or device
                group["capturable"] = captured
    if ranks.count() > 1:
        return SharedStep(learner)
    return CapturedStep(learner) if captured else learner.step


class CapturedStep:
    """A learner's step as one CUDA graph. The first steps run eagerly, the next is captured; then all are replays.

    Batches must all have one shape, and `rng` must be one generator: both are part of the graph.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.calls = 0
        self.graph: Any = None
        self.side = torch.cuda.Stream()

    def __call__(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step."""
        if self.calls < WARM_UP:
            self.calls += 1
            with self._apart():
                return self.learner.step(x, labels, progress, rng)
        if self.graph is None:
            self._capture(x, labels, progress, rng)
        self.x.copy_(x)
        self.labels.copy_(labels)
        self.graph.replay()
        return {name: loss.clone() for name, loss in self.losses.items()}

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Work on a stream of its own, as a capture will, so that the same memory is warm."""
        self.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.side):
            yield
        torch.cuda.current_stream().wait_stream(self.side)

    def _capture(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> None:
        self.x, self.labels = x.clone(), labels.clone()
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(rng)
        with torch.cuda.graph(self.graph, stream=self.side):
            self.losses = self.learner.step(self.x, self.labels, progress, rng)
