"""Experiments with diffusion models on images."""

from typing import Any

from ..config import Sampling
from ..diffusion.config import ConvNetwork, DiffusionConfig, MLPNetwork, TransformerNetwork, UNetNetwork
from .experiment import DDIM, PRESETS, Experiment, Protocol, presets_of, protocols_of
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
# The rates, batches and averages that first trials at 1/32 petaFLOP preferred; the paper's own keeps its own.
_NIGHT: dict[str, Any] = {"batch_size": 32, "lr": 1e-3, "ema": 22_000.0, "clip_grad": 1.0, "precision": "fp32"}
_NIGHT_UNET = _UNET.but(**_NIGHT, network=UNetNetwork(widths=(16, 32, 64), n_blocks=1, attention=(2,), patch=2))
_NIGHT_MLP = _MLP.but(**{**_NIGHT, "batch_size": 128}, network=MLPNetwork(hidden_dim=512, n_layers=4))
NIGHT_TRANSFORMER = _TRANSFORMER.but(**_NIGHT, network=TransformerNetwork(n_layers=6, hidden_dim=64, patch=4))
NIGHT_FLOW = {**FLOW, "prediction": "x0", "times": "logit-normal", "weighting": "inverse-std"}

# The laptop's processes keep the shape of the paper's: the same sum of betas in a twentieth of the steps.
_SHORT_SCHEDULE: dict[str, Any] = {"n_timesteps": 50, "beta_minmax": (2e-3, 4e-1)}
_TINY_SCHEDULE: dict[str, Any] = {"n_timesteps": 20, "beta_minmax": (5e-3, 0.5)}
_SMALL: dict[str, Any] = {"n_train": 10_000, "batch_size": 64, "epochs": 4, "snapshots": (2, 4)}
_SMALL_CONV = {**_SMALL, "network": ConvNetwork(hidden_dim=16, timestep_embedding_dim=32), "lr": 1e-3}
_SMALLER: dict[str, Any] = {**_SMALL, "precision": "fp32", "ema": 9_000.0, "lr": 2e-3}
_SMALL_UNET = {**_SMALLER, "network": UNetNetwork(widths=(16, 32, 64), n_blocks=1, attention=(), patch=2)}
_SMALL_FULL = {**_SMALL_UNET, "network.widths": (32, 64, 64), "snapshots": (4,)}
_SMALL_TRANSFORMER = {
    **_SMALLER,
    "network": TransformerNetwork(n_layers=4, hidden_dim=64, timestep_embedding_dim=64, patch=4),
    "snapshots": (4,),
}
_SMALL_MLP = {
    **_SMALL,
    "network": MLPNetwork(n_layers=3, hidden_dim=256, timestep_embedding_dim=64),
    "ema": 44_000.0,
    "lr": 1e-3,
    "epochs": 3,
    "snapshots": (3,),
}
_TINY_CONV: dict[str, Any] = {"network.hidden_dim": 8, "network.n_layers": 2}
TINY_UNET: dict[str, Any] = {"network.widths": (8, 16)}
_TINY_TRANSFORMER: dict[str, Any] = {"network.hidden_dim": 16, "network.n_layers": 2}
# What Improved DDPM adds (Nichol and Dhariwal 2021); it samples in fewer steps by ancestral sampling.
HYBRID: dict[str, Any] = {"variance": "learned", "objective": "hybrid", "vlb_weight": 0.001}
ANCESTRAL = protocols_of(Sampling(n=50_000, batch_size=500, sampler="ddpm", n_steps=50), laptop_steps=20, smoke_steps=4)


def _denoiser(
    title: str,
    paper: DiffusionConfig,
    small: dict[str, Any],
    tiny: dict[str, Any],
    night: DiffusionConfig | None = None,
    protocols: dict[str, Protocol] = DDIM,
    **more: Any,
) -> Experiment:
    """`small` is what the preset `laptop` changes, `tiny` what `smoke` does, beside the schedule where it has steps."""
    if paper.n_timesteps is not None:
        small, tiny = _SHORT_SCHEDULE | small, _TINY_SCHEDULE | tiny
    return Experiment(title, presets_of(paper, small, tiny, night), protocols, **more)


def altered_unet(
    title: str,
    name: str,
    *,
    petaflops: float = 1 / 8,
    protocols: dict[str, Protocol] = DDIM,
    changes: dict[str, Any],
    sized: dict[str, dict[str, Any]] | None = None,
) -> Experiment:
    """The U-Net in the paper's process with one thing changed, at every size; `sized` are changes of a preset alone."""
    smoke, laptop, night, paper = ({**changes, **(sized or {}).get(preset, {})} for preset in PRESETS)
    return _denoiser(
        title,
        _UNET.but(name=name, **paper),
        {**_SMALL_UNET, **laptop},
        {**TINY_UNET, **smoke},
        _NIGHT_UNET.but(**night),
        protocols,
        petaflops=petaflops,
    )


EXPERIMENTS: dict[str, Experiment] = {
    "ddpm-conv": _denoiser(
        "the paper's convolutional denoiser",
        CONV,
        _SMALL_CONV,
        _TINY_CONV,
        CONV.but(**{"network.hidden_dim": 16}),
        protocols_of(Sampling(n=2048, batch_size=64, sampler="tutorial")) | {"overnight": DDIM["overnight"]},
        in_paper=True,
        petaflops=1 / 4,
    ),
    "ddpm-mlp": _denoiser(
        "a multilayer perceptron as denoiser", _MLP, _SMALL_MLP, {"network.hidden_dim": 32}, _NIGHT_MLP
    ),
    "ddpm-unet": _denoiser(
        "a U-Net of DDPM's shape in the paper's process", _UNET, _SMALL_UNET, TINY_UNET, _NIGHT_UNET
    ),
    "ddpm-unet-64": _denoiser(
        "the same U-Net at 64x64 pixels, to which the data are enlarged",
        _UNET.but(name="ddpm-unet-64", image_size=64, **{"network.attention": (2,)}),
        _SMALL_UNET,
        TINY_UNET,
        _NIGHT_UNET.but(image_size=64),
    ),
    "ddpm-transformer": _denoiser(
        "a transformer of DiT's shape in the paper's process",
        _TRANSFORMER,
        _SMALL_TRANSFORMER,
        _TINY_TRANSFORMER,
        NIGHT_TRANSFORMER,
    ),
    "flow-unet": _denoiser(
        "the same U-Net on a straight schedule",
        _UNET.but(name="flow-unet", **FLOW),
        _SMALL_UNET,
        TINY_UNET,
        _NIGHT_UNET.but(**NIGHT_FLOW),
    ),
    "flow-transformer": _denoiser(
        "the same transformer on a straight schedule",
        _TRANSFORMER.but(name="flow-transformer", **FLOW),
        _SMALL_TRANSFORMER,
        _TINY_TRANSFORMER,
        NIGHT_TRANSFORMER.but(**NIGHT_FLOW),
    ),
    "ddpm-hybrid": altered_unet(
        "the same U-Net in the paper's process, its variance learned by the hybrid objective",
        "ddpm-hybrid",
        protocols=ANCESTRAL,
        changes=HYBRID,
    ),
    "ddpm-unet-full": _denoiser(
        "DDPM's own U-Net, 35.7M parameters",
        _UNET.but(
            name="ddpm-unet-full",
            flip=True,
            ema=900_000.0,
            snapshots=(40, 100),
            **{"network.widths": (128, 256, 256, 256)},
        ),
        _SMALL_FULL,
        TINY_UNET,
    ),
}
