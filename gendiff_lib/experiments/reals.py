"""What the pages show of real images: from the data set where it is at hand, else from the tracked record of it.

A record is runs/real/DATASET.json and two contact sheets beside it. None of it is a training set: it holds counts, the
pictures that are figures, and scores.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import paths
from ..data import count, images, load
from ..data.dataset import Dataset, ImageBridge
from ..errors import GendiffError
from ..evaluation.features import Extractor, extract
from ..evaluation.metrics import kept_reference, score
from ..evaluation.scores import Scores
from ..runs import files
from . import protocol
from .extractors import EXTRACTORS, offline_kind, offline_name
from .queue import EARLY_N

PER_CLASS, FEW = 12, 40  # images of each class on the sheet of classes, and images on the other one
COUNTED = 5000  # images whose bytes are counted
DETOUR = 64  # the side to which images are sent and brought back
UNTOUCHED, BROUGHT_BACK = "real, untouched", "real, enlarged and shrunk"


@dataclass(frozen=True)
class Reals:
    """Real images of a data set, as far as pages show them.

    `counts` are images of each class by split, `bytes` how often each value occurs in the first `counted` training
    images by channel (3, 256); `by_class` is a contact sheet (3, H, W), a row a class, `few` the first training images
    (FEW, 3, side, side), both uint8.
    """

    name: str
    side: int
    classes: tuple[str, ...]
    counts: dict[str, list[int]]
    digests: dict[str, str]
    counted: int
    bytes: list[list[int]]
    by_class: Tensor
    few: Tensor

    @property
    def bridge(self) -> ImageBridge:
        """Between bytes and what a model sees."""
        return ImageBridge(self.side)

    @property
    def sizes(self) -> dict[str, int]:
        """Images by split."""
        return {split: sum(counts) for split, counts in self.counts.items()}

    def share(self, value: int) -> float:
        """The share of a byte value among those that were counted."""
        return sum(channel[value] for channel in self.bytes) / sum(map(sum, self.bytes))

    @classmethod
    def of(cls, train: Dataset, test: Dataset) -> "Reals":
        """Of both splits of a data set of images."""
        n_classes, first = len(train.classes), train.samples[:COUNTED]
        rows = [train.samples[train.labels == k][:PER_CLASS] for k in range(n_classes)]
        return cls(
            name=train.name,
            side=train.samples.shape[-1],
            classes=train.classes,
            counts={d.split: torch.bincount(d.labels, minlength=n_classes).tolist() for d in (train, test)},
            digests={d.split: d.digest for d in (train, test)},
            counted=len(first),
            bytes=[torch.bincount(first[:, c].flatten().int(), minlength=256).tolist() for c in range(3)],
            by_class=images.sheet(torch.cat(rows), columns=PER_CLASS),
            few=train.samples[:FEW],
        )


def reals(dataset: str, *, published: bool = False) -> Reals:
    """What there is to show of a data set's real images; `published` asks for the tracked record before the data."""
    if published and _record(dataset).exists():
        return read(dataset)
    return Reals.of(load(dataset), load(dataset, "test"))


# ---------------------------------------------------------------- what real images would score


def floors(dataset: str, extractor: Extractor, n: int, n_real: int | None) -> dict[str, Scores]:
    """Scores of n test images (all, where there are fewer) as if a model had made them, by what they are.

    Untouched, and enlarged to DETOUR pixels and shrunk: what a generator that works at that side cannot do better than.
    """
    there = load(dataset, "test")
    test = there.choose(min(n, len(there.samples)), "checked").samples
    back = images.to_images(images.to_model(test, DETOUR), test.shape[-1])
    real = kept_reference(extractor, load(dataset).choose(n_real, "n_real", "n_real").samples)
    return {
        what: score(extract(extractor, fake), real, extractor, reference="train", made={"images": what})
        for what, fake in ((UNTOUCHED, test), (BROUGHT_BACK, back))
    }


def kept_floors(dataset: str, n: int, n_real: int | None) -> dict[str, Scores]:
    """The published ones by the data set's offline extractor; empty where there are none of this protocol."""
    path = _record(dataset)
    if not path.exists():
        return {}
    n, n_real = min(n, count(dataset, "test")), n_real or count(dataset, "train")
    with files.understanding(path):
        several = [Scores.from_dict(each) for each in files.read_json(path)["floors"]]
    alike = [s for s in several if (s.n_fake, s.n_real, s.extractor) == (n, n_real, offline_name(dataset))]
    return {str(s.made["images"]): s for s in alike}


# ---------------------------------------------------------------- the record


def publish_real(dataset: str = "cifar10", preset: str = "overnight") -> Path:
    """Write the record of a data set into runs/real/, with what its real images score by the preset's protocols, by
    its own classifier and by its offline extractor.

    Returns its path; GendiffError for a data set that holds no images.
    """
    train, test = load(dataset), load(dataset, "test")
    if not train.is_image:
        raise GendiffError(f"{dataset} holds points in the plane, of which no page shows pictures: name images")
    found = Reals.of(train, test)
    judges = [EXTRACTORS[kind](dataset, preset) for kind in dict.fromkeys(("classifier", offline_kind(dataset)))]
    asked = [(judge, *known) for judge in judges for known in _protocols(dataset, preset)]
    scores = [s for judge, n, n_real in asked for s in floors(dataset, judge, n, n_real).values()]
    told = {
        "dataset": found.name,
        "side": found.side,
        "classes": list(found.classes),
        "counts": found.counts,
        "digests": found.digests,
        "counted": found.counted,
        "bytes": found.bytes,
        "floors": [asdict(each) for each in scores],
    }
    path = _record(dataset)
    for part, sheet in (("classes", found.by_class), ("few", images.sheet(found.few, columns=10))):
        with files.writing(_sheet(path, part)) as draft:
            images.save_png(sheet, draft)
    files.write_json(path, told)
    return path


def read(dataset: str) -> Reals:
    """The published record of a data set; StoreError where it is missing or damaged."""
    path = _record(dataset)
    told = files.read_json(path)
    with files.understanding(path):
        side = int(told["side"])
        return Reals(
            name=told["dataset"],
            side=side,
            classes=tuple(told["classes"]),
            counts=told["counts"],
            digests=told["digests"],
            counted=told["counted"],
            bytes=told["bytes"],
            by_class=images.read_png(_sheet(path, "classes")),
            few=images.cells(images.read_png(_sheet(path, "few")), (side, side)),
        )


def _protocols(dataset: str, preset: str) -> Sequence[tuple[int, int | None]]:
    """How many fakes against how many reals the experiments on this data set, and their snapshots, are scored with."""
    names = ("live-gan", "live-diffusion") if dataset == "shapes" else ("dcgan", "dcgan-32", "ddpm-conv")
    there = count(dataset, "train")
    known = [protocol(name, preset) for name in names]
    return list(dict.fromkeys((n, p.reals(there)) for p in known for n in (p.sampling.n, min(EARLY_N, p.sampling.n))))


def _record(dataset: str) -> Path:
    """Of NAME:ARGUMENT it is another than of NAME, whose images it does not hold."""
    return paths.published_dir() / "real" / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', dataset)}.json"


def _sheet(record: Path, part: str) -> Path:
    return record.with_name(f"{record.stem}-{part}.png")
