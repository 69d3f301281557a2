"""From the parameters of a notebook to runs, samplings and scores."""

import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from . import data, layout, plots, realsheets, store
from .budget import TooLong, check_patience
from .config import Config, ConfigError, GendiffError, Sampling
from .experiments import (
    COLLAPSE,
    COMPARED,
    LIVE_POINTS,
    POINT_SEEDS,
    Protocol,
    check_preset,
    classifier_for,
    get,
    paper_pair,
    protocol,
    sampler_grid,
    train_command,
)
from .features import Extractor
from .likelihood import Bits
from .memorisation import Memorisation
from .metrics import ScoreError, Scores
from .realsheets import Reals
from .recorder import train
from .runs import Light, Run, Trajectory, find, folders, siblings
from .scoring import INSTRUMENTS, offline, own_classifier
from .study import EARLY_N, OTHERS
from .validation import Validation, kept_validation, read_validation

T = TypeVar("T")

READ = ("overnight", "paper")  # presets that take hours: a build reads what is there of them, and trains none of it
FAMOUS = ("inception", "efficientnet", "vgg16")  # extractors that the literature knows, the foremost first
COPIES = 1000  # samples that are compared with training images overnight, where bits are computed of fewer
PLANE = {name for methods in LIVE_POINTS.values() for name in methods.values()}  # seconds each: always trained


class Unpublished(GendiffError):
    """A page asks for what is neither there nor to be made while a book is built."""


LACKING = (Unpublished, Light)  # why a table leaves a row out
WAIT = "set patience = {hours} in the parameters cell (papermill: -p patience {hours})"


def training_allowed() -> bool:
    """False while a book is built from what is there: the build sets GENDIFF_TRAIN=0."""
    told = os.environ.get("GENDIFF_TRAIN") or "1"
    if told not in ("0", "1"):
        raise ConfigError(f"GENDIFF_TRAIN={told} says neither yes nor no: set it to 1 or 0")
    return told == "1"


class Asking:
    """The parameters of one notebook. None asks for the preset's own epochs, seed and data set.

    `patience` are the hours that each training may take on this machine, budget.PATIENCE where it is None: a longer one
    raises TooLong before it begins. What is published of a preset of READ answers before anything is made.
    While a book is built from a preset of READ, nothing is trained, drawn or scored for it, and no data set is asked
    for that is not generated: what is not there raises Unpublished.
    """

    def __init__(
        self,
        *,
        preset: str,
        epochs: float | None = None,
        seed: int | None = None,
        dataset: str | None = None,
        patience: float | None = None,
    ) -> None:
        """ConfigError for a parameter of the wrong type or out of range, or an unknown preset."""
        check_preset(preset)
        check_hours(patience)
        given = {"epochs": epochs, "seed": seed, "dataset": dataset}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        Config(**chosen)  # refuses what is of the wrong type or out of range
        self.preset, self.epochs, self.seed, self.dataset = preset, epochs, seed, dataset
        self.patience = patience
        self._chosen = {name: value for name, value in chosen.items() if name != "dataset"}
        self._judges: dict[tuple[str, str], Extractor] = {}
        self._data: set[str] = set()
        self._missing: dict[str, str] = {}  # what is left out of the page, and why
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
        """The run of an experiment, trained where it is missing.

        TooLong where that takes more than this page's patience, Unpublished where this page only reads. `long` asks for
        the collapse page's last epoch instead of the experiment's own; of a preset of READ, where no epochs are given,
        for the last one up to it that is there.
        """
        later: dict[str, Any] = {"epochs": self.epochs or COLLAPSE[self.preset][1]} if long else {}
        config = self.config(name, **later, **overrides)
        if long and self.preset in READ and not self.epochs and (run := _longest(config)):
            return run
        return self._read(config) if self.reads(name) else self._train(config)

    def _read(self, config: Config) -> Run:
        if (run := find(config)) is None:
            more = "" if _epochs_of(config) else f": no run of it in the preset {self.preset} is published"
            raise Unpublished(f"{config.name} is {self.lacking(config)}{more}")
        return run

    def _train(self, config: Config) -> Run:
        check_patience(config, self.patience, WAIT if config.kind == "classifier" else f"{WAIT}, or lower epochs")
        return train(config)

    def lacking(self, config: Config) -> str:
        """How far a run is that is not there at these epochs, and what would train it here."""
        if not (epochs := _epochs_of(config)):
            return "still in training"
        told = ", ".join(f"{e:.6g}" for e in epochs)
        return f"there at epochs {told}, not at {config.epochs:.6g} (`{self._trains(config)}` trains it here)"

    def _trains(self, config: Config) -> str:
        """The command that builds the book with it; no book is built with another seed, so that is trained alone."""
        if self.seed is not None:
            return train_command(config).removesuffix(" --again")
        given = {"EPOCHS": config.text("epochs") if self.epochs else "", "DATASET": self.dataset}
        words = [f"{name}={value}" for name, value in given.items() if value]
        return shlex.join(["make", "book", f"PRESET={self.preset}", *words, "TRAIN=1"])

    def runs(self, *names: str) -> dict[str, Run]:
        """The runs of several experiments by name; those that are not there yet are left out, and the page says so.

        Left out is too what takes longer than this page's patience, unless nothing would be left: then TooLong.
        """
        found, too_long = {}, None
        for name in names:
            try:
                found[name] = self._one_of_several(name)
            except TooLong as error:
                too_long, self._missing[name] = error, f"left out of this page, since {error}"
            except Unpublished:
                self._missing[name] = f"{self.lacking(self.config(name))}, so left out of this page"
        if too_long and not found:
            raise too_long
        return found

    def _one_of_several(self, name: str) -> Run:
        """A run for which nothing is downloaded, where the page's preset is one whose runs are published."""
        config = self.config(name)
        if self.preset in READ and find(config) is None and not data.is_there(config.dataset):
            raise Unpublished(f"{name} is {self.lacking(config)}, and {config.dataset} is not here to train it on")
        return self.run(name)

    def reals(self) -> Reals:
        """The real images of the data set that this page's image experiments train on."""
        name = self._dataset()
        self._data.add(name)
        return realsheets.reals(name, published=self.preset in READ)

    def _dataset(self) -> str:
        return self.dataset or get("dcgan", self.preset).dataset

    def sampling(self, run: Run, **changes: Any) -> Sampling:
        """How the run's experiment is sampled in this preset, at this snapshot, with some fields changed."""
        sampling = self.of_snapshots(run) if self._on_the_way(run) else self.protocol(run).sampling
        return sampling.but(**changes)

    def _on_the_way(self, run: Run) -> bool:
        """Whether a run is seen at a snapshot that is neither its last one nor at its experiment's own length."""
        ends = (run.epochs[-1], get(run.config.name, self.preset).epochs)
        return run.images not in map(run.images_at, ends)

    def of_snapshots(self, run: Run) -> Sampling:
        """How the snapshots of a run are sampled that are compared with each other: overnight fewer of each."""
        sampling = self.protocol(run).sampling
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
        """Loaded once a page: its weights are read, rounded and digested. A classifier is trained where it is no
        published one."""
        if (name, dataset) not in self._judges:
            if name == realsheets.classifier_name(dataset) and dataset not in INSTRUMENTS:
                self._train(classifier_for(dataset, self.preset))
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
                except LACKING:
                    if each.id == run.id:
                        raise
        return found

    def floors(self, run: Run) -> dict[str, Scores]:
        """Scores of as many real test images as the run's protocol draws, by that protocol.

        Untouched, and sent to 64 pixels and back, by what the images are.
        """
        n, n_real, dataset = self.sampling(run).n, self._n_real(run), run.config.dataset
        if self.preset in READ and (kept := realsheets.kept_floors(dataset, n, n_real)):
            return kept
        if self.reads(run.config.name):
            raise Unpublished(f"no scores of {n:,} real images of {dataset} are published")
        return realsheets.floors(dataset, self.judge(run), n, n_real)

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

        The offline one comes first; one whose validation is not published is left out where this page only reads, and
        the page says so. Unpublished where none is.
        """
        name = self._dataset()
        self._data.add(name)
        judges = {judge.name: judge for judge in (self._offline(name), self._own(name))}.values()
        found = {judge.name: kept for judge in judges if (kept := _published_validation(judge))}
        if self.preset in READ and found:
            lacking = [judge.name for judge in judges if judge.name not in found]
            self._missing |= dict.fromkeys(lacking, "no validation of it is published, so left out of this page")
            return found
        if self.reads("dcgan"):
            raise Unpublished(f"no validation of an extractor of {name} is published")
        cut = protocol("dcgan", self.preset).validated
        return {judge.name: kept_validation(judge, name, *cut) for judge in judges}

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


def check_hours(patience: Any) -> None:
    """ConfigError for a patience that is no number of hours."""
    if patience is None:
        return
    if isinstance(patience, bool) or not isinstance(patience, (int, float)) or not patience > 0:
        raise ConfigError(f"patience must be a number of hours, more than 0, or None, not {patience!r}")


def _epochs_of(config: Config) -> list[float]:
    """The epochs at which a run of this identity is there, published or not."""
    return sorted({epochs for folder in folders(config) for epochs in Run.read(folder).epochs})


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
