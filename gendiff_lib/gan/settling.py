"""How a GAN's rates change over its training: R3GAN's warm-up, and a linear decay."""

import math

import torch

from ..learner import rate_left
from .config import GANConfig

# What R3GAN begins with, over what it settles at (Huang et al. 2024, the settings of their CIFAR-10 in their code).
RATE_START, PENALTY_START = 4.0, 10.0
BETA2_START = 0.9


def settled(config: GANConfig, images: int) -> float:
    """How much of the warm-up is done after so many images, from 0 to 1 as half a cosine; 1 where there is none."""
    if config.warm_up is None or images >= config.warm_up:
        return 1.0
    return (1 - math.cos(math.pi * images / config.warm_up)) / 2


def from_start(start: float, config: GANConfig, images: int, end: float = 1.0) -> float:
    """What goes from `start` to `end` over the warm-up, after so many images."""
    return start + (end - start) * settled(config, images)


def settle(optimizers: dict[str, torch.optim.Optimizer], config: GANConfig, images: int) -> None:
    """Give both players' Adam the rate and beta2 of a training after so many images; nothing where they are fixed."""
    if config.warm_up is None and config.lr_decay is None:
        return
    factor = rate_left(config.lr_decay, images) * from_start(RATE_START, config, images)
    beta2 = from_start(BETA2_START, config, images, config.beta2)
    for name, rate in (("generator", config.lrG), ("discriminator", config.lrD)):
        for group in optimizers[name].param_groups:
            group["lr"], group["betas"] = rate * factor, (config.beta1, beta2)
