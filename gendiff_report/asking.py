"""From the parameters of a notebook to configurations, runs and samplings.

A notebook trains in plain sight: `run = asked.train("dcgan")` is `train(get("dcgan", preset, epochs=epochs,
seed=seed))`, but for what this page may only read.
"""

import shlex
from collections.abc import Callable
from typing import Any

from gendiff_lib.config import Config, Sampling
from gendiff_lib.data import check_name
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.experiments import classifier_for, get, paper_pair, protocol
from gendiff_lib.experiments.book import (
    COLLAPSE,
    COMPARED,
    LIVE_POINTS,
    LONG_TO_TRAIN,
    OTHERS,
    POINT_SEEDS,
    sampler_grid,
)
from gendiff_lib.experiments.budget import TooLong, check_patience
from gendiff_lib.experiments.claimed import EARLY_N
from gendiff_lib.experiments.experiment import Protocol, check_preset
from gendiff_lib.experiments.extractors import INSTRUMENTS, classifier_name, offline, offline_name, own_classifier
from gendiff_lib.parsing import as_text
from gendiff_lib.runs.run import Run, find
from gendiff_lib.runs.train import train

from . import READ
from .reading import PLANE, Unpublished, check_hours, epochs_there, has_weights, is_there, longest, training_allowed
from .reals import Reals, reals
from .scored import published_run

WAIT = "set patience = {hours} in the parameters cell (papermill: -p patience {hours})"


class Asking:
    """The parameters of one notebook. None asks for the preset's own epochs, seed and data set.

    `patience` are the hours that each training may take on this machine, 20 minutes where it is None: a longer one
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
        self.preset, self.epochs, self.seed, self.dataset, self.patience = preset, epochs, seed, dataset, patience
        self._chosen = {name: value for name, value in chosen.items() if name != "dataset"}
        self._judges: dict[tuple[str, str], Extractor] = {}
        self.shown_data: set[str] = set()  # names of the data sets whose real images this page shows
        self.left_out: dict[str, str] = {}  # experiments that this page goes without, and why

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
        long = self.preset == "laptop" and name in LONG_TO_TRAIN
        return (long or (self.preset in READ and name not in PLANE)) and not training_allowed()

    def config(self, name: str, **overrides: Any) -> Config:
        """The configuration that this page asks for, with `overrides` on top of its own parameters."""
        dataset = overrides.pop("dataset", "" if name.startswith("live-") else self.dataset or "")
        looked_up = {"snapshots": ()} if self.reads(name) else {}
        return get(name, self.preset, dataset=dataset, **{**looked_up, **self._chosen, **overrides})

    def train(self, name: str, *, long: bool = False, **overrides: Any) -> Run:
        """The run of an experiment in this page's preset, trained where it is missing and may be.

        TooLong where that takes more than this page's patience, Unpublished where this page only reads. `long` asks for
        the collapse page's last epoch instead of the experiment's own; of a preset of READ, where no epochs are given,
        for the last one up to it that is there.
        """
        later: dict[str, Any] = {"epochs": self.epochs or COLLAPSE[self.preset][1]} if long else {}
        config = self.config(name, **later, **overrides)
        if long and self.preset in READ and not self.epochs and (run := longest(config)):
            return run
        return self._read(config) if self.reads(name) else self._patiently(config)

    def _read(self, config: Config) -> Run:
        run = find(config, published=True) or find(config)  # scores of its samples are published with it
        run = run or (published_run(config, self.preset) if self.seed is None else None)
        if run is None:
            more = "" if epochs_there(config) else f": no run of it in the preset {self.preset} is published"
            raise Unpublished(f"{config.name} is {self.lacking(config)}{more}")
        return run

    def answered(self, config: Config) -> Run | None:
        """The run that answers `config` on this page, where one does.

        A published one without weights does so in a preset of READ alone: others draw samples of their own from it.
        """
        run = find(config)
        return run if run and (self.preset in READ or has_weights(run)) else None

    def _patiently(self, config: Config) -> Run:
        check_patience(config, self.patience, WAIT if config.kind == "classifier" else f"{WAIT}, or lower epochs")
        return train(config, again=self.answered(config) is None)

    def lacking(self, config: Config) -> str:
        """How far a run is that is not there at these epochs, and what would train it here."""
        epochs = epochs_there(config)
        if self.preset in READ and not (epochs and self.epochs):  # none is there, or a shorter one, such as a trial
            return "not published yet"
        if not epochs:
            return f"not trained in a book of this size (`{self._trains(config)}` does)"
        told = ", ".join(f"{e:.6g}" for e in epochs)
        return f"there at epochs {told}, not at {config.epochs:.6g} (`{self._trains(config)}` trains it here)"

    def _trains(self, config: Config) -> str:
        """The command that builds the book with it; no book is built with another seed, so that is trained alone."""
        if self.seed is not None:
            words = ["gendiff", "train", config.name, "--preset", self.preset]
            words += ["--seed", str(config.seed)] if config.seed != get(config.name, self.preset).seed else []
            words += ["--epochs", as_text(config.epochs)] if self.epochs else []
            return shlex.join([*words, *(["--dataset", self.dataset] if self.dataset else [])])
        given = {"EPOCHS": as_text(config.epochs) if self.epochs else "", "DATASET": self.dataset}
        words = [f"{name}={value}" for name, value in given.items() if value]
        return shlex.join(["make", "book", f"PRESET={self.preset}", *words, "TRAIN=1"])

    def train_several(self, *names: str) -> dict[str, Run]:
        """The runs of several experiments by name; those that are not there yet are left out, and the page says so.

        Left out is too what takes longer than this page's patience, unless nothing would be left: then TooLong.
        """
        found, too_long = {}, None
        for name in names:
            try:
                found[name] = self._one_of_several(name)
            except TooLong as error:
                too_long, self.left_out[name] = error, f"left out of this page, since {error}"
            except Unpublished:
                self.left_out[name] = f"{self.lacking(self.config(name))}, so left out of this page"
        if too_long and not found:
            raise too_long
        return found

    def _one_of_several(self, name: str) -> Run:
        """A run for which nothing is downloaded, where the page's preset is one whose runs are published."""
        config = self.config(name)
        trains = self.preset in READ and not self.reads(name) and find(config) is None
        if trains and not is_there(config.dataset):
            raise Unpublished(f"{name} is {self.lacking(config)}, and {config.dataset} is not here to train it on")
        return self.train(name)

    def reals(self) -> Reals:
        """The real images of the data set that this page's image experiments train on."""
        return reals(self.data(), published=self.preset in READ)

    def data(self) -> str:
        """The name of the data set that this page's image experiments train on, which the page will say it shows."""
        name = self.dataset or get("dcgan", self.preset).dataset
        self.shown_data.add(name)
        return name

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
        return self.offline(run.config.dataset)

    def classifier(self, run: Run) -> Extractor:
        """The classifier of a run's data set, which knows its classes."""
        return self.own(run.config.dataset)

    def offline(self, dataset: str) -> Extractor:
        """The extractor that needs no download, by which the images of a data set are scored."""
        return self._loaded(offline_name(dataset), offline, dataset)

    def own(self, dataset: str) -> Extractor:
        """A data set's own classifier."""
        return self._loaded(classifier_name(dataset), own_classifier, dataset)

    def _loaded(self, name: str, load: Callable[[str, str], Extractor], dataset: str) -> Extractor:
        """Loaded once a page: its weights are read, rounded and digested. A classifier is trained where it is no
        published one."""
        if (name, dataset) not in self._judges:
            if name == classifier_name(dataset) and check_name(dataset)[0] not in INSTRUMENTS:
                self._patiently(classifier_for(dataset, self.preset))
            self._judges[name, dataset] = load(dataset, self.preset)
        return self._judges[name, dataset]

    def faithful(self, run: Run) -> Sampling:
        """Four samples by the tutorial's sampler, in all the steps of the run's schedule."""
        grid = sampler_grid(self.preset)
        return next(s for label, s in grid.items() if label.startswith("tutorial ")).but(n=4, batch_size=4)

    def plane(self) -> dict[str, list[Run]]:
        """The runs in the plane by method and data set, one of each seed."""
        return {
            f"{label}, {data}": [self.train(name, dataset=data, seed=seed) for seed in POINT_SEEDS]
            for data, methods in LIVE_POINTS.items()
            for label, name in methods.items()
        }

    def early(self, run: Run) -> float:
        """The first of the collapse page's two epochs; the run's first snapshot where it keeps none of that epoch."""
        first = COLLAPSE[self.preset][0]
        return first if first in run.epochs_so_far else run.epochs[0]

    def equal_n(self, *runs: Run) -> int:
        """The greatest number of samples that all of these runs' protocols draw: values of unlike n do not compare."""
        return min(self.sampling(run).n for run in runs)
