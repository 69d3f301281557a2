"""Where verdicts on the paper's claims look, in each size: which snapshot of which experiment plays which role.

Overnight it is fresh training seeds that are looked at, since seed 0 chose settings. Seed 0 does in two comparisons of
a run with itself, which take long trainings, and for what a training costs, which chose nothing.
"""

from functools import cache
from typing import NamedTuple

from ..config import Config, Sampling
from ..runs.run import Run, siblings
from . import get, protocol
from .cost import at_petaflops
from .experiment import TRIAL

ENOUGH = 3  # training seeds; fewer give no verdict
FRESH = (1, 2, 3)  # training seeds: seed 0 chose
EARLY_N = 2000  # samples of each snapshot, where snapshots are compared
SIZES = ("paper", "overnight")


class Place(NamedTuple):
    """A snapshot of an experiment, and its training seeds; None for any that there are, at least ENOUGH."""

    name: str
    epochs: float
    seeds: tuple[int, ...] | None = None


_PAPER = {
    "GAN": Place("dcgan", 30.0),
    "GAN, late": Place("dcgan", 49.0),
    "GAN, before": Place("dcgan", 49.0),
    "GAN, after": Place("dcgan", 100.0),
    "diffusion, early": Place("ddpm-conv", 20.0),
    "diffusion": Place("ddpm-conv", 40.0),
    "diffusion, before": Place("ddpm-conv", 40.0),
    "diffusion, after": Place("ddpm-conv", 100.0),
    "usual loss": Place("dcgan", 30.0),
    "saturating loss": Place("dcgan-minimax", 30.0),
    "batch norm": Place("dcgan", 30.0),
    "no batch norm": Place("dcgan-plain", 30.0),
    "small images": Place("ddpm-unet", 40.0),
    "large images": Place("ddpm-unet-64", 40.0),
}
ROLES = tuple(_PAPER)
ONE_SEED = ("GAN, before", "GAN, after", "diffusion, before", "diffusion, after", "diffusion, early")


@cache
def places(preset: str) -> dict[str, Place]:
    """Every role and who plays it, in the preset `paper` or `overnight`."""
    if preset == "paper":
        return _PAPER
    pair = {
        role: Place(place.name.replace("dcgan", "dcgan-32"), place.epochs, (0,) if role in ONE_SEED else FRESH)
        for role, place in _PAPER.items()
        if place.name in ("dcgan", "ddpm-conv")
    }
    others = {"saturating loss": "dcgan-minimax", "no batch norm": "dcgan-plain", "small images": "ddpm-unet"}
    others |= {"usual loss": "dcgan-32", "batch norm": "dcgan-32"}
    early = {role: _fresh(name, TRIAL) for role, name in others.items()}
    return pair | early | {"large images": _fresh("ddpm-unet-64", 4 * TRIAL)}  # as many images, at four times the cost


def _fresh(name: str, petaflops: float) -> Place:
    return Place(name, at_petaflops(get(name, "overnight"), petaflops), FRESH)


def trainings(preset: str) -> list[Config]:
    """The trainings that verdicts need, each as long as the longest of its snapshots that is looked at; one a seed."""
    longest: dict[tuple[str, int | None], float] = {}
    for place in places(preset).values():
        for seed in place.seeds or (None,):
            longest[place.name, seed] = max(place.epochs, longest.get((place.name, seed), 0.0))
    configs = {key: get(key[0], preset, epochs=epochs) for key, epochs in longest.items()}
    return [config if seed is None else config.but(seed=seed) for (_, seed), config in configs.items()]


def is_claimed(run: Run, preset: str = "overnight") -> bool:
    """Whether verdicts look at this snapshot."""
    config = run.config
    return any(
        config.name == place.name
        and (place.seeds is None or config.seed in place.seeds)
        and run.images_at(place.epochs) == run.images
        for place in places(preset).values()
    )


def equal_n(preset: str) -> int:
    """The number of images at which the claims' runs are scored: the least that any of their protocols draws."""
    if preset == "overnight":
        return EARLY_N
    return min(protocol(place.name, preset).sampling.n for place in places(preset).values())


FAMOUS = ("GAN", "GAN, late")  # what is looked at through Inception-v3, at the protocol's own n


def to_score(extractor: str, preset: str = "paper") -> list[tuple[Run, Sampling]]:
    """The runs and samplings whose scores the rules look at, by this extractor; local runs too."""
    n, known = equal_n(preset), places(preset)
    wanted = [(place, protocol(place.name, preset).sampling.but(n=n)) for place in known.values()]
    if extractor == "inception":
        wanted += [(known[role], protocol(known[role].name, preset).sampling) for role in FAMOUS]
    chosen = dict.fromkeys(wanted)  # at the least n of all, an experiment's own may be the same
    return [(r, how) for p, how in chosen for r in siblings(get(p.name, preset, epochs=p.epochs))]
