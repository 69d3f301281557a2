"""Experiments with diffusion models on images."""

from typing import Any

from ..config import Sampling
from ..diffusion.config import MLPNetwork, TransformerNetwork, UNetNetwork
from .experiment import DDIM, SHORT_SCHEDULE, TINY_SCHEDULE, Experiment, presets_of, protocols_of
from .paper import CONV

_UNET = CONV.but(
    name="ddpm-unet",
    network=UNetNetwork(widths=(64, 128, 128, 128), n_blocks=2, attention=(1,), dropout=0.1),
    lr=2e-4,
    clip_grad=1.0,
    ema=90_000.0,
    precision="bf16",
    seed=0,
)
_TRANSFORMER = _UNET.but(name="ddpm-transformer", network=TransformerNetwork(n_layers=8, hidden_dim=256, patch=2))
_MLP = CONV.but(name="ddpm-mlp", network=MLPNetwork(hidden_dim=2048, n_layers=4), lr=2e-4, ema=90_000.0, seed=0)
FLOW: dict[str, Any] = {"schedule": "flow", "n_timesteps": None, "beta_minmax": None, "prediction": "v"}
_NIGHT_CONV = CONV.but(**{"network.hidden_dim": 16})
# The others have the rates, batches and averages that first trials at 1/32 petaFLOP preferred.
_NIGHT: dict[str, Any] = {"batch_size": 32, "lr": 1e-3, "ema": 22_000.0, "clip_grad": 1.0, "precision": "fp32"}
_NIGHT_UNET = _UNET.but(**_NIGHT, network=UNetNetwork(widths=(16, 32, 64), n_blocks=1, attention=(2,), patch=2))
NIGHT_TRANSFORMER = _TRANSFORMER.but(**_NIGHT, network=TransformerNetwork(n_layers=6, hidden_dim=64, patch=4))
NIGHT_FLOW = {**FLOW, "prediction": "x0", "times": "logit-normal", "weighting": "inverse-std"}
_SMALL_UNET: dict[str, Any] = {
    "n_train": 10_000,
    "batch_size": 64,
    "network.attention": (),
    "network.widths": (16, 32, 64),
    "network.n_blocks": 1,
    "network.patch": 2,
    "network.dropout": 0.0,
    "precision": "fp32",
    "ema": 9_000.0,
    "lr": 2e-3,
}
_SMALL_MLP: dict[str, Any] = {
    "n_train": 10_000,
    "batch_size": 64,
    "network.hidden_dim": 256,
    "network.n_layers": 3,
    "network.timestep_embedding_dim": 64,
    "ema": 44_000.0,
    "lr": 1e-3,
}
_SMALL_TRANSFORMER: dict[str, Any] = {
    "n_train": 10_000,
    "batch_size": 64,
    "network.hidden_dim": 64,
    "network.timestep_embedding_dim": 64,
    "network.n_layers": 4,
    "network.patch": 4,
    "precision": "fp32",
    "ema": 9_000.0,
    "lr": 2e-3,
}
TINY_UNET: dict[str, Any] = {"network.widths": (8, 16)}
_TINY_TRANSFORMER: dict[str, Any] = {"network.hidden_dim": 16, "network.n_layers": 2}


EXPERIMENTS: dict[str, Experiment] = {
    "ddpm-conv": Experiment(
        "the paper's convolutional denoiser",
        presets_of(
            CONV,
            {
                **SHORT_SCHEDULE,
                "n_train": 10_000,
                "batch_size": 64,
                "network.hidden_dim": 16,
                "network.timestep_embedding_dim": 32,
                "lr": 1e-3,
                "epochs": 4,
                "snapshots": (2, 4),
            },
            {"network.hidden_dim": 8, "network.n_layers": 2, **TINY_SCHEDULE},
            _NIGHT_CONV,
        ),
        protocols_of(
            Sampling(n=2048, batch_size=64, sampler="tutorial"),
            {},
            {},
            Sampling(n=5000, batch_size=500, sampler="ddim", n_steps=50),
        ),
        in_paper=True,
        petaflops=1 / 4,
    ),
    "ddpm-mlp": Experiment(
        "a multilayer perceptron as denoiser",
        presets_of(
            _MLP,
            {**SHORT_SCHEDULE, **_SMALL_MLP, "epochs": 3, "snapshots": (3,)},
            {"network.hidden_dim": 32, **TINY_SCHEDULE},
            _MLP.but(**{**_NIGHT, "batch_size": 128}, network=MLPNetwork(hidden_dim=512, n_layers=4)),
        ),
        DDIM,
    ),
    "ddpm-unet": Experiment(
        "a U-Net of DDPM's shape in the paper's process",
        presets_of(
            _UNET,
            {**SHORT_SCHEDULE, **_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            {**TINY_UNET, **TINY_SCHEDULE},
            _NIGHT_UNET,
        ),
        DDIM,
    ),
    "ddpm-unet-64": Experiment(
        "the same U-Net at 64x64 pixels, to which the data are enlarged",
        presets_of(
            _UNET.but(name="ddpm-unet-64", image_size=64, **{"network.attention": (2,)}),
            {**SHORT_SCHEDULE, **_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            {**TINY_UNET, **TINY_SCHEDULE},
            _NIGHT_UNET.but(image_size=64),
        ),
        DDIM,
    ),
    "ddpm-transformer": Experiment(
        "a transformer of DiT's shape in the paper's process",
        presets_of(
            _TRANSFORMER,
            {**SHORT_SCHEDULE, **_SMALL_TRANSFORMER, "epochs": 4, "snapshots": (4,)},
            {**_TINY_TRANSFORMER, **TINY_SCHEDULE},
            NIGHT_TRANSFORMER,
        ),
        DDIM,
    ),
    "flow-unet": Experiment(
        "the same U-Net on a straight schedule",
        presets_of(
            _UNET.but(name="flow-unet", **FLOW),
            {**_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            TINY_UNET,
            _NIGHT_UNET.but(**NIGHT_FLOW),
        ),
        DDIM,
    ),
    "flow-transformer": Experiment(
        "the same transformer on a straight schedule",
        presets_of(
            _TRANSFORMER.but(name="flow-transformer", **FLOW),
            {**_SMALL_TRANSFORMER, "epochs": 4, "snapshots": (4,)},
            _TINY_TRANSFORMER,
            NIGHT_TRANSFORMER.but(**NIGHT_FLOW),
        ),
        DDIM,
    ),
    "ddpm-unet-full": Experiment(
        "DDPM's own U-Net, 35.7M parameters",
        presets_of(
            _UNET.but(
                name="ddpm-unet-full",
                flip=True,
                ema=900_000.0,
                snapshots=(40, 100),
                **{"network.widths": (128, 256, 256, 256)},
            ),
            {**SHORT_SCHEDULE, **_SMALL_UNET, "network.widths": (32, 64, 64), "epochs": 4, "snapshots": (4,)},
            {**TINY_UNET, **TINY_SCHEDULE},
        ),
        DDIM,
    ),
}
