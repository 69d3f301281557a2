"""Runs: the directories that remember trainings, and what can be read or made from them."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    create_model,
)
from torch import Tensor

from . import features, images, layout, likelihood, memorisation, store
from .config import Config, ConfigError, GendiffError, Sampling, from_dict
from .data import Dataset, check_same, load
from .diffusion import Diffusion
from .experiments import train_command
from .features import Extractor
from .learner import Learner, Method
from .likelihood import Bits
from .machine import check_precision, commit, default_device, device_name, packages
from .memorisation import Memorisation
from .metrics import PointScores, Scores, check_enough, kept_reference, score, score_points
from .statistics import published_statistics
from .streams import stream
from .training import images_at, make
from .versions import outdated, result_versions

REFERENCE = "train"  # the split that scores compare with


def outdated_parts(scores: Scores) -> list[str]:
    """What of these scores the present code would make anew: "samples", "scores", both or neither."""
    raised = outdated(scores.made.get("versions", {"sampling": 0, "metrics": 0}))
    return (["samples"] if "sampling" in raised else []) + (["scores"] if {"metrics", "features"} & {*raised} else [])


def _read_scores(path: Path) -> Scores | None:
    """Kept scores; None where they are of an earlier form, which is as good as none."""
    with store.understanding(path):
        kept = dict(store.read_json(path))
        if not Scores.fields() <= kept.keys():
            return None
        scores = Scores.from_dict(kept)
    try:
        _KeptScores.model_validate(vars(scores))
    except ValidationError as error:
        raise store.damaged(path, _complaint(error, "scores have")) from None
    return scores


class Light(GendiffError):
    """A published run without its weights cannot make what is asked of it."""


@dataclass(frozen=True)
class Trajectory:
    """States on the way from noise to samples: t (F,), x and the estimate x0, each uint8 (F, n, 3, H, W)."""

    t: Tensor
    x: Tensor
    x0: Tensor


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
        return _seen(self.record, epochs)

    def keeps_snapshot(self, epochs: float) -> bool:
        """Whether there is a snapshot after so many epochs, rounded to a batch."""
        return str(self.images_at(epochs)) in self.record["snapshots"]

    @property
    def snapshot(self) -> dict[str, Any]:
        """Seconds, images seen, operations and more, up to this snapshot."""
        entry: dict[str, Any] = self.record["snapshots"][str(self.images)]
        return entry

    @property
    def commit(self) -> str:
        """The commit it was trained at, shortened, and whether the sources differed from it."""
        return (self.record["commit"] or "none")[:10] + (" + changes" if self.record["dirty"] else "")

    @property
    def training_operations(self) -> int:
        """Floating-point operations of the training up to this snapshot, forward and backward, as they were done."""
        return int(self.snapshot["operations"])

    @property
    def n_seen(self) -> int:
        """How many different images, or points, it was trained on."""
        return int(self.record["data"]["samples"])

    @property
    def protocol(self) -> dict[str, str]:
        """What a reader must know of this training, label by label, the command that repeats it included."""
        record, snapshot = self.record, self.snapshot
        return {
            "run": self.id + (" (published)" if self.published else ""),
            "data": f"{record['data']['name']}, {self.n_seen:,}",
            "epochs": f"{self.config.epochs:.5g}",
            "seed": f"{self.config.seed}",
            "precision": self.config.precision,
            "images seen": f"{snapshot['images']:,}",
            "seconds": f"{snapshot['seconds']:.1f}",
            "GFLOP an image": f"{self.training_operations / snapshot['images'] / 1e9:.3g}",
            "TFLOP in all": f"{self.training_operations / 1e12:.4g}",
            "device": f"{record['device']}, {record['threads']} threads",
            "torch": record["packages"]["torch"],
            "commit": self.commit,
            "train": train_command(self.config),
        }

    @property
    def published(self) -> bool:
        """Whether the record is a tracked one."""
        return self.folder.resolve().parent == store.published_dir().resolve()

    @property
    def stale(self) -> bool:
        """Whether the code gives another result today. Of the classifier, an instrument, the weights alone count."""
        return self.config.kind != "classifier" and bool(outdated(self.record["versions"]))

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
        rows = [r for r in store.read_table(self.folder / layout.HISTORY, n_rows) if r["images"] <= self.images]
        return {k: [row[k] for row in rows] for k in rows[0]} if rows else {}

    @cached_property
    def learner(self) -> Learner:
        """The networks with this snapshot's weights; GendiffError where only the light half of the run is at hand."""
        path = self.folder / layout.weights(self.images)
        if not path.exists():
            raise self._without_weights()
        if store.sha256(path) not in (self.snapshot["sha256"], self.snapshot.get("half_sha256")):
            raise store.damaged(path, "its SHA-256 is not the one that the record tells")
        learner = self._fresh()
        learner.to(default_device())
        weights = {k: v.float() if v.dtype == torch.float16 else v for k, v in store.read_tensors(path).items()}
        for name in [k for k in weights if k.startswith("ema.")]:  # see _check_weights
            weights.setdefault(f"net.{name[4:]}", weights[name])
        try:
            learner.load_weights(weights)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            raise store.damaged(path, "its weights are of other networks") from None
        return learner

    def _without_weights(self) -> Light:
        command = train_command(self.config) or "gendiff train"
        if self.published:
            return Light(
                f"{self.id} is published without the weights of epoch {self.config.epochs:.5g}: `{command}` makes them"
            )
        return Light(
            f"{self.id} has lost the weights of epoch {self.config.epochs:.5g}: delete {self.folder}, and `{command}` "
            "makes them anew"
        )

    @property
    def dataset(self) -> Dataset:
        """The training split it was made from; DataError where it is another by now."""
        self.check_data()
        return load(self.config.dataset)

    def check_data(self) -> None:
        """DataError where a folder of images has changed since the training."""
        if self.config.dataset.startswith("folder:"):  # the others cannot change
            trained_on = load(self.config.dataset).choose(self.config.n_train, "n_train", "n_train")
            check_same(trained_on, self.record["data"]["digest"], f"run {self.id}")

    def sheet(self) -> Tensor:
        """The contact sheet of this snapshot, uint8 (3, H, W): the same noise at every epoch."""
        path = self.folder / layout.sheet(self.images)
        try:
            return images.read_png(path)
        except OSError:
            raise store.damaged(path, "it is no picture" if path.exists() else "it is missing") from None

    # What follows is made once and kept beside the run; a published run's folder is never written to.

    def resolve(self, sampling: Sampling) -> Sampling:
        """`sampling` with every None replaced by what this run's method does."""
        return self.method.resolve(sampling)

    @cached_property
    def method(self) -> Method:
        """The method with fresh weights, for what its configuration alone decides: networks, samplers."""
        method = self._fresh()
        if not isinstance(method, Method):
            raise GendiffError(f"{self.id} is a {self.config.kind}: it makes no samples")
        return method

    def _fresh(self) -> Learner:
        """Networks of the right shapes, made from the record alone: no data set need be at hand."""
        shape, size = tuple(self.record["sample_shape"]), self.config.image_size
        if size:
            shape = (shape[0], size, size)
        return make(self.config, shape, len(self.record["classes"]))

    def _kept(self, sampling: Sampling, name: str) -> tuple[Path, bool]:
        """Where `name` is kept for a resolved sampling, and whether it is there."""
        return self._beside(layout.samples(self.images, sampling.digest) / name)

    def _beside(self, part: Path) -> tuple[Path, bool]:
        for place in (self.folder, store.runs_dir() / self.id):
            if (place / part).exists():
                return place / part, True
        return (store.runs_dir() / self.id if self.published else self.folder) / part, False

    def keeps(self, part: Path) -> bool:
        """Whether a part, named as layout has it, is there: published, or made on this machine."""
        return self._beside(part)[1]

    def _states(self, n: int, sampling: Sampling, batch: int) -> Iterator[Any]:
        learner = self.learner
        assert isinstance(learner, Method)
        check_precision(self.config, learner.device)
        self._check_weights(sampling)
        return learner.sample(n, sampling, stream("samples", sampling.seed, batch, learner.device))

    def _check_weights(self, sampling: Sampling) -> None:
        """GendiffError where raw weights are asked for and only the averaged ones were published."""
        names = store.tensor_names(self.folder / layout.weights(self.images))
        if (
            sampling.weights == "raw"
            and not any(name.startswith("net.") for name in names)
            and "ema" in {name.partition(".")[0] for name in names}
        ):
            raise GendiffError(f"{self.id} is published with its averaged weights alone: leave out weights=raw")

    def samples(self, sampling: Sampling, *, again: bool = False) -> Tensor:
        """Samples in stored form: uint8 (n, 3, H, W) at the data's own size, or points (n, 2); kept.

        `again` draws anew what older samplers drew.
        """
        sampling = self.resolve(sampling)
        if (kept := self._kept_samples(sampling, again)) is not None:
            return kept
        _ = self.learner  # refuses before anything is written
        with store.lock(f"samples-{self.id}-{self.images}-{sampling.digest}", f"drawing samples of {self.id}"):
            if (kept := self._kept_samples(sampling, again)) is not None:
                return kept
            return self._make_samples(sampling)

    def _check_drawable(self, sampling: Sampling) -> None:
        """Light where these samples are neither kept nor to be drawn, which is told before any data are asked for."""
        if not self._kept(sampling, layout.SAMPLES)[1]:
            _ = self.learner

    def _kept_samples(self, sampling: Sampling, again: bool) -> Tensor | None:
        """Samples that were drawn before, checked to be all; None where there are none, or older ones do not count."""
        path, there = self._kept(sampling, layout.SAMPLES)
        whole = there and self._kept(sampling, layout.SAMPLING)[1]  # which is written last
        if not whole or (again and outdated(self.sampling_record(sampling)["versions"])):
            return None
        if store.sha256(path) != self.sampling_record(sampling)["sha256"]:
            raise store.damaged(path, f"its SHA-256 is not the one that {layout.SAMPLING} tells")
        with store.understanding(path):
            return store.read_tensors(path)["samples"]

    def _make_samples(self, sampling: Sampling) -> Tensor:
        path, there = self._kept(sampling, layout.SAMPLES)
        store.sweep(path.parent)
        made, seconds = self._draw(sampling, path.parent)
        if self.dataset.is_image:
            with store.writing(path.with_name(layout.SHEET)) as draft:
                images.save_png(images.sheet(made[:40], columns=10), draft)
        store.write_tensors(path, {"samples": made})
        record = {"sampling": sampling.to_dict(), "seconds": seconds, "device": device_name(self.learner.device)}
        record |= {"threads": torch.get_num_threads(), "versions": result_versions("sampling"), **commit()}
        record |= {"packages": packages(), "sha256": store.sha256(path)}
        store.write_json(path.with_name(layout.SAMPLING), record)
        store.forget_stream(path.parent / layout.DRAWING)
        for name in ("trajectory-*", "neighbours-*"):  # of what older samplers drew; scores tell it themselves
            for older in path.parent.glob(name) if there else ():
                older.unlink()
        return made

    def _draw(self, sampling: Sampling, folder: Path) -> tuple[Tensor, float]:
        """All samples and the seconds they took. Each batch goes to disk; an interrupted drawing goes on from there.

        It can, since a batch's noise depends on its number alone.
        """
        bridge, like = self.dataset.bridge, self.dataset.samples
        drawn = store.Stream(
            folder / layout.DRAWING, like.dtype, like.shape[1:], result_versions("sampling")["sampling"]
        )
        for batch in range(drawn.batches, -(-sampling.n // sampling.batch_size)):
            started = time.monotonic()
            n = min(sampling.batch_size, sampling.n - batch * sampling.batch_size)
            last = deque(self._states(n, sampling, batch), maxlen=1).pop()
            drawn.append(bridge.decode(last.x).cpu(), time.monotonic() - started)
        made = drawn.read()
        if len(made) != sampling.n:
            store.forget_stream(drawn.path)
            raise GendiffError(f"{len(made)} of {sampling.n} samples of {self.id} were drawn: draw them once more")
        return made, drawn.seconds

    def sampling_record(self, sampling: Sampling) -> dict[str, Any]:
        """How long these samples took, on what, and the resolved sampling."""
        path = self._made(sampling, layout.SAMPLING)
        record: dict[str, Any] = store.read_json(path)
        with store.understanding(path):
            _ = [record[k] for k in ("seconds", "device", "threads", "commit", "versions", "sha256")]
        return record

    def sample_sheet(self, sampling: Sampling) -> Tensor:
        """The first 40 of these samples as a contact sheet, uint8 (3, H, W)."""
        return images.read_png(self._made(sampling, layout.SHEET))

    def _made(self, sampling: Sampling, name: str) -> Path:
        """The path of a file that is written beside the samples, which are made where it is missing."""
        path, there = self._kept(self.resolve(sampling), name)
        if not there:
            self.samples(sampling)
        return path

    def trajectory(self, sampling: Sampling, frames: int = 21) -> Trajectory:
        """`frames` (2 or more) states on the way to sampling.n samples, evenly spaced, from noise to the end."""
        if frames < 2:
            raise ConfigError(f"frames={frames} show no way from noise to the end: give at least 2")
        sampling = self.resolve(sampling)
        path, there = self._kept(sampling, layout.trajectory(frames))
        if not there:
            _ = self.learner  # before the data are asked for: without weights they are of no use
            n_states = (sampling.n_steps or 1) + 1
            wanted = {round(i * (n_states - 1) / (frames - 1)) for i in range(frames)}
            decode = self.dataset.bridge.decode
            states = [s for i, s in enumerate(self._states(sampling.n, sampling, 0)) if i in wanted]
            kept = {
                "t": torch.tensor([s.t for s in states]),
                "x": torch.stack([decode(s.x).cpu() for s in states]),
                "x0": torch.stack([decode(s.x0).cpu() for s in states]),
            }
            store.write_tensors(path, kept)
        with store.understanding(path):
            return Trajectory(**store.read_tensors(path))

    def scores(
        self,
        sampling: Sampling,
        extractor: Extractor,
        n_real: int | None = None,
        reference: str = REFERENCE,
        *,
        again: bool = False,
    ) -> Scores:
        """Scores of these samples against n_real images of the split `reference`, a balanced choice (None: all); kept.

        `again` makes anew what older sources drew or scored; Light where they are published, or have to be drawn
        without weights.
        """
        sampling = self.resolve(sampling)
        path, there = self._kept(sampling, layout.scores(extractor.name, extractor.digest, reference, n_real))
        kept = _read_scores(path) if there else None
        if kept and not (again and outdated_parts(kept)):
            return kept
        if there and self.folder in path.parents and self.published:
            raise Light(
                f"{self.id} is published with scores of older code: `{train_command(self.config)}` makes it here, "
                "to be scored and published anew"
            )
        self._check_drawable(sampling)
        chosen = load(self.config.dataset, reference).choose(n_real, "n_real", "n_real")  # refused before drawing
        for n in (sampling.n, len(chosen.samples)):
            check_enough(n)
        fake = features.extract(extractor, self.samples(sampling, again=again))
        real = kept_reference(extractor, chosen.samples)
        whole = published_statistics(self.config.dataset, extractor, reference)  # of all images, where published
        made = self.made(sampling)
        scores = score(fake, real, extractor, reference=reference, statistics=whole, made=made)
        store.write_json(path, asdict(scores))
        return scores

    def kept_scores(
        self, sampling: Sampling, extractor: str, n_real: int | None = None, reference: str = REFERENCE
    ) -> Scores | None:
        """Scores by an extractor that need not be at hand, if they were computed before by this very protocol."""
        part = layout.samples(self.images, self.resolve(sampling).digest)
        name = layout.scores(extractor, "*", reference, n_real)
        places = (store.runs_dir() / self.id / part, self.folder / part)
        kept = [p for place in places for p in sorted(place.glob(name)) if p.name.count("-") == name.count("-")]
        found = [scores for path in reversed(kept) if (scores := _read_scores(path))]
        return next((scores for scores in found if not outdated_parts(scores)), found[0] if found else None)

    def made(self, sampling: Sampling) -> dict[str, Any]:
        """How these samples came about, as their scores carry it: run, seeds, sampler, seconds, device."""
        sampling, record = self.resolve(sampling), self.sampling_record(sampling)
        return {
            "run": self.id,
            "epochs": self.config.epochs,
            "training_seed": self.config.seed,
            "training_seconds": self.snapshot["seconds"],
            "training_device": self.record["device"],
            "training_operations": self.training_operations,
            "training_command": train_command(self.config),
            "training_commit": self.commit,
            "weights": sampling.weights,
            "sampler": sampling.sampler,
            "n_steps": sampling.n_steps,
            "eta": sampling.eta,
            "clip_x0": sampling.clip_x0,
            "batchnorm": sampling.batchnorm,
            "batch_size": sampling.batch_size,
            "sampling_seed": sampling.seed,
            "sampling_seconds": record["seconds"],
            "device": record["device"],
            "threads": record["threads"],
            "versions": record["versions"] | result_versions("features", "metrics"),
            "packages": packages(),
            "commit": record["commit"],
        }

    def memorisation(self, sampling: Sampling, extractor: Extractor, n: int = 1000) -> Memorisation:
        """Nearest training images of the first n of these samples and of as many test images; kept."""
        if n < 1:
            raise ConfigError(f"n={n} is no number of images to look at: give at least 1")
        sampling = self.resolve(sampling)
        path, there = self._kept(sampling, layout.neighbours(extractor.name, extractor.digest, n))
        if not there:
            self._check_drawable(sampling)
            seen = self.dataset.choose(self.config.n_train, "n_train", "n_train").samples
            if self.config.flip:
                seen = torch.cat([seen, seen.flip(-1)])
            fake = self.samples(sampling)[:n]
            test = load(self.config.dataset, "test").choose(len(fake), "checked", "n").samples
            found = memorisation.memorisation(fake, seen, test, extractor)
            store.write_tensors(path, found._asdict())
        with store.understanding(path):
            return Memorisation(**store.read_tensors(path))

    def bits(self, n: int, split: str = "test", weights: Literal["raw", "ema"] | None = None, seed: int = 0) -> Bits:
        """Bits per dimension of n images of a split, a balanced choice, by the variational bound; kept.

        ConfigError for a run that is no diffusion model of images on a schedule with steps of its own.
        """
        method = self.method
        if n < 2:
            raise ConfigError(f"n={n} images give no mean with an error: give at least 2")
        is_image = len(self.record["sample_shape"]) == 3  # told without the data, which kept bits do not need
        if not isinstance(method, Diffusion) or not is_image or self.config.image_size:
            raise ConfigError(
                f"{self.id} has no bits per dimension: they are a diffusion model's, of images at their own size"
            )
        resolved = self.resolve(Sampling(weights=weights))
        path, there = self._beside(layout.bits(self.images, resolved.weights, split, n, seed))
        if there:
            with store.understanding(path):
                kept = dict(store.read_json(path))
                return Bits(**{**kept, "steps": tuple(kept["steps"])})
        learner = self.learner
        assert isinstance(learner, Diffusion)
        check_precision(self.config, learner.device)
        chosen = load(self.config.dataset, split).choose(n, "checked", "n")
        self._check_weights(resolved)
        denoise, rng = learner.denoise(resolved), stream("bits", seed, device=learner.device)
        for module in learner.modules.values():  # no dropout
            module.eval()
        started = time.monotonic()
        bounds = [
            likelihood.bound(denoise, learner.schedule, chosen.bridge.encode(part.to(learner.device), None), rng)
            for part in chosen.samples.split(128)
        ]
        how = {"split": split, "seed": seed, "weights": resolved.weights, "device": device_name(learner.device)}
        how |= {"version": likelihood.VERSION, "commit": commit()["commit"]}
        found = Bits.of(bounds, seconds=time.monotonic() - started, **how)
        store.write_json(path, asdict(found))
        return found

    def point_scores(self, sampling: Sampling) -> PointScores:
        """Scores of points in the plane against the test split: fresh draws from the same density."""
        return score_points(self.samples(sampling), load(self.config.dataset, "test"))

    @staticmethod
    def read(folder: Path) -> "Run":
        """The run in `folder` at its last snapshot; StoreError where its record is damaged."""
        folder = folder.resolve()
        record = read_record(folder)
        last = max(map(int, record["snapshots"]))
        with store.understanding(folder / layout.RECORD):
            epochs = float(record["snapshots"][str(last)]["epochs"])
            return Run(folder, record, from_dict(record["kind"], record["config"]).but(epochs=epochs))


def _seen(record: dict[str, Any], epochs: float) -> int:
    """The images that the training of this record had seen after so many epochs."""
    return images_at(epochs, record["steps_per_epoch"], record["config"]["batch_size"])


def find(config: Config, *, published: bool = False) -> Run | None:
    """The run that answers `config` at its epochs, a local one before a published one; None where there is none.

    `published` looks at published ones alone.
    """
    for folder in folders(config, published=published):
        record = read_record(folder)
        if str(_seen(record, config.epochs)) in record["snapshots"]:
            return Run(folder, record, config)
    return None


def siblings(config: Config, *, published: bool = False) -> list[Run]:
    """The runs that answer `config` whatever their training seed, one of each; `published` looks at those alone."""
    found: dict[int, Run] = {}
    for run in all_runs():
        seed = run.config.seed
        alike = config.but(seed=seed).digest == run.config.digest
        alike = alike and str(_seen(run.record, config.epochs)) in run.record["snapshots"]
        if alike and (run.published or not published):
            found.setdefault(seed, run.at(config.epochs))
    return list(found.values())


def folders(config: Config, *, published: bool = False) -> list[Path]:
    """The folders of this identity, whatever their epochs."""
    places = (store.published_dir(),) if published else (store.runs_dir(), store.published_dir())
    return [f for place in places for f in sorted(place.glob(f"[!.]*-{config.digest}")) if (f / layout.RECORD).exists()]


class _Told(BaseModel):
    """What a record tells; later versions may tell more."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Trained(_Told):
    """The part of a configuration that places its snapshots; all of it is checked when it becomes a Config."""

    batch_size: PositiveInt


class _Data(_Told):
    name: str
    digest: str
    samples: PositiveInt


class _Packages(_Told):
    torch: str


class _Segment(_Told):
    """A stretch of training under the same conditions."""

    device: str
    threads: PositiveInt
    commit: str | None
    dirty: bool | None
    packages: _Packages
    first_image: NonNegativeInt
    images: NonNegativeInt
    seconds: NonNegativeFloat


class _Snapshot(_Told):
    epochs: PositiveFloat
    images: PositiveInt
    operations: NonNegativeInt
    seconds: NonNegativeFloat
    rows: NonNegativeInt
    sha256: str | None  # None where only half-precision weights were ever kept
    half_sha256: str | None = None
    test_accuracy: float | None = Field(None, ge=0, le=1)
    sheet: dict[str, Any] | None = None


class _Record(_Told):
    """The fields of run.json."""

    config: _Trained
    kind: str
    digest: str
    data: _Data
    sample_shape: list[PositiveInt] = Field(min_length=1)
    classes: list[str] = Field(min_length=1)
    snapshots: dict[Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$")], _Snapshot] = Field(min_length=1)
    segments: list[_Segment]
    device: str
    threads: PositiveInt
    commit: str | None
    dirty: bool | None
    packages: _Packages
    versions: dict[str, int]
    images: PositiveInt
    operations: NonNegativeInt
    operations_per_image: NonNegativeInt
    steps_per_epoch: PositiveInt
    seconds: NonNegativeFloat
    rows: NonNegativeInt
    first_losses: list[dict[str, float]]


class _Made(_Told):
    """What is read of how samples came about before anything else is: it decides whether scores are outdated."""

    versions: dict[str, int] = {}


# The fields of Scores with their types; a whole number counts something, and a value may be any float
_SCORES: dict[str, Any] = {
    name: (NonNegativeInt if kind is int else kind, ...) for name, kind in get_type_hints(Scores).items()
}
_KeptScores: type[BaseModel] = create_model(
    "_KeptScores", __config__=ConfigDict(strict=True), **(_SCORES | {"made": (_Made, ...)})
)


def _complaint(error: ValidationError, thing: str) -> str:
    """What is missing, or of another kind than `thing` (such as "a record has"), by dotted names, five at most."""
    complaints = error.errors(include_url=False, include_context=False, include_input=False)
    missing = [c["loc"] for c in complaints if c["type"] == "missing"]
    names = list(dict.fromkeys(".".join(map(str, place)) for place in missing or [c["loc"] for c in complaints]))
    told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"it lacks {told}" if missing else f"{told} of another kind than {thing}"


def read_record(folder: Path) -> dict[str, Any]:
    """A run's record; StoreError where it is damaged."""
    path = folder / layout.RECORD
    record = store.read_json(path)
    known: dict[str, Any] = record if isinstance(record, dict) else {}
    try:
        _Record.model_validate(known)
    except ValidationError as error:
        raise store.damaged(path, _complaint(error, "a record has")) from None
    with store.understanding(path):  # numbers may be too large to multiply
        for seen, entry in known["snapshots"].items():
            if not str(entry["images"]) == seen == str(_seen(known, entry["epochs"])):
                raise ValueError(f"snapshot {seen} tells other images or epochs")
    return known


def all_runs() -> list[Run]:
    """Every run on this machine, published ones first."""
    places = (store.published_dir(), store.runs_dir())
    return [Run.read(path.parent) for place in places for path in sorted(place.glob(f"[!.]*/{layout.RECORD}"))]
