"""The tracked record of a data set's real images, for pages where the data are not at hand.

A record is runs/real/DATASET.json and two contact sheets beside it. None of it is a training set: it holds counts, the
pictures that are figures, and scores.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import paths
from ..data import count, images, load
from ..data.dataset import Dataset
from ..errors import GendiffError
from ..evaluation.features import Extractor, extract
from ..evaluation.metrics import kept_reference, score
from ..evaluation.scores import Scores
from ..evaluation.spectrum import radial_power
from ..runs import files
from . import protocol
from .claimed import EARLY_N
from .extractors import EXTRACTORS, offline_kind

PER_CLASS, FEW = 12, 40  # images of each class on the sheet of classes, and images on the other one
COUNTED = 5000  # images whose bytes are counted
DETOUR = 64  # the side to which images are sent and brought back
UNTOUCHED, BROUGHT_BACK = "real, untouched", "real, enlarged and shrunk"


def described(train: Dataset, test: Dataset) -> dict[str, Any]:
    """What is told of both splits of a data set of images.

    `counts` are images of each class by split, `bytes` how often each value occurs in the first `counted` training
    images by channel (3, 256), `power` the mean power of test images by frequency; see spectrum.radial_power.
    """
    n_classes, first = len(train.classes), train.samples[:COUNTED]
    return {
        "dataset": train.name,
        "side": train.samples.shape[-1],
        "classes": list(train.classes),
        "counts": {d.split: torch.bincount(d.labels, minlength=n_classes).tolist() for d in (train, test)},
        "digests": {d.split: d.digest for d in (train, test)},
        "counted": len(first),
        "bytes": [torch.bincount(first[:, c].flatten().int(), minlength=256).tolist() for c in range(3)],
        "power": radial_power(test.samples).mean(0).tolist(),
    }


def sheet_of_classes(train: Dataset) -> Tensor:
    """The first PER_CLASS images of each class as a contact sheet, uint8 (3, H, W), a row a class."""
    rows = [train.samples[train.labels == k][:PER_CLASS] for k in range(len(train.classes))]
    return images.sheet(torch.cat(rows), columns=PER_CLASS)


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


def publish_real(dataset: str = "cifar10", preset: str = "overnight") -> Path:
    """Write the record of a data set into runs/real/, with what its real images score by the preset's protocols, by
    its own classifier and by its offline extractor.

    Returns its path; GendiffError for a data set that holds no images.
    """
    train, test = load(dataset), load(dataset, "test")
    if not train.is_image:
        raise GendiffError(f"{dataset} holds points in the plane, of which no page shows pictures: name images")
    told = described(train, test)
    judges = [EXTRACTORS[kind](dataset, preset) for kind in dict.fromkeys(("classifier", offline_kind(dataset)))]
    asked = [(judge, *known) for judge in judges for known in _protocols(dataset, preset)]
    scores = [s for judge, n, n_real in asked for s in floors(dataset, judge, n, n_real).values()]
    few = images.sheet(train.samples[:FEW], columns=10)
    for part, sheet in (("classes", sheet_of_classes(train)), ("few", few)):
        with files.writing(sheet_path(dataset, part)) as draft:
            images.save_png(sheet, draft)
    files.write_json(record_path(dataset), told | {"floors": [asdict(each) for each in scores]})
    return record_path(dataset)


def _protocols(dataset: str, preset: str) -> Sequence[tuple[int, int | None]]:
    """How many fakes against how many reals the experiments on this data set, and their snapshots, are scored with."""
    names = ("live-gan", "live-diffusion") if dataset == "shapes" else ("dcgan", "dcgan-32", "ddpm-conv")
    there = count(dataset, "train")
    known = [protocol(name, preset) for name in names]
    return list(dict.fromkeys((n, p.reals(there)) for p in known for n in (p.sampling.n, min(EARLY_N, p.sampling.n))))


def record_path(dataset: str) -> Path:
    """Where the record is. Of NAME:ARGUMENT it is another than of NAME, whose images it does not hold."""
    return paths.published_dir() / "real" / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', dataset)}.json"


def sheet_path(dataset: str, part: str) -> Path:
    """Where a contact sheet of the record is: `classes`, or `few`."""
    record = record_path(dataset)
    return record.with_name(f"{record.stem}-{part}.png")
