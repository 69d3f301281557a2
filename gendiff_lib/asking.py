"""From the parameters of a notebook to runs, samplings and scores."""

import os
from typing import Any

from torch import Tensor

from . import plots
from .config import Config, ConfigError, Sampling
from .data import Dataset, load
from .experiments import COLLAPSE, Protocol, check_preset, get, protocol
from .features import Extractor, extract
from .likelihood import Bits
from .memorisation import Memorisation
from .metrics import Scores, kept_reference, score
from .recorder import train
from .runs import Light, Run, find, siblings
from .scoring import offline
from .validation import Validation, kept_validation


def training_allowed() -> bool:
    """False while a book is built from what is there: the build sets GENDIFF_TRAIN=0."""
    told = os.environ.get("GENDIFF_TRAIN") or "1"
    if told not in ("0", "1"):
        raise ConfigError(f"GENDIFF_TRAIN={told} says neither yes nor no: set it to 1 or 0")
    return told == "1"


class Asking:
    """The parameters of one notebook. 0, -1 and "" ask for the preset's own epochs, seed and data set."""

    def __init__(self, *, preset: str, epochs: int = 0, seed: int = -1, dataset: str = "") -> None:
        """ConfigError for a parameter of the wrong type or an unknown preset."""
        for name, value, kind in (("epochs", epochs, int), ("seed", seed, int), ("dataset", dataset, str)):
            if type(value) is not kind:
                raise ConfigError(f"{name} must be {'a whole number' if kind is int else 'a word'}, not {value!r}")
        check_preset(preset)
        if seed < -1:
            raise ConfigError(f"seed must be at least 0, or -1 for the preset's own, not {seed}")
        self.preset, self.epochs, self.seed, self.dataset = preset, epochs, seed, dataset
        self._preset_of: dict[str, str] = {}
        self._judges: dict[tuple[str, str], Extractor] = {}
        self._data: set[str] = set()
        self._tables = 0
        self._shown: tuple[Run, ...] = ()
        plots.use_svg()

    def config(self, name: str, preset: str = "", **overrides: Any) -> Config:
        """The configuration that this page asks for, with `overrides` on top of its own parameters."""
        chosen: dict[str, Any] = {"epochs": self.epochs} if self.epochs else {}
        chosen |= {"seed": self.seed} if self.seed >= 0 else {}
        dataset = overrides.pop("dataset", "" if name.startswith("live-") else self.dataset)
        return get(name, preset or self.preset, dataset=dataset, **{**chosen, **overrides})

    def run(self, name: str, *, long: bool = False, **overrides: Any) -> Run:
        """The run of an experiment. Where its paper-size run is not there and none may be trained: the laptop's.

        `long` asks for the collapse page's last epoch instead of the experiment's own.
        """

        def ask(preset: str) -> Config:
            later = {"epochs": self.epochs or COLLAPSE[preset][1]} if long else {}
            return self.config(name, preset, **later, **overrides)

        preset = self.preset
        if preset == "paper" and find(ask(preset)) is None and not training_allowed():
            preset = "laptop"
        run = train(ask(preset))
        self._preset_of[run.id] = preset
        return run

    def data(self, split: str = "train") -> Dataset:
        """The data set that this page's image experiments train on."""
        name = self.dataset or get("dcgan", self.preset).dataset
        self._data.add(name)
        return load(name, split)

    def preset_of(self, run: Run) -> str:
        """The preset that this page took `run` from."""
        return self._preset_of.get(run.id, self.preset)

    def sampling(self, run: Run, **changes: Any) -> Sampling:
        """How the run's experiment is sampled in its preset, with some fields changed."""
        return self.protocol(run).sampling.but(**changes)

    def protocol(self, run: Run) -> Protocol:
        """How samples of the run's experiment are drawn and scored in the preset that it was taken from."""
        return protocol(run.config.name, self.preset_of(run))

    def judge(self, run: Run) -> Extractor:
        """The offline extractor for a run's samples."""
        return self._offline(run.config.dataset, self.preset_of(run))

    def _offline(self, dataset: str, preset: str) -> Extractor:
        """Loaded once a page: its weights are read, rounded and digested."""
        key = dataset, preset
        if key not in self._judges:
            self._judges[key] = offline(dataset, preset)
        return self._judges[key]

    def scores(self, run: Run, sampling: Sampling | None = None, reference: str = "train") -> Scores:
        """Scores by the offline extractor, by the protocol of the run's experiment and preset."""
        return run.scores(sampling or self.sampling(run), self.judge(run), self._n_real(run, reference), reference)

    def _n_real(self, run: Run, reference: str = "train") -> int:
        """Of the page's own preset, so that what stands in for a run that is missing can be compared."""
        return protocol(run.config.name, self.preset).reals(len(load(run.config.dataset, reference).samples))

    def several(self, run: Run, sampling: Sampling | None = None, reference: str = "train") -> list[Scores]:
        """The same over the protocol's sampling seeds, and over every training seed that there is a run of.

        A sibling that is published without these scores and without weights is left out.
        """
        first, found = sampling or self.sampling(run), []
        for each in self._family(run):
            for seed in range(first.seed, first.seed + self.protocol(run).seeds):
                try:
                    found.append(self.scores(each, first.but(seed=seed), reference))
                except Light:
                    if each.id == run.id:
                        raise
        return found

    def _family(self, run: Run) -> list[Run]:
        others = [r for r in siblings(run.config) if r.config.seed != run.config.seed]
        self._preset_of |= {r.id: self.preset_of(run) for r in others}
        return [run, *others]

    def bits(self, run: Run, split: str = "test") -> Bits:
        """Bits per dimension of a split's first images, as many as the protocol says."""
        return run.bits(self.protocol(run).n_checked, split)

    def memorisation(self, run: Run) -> Memorisation:
        """Nearest training images of the run's samples, as many as the protocol says."""
        return run.memorisation(self.sampling(run), self.judge(run), self.protocol(run).n_checked)

    def validation(self) -> Validation:
        """The offline extractor's scores of damaged and thinned real images."""
        name = self.dataset or get("dcgan", self.preset).dataset
        self._data.add(name)
        return kept_validation(self._offline(name, self.preset), name, *protocol("dcgan", self.preset).validated)

    def until(self, run: Run) -> list[int]:
        """The run's snapshots up to the epoch that is shown: a longer training may have left later ones."""
        return [e for e in run.epochs if e <= run.config.epochs]

    def early(self, run: Run) -> int:
        """The first of the collapse page's two epochs; the run's first snapshot where it keeps none of that epoch."""
        first = COLLAPSE[self.preset_of(run)][0]
        return first if first in self.until(run) else run.epochs[0]

    def equal_n(self, *runs: Run) -> int:
        """The greatest number of samples that the protocols draw: values of unlike n do not compare.

        Where laptop runs stand in for missing ones, those of the page's own preset decide.
        """
        own = [run for run in runs if self.preset_of(run) == self.preset]
        return min(self.sampling(run).n for run in own or runs)

    def score_images(self, fake: Tensor, run: Run) -> Scores:
        """Scores of any uint8 images (N, 3, H, W) as if `run` had made them: by its protocol, on its data."""
        data, preset = load(run.config.dataset), self.preset_of(run)
        judge = self._offline(data.name, preset)
        real = data.first(self._n_real(run))
        return score(extract(judge, fake), kept_reference(judge, real.samples), judge, reference="train")

    def _kept(self, run: Run, extractor: str, n: int = 0, reference: str = "train") -> list[Scores]:
        """The scores by a famous network of this run's protocol (at another n where given); empty where none are."""
        sampling = self.sampling(run, n=n) if n else self.sampling(run)
        found = run.kept_scores(sampling, extractor, self._n_real(run, reference), reference)
        return [found] if found else []
