"""How contestants are timed: warmed up, given turns of about equal length, round after round."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gendiff_lib.data.dataset import Dataset
from gendiff_lib.device import wait_for
from gendiff_lib.diffusion.config import DiffusionConfig
from gendiff_lib.gan.config import GANConfig

from .common import spread

Draw = Callable[[int, int], None]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all contestants of a run share."""

    dataset: Dataset
    device: torch.device
    gan: GANConfig
    unet: DiffusionConfig
    n_samples: int
    sampling_steps: int
    workers: int  # processes of the rivals' data loaders


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way of doing a piece of work, a training step or the drawing of a batch, built and ready."""

    whose: str
    precision: str
    images: int  # in one piece of work
    parameters: int
    turn: Callable[[int], None]  # do so many pieces of work; it need not wait for the device
    forward: Callable[[], object]  # the networks on one image
    rehearse: Callable[[int], None] | None = None  # the same cut short, where a piece of work is long
    share: float = 1.0  # the part of a piece that is left in a rehearsal

    @property
    def label(self) -> str:
        """Its name in tables."""
        return f"{self.whose} {self.precision}"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What was found of a contestant."""

    contestant: Contestant
    forward_flops: int  # one image through the networks
    flops: int  # one piece of work
    pieces: int  # in each of its turns
    seconds: list[float]  # for a piece of work, in each round

    @property
    def speed(self) -> float:
        """Images a second: the median round's."""
        return self.contestant.images / median(self.seconds)


def drawing(
    setup: Setup, whose: str, precision: str, nets: Sequence[nn.Module], draw: Draw, forward: Callable[[], object]
) -> Contestant:
    """A contestant that draws batches of images; draw(n, steps) draws n of them in so many steps each."""
    few = min(2, setup.sampling_steps)
    return Contestant(
        whose=whose,
        precision=precision,
        images=setup.n_samples,
        parameters=size(nets),
        turn=lambda n: draw(n, setup.sampling_steps),
        forward=forward,
        rehearse=lambda n: draw(n, few),
        share=few / setup.sampling_steps,
    )


def size(nets: Sequence[nn.Module]) -> int:
    """Parameters."""
    return sum(weight.numel() for net in nets for weight in net.parameters())


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds until `work` is done, the device's part included."""
    wait_for(device)
    started = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - started


def count_flops(work: Callable[[], object]) -> int:
    """Floating-point operations of convolutions and matrix products in `work`; a multiply-add is two."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def prepare(contestant: Contestant, seconds: float, device: torch.device) -> Timing:
    """Warm a contestant up, count its operations and find how much work fills a turn of `seconds`.

    The first rehearsal is not counted: it starts the loader's processes, which must not inherit the counter.
    """
    rehearse = contestant.rehearse or contestant.turn
    rehearse(1)
    work = round(count_flops(lambda: rehearse(1)) / contestant.share)
    with torch.no_grad():
        forward = count_flops(contestant.forward)
    n, elapsed = 1, timed(lambda: rehearse(1), device)
    while elapsed < seconds / 4:
        n *= 2
        elapsed = timed(lambda n=n: rehearse(n), device)  # type: ignore[misc]
    pieces = max(1, round(seconds * n * contestant.share / elapsed))
    return Timing(contestant=contestant, forward_flops=forward, flops=work, pieces=pieces, seconds=[])


def matmul_speed(precision: str, side: int, device: torch.device, seconds: float) -> float:
    """Operations a second of square matrix products, in the arithmetic that convolutions of this precision use.

    On a GPU that is TF32 for fp32 where cuDNN may use it.
    """
    a, b = torch.randn(2, side, side, device=device).to(DTYPES[precision])
    settings = torch.backends.cuda.matmul
    before = settings.allow_tf32
    settings.allow_tf32 = device.type == "cuda" and torch.backends.cudnn.allow_tf32
    try:
        a @ b
        n, elapsed = 1, timed(lambda: a @ b, device)
        while elapsed < seconds:
            n *= 2
            elapsed = timed(lambda n=n: [a @ b for _ in range(n)], device)  # type: ignore[misc]
    finally:
        settings.allow_tf32 = before
    return float(2 * side**3 * n / elapsed)


def race(
    timings: Sequence[Timing], rounds: int, side: int, device: torch.device, matmul_seconds: float = 0.5
) -> dict[str, list[float]]:
    """Give each its turns, round after round; returns the speed of matrix products in each round, by precision."""
    peaks: dict[str, list[float]] = {t.contestant.precision: [] for t in timings}
    for i in range(rounds):
        for precision, speeds in peaks.items():
            speeds.append(matmul_speed(precision, side, device, matmul_seconds))
        for timing in timings:
            turn = timing.contestant.turn
            seconds = timed(lambda turn=turn, n=timing.pieces: turn(n), device) / timing.pieces  # type: ignore[misc]
            timing.seconds.append(seconds)
            print(f"round {i + 1}: {timing.contestant.label}: {seconds:.4g} s", file=sys.stderr, flush=True)
    return peaks


def compare(ours: Timing, theirs: Timing) -> dict[str, Any]:
    """How many times as fast as theirs ours is, from the ratio of each round.

    `raw` compares images a second, `per_flop` images a second times the operations of one image's forward pass.
    """
    a, b = ours.contestant.images, theirs.contestant.images
    raw = [(t / b) / (o / a) for o, t in zip(ours.seconds, theirs.seconds, strict=True)]
    weight = ours.forward_flops / theirs.forward_flops
    return {"raw": spread(raw), "per_flop": spread([r * weight for r in raw])}


def summary(timing: Timing, peaks: dict[str, list[float]]) -> dict[str, Any]:
    """What a contestant is and how fast it was; utilisation is against the same run's matrix products."""
    c = timing.contestant
    return {
        "whose": c.whose,
        "precision": c.precision,
        "parameters": c.parameters,
        "images": c.images,
        "forward_flops": timing.forward_flops,
        "flops": timing.flops,
        "pieces_a_turn": timing.pieces,
        "seconds": spread(timing.seconds),
        "images_per_second": timing.speed,
        "utilisation": timing.flops / median(timing.seconds) / median(peaks[c.precision]),
    }
