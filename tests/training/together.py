"""What processes that torchrun starts do for test_distributed: `torchrun … -m tests.training.together FOLDER`."""

import hashlib
import json
import sys
from itertools import islice
from pathlib import Path

import torch

from gendiff_lib import ranks
from gendiff_lib.autoencoder import AutoencoderConfig
from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.diffusion.config import DiffusionConfig, MLPNetwork, UNetNetwork
from gendiff_lib.gan.config import DCGANNetwork, GANConfig, ProgressiveNetwork, R3GANNetwork, ResNetGANNetwork
from gendiff_lib.training.engine import accelerate
from gendiff_lib.training.loop import fit

from ..resuming import begin

UPDATES = 4
SMALL = {"dataset": "shapes:16", "n_train": 96, "batch_size": 16}
SHAPES = {"dataset": "shapes", "n_train": 64, "batch_size": 8}
GAN = GANConfig(**SMALL, nz=6, network=DCGANNetwork(ngf=4, ndf=4), lrG=2e-3, lrD=1e-3)
UNET = DiffusionConfig(
    **SMALL, n_timesteps=10, beta_minmax=(0.02, 0.6), ema=100.0, clip_grad=0.5,
    network=UNetNetwork(widths=(8, 16), n_blocks=1, attention=(1,), dropout=0.3),
)  # fmt: skip
CLASSIFIER = ClassifierConfig(**SMALL, width=4)
CONFIGS = {
    "GAN with batch norm": GAN,
    "augmented, clipped, averaged": GAN.but(augment=("color", "translation", "cutout"), clip_grad=0.05, ema=100.0),
    "U-Net with EMA and dropout": UNET,
    "U-Net under the bound": UNET.but(schedule="cosine", beta_minmax=None, objective="vlb", variance="learned"),
    "MeanFlow": UNET.but(
        schedule="flow", n_timesteps=None, beta_minmax=None, prediction="v", mean_from=0, conditional=True
    ),
    "points": DiffusionConfig(
        dataset="gaussians", n_train=96, batch_size=16, schedule="flow", prediction="v",
        network=MLPNetwork(n_layers=1, hidden_dim=8, timestep_embedding_dim=4),
    ),
    "classifier": CLASSIFIER,
    "autoencoder": AutoencoderConfig(**SMALL, widths=(8, 16)),
    "SNGAN with classes": GANConfig(
        **SHAPES, nz=4, loss="hinge", conditional=True, n_critic=2, network=ResNetGANNetwork(ngf=4, ndf=4)
    ),
    "a growing GAN and its penalty": GANConfig(
        **SHAPES, nz=4, loss="wasserstein", penalty="wgan-gp", gamma=10.0,
        network=ProgressiveNetwork(ngf=4, ndf=4, fade=8),
    ),
    "R3GAN": GANConfig(
        **SHAPES, nz=4, loss="relativistic", penalty="r1+r2", gamma=0.05, ema=50.0,
        network=R3GANNetwork(widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1)),
    ),
}  # fmt: skip


def first_updates(config, updates=UPDATES):
    """What each of the first updates told, and the learner after them, by as many processes as there are."""
    torch.set_num_threads(1)
    learner, dataset, progress = begin(config)
    step, told = accelerate(learner, "eager"), []

    def told_step(*given):
        losses = step(*given)
        told.append({k: v.item() for k, v in losses.items()})
        return losses

    for _ in islice(fit(learner, dataset, config, progress, told_step), updates):
        pass
    return told, learner


def state_of(learner):
    """A digest of all weights and buffers, and of the generator that masks are drawn from."""
    h = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    for module in learner.modules.values():
        for tensor in module.state_dict().values():
            h.update(tensor.contiguous().numpy().tobytes())
    return h.hexdigest()


def main(folder, *names):
    with ranks.joined():
        found = {}
        for name in names or CONFIGS:
            told, learner = first_updates(CONFIGS[name])
            found[name] = {"told": told, "states": ranks.gathered(state_of(learner))}
        ranks.lead(lambda: (Path(folder) / "found.json").write_text(json.dumps(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
