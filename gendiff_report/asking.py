"""From the parameters of a notebook to runs, samplings and scores."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from gendiff_lib import paths
from gendiff_lib.config import Config, Sampling
from gendiff_lib.diffusion.likelihood import Bits
from gendiff_lib.errors import ConfigError, GendiffError
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.evaluation.evaluate import evaluate, kept_scores
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.memorisation import Memorisation, neighbours_of
from gendiff_lib.evaluation.scores import ScoreError, Scores
from gendiff_lib.evaluation.validation import Validation, kept_validation, read_validation
from gendiff_lib.experiments import get, paper_pair, protocol
from gendiff_lib.experiments import reals as realsheets
from gendiff_lib.experiments.book import COLLAPSE, COMPARED, LIVE_POINTS, POINT_SEEDS, sampler_grid
from gendiff_lib.experiments.experiment import Protocol, check_preset
from gendiff_lib.experiments.extractors import offline
from gendiff_lib.experiments.queue import EARLY_N, OTHERS
from gendiff_lib.experiments.reals import Reals
from gendiff_lib.runs import layout
from gendiff_lib.runs.run import Light, Run, find, folders, siblings
from gendiff_lib.runs.samples import Trajectory, sample_sheet, trajectory
from gendiff_lib.runs.train import train

from . import figures

T = TypeVar("T")

READ = ("overnight", "paper")  # presets that take hours: a build reads what is there of them, and trains none of it
FAMOUS = ("inception", "efficientnet", "vgg16")  # extractors that the literature knows, the foremost first
COPIES = 1000  # samples that are compared with training images overnight, where bits are computed of fewer
PLANE = {name for methods in LIVE_POINTS.values() for name in methods.values()}  # seconds each: always trained


class Unpublished(GendiffError):
    """A page asks for what is neither there nor to be made while a book is built."""


def training_allowed() -> bool:
    """False while a book is built from what is there: the build sets GENDIFF_TRAIN=0."""
    told = os.environ.get("GENDIFF_TRAIN") or "1"
    if told not in ("0", "1"):
        raise ConfigError(f"GENDIFF_TRAIN={told} says neither yes nor no: set it to 1 or 0")
    return told == "1"


class Asking:
    """The parameters of one notebook. None asks for the preset's own epochs, seed and data set.

    While a book is built from a preset of READ, nothing is trained, drawn or scored for it, and no data set is asked
    for that is not generated: what is not there raises Unpublished.
    """

    def __init__(
        self, *, preset: str, epochs: float | None = None, seed: int | None = None, dataset: str | None = None
    ) -> None:
        """ConfigError for a parameter of the wrong type or an unknown preset."""
        check_preset(preset)
        given = {"epochs": epochs, "seed": seed, "dataset": dataset}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        Config(**chosen)  # refuses what is of the wrong type or out of range
        self.preset, self.epochs, self.seed, self.dataset = preset, epochs, seed, dataset
        self._chosen = {name: value for name, value in chosen.items() if name != "dataset"}
        self._judges: dict[str, Extractor] = {}
        self._data: set[str] = set()
        self._missing: list[str] = []
        self._tables = 0
        self._shown: tuple[Run, ...] = ()
        figures.use_svg()

    @property
    def pair(self) -> tuple[str, str]:
        """The experiments that are the paper's two models in this preset."""
        return paper_pair(self.preset)

    @property
    def compared(self) -> tuple[str, ...]:
        """The experiments that stand in one table."""
        return tuple(dict.fromkeys((*COMPARED, *OTHERS))) if self.preset == "overnight" else COMPARED

    def reads(self, name: str) -> bool:
        """Whether this page only reads what is there of an experiment."""
        return self.preset in READ and name not in PLANE and not training_allowed()

    def config(self, name: str, preset: str = "", **overrides: Any) -> Config:
        """The configuration that this page asks for, with `overrides` on top of its own parameters."""
        dataset = overrides.pop("dataset", "" if name.startswith("live-") else self.dataset or "")
        return get(name, preset or self.preset, dataset=dataset, **{**self._chosen, **overrides})

    def run(self, name: str, *, long: bool = False, **overrides: Any) -> Run:
        """The run of an experiment, trained where it is missing; Unpublished where this page only reads.

        `long` asks for the collapse page's last epoch instead of the experiment's own; where this page only reads, for
        the last one up to it that is there.
        """
        later: dict[str, Any] = {"epochs": self.epochs or COLLAPSE[self.preset][1]} if long else {}
        config = self.config(name, **later, **overrides)
        if not self.reads(name):
            return train(config)
        if (run := find(config) or (_longest(config) if long else None)) is None:
            raise Unpublished(f"{name} is still in training: no run of it in the preset {self.preset} is published")
        return run

    def runs(self, *names: str) -> dict[str, Run]:
        """The runs of several experiments by name; those that are not there yet are left out, and the page says so."""
        found = {}
        for name in names:
            try:
                found[name] = self.run(name)
            except Unpublished:
                self._missing.append(name)
        return found

    def reals(self) -> Reals:
        """The real images of the data set that this page's image experiments train on."""
        name = self._dataset()
        self._data.add(name)
        return realsheets.reals(name, published=self.reads("dcgan"))

    def _dataset(self) -> str:
        return self.dataset or get("dcgan", self.preset).dataset

    def sampling(self, run: Run, **changes: Any) -> Sampling:
        """How the run's experiment is sampled in this preset, with some fields changed."""
        return self.protocol(run).sampling.but(**changes)

    def of_snapshots(self, run: Run) -> Sampling:
        """How the snapshots of a run are sampled that are compared with each other: overnight fewer of each."""
        sampling = self.sampling(run)
        return sampling.but(n=min(EARLY_N, sampling.n)) if self.preset == "overnight" else sampling

    def protocol(self, run: Run) -> Protocol:
        """How samples of the run's experiment are drawn and scored in this preset."""
        return protocol(run.config.name, self.preset)

    def judge(self, run: Run) -> Extractor:
        """The offline extractor for a run's samples."""
        return self._offline(run.config.dataset)

    def _offline(self, dataset: str) -> Extractor:
        """Loaded once a page: its weights are read, rounded and digested."""
        if dataset not in self._judges:
            self._judges[dataset] = offline(dataset, self.preset)
        return self._judges[dataset]

    def scores(self, run: Run, sampling: Sampling | None = None, reference: str = "train") -> Scores:
        """Scores by the offline extractor, by the protocol of the run's experiment and preset."""
        sampling, n_real = sampling or self.sampling(run), self._n_real(run, reference)
        if not self.reads(run.config.name):
            return evaluate(run, sampling, self.judge(run), n_real, reference)
        kept = kept_scores(run, sampling, realsheets.offline_name(run.config.dataset), n_real, reference)
        if kept is None:
            raise Unpublished(f"the samples of {run.id} at epoch {run.config.epochs:.4g} are not scored yet")
        return kept

    def _n_real(self, run: Run, reference: str = "train") -> int | None:
        return self.protocol(run).reals(realsheets.count(run.config.dataset, reference))

    def several(self, run: Run, sampling: Sampling | None = None, reference: str = "train") -> list[Scores]:
        """Scores over the protocol's sampling seeds, and over every training seed that there is a run of.

        A sibling that is published without these scores and without weights is left out.
        """
        first, found = sampling or self.sampling(run), []
        for each in _family(run):
            for seed in range(first.seed, first.seed + self.protocol(run).seeds):
                try:
                    found.append(self.scores(each, first.but(seed=seed), reference))
                except (Light, Unpublished):
                    if each.id == run.id:
                        raise
        return found

    def floors(self, run: Run) -> dict[str, Scores]:
        """Scores of as many real test images as the run's protocol draws, by that protocol.

        Untouched, and sent to 64 pixels and back, by what the images are.
        """
        n, n_real, dataset = self.sampling(run).n, self._n_real(run), run.config.dataset
        if not self.reads(run.config.name):
            return realsheets.floors(dataset, self.judge(run), n, n_real)
        if not (kept := realsheets.kept_floors(dataset, n, n_real)):
            raise Unpublished(f"no scores of {n:,} real images of {dataset} are published")
        return kept

    def bits(self, run: Run, split: str = "test") -> Bits:
        """Bits per dimension of a split's images, as many as the protocol says."""
        n = self.protocol(run).n_checked
        self._must_keep(run, layout.bits(run.images, run.resolve(Sampling()).weights, split, n, 0))
        return bits_of(run, n, split)

    def memorisation(self, run: Run) -> Memorisation:
        """Nearest training images of the run's samples, as many as the protocol says."""
        judge, n = self.judge(run), self.protocol(run).n_checked
        n = min(COPIES, self.sampling(run).n) if self.preset == "overnight" else n
        self._must_keep(run, self._samples(run, self.sampling(run)) / layout.neighbours(judge.name, judge.digest, n))
        return neighbours_of(run, self.sampling(run), judge, n)

    def trajectory(self, run: Run, sampling: Sampling) -> Trajectory:
        """States on the way to a few samples."""
        self._must_keep(run, self._samples(run, sampling) / layout.trajectory(21))
        return trajectory(run, sampling, 21)

    def sheet(self, run: Run, sampling: Sampling | None = None) -> Tensor:
        """The first of a run's samples as a contact sheet."""
        sampling = sampling or self.sampling(run)
        self._must_keep(run, self._samples(run, sampling) / layout.SHEET)
        return sample_sheet(run, sampling)

    def faithful(self, run: Run) -> Sampling:
        """Four samples by the tutorial's sampler, in all the steps of the run's schedule."""
        tutorial = next(s for label, s in sampler_grid(self.preset).items() if label.startswith("tutorial "))
        return tutorial.but(n=4, batch_size=4)

    def plane(self) -> dict[str, list[Run]]:
        """The runs in the plane by method and data set, one of each seed."""
        return {
            f"{label}, {data}": [self.run(name, dataset=data, seed=seed) for seed in POINT_SEEDS]
            for data, methods in LIVE_POINTS.items()
            for label, name in methods.items()
        }

    @staticmethod
    def pick(found: Mapping[str, T], *names: str) -> list[T]:
        """What is found under some names; Unpublished where one of them was left out."""
        if lacking := [name for name in names if name not in found]:
            raise Unpublished(f"{', '.join(lacking)}: not there yet")
        return [found[name] for name in names]

    @staticmethod
    def _samples(run: Run, sampling: Sampling) -> Path:
        return layout.samples(run.images, run.resolve(sampling).digest)

    def _must_keep(self, run: Run, part: Path) -> None:
        """Unpublished where this page only reads, and a part of a run that it asks for is not there."""
        if self.reads(run.config.name) and not run.place(part)[1]:
            raise Unpublished(f"{run.id} is published without {part.name}")

    def validation(self) -> Validation:
        """The offline extractor's scores of damaged and thinned real images."""
        name = self._dataset()
        self._data.add(name)
        if not self.reads("dcgan"):
            return kept_validation(self._offline(name), name, *protocol("dcgan", self.preset).validated)
        if (found := _published_validation(self._offline(name))) is None:
            raise Unpublished(f"no validation of the extractor of {name} is published")
        return found

    def until(self, run: Run) -> list[float]:
        """The run's snapshots up to the epoch that is shown: a longer training may have left later ones."""
        return [e for e in run.epochs if e <= run.config.epochs]

    def early(self, run: Run) -> float:
        """The first of the collapse page's two epochs; the run's first snapshot where it keeps none of that epoch."""
        first = COLLAPSE[self.preset][0]
        return first if first in self.until(run) else run.epochs[0]

    def equal_n(self, *runs: Run) -> int:
        """The greatest number of samples that all of these runs' protocols draw: values of unlike n do not compare."""
        return min(self.sampling(run).n for run in runs)

    def kept(self, run: Run, extractor: str, n: int | None = None, reference: str = "train") -> list[Scores]:
        """The scores by any extractor of this run's protocol (at another n where given), of every training seed.

        Empty where there are none of this run itself.
        """
        sampling, n_real = self.sampling(run, n=n) if n else self.sampling(run), self._n_real(run, reference)
        found = [kept_scores(each, sampling, extractor, n_real, reference) for each in _family(run)]
        return [scores for scores in found if scores] if found[0] else []


def _family(run: Run) -> list[Run]:
    """A run, then those that differ from it in the training seed alone."""
    return [run, *(r for r in siblings(run.config) if r.config.seed != run.config.seed)]


def _longest(config: Config) -> Run | None:
    """The run of this identity at its last snapshot up to config.epochs; None where there is none."""
    for run in map(Run.read, folders(config)):
        if earlier := [e for e in run.epochs if e <= config.epochs]:
            return run.at(earlier[-1])
    return None


def _published_validation(judge: Extractor) -> Validation | None:
    """The published one of this very extractor, whatever it was cut to; no data set need be at hand.

    None where there is none, or one whose scores are of an earlier form.
    """
    for path in sorted((paths.published_dir() / "validation").glob(f"{judge.name}-{judge.digest}-*.json")):
        with suppress(ScoreError):
            return read_validation(path)
    return None
