"""From the parameters of a notebook to runs, samplings and scores."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from . import layout, plots, realsheets, store
from .config import Config, ConfigError, GendiffError, Sampling
from .experiments import (
    COLLAPSE,
    COMPARED,
    LIVE_POINTS,
    POINT_SEEDS,
    Protocol,
    check_preset,
    get,
    paper_pair,
    protocol,
    sampler_grid,
)
from .features import Extractor
from .likelihood import Bits
from .memorisation import Memorisation
from .metrics import ScoreError, Scores
from .realsheets import Reals
from .recorder import train
from .runs import Light, Run, Trajectory, find, folders, siblings
from .scoring import offline, own_classifier
from .study import EARLY_N, OTHERS
from .validation import Validation, kept_validation, read_validation

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
        self._judges: dict[tuple[str, str], Extractor] = {}
        self._data: set[str] = set()
        self._missing: list[str] = []
        self._tables = 0
        self._shown: tuple[Run, ...] = ()
        plots.use_svg()

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

    def classifier(self, run: Run) -> Extractor:
        """The classifier of a run's data set, which knows its classes."""
        return self._own(run.config.dataset)

    def _offline(self, dataset: str) -> Extractor:
        return self._loaded(realsheets.offline_name(dataset), offline, dataset)

    def _own(self, dataset: str) -> Extractor:
        return self._loaded(realsheets.classifier_name(dataset), own_classifier, dataset)

    def _loaded(self, name: str, load: Callable[[str, str], Extractor], dataset: str) -> Extractor:
        """Loaded once a page: its weights are read, rounded and digested."""
        if (name, dataset) not in self._judges:
            self._judges[name, dataset] = load(dataset, self.preset)
        return self._judges[name, dataset]

    def scores(
        self, run: Run, sampling: Sampling | None = None, reference: str = "train", *, own: bool = False
    ) -> Scores:
        """Scores by the offline extractor, or by the data set's `own` classifier, by the run's protocol."""
        sampling, n_real = sampling or self.sampling(run), self._n_real(run, reference)
        if not self.reads(run.config.name):
            return run.scores(sampling, self.classifier(run) if own else self.judge(run), n_real, reference)
        name = realsheets.classifier_name if own else realsheets.offline_name
        kept = run.kept_scores(sampling, name(run.config.dataset), n_real, reference)
        if kept is None:
            raise Unpublished(f"the samples of {run.id} at epoch {run.config.epochs:.4g} are not scored yet")
        return kept

    def _n_real(self, run: Run, reference: str = "train") -> int | None:
        return self.protocol(run).reals(realsheets.count(run.config.dataset, reference))

    def own_scores(self, run: Run, sampling: Sampling | None = None) -> Scores | None:
        """Scores by the data set's own classifier, where another extractor judges it; None where there are none."""
        if realsheets.offline_name(run.config.dataset) == realsheets.classifier_name(run.config.dataset):
            return None
        with suppress(Light, Unpublished):
            return self.scores(run, sampling, own=True)
        return None

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
        return run.bits(n, split)

    def memorisation(self, run: Run) -> Memorisation:
        """Nearest training images of the run's samples, as many as the protocol says, by the classifier's features.

        Every training image is looked at, and its mirror image: EfficientNet would take seven times as long.
        """
        judge, n = self.classifier(run), self.protocol(run).n_checked
        n = min(COPIES, self.sampling(run).n) if self.preset == "overnight" else n
        self._must_keep(run, self._samples(run, self.sampling(run)) / layout.neighbours(judge.name, judge.digest, n))
        return run.memorisation(self.sampling(run), judge, n)

    def trajectory(self, run: Run, sampling: Sampling) -> Trajectory:
        """States on the way to a few samples."""
        self._must_keep(run, self._samples(run, sampling) / layout.trajectory(21))
        return run.trajectory(sampling, 21)

    def sheet(self, run: Run, sampling: Sampling | None = None) -> Tensor:
        """The first of a run's samples as a contact sheet."""
        sampling = sampling or self.sampling(run)
        self._must_keep(run, self._samples(run, sampling) / layout.SHEET)
        return run.sample_sheet(sampling)

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
        if self.reads(run.config.name) and not run.keeps(part):
            raise Unpublished(f"{run.id} is published without {part.name}")

    def validations(self) -> dict[str, Validation]:
        """The scores of damaged and thinned real images by each extractor that needs no download, by its name.

        The offline one comes first. Unpublished where this page only reads, and none is published.
        """
        name = self._dataset()
        self._data.add(name)
        judges = {judge.name: judge for judge in (self._offline(name), self._own(name))}.values()
        if not self.reads("dcgan"):
            cut = protocol("dcgan", self.preset).validated
            return {judge.name: kept_validation(judge, name, *cut) for judge in judges}
        found = {judge.name: kept for judge in judges if (kept := _published_validation(judge))}
        if not found:
            raise Unpublished(f"no validation of an extractor of {name} is published")
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
        found = [each.kept_scores(sampling, extractor, n_real, reference) for each in _family(run)]
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
    for path in sorted((store.published_dir() / "validation").glob(f"{judge.name}-{judge.digest}-*.json")):
        with suppress(ScoreError):
            return read_validation(path)
    return None
