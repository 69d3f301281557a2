"""The training loop, written once: it knows no model, and no model knows it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .classifier import Classifier
from .config import ClassifierConfig, Config, ConfigError, DiffusionConfig, GANConfig, GendiffError
from .data import Dataset, batches
from .diffusion import Diffusion
from .engine import Step
from .gan import GAN
from .learner import Learner
from .machine import check_precision, default_device

ROWS_PER_EPOCH = 10


class TrainingError(GendiffError):
    """A training cannot go on."""


def make(config: Config, shape: tuple[int, ...], n_classes: int) -> Learner:
    """The learner that a configuration describes, its weights drawn from config.seed."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        match config:
            case GANConfig():
                return GAN(config, shape)
            case DiffusionConfig():
                return Diffusion(config, shape)
            case ClassifierConfig():
                return Classifier(config, shape, n_classes)
            case _:
                raise ConfigError(f"no learner is made from a {type(config).__name__}")


def build(config: Config, dataset: Dataset, device: torch.device | None = None) -> Learner:
    """`make` for a data set, on a device. Everything that can be refused is refused here, before anything starts."""
    device = device or default_device()
    check_precision(config, device)
    learner = make(config, dataset.bridge.shape(config.image_size), len(dataset.classes))
    learner.to(device)
    if config.kind != "diffusion":  # GroupNorm is slow in this layout, batch norm and strided convolutions are fast
        for module in learner.modules.values():
            module.to(memory_format=torch.channels_last)
    return learner


@dataclass
class Progress:
    """Where a training stands; with the learner's state, all that an exact resume needs."""

    rng: torch.Generator
    epoch: int = 0  # whole epochs done
    step: int = 0  # steps done in the epoch under way
    images: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[dict[str, Tensor]] = field(default_factory=list)  # of the epoch under way, still on the device

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and lists only; the global generator is there for dropout."""
        return {
            "rng": self.rng.get_state(),
            "global_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "counts": [self.epoch, self.step, self.images],
            "history": self.history,
            "losses": [{k: v.item() for k, v in row.items()} for row in self.losses],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["global_rng"])
        if state["cuda_rng"]:
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self.epoch, self.step, self.images = state["counts"]
        self.history = state["history"]
        self.losses = [{k: torch.tensor(v) for k, v in row.items()} for row in state["losses"]]

    def table(self) -> dict[str, Tensor]:
        """The losses of the epoch under way, (steps,) on the CPU; TrainingError at the first that is not finite."""
        table = {k: torch.stack([row[k].cpu() for row in self.losses]) for k in self.losses[0]} if self.losses else {}
        for name, values in table.items():
            bad = (~values.isfinite()).nonzero()
            if len(bad):
                raise TrainingError(
                    f"{name} became {values[bad[0]].item()} at step {bad[0].item() + 1} of epoch {self.epoch + 1}"
                )
        return table


def start(config: Config, device: torch.device) -> Progress:
    """The progress of a training that has not begun. Seeds torch's global generator, which dropout uses."""
    torch.manual_seed(config.seed)
    return Progress(torch.Generator(device).manual_seed(config.seed))


def fit(
    learner: Learner, dataset: Dataset, config: Config, progress: Progress, step: Step | None = None
) -> Iterator[Progress]:
    """Train until config.epochs are done, yielding `progress` after every step; no step waits for the GPU.

    `step` stands in for learner.step where an engine makes it faster.
    Losses are checked at the end of each epoch: TrainingError names the first that is not finite and the likely cause.
    """
    steps = len(dataset.samples) // config.batch_size
    step = step or learner.step
    while progress.epoch < config.epochs:
        feed = batches(
            dataset,
            config.batch_size,
            seed=config.seed,
            epoch=progress.epoch,
            skip=progress.step,
            image_size=config.image_size,
            flip=config.flip,
        )
        for x, labels in feed:
            fraction = progress.epoch + progress.step / steps
            progress.losses.append(step(x, labels, fraction, progress.rng))
            progress.step += 1
            progress.images += len(x)
            if progress.step == steps:
                _end_epoch(progress, config)
            yield progress


def check_losses(progress: Progress, config: Config) -> dict[str, Tensor]:
    """The losses of the epoch under way; TrainingError names the first that is not finite and the likely cause."""
    try:
        return progress.table()
    except TrainingError as error:
        rates = ", ".join(f"{k}={v:g}" for k, v in config.to_dict().items() if k.startswith("lr"))
        low = f" or set precision=fp32 (it is {config.precision})" if config.precision != "fp32" else ""
        raise TrainingError(
            f"{error}: the likely cause is too high a learning rate ({rates}), so lower it{low}"
        ) from None


def _end_epoch(progress: Progress, config: Config) -> None:
    """Check the losses and turn them into rows, each the mean over a tenth of the epoch."""
    table = check_losses(progress, config)
    steps = progress.step
    before = progress.images - steps * config.batch_size
    edges = torch.linspace(0, steps, min(ROWS_PER_EPOCH, steps) + 1).round().long().tolist()
    for low_edge, high_edge in pairwise(edges):
        row: dict[str, float] = {
            "epoch": progress.epoch + high_edge / steps,
            "step": progress.epoch * steps + high_edge,
            "images": before + high_edge * config.batch_size,
        }
        row |= {k: v[low_edge:high_edge].double().mean().item() for k, v in table.items()}
        progress.history.append(row)
    progress.epoch, progress.step, progress.losses = progress.epoch + 1, 0, []
