"""From a configuration to a learner that can be trained, and the start of its training."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from .. import autoencoder
from ..autoencoder import Autoencoder, AutoencoderConfig, Codec, LatentBridge
from ..classifier import Classifier, ClassifierConfig
from ..config import Config, Sampling
from ..data import load
from ..data.dataset import Dataset
from ..device import check_precision, default_device
from ..diffusion import model as diffusion
from ..diffusion import samplers
from ..diffusion.config import DiffusionConfig
from ..diffusion.meanflow import MeanFlow
from ..diffusion.model import Diffusion
from ..errors import ConfigError, DataError
from ..gan import model as gan
from ..gan.config import GANConfig
from ..gan.model import GAN
from ..learner import Learner
from ..networks.autoencoder import latent_shape
from ..progress import Progress
from ..streams import stream
from .engine import lay_out

CONFIGS: dict[str, type[Config]] = {
    c.kind: c for c in (GANConfig, DiffusionConfig, AutoencoderConfig, ClassifierConfig)
}


def from_dict(kind: str, values: dict[str, Any]) -> Config:
    """The configuration whose `to_dict()` was `values`."""
    if kind not in CONFIGS:
        raise ConfigError(f"kind {kind!r} is unknown: there are {', '.join(CONFIGS)}")
    return CONFIGS[kind](**values)


def make(config: Config, shape: tuple[int, ...], n_classes: int) -> Learner:
    """The learner that a configuration describes, its weights drawn from config.seed."""
    with torch.random.fork_rng():
        torch.manual_seed(stream("weights", config.seed).initial_seed())
        match config:
            case GANConfig():
                return GAN(config, shape, n_classes)
            case DiffusionConfig():
                return (Diffusion if config.mean_from is None else MeanFlow)(config, shape, n_classes)
            case AutoencoderConfig():
                return Autoencoder(config, shape)
            case ClassifierConfig():
                return Classifier(config, shape, n_classes)
            case _:
                raise ConfigError(f"no learner is made from a {type(config).__name__}")


def resolve(sampling: Sampling, config: Config, shape: tuple[int, ...]) -> Sampling:
    """`sampling` with every None replaced by what a method of this configuration does; `shape` is one sample's.

    No network is built for it. ConfigError for what cannot be honoured.
    """
    match config:
        case GANConfig():
            return gan.resolve(sampling, config)
        case DiffusionConfig():
            return diffusion.resolve(sampling, config, shape)
        case AutoencoderConfig():
            return autoencoder.resolve(sampling)
        case _:
            raise ConfigError(f"a {config.kind} makes no samples: name a GAN or a diffusion model")


def evaluations(sampling: Sampling, config: Config, shape: tuple[int, ...]) -> int:
    """How often a method of this configuration evaluates its network for a sample; ConfigError as `resolve`."""
    resolved = resolve(sampling, config, shape)
    return samplers.evaluations(resolved) if isinstance(config, DiffusionConfig) else 1


def shapeless(config: DiffusionConfig) -> Codec:
    """In the place of a trained autoencoder's codec, where the shape of latents or what they cost is asked for."""
    raise ConfigError(
        f"{config.name} was handed no autoencoder: whatever trains or draws on its latents finds that first"
    )


def training_data(config: Config, opened: Callable[[DiffusionConfig], Codec] = shapeless) -> Dataset:
    """What `config` trains on; ConfigError where its fields do not fit that.

    Where that are latents, `opened` finds the codec of their autoencoder, once latents are asked for.
    """
    dataset = load(config.dataset).choose(config.n_train, "n_train", "n_train")
    if config.flip and not dataset.is_image:
        raise ConfigError(f"flip=true does not apply to {config.dataset}, which holds no images: set flip=false")
    return bridged(config, dataset, opened)


def seen_shape(config: Config, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What networks of this configuration see in the place of an image of a shape: itself, or its latent."""
    if not isinstance(config, DiffusionConfig) or config.latent is None:
        return shape
    return latent_shape(shape, config.latent.widths, config.latent.channels)


def bridged(config: Config, dataset: Dataset, opened: Callable[[DiffusionConfig], Codec] = shapeless) -> Dataset:
    """The data as networks of this configuration see them, by latents where it works on those."""
    if not isinstance(config, DiffusionConfig) or config.latent is None:
        return dataset
    shape, side = seen_shape(config, dataset.bridge.shape(config.image_size)), dataset.samples.shape[-1]
    return replace(dataset, bridge=LatentBridge(side, shape, partial(opened, config)))


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
