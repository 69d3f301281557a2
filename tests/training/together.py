"""What processes that share a command do for test_distributed; as a module, what torchrun starts."""

import hashlib
import json
import os
import sys
from itertools import islice

import torch

from gendiff_lib import ranks
from gendiff_lib.autoencoder import AutoencoderConfig
from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.cli import main
from gendiff_lib.config import Sampling
from gendiff_lib.diffusion.config import DiffusionConfig, MLPNetwork, UNetNetwork
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.gan.config import DCGANNetwork, GANConfig, ProgressiveNetwork, R3GANNetwork, ResNetGANNetwork
from gendiff_lib.runs import train as recorder
from gendiff_lib.runs.samples import sample
from gendiff_lib.runs.train import train
from gendiff_lib.training.engine import accelerate
from gendiff_lib.training.loop import fit

from ..resuming import begin

UPDATES = 4
SMALL = {"dataset": "shapes:16", "n_train": 96, "batch_size": 16}
SHAPES = {"dataset": "shapes", "n_train": 64, "batch_size": 8}
GAN = GANConfig(**SMALL, nz=6, network=DCGANNetwork(ngf=4, ndf=4), lrG=2e-3, lrD=1e-3)
UNET = DiffusionConfig(
    **SMALL, n_timesteps=10, beta_minmax=(0.02, 0.6), ema=100.0, clip_grad=5.0, lr=0.02,  # soon far from its zeros
    network=UNetNetwork(widths=(8, 16), n_blocks=1, attention=(1,), dropout=0.3),
)  # fmt: skip
CLASSIFIER = ClassifierConfig(**SMALL, width=4, lr=1e-3)
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


def steps(out, names):
    """Write what the first updates of these configurations tell, and whether all processes have the same state."""
    with ranks.joined():
        found = {}
        for name in names:
            told, learner = first_updates(CONFIGS[name])
            found[name] = {"told": told, "states": ranks.gathered(state_of(learner))}
        ranks.lead(lambda: out.write_text(json.dumps(found)))


# ---------------------------------------------------------------- a run

WAY = Sampling(n=25, batch_size=7)  # four batches, the last one smaller


def pixels(images):
    x = images.float().flatten(1)
    return x[:, ::97], x[:, -3:]


JUDGE = Extractor("pixels", "d1", pixels, batch_size=10)


def watch(event, arguments):
    """Of a process that is not the first: it may read what is kept, and no more."""
    kept = (
        str(arguments[0]).startswith((os.environ["GENDIFF_RUNS"], os.environ["GENDIFF_CACHE"])) if arguments else False
    )
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if kept and (writes or event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir")):
        print(f"process {os.environ['RANK']} was to write: {event} {arguments}", file=sys.stderr, flush=True)
        os._exit(1)


def run():
    """Train the U-Net, draw samples of it and score them; the first process alone writes."""
    with ranks.joined():
        if ranks.rank():
            sys.addaudithook(watch)
        made = train(UNET.but(name="unet", epochs=1.0))
        scores = evaluate(made, WAY, JUDGE)
        print(json.dumps({"run": str(made.folder), "distance": scores.frechet_distance, "n": len(sample(made, WAY))}))


def command(*words):
    """A command of gendiff, which saves a checkpoint after every update; its exit code."""
    recorder.CHECKPOINT_SECONDS = 0.0
    return main(words)


if __name__ == "__main__":
    sys.exit(command(*sys.argv[1:]))
