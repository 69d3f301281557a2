"""The training loop, written once: it knows no model, and no model knows it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..config import Config
from ..data.dataset import Dataset, batches
from ..learner import Learner
from ..progress import Progress, TrainingError
from .build import images_at
from .engine import Step
from .operations import Cost, operations_counter

ROWS_PER_EPOCH = 10
RATES = ("lr", "lrG", "lrD")  # fields that a diverging loss is blamed on


def fit(
    learner: Learner,
    dataset: Dataset,
    config: Config,
    progress: Progress,
    step: Step | None = None,
    cost: Cost | None = None,
) -> Iterator[Progress]:
    """Train until config.epochs are done, yielding `progress` after every step; no step waits for the GPU.

    `step` stands in for learner.step where an engine makes it faster, `cost` for a counter of its own.
    Losses are checked at the end of each row: TrainingError names the first that is not finite and the likely cause.
    """
    steps, step = progress.steps_per_epoch, step or learner.step
    target = images_at(config.epochs, steps, config.batch_size)
    edges = set(torch.linspace(0, steps, min(ROWS_PER_EPOCH, steps) + 1).round().long().tolist())
    cost = cost or operations_counter(config, dataset)
    while progress.images < target:
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
            operations = cost(learner.phase(progress), progress)
            progress.losses.append(step(x, labels, progress, progress.rng))
            progress.step += 1
            progress.images += len(x)
            progress.operations += operations * len(x)
            if progress.step in edges:
                progress.end_row(check_losses(progress, config), learner.diagnose())
            if progress.step == steps:
                progress.epoch, progress.step = progress.epoch + 1, 0
            yield progress
            if progress.images >= target:
                return


def check_losses(progress: Progress, config: Config) -> dict[str, Tensor]:
    """The losses of the row under way; TrainingError names the first that is not finite and the likely cause."""
    try:
        return progress.table()
    except TrainingError as error:
        rates = ", ".join(f"{k}={v:g}" for k, v in config.to_dict().items() if k in RATES)
        low = f" or set precision=fp32 (it is {config.precision})" if config.precision != "fp32" else ""
        raise TrainingError(
            f"{error}: the likely cause is too high a learning rate ({rates}), so lower it{low}"
        ) from None
