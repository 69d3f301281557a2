"""One setting at a time of the small U-Net in the paper's process: its depth, schedule, objective, rate and batch."""

from typing import Any

from ..config import Sampling
from .diffusion import ANCESTRAL, HYBRID, altered_unet
from .experiment import DDIM, TRIAL, Experiment, Protocol, protocols_of

FEW_STEPS = protocols_of(Sampling(n=50_000, batch_size=500, sampler="ddim", n_steps=10), 10, 4)
HEUN = protocols_of(Sampling(n=50_000, batch_size=500, sampler="heun", n_steps=18), 10, 3)

DEPTHS = (10, 100, 4000)  # the paper's is 1000
EDM: dict[str, Any] = {
    "schedule": "edm",
    "n_timesteps": None,
    "beta_minmax": None,
    "prediction": "x0",
    "preconditioning": "edm",
    "weighting": "edm",
    "times": "log-normal",
}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "study-ddpm-cosine": ("the U-Net on the cosine schedule", {"schedule": "cosine", "beta_minmax": None}),
    "study-ddpm-sigmoid": ("the U-Net on the sigmoid schedule", {"schedule": "sigmoid", "beta_minmax": None}),
    "study-ddpm-v": ("the U-Net, which predicts the velocity", {"prediction": "v"}),
    "study-ddpm-x0": ("the U-Net, which predicts the clean sample", {"prediction": "x0"}),
    "study-ddpm-min-snr": ("the U-Net under min-SNR's weights", {"weighting": "min-snr"}),
    "study-ddpm-raw": ("the U-Net without averaged weights", {"ema": None}),
    "study-ddpm-lr-low": ("the U-Net at rate 5e-4", {"lr": 5e-4}),
    "study-ddpm-lr-high": ("the U-Net at rate 2e-3", {"lr": 2e-3}),
    "study-ddpm-batch-16": ("the U-Net in batches of 16", {"batch_size": 16}),
    "study-ddpm-batch-64": ("the U-Net in batches of 64", {"batch_size": 64}),
}
# The rate falls to 0 at the end of each preset's training: at night that is 1/32 petaFLOP.
DECAYS = {"smoke": 800, "laptop": 40_000, "overnight": 213_000, "paper": 2_000_000}


def _studied(title: str, name: str, changes: dict[str, Any], protocols: dict[str, Protocol] = DDIM) -> Experiment:
    return altered_unet(title, name, petaflops=TRIAL, protocols=protocols, changes=changes)


def _of_depth(n: int) -> Experiment:
    """The paper's linear schedule at every 1000/n-th time."""
    changes = {"schedule": "respaced", "n_timesteps": n, "beta_minmax": (1e-4, 2e-2)}
    return _studied(f"the U-Net in {n} steps", f"study-ddpm-depth-{n}", changes, FEW_STEPS if n < 50 else DDIM)


EXPERIMENTS: dict[str, Experiment] = {
    **{f"study-ddpm-depth-{n}": _of_depth(n) for n in DEPTHS},
    **{name: _studied(title, name, changes) for name, (title, changes) in SETTINGS.items()},
    "study-ddpm-decay": altered_unet(
        "the U-Net, whose rate falls to 0",
        "study-ddpm-decay",
        petaflops=TRIAL,
        changes={},
        sized={preset: {"lr_decay": images} for preset, images in DECAYS.items()},
    ),
    "study-ddpm-edm": _studied("the U-Net in EDM's process, preconditioned", "study-ddpm-edm", EDM, HEUN),
    "study-ddpm-unweighted": _studied(
        "the U-Net under the sum that the paper prints: the bound with weight 1",
        "study-ddpm-unweighted",
        {**HYBRID, "vlb_weight": 1.0},
        ANCESTRAL,
    ),
}
STUDIED = tuple(EXPERIMENTS)  # in the order in which the study trains them
