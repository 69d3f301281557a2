"""The experiments by name, each as a value in three presets; the pages that need them; and what the paper printed."""

import shlex
from dataclasses import dataclass, fields
from typing import Any

from .config import ClassifierConfig, Config, ConfigError, DiffusionConfig, GANConfig, Sampling

PRESETS = ("smoke", "laptop", "paper")

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
    """How an experiment's samples are drawn and scored in one preset: n fakes against the first n_real of a split."""

    sampling: Sampling
    n_real: int  # 0 for the whole split
    seeds: int = 1  # sampling seeds, from sampling.seed on: one large set, or several small ones
    n_checked: int = 1000  # images whose bits per dimension and nearest neighbours are looked at
    validated: tuple[int, int] = (0, 0)  # train and test images that the extractor is validated with, 0 for all

    def reals(self, there: int) -> int:
        """How many of the images that are there the fakes are compared with; 0 for all."""
        return min(self.n_real, there)


@dataclass(frozen=True)
class Experiment:
    """A question's configuration. The presets differ in size, and the pages say how."""

    title: str
    presets: dict[str, Config]
    protocols: dict[str, Protocol]
    in_paper: bool = False  # whether the `paper` preset is the paper's own recipe


def _presets(paper: Config, laptop: dict[str, Any], smoke: dict[str, Any]) -> dict[str, Config]:
    tiny: dict[str, Any] = {"dataset": "shapes", "n_train": 400, "batch_size": 50, "epochs": 2, "snapshots": (1, 2, 4)}
    return {
        "paper": paper,
        "laptop": paper.but(**laptop),
        "smoke": paper.but(**{**laptop, **tiny, **smoke}),
    }


def _protocols(paper: Sampling, laptop: dict[str, Any], smoke: dict[str, Any]) -> dict[str, Protocol]:
    return {
        "paper": Protocol(paper, 0),
        "laptop": Protocol(paper.but(n=500, batch_size=100, **laptop), 5000, seeds=3, n_checked=500),
        "smoke": Protocol(
            paper.but(n=100, batch_size=100, **{**laptop, **smoke}), 500, seeds=2, n_checked=50, validated=(1000, 400)
        ),
    }


_GENERATOR = _protocols(Sampling(n=50_000, batch_size=500), {}, {})
_DDIM = _protocols(Sampling(n=50_000, batch_size=500, sampler="ddim", n_steps=50), {"n_steps": 20}, {"n_steps": 4})

_DCGAN = GANConfig(
    name="dcgan",
    image_size=64,
    batch_size=128,
    nz=100,
    ngf=64,
    ndf=64,
    lrG=1e-4,
    lrD=4e-4,
    beta1=0.5,
    epochs=30,
    snapshots=(30, 49, 100),
)
_CONV = DiffusionConfig(
    name="ddpm-conv",
    denoiser="conv",
    timestep_embedding_dim=256,
    n_layers=8,
    hidden_dim=256,
    path="linear",
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
    denoiser="unet",
    timestep_embedding_dim=None,
    n_layers=None,
    hidden_dim=None,
    widths=(64, 128, 128, 128),
    n_blocks=2,
    attention=(1,),
    patch=1,
    dropout=0.1,
    lr=2e-4,
    clip_grad=1.0,
    ema=0.999,
    precision="bf16",
    seed=0,
)
_TRANSFORMER = _CONV.but(
    name="ddpm-transformer",
    denoiser="transformer",
    n_layers=8,
    patch=2,
    lr=2e-4,
    clip_grad=1.0,
    ema=0.999,
    precision="bf16",
    seed=0,
)
_MLP = _CONV.but(name="ddpm-mlp", denoiser="mlp", hidden_dim=2048, n_layers=4, lr=2e-4, ema=0.999, seed=0)

# The laptop's processes keep the shape of the paper's: the same sum of betas in a twentieth of the steps.
_SHORT_PATH: dict[str, Any] = {"n_timesteps": 50, "beta_minmax": (2e-3, 4e-1)}
# At this size the paper's learning rates let the discriminator win at once (grey squares); these give texture.
_SMALL_GAN: dict[str, Any] = {
    "n_train": 10_000,
    "batch_size": 64,
    "ngf": 16,
    "ndf": 16,
    "lrG": 4e-4,
    "lrD": 2e-4,
}
_SMALL_UNET: dict[str, Any] = {
    "n_train": 10_000,
    "batch_size": 64,
    "widths": (16, 32, 64),
    "n_blocks": 1,
    "attention": (),
    "patch": 2,
    "dropout": 0.0,
    "precision": "fp32",
    "ema": 0.995,
    "lr": 2e-3,
}
_SMALL_MLP: dict[str, Any] = {"n_train": 10_000, "batch_size": 64, "hidden_dim": 256, "n_layers": 3, "lr": 1e-3}
_TINY_GAN: dict[str, Any] = {"ngf": 8, "ndf": 8}
_TINY_PATH: dict[str, Any] = {"n_timesteps": 20, "beta_minmax": (5e-3, 0.5)}
_TINY_UNET: dict[str, Any] = {"widths": (8, 16)}


def _altered_dcgan(title: str, name: str, **changes: Any) -> Experiment:
    """The paper's DCGAN with one thing changed, at every size."""
    laptop = {**_SMALL_GAN, "epochs": 3, "snapshots": (3,)}
    return Experiment(title, _presets(_DCGAN.but(name=name, **changes), laptop, _TINY_GAN), _GENERATOR)


EXPERIMENTS: dict[str, Experiment] = {
    "dcgan": Experiment(
        "the paper's DCGAN, at 64x64 pixels",
        _presets(
            _DCGAN,
            {**_SMALL_GAN, "epochs": 3, "snapshots": (3, 5, 10)},
            _TINY_GAN,
        ),
        _GENERATOR,
        in_paper=True,
    ),
    "dcgan-32": Experiment(
        "a DCGAN at the data's own 32x32 pixels",
        _presets(
            _DCGAN.but(name="dcgan-32", image_size=0),
            {**_SMALL_GAN, "ngf": 32, "ndf": 32, "epochs": 3, "snapshots": (3,)},
            _TINY_GAN,
        ),
        _GENERATOR,
    ),
    "dcgan-minimax": _altered_dcgan(
        "the DCGAN with the saturating loss of equation 1", "dcgan-minimax", loss="minimax"
    ),
    "dcgan-plain": _altered_dcgan(
        "the DCGAN without batch norm after its transposed convolutions", "dcgan-plain", norm="none"
    ),
    "ddpm-conv": Experiment(
        "the paper's convolutional denoiser",
        _presets(
            _CONV,
            {
                **_SHORT_PATH,
                "n_train": 10_000,
                "batch_size": 64,
                "hidden_dim": 16,
                "timestep_embedding_dim": 32,
                "lr": 1e-3,
                "epochs": 4,
                "snapshots": (2, 4),
            },
            {"hidden_dim": 8, "n_layers": 2, **_TINY_PATH},
        ),
        _protocols(
            Sampling(n=2048, batch_size=64, sampler="tutorial"),
            {},
            {},
        ),
        in_paper=True,
    ),
    "ddpm-mlp": Experiment(
        "a multilayer perceptron as denoiser",
        _presets(
            _MLP,
            {**_SHORT_PATH, **_SMALL_MLP, "timestep_embedding_dim": 64, "epochs": 3, "snapshots": (3,)},
            {"hidden_dim": 32, **_TINY_PATH},
        ),
        _DDIM,
    ),
    "ddpm-unet": Experiment(
        "a U-Net of DDPM's shape in the paper's process",
        _presets(
            _UNET,
            {**_SHORT_PATH, **_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            {**_TINY_UNET, **_TINY_PATH},
        ),
        _DDIM,
    ),
    "ddpm-unet-64": Experiment(
        "the same U-Net at 64x64 pixels, to which the data are enlarged",
        _presets(
            _UNET.but(name="ddpm-unet-64", image_size=64, attention=(2,)),
            {**_SHORT_PATH, **_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            {**_TINY_UNET, **_TINY_PATH},
        ),
        _DDIM,
    ),
    "ddpm-transformer": Experiment(
        "a transformer of DiT's shape in the paper's process",
        _presets(
            _TRANSFORMER,
            {
                **_SHORT_PATH,
                "n_train": 10_000,
                "batch_size": 64,
                "hidden_dim": 64,
                "timestep_embedding_dim": 64,
                "n_layers": 4,
                "patch": 4,
                "precision": "fp32",
                "ema": 0.995,
                "lr": 2e-3,
                "epochs": 4,
                "snapshots": (4,),
            },
            {"hidden_dim": 16, "n_layers": 2, **_TINY_PATH},
        ),
        _DDIM,
    ),
    "flow-unet": Experiment(
        "the same U-Net on a straight path, predicting the velocity",
        _presets(
            _UNET.but(name="flow-unet", path="flow", n_timesteps=None, beta_minmax=None, prediction="v"),
            {**_SMALL_UNET, "epochs": 4, "snapshots": (2, 4)},
            _TINY_UNET,
        ),
        _DDIM,
    ),
    "ddpm-unet-full": Experiment(
        "DDPM's own U-Net, 35.7M parameters",
        _presets(
            _UNET.but(name="ddpm-unet-full", widths=(128, 256, 256, 256), flip=True, ema=0.9999, snapshots=(40, 100)),
            {**_SHORT_PATH, **_SMALL_UNET, "widths": (32, 64, 64), "epochs": 4, "snapshots": (4,)},
            {**_TINY_UNET, **_TINY_PATH},
        ),
        _DDIM,
    ),
    "classifier": Experiment(
        "the offline extractor's network",
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

# The live chapter's have one size in `laptop` and `paper`: they always train on the reader's own machine.
_LIVE_GAN = GANConfig(
    name="live-gan",
    dataset="shapes",
    ngf=32,
    ndf=32,
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
    denoiser="unet",
    widths=(16, 32, 64),
    n_blocks=1,
    attention=(),
    patch=2,
    dropout=0.0,
    path="flow",
    prediction="x0",
    times="logit-normal",
    weighting="inverse-std",
    lr=3e-3,
    batch_size=32,
    ema=0.998,
    epochs=7,
    snapshots=(1, 3, 5, 7),
)
# Two settings of one GAN: its discriminator sees two octaves, or ("fine") four, as the diffusion model does.
_LIVE_GAN_2D = GANConfig(
    name="live-gan-2d",
    dataset="gaussians",
    network="mlp",
    fourier=2,
    nz=8,
    ngf=64,
    ndf=64,
    lrG=1e-3,
    lrD=1e-3,
    batch_size=256,
    epochs=20,
    snapshots=(4, 8, 12, 16, 20),
)
_LIVE_DIFFUSION_2D = DiffusionConfig(
    name="live-diffusion-2d",
    dataset="gaussians",
    denoiser="mlp",
    fourier=4,
    n_layers=3,
    hidden_dim=64,
    timestep_embedding_dim=16,
    path="flow",
    prediction="v",
    lr=3e-3,
    batch_size=256,
    ema=0.99,
    epochs=20,
    snapshots=(4, 8, 12, 16, 20),
)
_TINY_2D: dict[str, Any] = {"n_train": 1000, "batch_size": 100, "epochs": 2, "snapshots": (1, 2)}


def _live(title: str, config: Config, sampling: Sampling, smoke: dict[str, Any]) -> Experiment:
    return Experiment(
        title,
        {"paper": config, "laptop": config, "smoke": config.but(**smoke)},
        {p: Protocol(sampling if p != "smoke" else sampling.but(n=100), 2000) for p in PRESETS},
    )


EXPERIMENTS |= {
    "live-gan": _live(
        "a small GAN on shapes",
        _LIVE_GAN,
        Sampling(n=1000, batch_size=100),
        {"n_train": 400, "batch_size": 50, "epochs": 2, "ngf": 8, "ndf": 8, "snapshots": (1, 2)},
    ),
    "live-diffusion": _live(
        "a small diffusion model on shapes",
        _LIVE_DIFFUSION,
        Sampling(n=1000, batch_size=100, sampler="ddim", n_steps=30),
        {"n_train": 400, "batch_size": 50, "epochs": 2, "widths": (8, 16), "snapshots": (1, 2)},
    ),
    "live-gan-2d": _live("a GAN in the plane", _LIVE_GAN_2D, Sampling(n=2500, batch_size=2500), _TINY_2D),
    "live-gan-2d-fine": _live(
        "a GAN in the plane whose discriminator sees finer detail",
        _LIVE_GAN_2D.but(name="live-gan-2d-fine", fourier=4),
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
    """The configuration of an experiment in a preset, with fields changed by name.

    An empty `dataset` keeps the preset's own. ConfigError for an unknown name, preset or field, or a wrong value.
    """
    check_preset(preset)
    config = experiment(name).presets[preset]
    return config.but(**({"dataset": dataset} if dataset else {}), **overrides)


def protocol(name: str, preset: str = "laptop") -> Protocol:
    """How the samples of an experiment are drawn and scored in a preset."""
    protocols = experiment(name).protocols
    if preset not in protocols:
        raise ConfigError(f"experiment {name!r} has no samples to draw in preset {preset!r}")
    return protocols[preset]


def preset_of(config: Config) -> str:
    """The preset whose size `config` has, whatever its seed and data set; `laptop` where it has none's."""
    known = EXPERIMENTS[config.name].presets if config.name in EXPERIMENTS else {}
    for preset, mine in reversed(known.items()):  # where sizes are one, as in the live chapter, it is not the paper's
        if mine.but(seed=config.seed, dataset=config.dataset).digest == config.digest:
            return preset
    return "laptop"


def train_command(config: Config) -> str:
    """The command that trains exactly this configuration, though it be published; "" for one of no experiment."""
    if config.name not in EXPERIMENTS:
        return ""
    preset = preset_of(config)
    base, words = get(config.name, preset), ["gendiff", "train", config.name, "--preset", preset]
    for name in (f.name for f in fields(config) if getattr(config, f.name) != getattr(base, f.name)):
        text = config.text(name)
        words += [f"--{name}", text] if name in ("dataset", "epochs", "seed") else ["--set", f"{name}={text}"]
    return shlex.join([*words, "--again"])


def classifier_for(dataset: str, preset: str) -> Config:
    """The classifier that judges samples of `dataset`: for CIFAR-10 the published one, in every preset."""
    if dataset == "cifar10":
        return get("classifier", "paper")
    return get("classifier", "smoke" if preset == "smoke" else "laptop", dataset=dataset)


def shrunk(config: Config, name: str) -> dict[str, tuple[Any, Any]]:
    """The fields in which `config` differs from the experiment's `paper` preset: name -> (paper's, its own)."""
    paper, mine = experiment(name).presets["paper"].to_dict(), config.to_dict()
    skip = ("name", "snapshots", "seed")
    return {k: (v, mine[k]) for k, v in paper.items() if k not in skip and k in mine and v != mine[k]}


# ---------------------------------------------------------------- the book

# The collapse page compares two snapshots of one run of `dcgan`: the paper's 30 and 100 epochs, or the same ratio.
COLLAPSE: dict[str, tuple[int, int]] = {"paper": (30, 100), "laptop": (3, 10), "smoke": (1, 4)}


def sampler_grid(preset: str) -> dict[str, Sampling]:
    """The samplers that their page compares, by label; equal n for all, so that no distance owes anything to n."""
    n_timesteps = {"paper": 1000, "laptop": 50, "smoke": 20}[preset]
    steps = {"paper": (10, 20, 50, 100), "laptop": (5, 10, 20), "smoke": (2, 5)}[preset]
    base = {"paper": Sampling(n=2048, batch_size=64), "laptop": Sampling(n=256), "smoke": Sampling(n=50)}[preset]
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


def page_configs(preset: str, *, dataset: str = "", epochs: int = 0) -> list[Config]:
    """Every training that the pages show, the longest of each identity first. `epochs` 0: the preset's own."""
    check_preset(preset)
    chosen = {"epochs": epochs} if epochs else {}
    configs = [get("dcgan", preset, dataset=dataset, epochs=epochs or COLLAPSE[preset][1])]
    configs += [get(name, preset, dataset=dataset, **chosen) for name in COMPARED]
    configs += live_configs(preset, **chosen)
    judged = dict.fromkeys(c.dataset for c in configs if c.dataset not in ("gaussians", "moons"))
    configs += [classifier_for(d, preset) for d in judged]
    return list(dict.fromkeys(configs))


def book_configs(preset: str, *, dataset: str = "", epochs: int = 0) -> list[Config]:
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
