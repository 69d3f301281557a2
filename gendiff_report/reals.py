"""What the pages show of real images: from the data set where it is at hand, else from the tracked record of it."""

from dataclasses import dataclass, fields, replace

from torch import Tensor

from gendiff_lib.data import count, images, load
from gendiff_lib.data.dataset import ImageBridge
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.experiments.reals import FEW, described, record_path, sheet_of_classes, sheet_path
from gendiff_lib.runs import files


@dataclass(frozen=True)
class Reals:
    """Real images of a data set, as far as pages show them; see `described`.

    `by_class` is a contact sheet (3, H, W), a row a class, `few` the first training images (FEW, 3, side, side), both
    uint8.
    """

    dataset: str
    side: int
    classes: list[str]
    counts: dict[str, list[int]]
    digests: dict[str, str]
    counted: int
    bytes: list[list[int]]
    power: list[float]
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


def reals(dataset: str, *, published: bool = False) -> Reals:
    """What there is to show of a data set's real images; `published` asks for the tracked record before the data."""
    if published and record_path(dataset).exists():
        return read(dataset)
    train = load(dataset)
    told = described(train, load(dataset, "test"))
    return Reals(**told, by_class=sheet_of_classes(train), few=train.samples[:FEW])


def read(dataset: str) -> Reals:
    """The published record of a data set; StoreError where it is missing or damaged."""
    path = record_path(dataset)
    told = files.read_json(path)
    with files.understanding(path):
        known = {f.name: told[f.name] for f in fields(Reals) if f.name not in ("by_class", "few")}
        by_class, few = (files.read_picture(sheet_path(dataset, part)) for part in ("classes", "few"))
        return Reals(**known, by_class=by_class, few=images.cells(few, (known["side"], known["side"])))


def kept_floors(dataset: str, n: int, n_real: int | None, judge: tuple[str, str]) -> dict[str, Scores]:
    """The published scores of real images by this very extractor; empty where none is of this protocol.

    `judge` is its name and its digest: a data set's classifier that was trained once more is another one, and values
    by the two do not compare.
    """
    path = record_path(dataset)
    if not path.exists():
        return {}
    n, n_real = min(n, count(dataset, "test")), n_real or count(dataset, "train")
    with files.understanding(path):
        several = [Scores.from_dict(each) for each in files.read_json(path)["floors"]]
    alike = [s for s in several if (s.n_fake, s.n_real) == (n, n_real) and (s.extractor, s.extractor_digest) == judge]
    again = {"kept": f"runs/real/{path.name}", "again": f"gendiff publish --real --dataset {dataset}"}
    return {str(s.made["images"]): replace(s, made=s.made | again) for s in alike}
