"""Runs: the directories that remember trainings, and what is read of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import paths
from ..autoencoder import Autoencoder, Codec
from ..config import Config, Sampling
from ..data import load
from ..data.dataset import Dataset, check_same
from ..device import default_device, with_threads
from ..diffusion.config import DiffusionConfig
from ..errors import ConfigError, GendiffError, Light
from ..learner import Learner
from ..parsing import as_text
from ..training.build import bridged, evaluations, from_dict, make, resolve, seen_shape
from ..training.operations import drawing_operations
from ..versions import outdated
from . import files, layout
from .record import images_seen, read_record, same_weights, stretches


@dataclass(frozen=True)
class Run:
    """A finished training, seen at one of its snapshots: `config.epochs`. Everything it tells is read from disk."""

    folder: Path
    record: dict[str, Any]
    config: Config

    @property
    def id(self) -> str:
        """The name that the run has everywhere: label and digest."""
        return self.folder.name

    @property
    def epochs(self) -> tuple[float, ...]:
        """The epochs whose weights are kept."""
        return tuple(sorted(entry["epochs"] for entry in self.record["snapshots"].values()))

    @property
    def images(self) -> int:
        """How many training images this snapshot had seen, each pass counted anew."""
        return self.images_at(self.config.epochs)

    def images_at(self, epochs: float) -> int:
        """How many training images its training had seen after so many epochs, rounded to a batch."""
        return images_seen(self.record, epochs)

    def keeps_snapshot(self, epochs: float) -> bool:
        """Whether there is a snapshot after so many epochs, rounded to a batch."""
        return str(self.images_at(epochs)) in self.record["snapshots"]

    @property
    def snapshot(self) -> dict[str, Any]:
        """Seconds, images seen, operations and more, up to this snapshot."""
        return dict(self.record["snapshots"][str(self.images)])

    @property
    def commit(self) -> str:
        """The commits it was trained at, shortened, and whether the sources differed from them."""
        several = stretches(self.record, self.images)
        return ", ".join(dict.fromkeys((s["commit"] or "none")[:10] + " + changes" * s["dirty"] for s in several))

    @property
    def device(self) -> str:
        """What it was trained on, and on how many threads."""
        several = stretches(self.record, self.images)
        return "; ".join(dict.fromkeys(with_threads(s["device"], s["threads"]) for s in several))

    @property
    def training_operations(self) -> int:
        """Floating-point operations of the training up to this snapshot, forward and backward, as they were done."""
        return int(self.snapshot["operations"])

    @property
    def command(self) -> str:
        """The command that trains this very run here, though it be published."""
        return f"gendiff train {self.id} --epochs {as_text(self.config.epochs)} --again"

    @property
    def published(self) -> bool:
        """Whether the record is a tracked one."""
        return self.folder.resolve().parent == paths.published_dir().resolve()

    @property
    def stale(self) -> bool:
        """Whether the code gives another result today. Of the classifier, an instrument, the weights alone count."""
        return self.config.kind != "classifier" and bool(outdated(self.record["versions"]))

    @property
    def epochs_so_far(self) -> list[float]:
        """The epochs of its snapshots up to the one that it is seen at: a longer training may have left later ones."""
        return [epochs for epochs in self.epochs if epochs <= self.config.epochs]

    def at(self, epochs: float) -> "Run":
        """The run as it was after so many epochs; GendiffError names the snapshots there are."""
        if not self.keeps_snapshot(epochs):
            known = ", ".join(f"{e:.5g}" for e in self.epochs)
            raise GendiffError(f"{self.id} keeps no snapshot at epoch {epochs:g}: it has {known}")
        return Run(self.folder, self.record, self.config.but(epochs=float(epochs)))

    @cached_property
    def history(self) -> dict[str, list[float]]:
        """Columns of history.csv up to this snapshot: epoch, step, images, losses (each row a tenth of an epoch)."""
        n_rows = read_record(self.folder)["rows"]  # the run may have gone on since
        rows = [r for r in files.read_table(self.folder / layout.HISTORY, n_rows) if r["images"] <= self.images]
        return {k: [row[k] for row in rows] for k in rows[0]} if rows else {}

    @cached_property
    def learner(self) -> Learner:
        """The networks with this snapshot's weights; GendiffError where only the light half of the run is at hand."""
        path = self.folder / layout.weights(self.images)
        if not path.exists():
            raise self._without("the weights")
        if files.sha256(path) not in (self.snapshot["sha256"], self.snapshot.get("half_sha256")):
            raise files.damaged(path, "its SHA-256 is not the one that the record tells")
        learner = make(self.config, self.shape, len(self.record["classes"]))
        learner.to(default_device())
        weights = files.read_tensors(path)
        raw = {f"{learner.saved[0]}.{name[4:]}": w for name, w in weights.items() if name.startswith("ema.")}
        try:
            learner.load_weights(raw | weights)  # averaged ones in the place of raw ones: see samples.check_weights
        except ConfigError:
            raise files.damaged(path, "its weights are of other networks") from None
        return learner

    def _without(self, what: str) -> Light:
        what = f"{what} of epoch {self.config.epochs:.5g}"
        if self.published:
            return Light(f"{self.id} is published without {what}: `{self.command}` makes them")
        return Light(f"{self.id} has lost {what}: restore them, or delete {self.folder} and train it anew")

    @property
    def dataset(self) -> Dataset:
        """The whole training split, of which it saw `n_train`; DataError where it is another by now."""
        self.check_data()
        return bridged(self.config, load(self.config.dataset), codec_of)

    def check_data(self) -> None:
        """DataError where a folder of images has changed since the training."""
        if self.config.dataset.startswith("folder:"):  # the others cannot change
            trained_on = load(self.config.dataset).choose(self.config.n_train, "n_train", "n_train")
            check_same(trained_on, self.record["data"]["digest"], f"run {self.id}")

    def keeps_sheet(self) -> bool:
        """Whether the contact sheet of this snapshot is there: those that pages show are published."""
        return (self.folder / layout.sheet(self.images)).exists()

    def sheet(self) -> Tensor:
        """The contact sheet of this snapshot, uint8 (3, H, W): the same noise at every epoch."""
        if self.published and not self.keeps_sheet():
            raise self._without("the contact sheet")
        return files.read_picture(self.folder / layout.sheet(self.images))

    def resolve(self, sampling: Sampling) -> Sampling:
        """`sampling` with every None replaced by what this run's method does; see build.resolve."""
        return resolve(sampling, self.config, self.shape)

    def evaluations(self, sampling: Sampling) -> int:
        """How often the network is evaluated for a sample."""
        return evaluations(sampling, self.config, self.shape)

    def drawing_operations(self, sampling: Sampling) -> int:
        """The operations of drawing a sample; see training.operations."""
        n = self.evaluations(sampling)
        return drawing_operations(self.config, self._image_shape, len(self.record["classes"]), n)

    @property
    def shape(self) -> tuple[int, ...]:
        """One sample as the networks see it, told by the record alone: no data set need be at hand."""
        return seen_shape(self.config, self._image_shape)

    @property
    def _image_shape(self) -> tuple[int, ...]:
        shape, size = tuple(self.record["sample_shape"]), self.config.image_size
        return (shape[0], size, size) if size else shape

    @property
    def made(self) -> Path:
        """Where what is made of it is kept: of a published run here, apart from a training that made other weights."""
        beside = paths.runs_dir() / self.id if self.published else self.folder
        there = read_record(beside) if beside != self.folder and (beside / layout.RECORD).exists() else self.record
        return beside if same_weights(there, self.record, self.images) else beside.with_name(self.id + layout.APART)

    def place(self, part: Path) -> tuple[Path, bool]:
        """Where a part, named as layout has it, is kept or will be, and whether it is there: published or made here."""
        there = (place / part for place in (self.folder, self.made) if (place / part).exists())
        return next(((path, True) for path in there), (self.made / part, False))

    @staticmethod
    def read(folder: Path) -> "Run":
        """The run in `folder` at its last snapshot; StoreError where its record is damaged."""
        record = read_record(folder := folder.resolve())
        with files.understanding(folder / layout.RECORD):
            epochs = float(record["snapshots"][max(record["snapshots"], key=int)]["epochs"])
            return Run(folder, record, from_dict(record["kind"], record["config"]).but(epochs=epochs))


def find(config: Config, *, published: bool = False) -> Run | None:
    """The run that answers `config` at its epochs, a local one before a published one (`published`: of those alone)."""
    runs = (Run(folder, read_record(folder), config) for folder in folders(config, published=published))
    return next((run for run in runs if run.keeps_snapshot(config.epochs)), None)


def needed(config: Config) -> Run | None:
    """The run that a configuration needs; None where it needs none. GendiffError where that is not there."""
    if config.needs is None:
        return None
    if (run := find(config.needs)) is None:
        folder = f"{config.needs.name}-{config.needs.digest}"
        raise GendiffError(
            f"{config.name} needs the autoencoder {folder} at {as_text(config.needs.epochs)} epochs, which is missing: "
            "restore that folder, or train the model here, which trains its autoencoder first"
        )
    return run


def codec_of(config: DiffusionConfig) -> Codec:
    """The codec of the autoencoder that a model works on; GendiffError where it or its weights are missing."""
    run = needed(config)
    assert run is not None
    assert isinstance(run.learner, Autoencoder)
    return run.learner.codec(run.snapshot["latent_std"])


def siblings(config: Config, *, published: bool = False) -> list[Run]:
    """The runs that answer `config` whatever their training seed, one of each; `published` looks at those alone."""
    found: dict[int, Run] = {}
    for run in all_runs():
        alike = config.but(seed=run.config.seed).digest == run.config.digest
        if alike and run.keeps_snapshot(config.epochs) and (run.published or not published):
            found.setdefault(run.config.seed, run.at(config.epochs))
    return list(found.values())


def folders(config: Config, *, published: bool = False) -> list[Path]:
    """The folders of this identity, whatever their epochs."""
    places = (paths.published_dir(),) if published else (paths.runs_dir(), paths.published_dir())
    return [f.parent for place in places for f in sorted(place.glob(f"[!.]*-{config.digest}/{layout.RECORD}"))]


def all_runs() -> list[Run]:
    """Every run on this machine, published ones first."""
    places = (paths.published_dir(), paths.runs_dir())
    return [Run.read(path.parent) for place in places for path in sorted(place.glob(f"[!.]*/{layout.RECORD}"))]
