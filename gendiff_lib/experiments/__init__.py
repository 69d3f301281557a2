"""The experiments by name, each as a value in its presets."""

from typing import Any

from ..classifier import ClassifierConfig
from ..config import Config
from ..data import check_name
from ..errors import ConfigError
from . import diffusion, flows, gan, latent, processes, studies, toy, trials
from .cost import PETA, at_petaflops, operations_before
from .experiment import Experiment, Protocol, check_preset

_SMALL_CLASSIFIER = ClassifierConfig(name="classifier", dataset="shapes", width=8, epochs=2, schedule_epochs=2)
EXPERIMENTS: dict[str, Experiment] = {
    **gan.EXPERIMENTS,
    **diffusion.EXPERIMENTS,
    **flows.EXPERIMENTS,
    **latent.EXPERIMENTS,
    "classifier": Experiment(
        "the classifier that counts classes, and judges generated data",
        {
            "paper": ClassifierConfig(name="classifier", flip=True, precision="bf16", epochs=24, schedule_epochs=24),
            "laptop": _SMALL_CLASSIFIER,
            "smoke": _SMALL_CLASSIFIER.but(n_train=2000, batch_size=50),
        },
        {},
    ),
    **trials.EXPERIMENTS,
    **studies.EXPERIMENTS,
    **processes.EXPERIMENTS,
    **toy.EXPERIMENTS,
}
# Where an overnight training keeps snapshots: at doubling budgets, in petaFLOP, and the paper's pair at its epochs too.
BUDGETS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
PAPER_PAIR = ("dcgan-32", "ddpm-conv")
PAPER_EPOCHS = (20.0, 30.0, 40.0, 49.0, 100.0)


def experiment(name: str) -> Experiment:
    """The experiment called `name`; ConfigError lists those there are."""
    if name not in EXPERIMENTS:
        raise ConfigError(f"experiment {name!r} is unknown: there are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def get(name: str, preset: str = "laptop", *, dataset: str = "", **overrides: Any) -> Config:
    """The configuration of an experiment in a preset, with fields changed by name (`network.ngf` for a part's).

    An empty `dataset` keeps the preset's own. `snapshots` that are given, as by whoever only looks a run up, need not
    be counted. ConfigError for an unknown name, preset or field, or a wrong value.
    """
    check_preset(preset)
    known = experiment(name)
    if preset not in known.presets:
        raise ConfigError(f"experiment {name!r} has no preset {preset}: it has {', '.join(known.presets)}")
    config = known.presets[preset].but(**({"dataset": dataset} if dataset else {}), **overrides)
    if preset != "overnight" or known.petaflops is None:
        return config
    epochs = overrides.get("epochs") or at_petaflops(config, known.petaflops)
    marks = overrides["snapshots"] if "snapshots" in overrides else _marks(config)
    return config.but(**{**overrides, "epochs": epochs, "snapshots": marks})


def _marks(config: Config) -> tuple[float, ...]:
    """The epochs at which an overnight training keeps snapshots."""
    before, named = operations_before(config), PAPER_EPOCHS if config.name in PAPER_PAIR else ()
    return tuple(sorted({*(at_petaflops(config, p) for p in BUDGETS if p * PETA > before), *named}))


def paper_pair(preset: str) -> tuple[str, str]:
    """The experiments that are the paper's two models in a preset: overnight its GAN is at the text's 32x32 pixels."""
    return PAPER_PAIR if preset == "overnight" else ("dcgan", "ddpm-conv")


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


def classifier_for(dataset: str, preset: str) -> Config:
    """The classifier that judges samples of `dataset`: for CIFAR-10, and some of its classes, the published one."""
    if check_name(dataset)[0] == "cifar10":
        return get("classifier", "paper")
    return get("classifier", "smoke" if preset == "smoke" else "laptop", dataset=dataset)
