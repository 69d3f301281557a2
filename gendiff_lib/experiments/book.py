"""Which run each page of the book needs, and in which order they are worth training."""

from typing import Any

from ..config import Config, Sampling
from . import classifier_for, gan, get, paper_pair, studies
from .claimed import trainings
from .experiment import check_preset
from .scaling import SCALED, scaling

# The collapse page compares two snapshots of one run of `dcgan`: the paper's 30 and 100 epochs, or the same ratio.
COLLAPSE: dict[str, tuple[int, int]] = {"paper": (30, 100), "overnight": (30, 100), "laptop": (3, 10), "smoke": (1, 4)}


def sampler_grid(preset: str) -> dict[str, Sampling]:
    """The samplers that their page compares, by label; equal n for all, so that no distance owes anything to n."""
    n, batch_size, n_timesteps, steps = {
        "paper": (2048, 64, 1000, (10, 20, 50, 100)),
        "overnight": (500, 100, 1000, (10, 20, 50)),
        "laptop": (256, 64, 50, (5, 10, 20)),
        "smoke": (50, 50, 20, (2, 5)),
    }[preset]
    whole = Sampling(n=n, batch_size=batch_size, n_steps=n_timesteps)
    return {
        **{f"ddim {s}": whole.but(sampler="ddim", n_steps=s) for s in steps},
        f"ddim-eta1 {steps[1]}": whole.but(sampler="ddim", eta=1.0, n_steps=steps[1]),
        f"ddpm {n_timesteps}": whole.but(sampler="ddpm"),
        f"ddpm-large {n_timesteps}": whole.but(sampler="ddpm-large"),
        # what the tutorial's sampler would be without its quirks: it does not clip x0 either
        f"ddpm-large unclipped {n_timesteps}": whole.but(sampler="ddpm-large", clip_x0=False),
        f"tutorial {n_timesteps}": whole.but(sampler="tutorial"),
    }


# What a report of paper-size runs needs first: the judge, the paper's two models, then what puts them into context.
# A number behind a name means so many epochs alone.
WORTH = (
    "classifier", "dcgan", "ddpm-conv", "ddpm-unet", "dcgan-32", "flow-unet", "ddpm-mlp", "ddpm-transformer",
    "dcgan-minimax", "dcgan-plain", "ddpm-unet-64", "ddpm-unet-full", "ddpm-conv 100",
)  # fmt: skip
# What stands beside the paper's pair in tables and curves, in the order in which the study trains it.
OTHERS = (
    "flow-transformer", "flow-unet", "ddpm-unet", "ddpm-transformer", "ddpm-mlp",
    "dcgan-minimax", "dcgan-plain", "dcgan-clipped", "dcgan",
)  # fmt: skip
COMPARED = ("dcgan", "dcgan-32", "ddpm-conv", "ddpm-unet", "ddpm-transformer", "flow-unet", "ddpm-mlp")
CODED = (  # of steps of their own, so that they give bits
    "ddpm-conv", "ddpm-unet", "ddpm-transformer", "ddpm-mlp", "ddpm-hybrid", "study-ddpm-unweighted",
    "study-ddpm-min-snr",
)  # fmt: skip
# What pages hold beside the DCGAN at 32x32 pixels, at equal operations: other GANs, one part of it, one setting.
STABILISERS = ("dcgan-clipped", "dcgan-augmented", "sngan", "sagan", "wgan-gp", "progressive", "r3gan", "sngan-cond")
PARTS = ("dcgan-minimax", "dcgan-plain", *gan.ONE_PART)
SETTINGS = (*studies.RATES, *studies.BATCHES)
# What they hold beside the U-Net in the paper's process, with one thing changed; what is compared with other networks.
OBJECTIVES = (
    "ddpm-hybrid", "study-ddpm-unweighted", "study-ddpm-min-snr", "study-ddpm-v", "study-ddpm-x0",
)  # fmt: skip
SCHEDULES = (
    "study-ddpm-depth-10", "study-ddpm-depth-100", "study-ddpm-depth-4000", "study-ddpm-cosine", "study-ddpm-sigmoid",
    "study-ddpm-edm",
)  # fmt: skip
DIFFUSION_SETTINGS = (
    "study-ddpm-lr-low", "study-ddpm-lr-high", "study-ddpm-decay", "study-ddpm-batch-16", "study-ddpm-batch-64",
    "study-ddpm-raw",
)  # fmt: skip
DENOISERS = ("ddpm-mlp", "ddpm-conv", "ddpm-unet", "ddpm-transformer", "flow-unet", "flow-transformer")
LATENT = ("autoencoder", "ddpm-latent")
GUIDED, FEW_STEPS = "flow-cond", ("ddpm-transformer", "flow-transformer", "meanflow")
# A laptop's book goes without these, which would take it longer than all the rest.
LONG_TO_TRAIN = (
    *STABILISERS, *PARTS, *SETTINGS, *OBJECTIVES, *SCHEDULES, *DIFFUSION_SETTINGS, *LATENT, GUIDED, *FEW_STEPS[1:],
    SCALED["diffusion"][1],
)  # fmt: skip


def guidances(asked: Sampling) -> dict[str, Sampling]:
    """The strengths of guidance that their page compares, by label."""
    return {f"w = {w:g}": asked.but(guidance=w or None) for w in (0.0, 0.3, 1.0, 3.0)}


def few_steps(name: str, asked: Sampling) -> dict[str, Sampling]:
    """The samplings in few steps that their page compares, by label; a MeanFlow's by average velocities too."""
    samplers = ("ddim", "meanflow") if name == "meanflow" else ("ddim",)
    return {f"{name}, {s} {n}": asked.but(sampler=s, n_steps=n, guidance=None) for s in samplers for n in (1, 2, 4)}


POINT_SEEDS = (0, 1, 2)


def book_configs(preset: str, *, dataset: str = "", epochs: float | None = None) -> list[Config]:
    """Every training the book needs in a preset: what its pages show, and at the paper's size what its claims need.

    The longest of each identity comes first. `epochs` None: the preset's own.
    """
    check_preset(preset)
    chosen = {"epochs": epochs} if epochs else {}
    configs = [get(paper_pair(preset)[0], preset, dataset=dataset, epochs=epochs or COLLAPSE[preset][1])]
    configs += [get(name, preset, dataset=dataset, **chosen) for name in COMPARED]
    configs += [get(name, preset, dataset=dataset, **chosen) for name in LONG_TO_TRAIN if preset == "smoke"]
    configs += scaling(preset) if preset == "smoke" and not dataset and not epochs else []
    configs += live_configs(preset, **chosen)
    judged = dict.fromkeys(c.dataset for c in configs if c.dataset not in ("gaussians", "moons"))
    configs += [classifier_for(d, preset) for d in judged]
    configs += trainings(preset) if preset == "paper" and not epochs and not dataset else []
    return list(dict.fromkeys(configs))


LIVE_IMAGES = ("live-gan", "live-diffusion")
# In the plane: data set -> the experiments that are compared on it, by label.
LIVE_POINTS: dict[str, dict[str, str]] = {
    "gaussians": {"GAN": "live-gan-2d", "GAN, fine": "live-gan-2d-fine", "diffusion": "live-diffusion-2d"},
    "moons": {"GAN": "live-gan-2d", "diffusion": "live-diffusion-2d"},
}


def live_configs(preset: str, **chosen: Any) -> list[Config]:
    """The trainings of the live chapter."""
    configs = [get(name, preset, **chosen) for name in LIVE_IMAGES]
    for dataset, methods in LIVE_POINTS.items():
        for name in methods.values():
            configs += [get(name, preset, dataset=dataset, seed=s, **chosen) for s in POINT_SEEDS]
    return configs
