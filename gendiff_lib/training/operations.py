"""The operations of a training, counted by running a step."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..autoencoder import AutoencoderConfig
from ..config import Config, Sampling
from ..data.dataset import Dataset, ImageBridge
from ..diffusion.config import DiffusionConfig
from ..gan.config import GANConfig
from ..learner import Method
from ..networks.autoencoder import ConvAutoencoder
from ..progress import Progress
from .build import build, make, seen_shape, start

Shape = Sequence[int]
Cost = Callable[[str, Progress], int]  # (phase, progress) to the operations of an image trained there
aten = torch.ops.aten


def _of_convolution_backward(
    grad_out: Shape, x: Shape, weight: Shape, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    *rest: Any, **kwargs: Any,
) -> int:  # fmt: skip
    """Of each gradient, by the input and by the weights, as many operations as forward (torch's own forgets groups)."""
    mask = rest[2]  # of what is computed: the gradient by the input, by the weights, by the bias
    places = x[0] * math.prod((x if transposed else grad_out)[2:])
    return 2 * places * math.prod(weight) * (bool(mask[0]) + bool(mask[1]))


def counting() -> FlopCounterMode:
    """A context that counts the operations done in it, of multiplications and sums of products alone."""
    return FlopCounterMode(display=False, custom_mapping={aten.convolution_backward: _of_convolution_backward})


def operations_counter(config: Config, dataset: Dataset) -> Cost:
    """What counts the operations of each phase of a training once."""
    known: dict[str, int] = {}

    def cost(phase: str, progress: Progress) -> int:
        if phase not in known:
            known[phase] = operations_per_image(config, dataset, progress)
        return known[phase]

    return cost


def encoding_operations(config: Config, dataset: Dataset) -> int:
    """The operations of encoding the training images once, before the first update; 0 for a model of pixels."""
    if not isinstance(config, DiffusionConfig) or config.latent is None:
        return 0
    shape = ImageBridge(dataset.samples.shape[-1]).shape(config.image_size)
    net = _autoencoder(config.latent, shape)
    with torch.no_grad(), counting() as counter:
        net.encode(torch.zeros(1, *shape))
    return int(counter.get_total_flops()) * len(dataset.samples)


def drawing_operations(config: Config, shape: tuple[int, ...], n_classes: int, evaluations: int) -> int:
    """The operations of drawing a sample by so many evaluations of its network, decoding included.

    `shape` is an image's, as the data or an image_size have it. What a snapshot computes once, as a generator's batch
    statistics, is not counted.
    """
    with torch.random.fork_rng(devices=[]):
        learner = make(config.but(precision="fp32"), seen_shape(config, shape), n_classes)
    assert isinstance(learner, Method)
    once = Sampling(weights="raw") if isinstance(config, GANConfig) else Sampling(sampler="ddim", n_steps=1)
    if learner.resolve(once).batchnorm:
        once = once.but(batchnorm="running")
    with counting() as counter:
        *_, last = learner.sample(1, once, torch.Generator())
    drawn = int(counter.get_total_flops()) * evaluations
    if isinstance(config, DiffusionConfig) and config.latent:
        net = _autoencoder(config.latent, shape)
        with torch.no_grad(), counting() as counter:
            net.decode(last.x)
        drawn += int(counter.get_total_flops())
    return drawn


def _autoencoder(config: AutoencoderConfig, shape: tuple[int, ...]) -> ConvAutoencoder:
    with torch.random.fork_rng(devices=[]):
        return ConvAutoencoder(shape, widths=config.widths, channels=config.channels)


def operations_per_image(config: Config, dataset: Dataset, progress: Progress | None = None) -> int:
    """Floating-point operations of a training step divided by its images, counted by running a step of a few images.

    `progress` says where in the training, since what a step does may depend on it.
    """
    with torch.random.fork_rng(devices=[]):  # dropout must not disturb the training
        config = config.but(precision="fp32")
        learner = build(config, dataset, torch.device("cpu"))
        here = replace(progress or start(config, dataset, torch.device("cpu")), rng=torch.Generator())
        n = learner.counted
        x = torch.zeros(n, *dataset.bridge.shape(config.image_size))  # of any value: it is the shape that costs
        with counting() as counter:
            learner.step(x, dataset.labels[:n].cpu(), here, here.rng)
    return int(counter.get_total_flops()) // n
