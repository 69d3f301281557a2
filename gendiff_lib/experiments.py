"""The experiments by name, each as a value in three presets; the pages that need them; and what the paper printed."""

import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from .config import (
    ClassifierConfig,
    Config,
    ConfigError,
    DCGANNetwork,
    DiffusionConfig,
    GANConfig,
    MLPNetwork,
    PointGANNetwork,
    Sampling,
    TransformerNetwork,
    UNetNetwork,
)
from .data import Dataset, ImageBridge, load
from .training import images_at, operations_per_image

PRESETS = ("smoke", "laptop", "overnight", "paper")
PETA = 10**15

# ---------------------------------------------------------------- what the paper printed

FIG16: dict[str, Any] = {  # hyper-parameters of its DCGAN
    "batch_size": 128,
    "image_size": 64,
    "nc": 3,
    "nz": 100,
    "ngf": 64,
    "ndf": 64,
    "num_epochs": 30,
    "lrG": 1e-4,
    "lrD": 4e-4,
    "beta1": 0.5,
    "ngpu": 1,
}
FIG17: dict[str, Any] = {  # hyper-parameters of its diffusion model
    "timestep_embedding_dim": 256,
    "n_layers": 8,
    "hidden_dim": 256,
    "n_timesteps": 1000,
    "beta_minmax": (1e-4, 2e-2),
    "train_batch_size": 128,
    "inference_batch_size": 64,
    "lr": 5e-5,
    "epochs": 40,
    "seed": 1234,
}
# Table 1 (Fig. 5), cell by cell as printed; the Inception Score of the DCGAN really reads so.
TABLE1: dict[str, tuple[str, str]] = {
    "Inception Score": ("(2.50)(3)", "1.75"),
    "FID": ("20", "30"),
    "precision": ("0.64", "0.78"),
    "recall": ("0.60", "0.56"),
}

# ---------------------------------------------------------------- experiments


@dataclass(frozen=True)
class Protocol:
    """How an experiment's samples are drawn and scored in one preset: n fakes against n_real images of a split."""

    sampling: Sampling
    n_real: int | None = None  # None for the whole split
    seeds: int = 1  # sampling seeds, from sampling.seed on: one large set, or several small ones
    n_checked: int = 1000  # images whose bits per dimension and nearest neighbours are looked at
    validated: tuple[int | None, int | None] = (
        None,
        None,
    )  # train and test images that the extractor is validated with

    def reals(self, there: int) -> int | None:
        """How many of the images that are there the fakes are compared with; None for all."""
        return None if self.n_real is None or self.n_real >= there else self.n_real


@dataclass(frozen=True)
class Experiment:
    """A question's configuration. The presets differ in size, and the pages say how."""

    title: str
    presets: dict[str, Config]
    protocols: dict[str, Protocol]
    in_paper: bool = False  # whether the `paper` preset is the paper's own recipe
    petaflops: float = 1 / 8  # how long the preset `overnight` trains


def _presets(
    paper: Config, laptop: dict[str, Any], smoke: dict[str, Any], overnight: Config | None = None
) -> dict[str, Config]:
    tiny: dict[str, Any] = {"dataset": "shapes", "n_train": 400, "batch_size": 50, "epochs": 2, "snapshots": (1, 2, 4)}
    night = {"overnight": overnight.but(name=paper.name, seed=0, snapshots=())} if overnight else {}
    return {
        "smoke": paper.but(**{**laptop, **tiny, **smoke}),
        "laptop": paper.but(**laptop),
        **night,
        "paper": paper,
    }


def _protocols(
    paper: Sampling, laptop: dict[str, Any], smoke: dict[str, Any], overnight: Sampling | None = None
) -> dict[str, Protocol]:
    return {
        "paper": Protocol(paper),
        "overnight": Protocol(overnight or paper.but(n=5000), 10_000, n_checked=100),
        "laptop": Protocol(paper.but(n=500, batch_size=100, **laptop), 5000, seeds=3, n_checked=500),
        "smoke": Protocol(
            paper.but(n=100, batch_size=100, **{**laptop, **smoke}), 500, seeds=2, n_checked=50, validated=(1000, 400)
        ),
    }


_GENERATOR = _protocols(Sampling(n=50_000, batch_size=500), {}, {})
_DDIM = _protocols(Sampling(n=50_000, batch_size=500, sampler="ddim", n_steps=50), {"n_steps": 20}, {"n_steps": 4})

_DCGAN = GANConfig(
    name="dcgan",
    network=DCGANNetwork(ngf=64, ndf=64),
    image_size=64,
    batch_size=128,
    nz=100,
    lrG=1e-4,
    lrD=4e-4,
    beta1=0.5,
    epochs=30,
    snapshots=(30, 49, 100),
)
_CONV = DiffusionConfig(  # its network's default values are Fig. 17's
    name="ddpm-conv",
    schedule="linear",
    n_timesteps=1000,
    beta_minmax=(1e-4, 2e-2),
    batch_size=128,
    lr=5e-5,
    epochs=40,
    snapshots=(20, 40, 100),
    seed=1234,
)
_UNET = _CONV.but(
    name="ddpm-unet",
    network=UNetNetwork(widths=(64, 128, 128, 128), n_blocks=2, attention=(1,), dropout=0.1),
    lr=2e-4,
    clip_grad=1.0,
    ema=90_000.0,
    precision="bf16",
    seed=0,
)
_TRANSFORMER = _UNET.but(name="ddpm-transformer", network=TransformerNetwork(n_layers=8, hidden_dim=256, patch=2))
_MLP = _CONV.but(name="ddpm-mlp", network=MLPNetwork(hidden_dim=2048, n_layers=4), lr=2e-4, ema=90_000.0, seed=0)
_FLOW: dict[str, Any] = {"schedule": "flow", "n_timesteps": None, "beta_minmax": None, "prediction": "v"}

# Overnight, the paper's own two keep every value of Figs. 16 and 17 but size and seed; DCGAN at the 32x32 of its text.
_NIGHT_GAN = _DCGAN.but(image_size=None, network=DCGANNetwork(ngf=32, ndf=32))
_NIGHT_CONV = _CONV.but(**{"network.hidden_dim": 16})
# The others have the rates, batches and averages that first trials at 1/32 petaFLOP preferred.
_NIGHT: dict[str, Any] = {"batch_size": 32, "lr": 1e-3, "ema": 22_000.0, "clip_grad": 1.0, "precision": "fp32"}
_NIGHT_UNET = _UNET.but(**_NIGHT, network=UNetNetwork(widths=(16, 32, 64), n_blocks=1, attention=(2,), patch=2))
_NIGHT_TRANSFORMER = _TRANSFORMER.but(**_NIGHT, network=TransformerNetwork(n_layers=6, hidden_dim=64, patch=4))
_NIGHT_FLOW = {**_FLOW, "prediction": "x0", "times": "logit-normal", "weighting": "inverse-std"}

# The laptop's processes keep the shape of the paper's: the same sum of betas in a twentieth of the steps.
_SHORT_SCHEDULE: dict[str, Any] = {"n_timesteps": 50, "beta_minmax": (2e-3, 4e-1)}
# At this size the paper's learning rates let the discriminator win at once (grey squares); these give texture.
_SMALL_GAN: dict[str, Any] = {
    "n_train": 10_000,
    "batch_size": 64,
    "network.ngf": 16,
    "network.ndf": 16,
    "lrG": 4e-4,
    "lrD": 2e-4,
}
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
_TINY_GAN: dict[str, Any] = {"network.ngf": 8, "network.ndf": 8}
_TINY_SCHEDULE: dict[str, Any] = {"n_timesteps": 20, "beta_minmax": (5e-3, 0.5)}
_TINY_UNET: dict[str, Any] = {"network.widths": (8, 16)}
_TINY_TRANSFORMER: dict[str, Any] = {"network.hidden_dim": 16, "network.n_layers": 2}


def _altered_dcgan(title: str, name: str, **changes: Any) -> Experiment:
    """The paper's DCGAN with one thing changed, at every size."""
    laptop = {**_SMALL_GAN, "epochs": 3, "snapshots": (3,)}
    paper, night = (base.but(name=name, **changes) for base in (_DCGAN, _NIGHT_GAN))
    return Experiment(title, _presets(paper, laptop, _TINY_GAN, night), _GENERATOR)


EXPERIMENTS: dict[str, Experiment] = {
    "dcgan": Experiment(
        "the paper's DCGAN, at 64x64 pixels",
        _presets(
            _DCGAN,
            {**_SMALL_GAN, "epochs": 3, "snapshots": (3, 5, 10)},
            _TINY_GAN,
            _DCGAN.but(network=DCGANNetwork(ngf=32, ndf=32)),
        ),
        _GENERATOR,
        in_paper=True,
    ),
    "dcgan-32": Experiment(
        "a DCGAN at the data's own 32x32 pixels",
        _presets(
            _DCGAN.but(name="dcgan-32", image_size=None),
            {**_SMALL_GAN, "network.ngf": 32, "network.ndf": 32, "epochs": 3, "snapshots": (3,)},
            _TINY_GAN,
            _NIGHT_GAN,
        ),
        _GENERATOR,
        petaflops=1 / 4,
    ),
    "dcgan-minimax": _altered_dcgan(
        "the DCGAN with the saturating loss of equation 1", "dcgan-minimax", loss="minimax"
    ),
    "dcgan-plain": _altered_dcgan(
        "the DCGAN without batch norm after its transposed convolutions", "dcgan-plain", **{"network.norm": "none"}
    ),
    "dcgan-clipped": _altered_dcgan(
        "the DCGAN with the gradients of both players clipped to norm 1", "dcgan-clipped", clip_grad=1.0
    ),
    "ddpm-conv": Experiment(
        "the paper's convolutional denoiser",
        _presets(
            _CONV,
            {
                **_SHORT_SCHEDULE,
                "n_train": 10_000,
                "batch_size": 64,
                "network.hidden_dim": 16,
                "network.timestep_embedding_dim": 32,
                "lr": 1e-3,
                "epochs": 4,
                "snapshots": (2, 4),
            },
            {"network.hidden_dim": 8, "network.n_layers": 2, **_TINY_SCHEDULE},
            _NIGHT_CONV,
        ),
        _protocols(
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
        _presets(
            _MLP,
            {**_SHORT_SCHEDULE, **_SMALL_MLP, "epochs": 3, "snapshots": (3,)},
            {"network.hidden_dim": 32, **_TINY_SCHEDULE},
            _MLP.but(**{**_NIGHT, "batch_size": 128}, network=MLPNetwork(hidden_dim=512, n_layers=4)),
        ),
        _DDIM,
    ),
    "ddpm-unet": Experiment(
        "a U-Net of DDPM's shape in the paper's process",
        _presets(
            _UNET,
            {**_SHORT_SCHEDULE, **_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            {**_TINY_UNET, **_TINY_SCHEDULE},
            _NIGHT_UNET,
        ),
        _DDIM,
    ),
    "ddpm-unet-64": Experiment(
        "the same U-Net at 64x64 pixels, to which the data are enlarged",
        _presets(
            _UNET.but(name="ddpm-unet-64", image_size=64, **{"network.attention": (2,)}),
            {**_SHORT_SCHEDULE, **_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            {**_TINY_UNET, **_TINY_SCHEDULE},
            _NIGHT_UNET.but(image_size=64),
        ),
        _DDIM,
    ),
    "ddpm-transformer": Experiment(
        "a transformer of DiT's shape in the paper's process",
        _presets(
            _TRANSFORMER,
            {**_SHORT_SCHEDULE, **_SMALL_TRANSFORMER, "epochs": 4, "snapshots": (4,)},
            {**_TINY_TRANSFORMER, **_TINY_SCHEDULE},
            _NIGHT_TRANSFORMER,
        ),
        _DDIM,
    ),
    "flow-unet": Experiment(
        "the same U-Net on a straight schedule",
        _presets(
            _UNET.but(name="flow-unet", **_FLOW),
            {**_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            _TINY_UNET,
            _NIGHT_UNET.but(**_NIGHT_FLOW),
        ),
        _DDIM,
    ),
    "flow-transformer": Experiment(
        "the same transformer on a straight schedule",
        _presets(
            _TRANSFORMER.but(name="flow-transformer", **_FLOW),
            {**_SMALL_TRANSFORMER, "epochs": 4, "snapshots": (4,)},
            _TINY_TRANSFORMER,
            _NIGHT_TRANSFORMER.but(**_NIGHT_FLOW),
        ),
        _DDIM,
    ),
    "ddpm-unet-full": Experiment(
        "DDPM's own U-Net, 35.7M parameters",
        _presets(
            _UNET.but(
                name="ddpm-unet-full",
                flip=True,
                ema=900_000.0,
                snapshots=(40, 100),
                **{"network.widths": (128, 256, 256, 256)},
            ),
            {**_SHORT_SCHEDULE, **_SMALL_UNET, "network.widths": (32, 64, 64), "epochs": 4, "snapshots": (4,)},
            {**_TINY_UNET, **_TINY_SCHEDULE},
        ),
        _DDIM,
    ),
    "classifier": Experiment(
        "the classifier that counts classes, and judges generated data",
        {
            "paper": ClassifierConfig(name="classifier", flip=True, precision="bf16", epochs=24, schedule_epochs=24),
            "laptop": ClassifierConfig(name="classifier", dataset="shapes", width=8, epochs=2, schedule_epochs=2),
            "smoke": ClassifierConfig(
                name="classifier", dataset="shapes", n_train=2000, width=8, batch_size=50, epochs=2, schedule_epochs=2
            ),
        },
        {},
    ),
}


def _trial(title: str, base: Config, **changes: Any) -> Experiment:
    """A setting that was tried for the best pair: at 1/32 petaFLOP, in the preset `overnight` alone."""
    sampled = _DDIM if base.kind == "diffusion" else _GENERATOR
    return Experiment(
        title, {"overnight": base.but(**changes, seed=0)}, {"overnight": sampled["overnight"]}, petaflops=1 / 32
    )


_TUNED_GAN = _NIGHT_GAN.but(batch_size=64, lrG=2e-4, lrD=2e-4)
EXPERIMENTS |= {
    "trial-gan-rates": _trial("both rates 2e-4, batch 64", _TUNED_GAN, name="trial-gan-rates"),
    "trial-gan-narrow": _trial(
        "half the width, both rates 4e-4, batch 64",
        _TUNED_GAN,
        name="trial-gan-narrow",
        lrG=4e-4,
        lrD=4e-4,
        network=DCGANNetwork(ngf=16, ndf=16),
    ),
    "trial-gan-batch": _trial("both rates 2e-4, batch 32", _TUNED_GAN, name="trial-gan-batch", batch_size=32),
    "trial-gan-smooth": _trial(
        "rates 4e-4 and 2e-4, batch 64, real label 0.9",
        _TUNED_GAN,
        name="trial-gan-smooth",
        lrG=4e-4,
        real_label=0.9,
    ),
    "trial-flow-velocity": _trial(
        "the flow transformer, predicting the velocity at uniform times",
        _NIGHT_TRANSFORMER.but(**_FLOW),
        name="trial-flow-velocity",
    ),
}

# The live chapter's have one size in `laptop` and `paper`: they always train on the reader's own machine.
_LIVE_GAN = GANConfig(
    name="live-gan",
    dataset="shapes",
    network=DCGANNetwork(ngf=32, ndf=32),
    batch_size=32,
    lrG=4e-4,
    lrD=2e-4,
    real_label=0.9,
    epochs=7,
    snapshots=(1, 3, 5, 7),
)
_LIVE_DIFFUSION = DiffusionConfig(
    name="live-diffusion",
    dataset="shapes",
    network=UNetNetwork(widths=(16, 32, 64), n_blocks=1, attention=(), patch=2),
    schedule="flow",
    prediction="x0",
    times="logit-normal",
    weighting="inverse-std",
    lr=3e-3,
    batch_size=32,
    ema=11_000.0,
    epochs=7,
    snapshots=(1, 3, 5, 7),
)
# Two settings of one GAN: its discriminator sees two octaves, or ("fine") four, as the diffusion model does.
_LIVE_GAN_2D = GANConfig(
    name="live-gan-2d",
    dataset="gaussians",
    network=PointGANNetwork(ngf=64, ndf=64, fourier=2),
    nz=8,
    lrG=1e-3,
    lrD=1e-3,
    batch_size=256,
    epochs=20,
    snapshots=(4, 8, 12, 16, 20),
)
_LIVE_DIFFUSION_2D = DiffusionConfig(
    name="live-diffusion-2d",
    dataset="gaussians",
    network=MLPNetwork(n_layers=3, hidden_dim=64, timestep_embedding_dim=16, fourier=4),
    schedule="flow",
    prediction="v",
    lr=3e-3,
    batch_size=256,
    ema=18_000.0,
    epochs=20,
    snapshots=(4, 8, 12, 16, 20),
)
_TINY_2D: dict[str, Any] = {"n_train": 1000, "batch_size": 100, "epochs": 2, "snapshots": (1, 2)}


def _live(title: str, config: Config, sampling: Sampling, smoke: dict[str, Any]) -> Experiment:
    return Experiment(
        title,
        {"smoke": config.but(**smoke), "laptop": config, "overnight": config, "paper": config},
        {p: Protocol(sampling if p != "smoke" else sampling.but(n=100), 2000) for p in PRESETS},
    )


EXPERIMENTS |= {
    "live-gan": _live(
        "a small GAN on shapes",
        _LIVE_GAN,
        Sampling(n=1000, batch_size=100),
        {"n_train": 400, "batch_size": 50, "epochs": 2, "snapshots": (1, 2), **_TINY_GAN},
    ),
    "live-diffusion": _live(
        "a small diffusion model on shapes",
        _LIVE_DIFFUSION,
        Sampling(n=1000, batch_size=100, sampler="ddim", n_steps=30),
        {"n_train": 400, "batch_size": 50, "epochs": 2, "snapshots": (1, 2), **_TINY_UNET},
    ),
    "live-gan-2d": _live("a GAN in the plane", _LIVE_GAN_2D, Sampling(n=2500, batch_size=2500), _TINY_2D),
    "live-gan-2d-fine": _live(
        "a GAN in the plane whose discriminator sees finer detail",
        _LIVE_GAN_2D.but(name="live-gan-2d-fine", **{"network.fourier": 4}),
        Sampling(n=2500, batch_size=2500),
        _TINY_2D,
    ),
    "live-diffusion-2d": _live(
        "a diffusion model in the plane",
        _LIVE_DIFFUSION_2D,
        Sampling(n=2500, batch_size=2500, sampler="ddim", n_steps=50, eta=1.0),
        _TINY_2D,
    ),
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`; ConfigError lists those there are."""
    if name not in EXPERIMENTS:
        raise ConfigError(f"experiment {name!r} is unknown: there are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def check_preset(preset: str) -> None:
    """ConfigError for a preset that is none."""
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is unknown: there are {', '.join(PRESETS)}")


def get(name: str, preset: str = "laptop", *, dataset: str = "", **overrides: Any) -> Config:
    """The configuration of an experiment in a preset, with fields changed by name (`network.ngf` for a part's).

    An empty `dataset` keeps the preset's own. ConfigError for an unknown name, preset or field, or a wrong value.
    """
    check_preset(preset)
    known = experiment(name)
    if preset not in known.presets:
        raise ConfigError(f"experiment {name!r} has no preset {preset}: it has {', '.join(known.presets)}")
    config = known.presets[preset].but(**({"dataset": dataset} if dataset else {}), **overrides)
    if preset != "overnight" or config.kind == "classifier" or name.startswith("live-"):
        return config
    named = PAPER_EPOCHS if name in PAPER_PAIR else ()
    marks = tuple(sorted({*(at_petaflops(config, p) for p in BUDGETS), *named}))
    length = {} if "epochs" in overrides else {"epochs": at_petaflops(config, known.petaflops)}
    return config.but(**{"snapshots": marks, **length, **{k: overrides[k] for k in ("snapshots",) if k in overrides}})


# Where an overnight training keeps snapshots: at doubling budgets, in petaFLOP, and the paper's pair at its epochs too.
BUDGETS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
PAPER_PAIR = ("dcgan-32", "ddpm-conv")
PAPER_EPOCHS = (20.0, 30.0, 40.0, 49.0, 100.0)


def paper_pair(preset: str) -> tuple[str, str]:
    """The experiments that are the paper's two models in a preset: overnight its GAN is at the text's 32x32 pixels."""
    return PAPER_PAIR if preset == "overnight" else ("dcgan", "ddpm-conv")


def at_petaflops(config: Config, petaflops: float) -> float:
    """The epochs after which a training has done so many operations, in 10^15, rounded to a batch."""
    steps = samples_of(config) // config.batch_size
    images = petaflops * PETA / operations(config)
    return images_at(images / config.batch_size / steps, steps, config.batch_size) / config.batch_size / steps


def samples_of(config: Config) -> int:
    """How many samples a configuration trains on; CIFAR-10 need not be at hand."""
    return config.n_train or (50_000 if config.dataset == "cifar10" else len(load(config.dataset).samples))


def operations(config: Config) -> int:
    """The operations of training one image, counted on a blank one; CIFAR-10 need not be at hand."""
    return _operations(config.but(epochs=1.0, snapshots=(), seed=0, name="run", batch_size=2, n_train=None))


@lru_cache(maxsize=256)
def _operations(config: Config) -> int:
    if config.dataset != "cifar10":
        return operations_per_image(config, load(config.dataset))
    blank, classes = torch.zeros(2, 3, 32, 32, dtype=torch.uint8), tuple(map(str, range(10)))
    return operations_per_image(
        config, Dataset("cifar10", "train", blank, torch.zeros(2).long(), classes, ImageBridge(32))
    )


def protocol(name: str, preset: str = "laptop") -> Protocol:
    """How the samples of an experiment are drawn and scored in a preset."""
    protocols = experiment(name).protocols
    if preset not in protocols:
        raise ConfigError(f"experiment {name!r} has no samples to draw in preset {preset!r}")
    return protocols[preset]


def preset_of(config: Config) -> str:
    """The preset whose size `config` has, whatever its seed and data set; where none's, `laptop` or the only one."""
    known = EXPERIMENTS[config.name].presets if config.name in EXPERIMENTS else {}
    for preset, mine in known.items():  # where sizes are one, as in the live chapter, it is not the paper's
        if mine.but(seed=config.seed, dataset=config.dataset).digest == config.digest:
            return preset
    return next(iter(known)) if len(known) == 1 else "laptop"


def train_command(config: Config) -> str:
    """The command that trains exactly this configuration, though it be published; "" for one of no experiment."""
    if config.name not in EXPERIMENTS:
        return ""
    preset = preset_of(config)
    base, words = get(config.name, preset), ["gendiff", "train", config.name, "--preset", preset]
    for name, text in config.but(snapshots=base.snapshots).words(base).items():
        words += [f"--{name}", text] if name in ("dataset", "epochs", "seed") else ["--set", f"{name}={text}"]
    return shlex.join([*words, "--again"])


def classifier_for(dataset: str, preset: str) -> Config:
    """The classifier that judges samples of `dataset`: for CIFAR-10 the published one, in every preset."""
    if dataset == "cifar10":
        return get("classifier", "paper")
    return get("classifier", "smoke" if preset == "smoke" else "laptop", dataset=dataset)


def shrunk(config: Config, name: str) -> dict[str, tuple[Any, Any]]:
    """The fields in which `config` differs from the experiment's `paper` preset: name -> (paper's, its own)."""
    paper, mine = experiment(name).presets["paper"].flat(), config.flat()
    skip = ("name", "snapshots", "seed")
    return {k: (v, mine[k]) for k, v in paper.items() if k not in skip and k in mine and v != mine[k]}


# ---------------------------------------------------------------- the book

# The collapse page compares two snapshots of one run of `dcgan`: the paper's 30 and 100 epochs, or the same ratio.
COLLAPSE: dict[str, tuple[int, int]] = {"paper": (30, 100), "overnight": (30, 100), "laptop": (3, 10), "smoke": (1, 4)}


def sampler_grid(preset: str) -> dict[str, Sampling]:
    """The samplers that their page compares, by label; equal n for all, so that no distance owes anything to n."""
    n_timesteps = {"paper": 1000, "overnight": 1000, "laptop": 50, "smoke": 20}[preset]
    steps = {"paper": (10, 20, 50, 100), "overnight": (10, 20, 50), "laptop": (5, 10, 20), "smoke": (2, 5)}[preset]
    n = {"paper": 2048, "overnight": 500, "laptop": 256, "smoke": 50}[preset]
    base = Sampling(n=n, batch_size=min(n, 100 if preset == "overnight" else 64))
    grid = {f"ddim {s}": base.but(sampler="ddim", n_steps=s) for s in steps}
    grid |= {f"ddim-eta1 {s}": base.but(sampler="ddim", eta=1.0, n_steps=s) for s in steps[1:2]}
    whole = base.but(n_steps=n_timesteps)
    return grid | {
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
COMPARED = ("dcgan", "dcgan-32", "ddpm-conv", "ddpm-unet", "ddpm-transformer", "flow-unet", "ddpm-mlp")
CODED = (
    "ddpm-conv",
    "ddpm-unet",
    "ddpm-transformer",
    "ddpm-mlp",
)  # those whose path has steps of its own, so that they give bits
POINT_SEEDS = (0, 1, 2)
# What verdicts on the paper's claims look at: experiment and epochs, in the preset `paper` alone.
CLAIMED = (
    ("dcgan", 30), ("dcgan", 49), ("dcgan", 100), ("ddpm-conv", 20), ("ddpm-conv", 40), ("dcgan-minimax", 30),
    ("dcgan-plain", 30), ("ddpm-unet", 40), ("ddpm-unet-64", 40), ("ddpm-conv", 100),
)  # fmt: skip
CLAIM_SEEDS = 3  # fewer training seeds give no verdict


def page_configs(preset: str, *, dataset: str = "", epochs: float | None = None) -> list[Config]:
    """Every training that the pages show, the longest of each identity first. `epochs` None: the preset's own."""
    check_preset(preset)
    chosen = {"epochs": epochs} if epochs else {}
    configs = [get(paper_pair(preset)[0], preset, dataset=dataset, epochs=epochs or COLLAPSE[preset][1])]
    configs += [get(name, preset, dataset=dataset, **chosen) for name in COMPARED]
    configs += live_configs(preset, **chosen)
    judged = dict.fromkeys(c.dataset for c in configs if c.dataset not in ("gaussians", "moons"))
    configs += [classifier_for(d, preset) for d in judged]
    return list(dict.fromkeys(configs))


def book_configs(preset: str, *, dataset: str = "", epochs: float | None = None) -> list[Config]:
    """Every training the book needs in a preset: what its pages show, and at the paper's size what its claims need."""
    configs = page_configs(preset, dataset=dataset, epochs=epochs)
    claims = claim_configs() if preset == "paper" and not epochs and not dataset else []
    return list(dict.fromkeys(configs + claims))


LIVE_IMAGES = ("live-gan", "live-diffusion")
# In the plane: data set -> the experiments that are compared on it, by label.
LIVE_POINTS: dict[str, dict[str, str]] = {
    "gaussians": {"GAN": "live-gan-2d", "GAN, fine": "live-gan-2d-fine", "diffusion": "live-diffusion-2d"},
    "moons": {"GAN": "live-gan-2d", "diffusion": "live-diffusion-2d"},
}


def claim_configs() -> list[Config]:
    """The trainings that the claims need, each as long as the longest of its snapshots that is looked at."""
    longest: dict[str, int] = {}
    for name, epochs in CLAIMED:
        longest[name] = max(epochs, longest.get(name, 0))
    return [get(name, "paper", epochs=epochs) for name, epochs in longest.items()]


def live_configs(preset: str, **chosen: Any) -> list[Config]:
    """The trainings of the live chapter."""
    configs = [get(name, preset, **chosen) for name in LIVE_IMAGES]
    for dataset, methods in LIVE_POINTS.items():
        for name in methods.values():
            configs += [get(name, preset, dataset=dataset, seed=s, **chosen) for s in POINT_SEEDS]
    return configs
