"""The flow transformer told the class, and on average velocities: each beside `flow-transformer`, with one change."""

from typing import Any

from ..config import Sampling
from .diffusion import EXPERIMENTS as DENOISERS
from .experiment import Experiment, Protocol, protocols_of

GUIDANCE = 0.3  # w: with little of it Ho and Salimans (2022) have their best FID (0.1 at 64x64 pixels, 0.3 at 128x128)
GUIDED = protocols_of(
    Sampling(n=50_000, batch_size=500, sampler="ddim", n_steps=50, guidance=GUIDANCE), laptop_steps=20, smoke_steps=4
)
ONE_STEP = protocols_of(Sampling(n=50_000, batch_size=500, sampler="meanflow", n_steps=1), 1, 1)
# Float32, for the sake of its derivatives. About half of the images teach velocities alone.
MEAN: dict[str, Any] = {"prediction": "v", "weighting": "uniform", "times": "logit-normal", "precision": "fp32"}
MEAN_FROM = {"smoke": 400, "laptop": 20_000, "overnight": 400_000, "paper": 1_000_000}


def _altered(
    title: str, name: str, protocols: dict[str, Protocol], sized: dict[str, dict[str, Any]], **changes: Any
) -> Experiment:
    """The flow transformer with `changes` at every size, and `sized` ones of a preset alone."""
    presets = DENOISERS["flow-transformer"].presets
    made = {preset: config.but(name=name, **changes, **sized.get(preset, {})) for preset, config in presets.items()}
    return Experiment(title, made, protocols)


EXPERIMENTS: dict[str, Experiment] = {
    "flow-cond": _altered(
        "the flow transformer told the class, sampled with guidance", "flow-cond", GUIDED, {}, conditional=True
    ),
    "meanflow": _altered(
        "the flow transformer on average velocities, sampled in one step",
        "meanflow",
        ONE_STEP,
        {preset: {"mean_from": images} for preset, images in MEAN_FROM.items()},
        **MEAN,
    ),
}
