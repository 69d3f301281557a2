"""The training loop, written once: it knows no model, and no model knows it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .classifier import Classifier
from .config import ClassifierConfig, Config, ConfigError, DiffusionConfig, GANConfig
from .data import DataError, Dataset, batches
from .diffusion import Diffusion
from .engine import Step, lay_out
from .gan import GAN
from .learner import Learner
from .machine import check_precision, default_device
from .progress import Progress, TrainingError
from .streams import stream

ROWS_PER_EPOCH = 10


def make(config: Config, shape: tuple[int, ...], n_classes: int) -> Learner:
    """The learner that a configuration describes, its weights drawn from config.seed."""
    with torch.random.fork_rng():
        torch.manual_seed(stream("weights", config.seed).initial_seed())
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
    steps_per_epoch(config, dataset)
    learner = make(config, dataset.bridge.shape(config.image_size), len(dataset.classes))
    learner.to(device)
    lay_out(learner)
    return learner


def steps_per_epoch(config: Config, dataset: Dataset) -> int:
    """Whole batches in one pass over the training samples; DataError where there is none."""
    n = len(dataset.samples)
    if n < config.batch_size:
        raise DataError(
            f"batch_size={config.batch_size} is more than the {n} training samples of {dataset.name}: lower it"
        )
    return n // config.batch_size


def images_at(epochs: float, steps: int, batch_size: int) -> int:
    """The images that a training of so many epochs has seen, rounded to a batch, at least one."""
    return max(round(epochs * steps), 1) * batch_size


def start(config: Config, dataset: Dataset, device: torch.device) -> Progress:
    """The progress of a training that has not begun. Seeds torch's global generator, which dropout uses."""
    torch.manual_seed(stream("dropout", config.seed).initial_seed())
    return Progress(stream("training", config.seed, device=device), steps_per_epoch(config, dataset))


def fit(
    learner: Learner,
    dataset: Dataset,
    config: Config,
    progress: Progress,
    step: Step | None = None,
) -> Iterator[Progress]:
    """Train until config.epochs are done, yielding `progress` after every step; no step waits for the GPU.

    `step` stands in for learner.step where an engine makes it faster.
    Losses are checked at the end of each row: TrainingError names the first that is not finite and the likely cause.
    """
    steps, step = progress.steps_per_epoch, step or learner.step
    target = images_at(config.epochs, steps, config.batch_size)
    edges = set(torch.linspace(0, steps, min(ROWS_PER_EPOCH, steps) + 1).round().long().tolist())
    cost = operations_counter(config, dataset)
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
        rates = ", ".join(f"{k}={v:g}" for k, v in config.to_dict().items() if k.startswith("lr"))
        low = f" or set precision=fp32 (it is {config.precision})" if config.precision != "fp32" else ""
        raise TrainingError(
            f"{error}: the likely cause is too high a learning rate ({rates}), so lower it{low}"
        ) from None


def operations_counter(config: Config, dataset: Dataset) -> Callable[[str, Progress], int]:
    """(phase, progress) to the operations of an image trained there, each phase counted once."""
    known: dict[str, int] = {}

    def cost(phase: str, progress: Progress) -> int:
        if phase not in known:
            known[phase] = operations_per_image(config, dataset, progress)
        return known[phase]

    return cost


def operations_per_image(config: Config, dataset: Dataset, progress: Progress | None = None) -> int:
    """Floating-point operations of a training step divided by its images, counted by running a step of two images.

    `progress` says where in the training, since what a step does may depend on it.
    """
    with torch.random.fork_rng(devices=[]):  # dropout must not disturb the training
        config = config.but(precision="fp32")
        learner = build(config, dataset, torch.device("cpu"))
        here = replace(progress or start(config, dataset, torch.device("cpu")), rng=torch.Generator())
        x = dataset.bridge.encode(dataset.samples[:2].cpu(), config.image_size)
        with FlopCounterMode(display=False) as counter:
            learner.step(x, dataset.labels[:2].cpu(), here, here.rng)
    return int(counter.get_total_flops()) // 2
