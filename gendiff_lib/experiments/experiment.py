"""What an experiment is: a configuration and a protocol in each of four presets."""

from dataclasses import dataclass
from typing import Any

from ..config import Config, Sampling
from ..errors import ConfigError

TRIAL = 1 / 32  # petaFLOP of a trial or a study, overnight
PRESETS = ("smoke", "laptop", "overnight", "paper")


@dataclass(frozen=True)
class Protocol:
    """How an experiment's samples are drawn and scored in one preset: n fakes against n_real images of a split."""

    sampling: Sampling
    n_real: int | None = None  # None for the whole split
    seeds: int = 1  # sampling seeds, from sampling.seed on: one large set, or several small ones
    n_checked: int = 1000  # images whose bits per dimension are counted
    n_neighbours: int = 1000  # samples, at most, whose nearest training images are looked for
    validated: tuple[int | None, int | None] = (None, None)  # train and test images that validate the extractor

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
    petaflops: float | None = 1 / 8  # how long the preset `overnight` trains; None: for the epochs that it tells


def presets_of(
    paper: Config, laptop: dict[str, Any], smoke: dict[str, Any], overnight: Config | None = None
) -> dict[str, Config]:
    """The paper's configuration in every size: `laptop` are changes of it, `smoke` changes of that one."""
    tiny: dict[str, Any] = {"dataset": "shapes", "n_train": 400, "batch_size": 50, "epochs": 2, "snapshots": (1, 2, 4)}
    night = {"overnight": overnight.but(name=paper.name, seed=0, snapshots=())} if overnight else {}
    return {"smoke": paper.but(**{**laptop, **tiny, **smoke}), "laptop": paper.but(**laptop), **night, "paper": paper}


def protocols_of(
    paper: Sampling, laptop_steps: int | None = None, smoke_steps: int | None = None
) -> dict[str, Protocol]:
    """The paper's way of sampling in every size."""
    laptop = paper.but(n=500, batch_size=100, n_steps=laptop_steps)
    return {
        "paper": Protocol(paper),
        "overnight": Protocol(paper.but(n=5000), 10_000, n_checked=100),
        "laptop": Protocol(laptop, 5000, seeds=3, n_checked=100, n_neighbours=500),
        "smoke": Protocol(
            laptop.but(n=100, n_steps=smoke_steps), 500, seeds=2, n_checked=50, n_neighbours=50, validated=(1000, 400)
        ),
    }


GENERATOR = protocols_of(Sampling(n=50_000, batch_size=500))
DDIM = protocols_of(Sampling(n=50_000, batch_size=500, sampler="ddim", n_steps=50), laptop_steps=20, smoke_steps=4)


def check_preset(preset: str) -> None:
    """ConfigError for a preset that is none."""
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is unknown: there are {', '.join(PRESETS)}")
