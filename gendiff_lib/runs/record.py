"""What a run's record must hold."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from ..training.build import images_at
from . import files, layout


def stretches(record: dict[str, Any], images: int) -> list[dict[str, Any]]:
    """The segments of a training up to so many images: each was made by one machine, at one commit."""
    return [s for s in record["segments"] if s["first_image"] < images] or [record]


def same_weights(one: dict[str, Any], other: dict[str, Any], images: int) -> bool:
    """Whether two records tell of the same weights after so many images."""
    mine, theirs = (record["snapshots"].get(str(images), {}).get("sha256") for record in (one, other))
    return bool(mine == theirs)


def images_seen(record: dict[str, Any], epochs: float) -> int:
    """The images that the training of this record had seen after so many epochs."""
    return images_at(epochs, record["steps_per_epoch"], record["config"]["batch_size"])


class Told(BaseModel):
    """What a record tells; later versions may tell more."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Trained(Told):
    """The part of a configuration that places its snapshots; all of it is checked when it becomes a Config."""

    batch_size: PositiveInt


class _Data(Told):
    name: str
    digest: str
    samples: PositiveInt


class _Packages(Told):
    torch: str


class _Conditions(Told):
    """On what something was trained."""

    device: str
    threads: PositiveInt  # of each process
    processes: PositiveInt = 1
    commit: str | None
    dirty: bool | None
    packages: _Packages


class _Segment(_Conditions):
    """A stretch of training under the same conditions."""

    first_image: NonNegativeInt
    images: NonNegativeInt
    seconds: NonNegativeFloat


class _Snapshot(Told):
    epochs: float = Field(gt=0)
    images: PositiveInt
    operations: NonNegativeInt
    seconds: NonNegativeFloat
    rows: NonNegativeInt
    sha256: str | None  # None where only half-precision weights were ever kept
    half_sha256: str | None = None
    test_accuracy: float | None = Field(None, ge=0, le=1)
    sheet: dict[str, Any] | None = None


class _Record(_Conditions):
    """The fields of run.json, with the conditions of the last segment."""

    config: _Trained
    kind: str
    digest: str
    data: _Data
    sample_shape: list[PositiveInt] = Field(min_length=1)
    classes: list[str] = Field(min_length=1)
    snapshots: dict[Annotated[str, Field(pattern="^[1-9][0-9]{0,17}$")], _Snapshot] = Field(min_length=1)
    segments: list[_Segment]
    versions: dict[str, int]
    images: PositiveInt
    operations: NonNegativeInt
    operations_per_image: NonNegativeInt
    steps_per_epoch: PositiveInt
    seconds: NonNegativeFloat
    rows: NonNegativeInt
    first_losses: list[dict[str, float]]


def complaint(error: ValidationError, thing: str) -> str:
    """What is missing, or of another kind than `thing` (such as "a record has"), by dotted names, five at most."""
    complaints = error.errors(include_url=False, include_context=False, include_input=False)
    missing = [c["loc"] for c in complaints if c["type"] == "missing"]
    names = list(dict.fromkeys(".".join(map(str, place)) for place in missing or [c["loc"] for c in complaints]))
    told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"it lacks {told}" if missing else f"{told} of another kind than {thing}"


def read_record(folder: Path) -> dict[str, Any]:
    """A run's record; StoreError where it is damaged."""
    path = folder / layout.RECORD
    record = files.read_json(path)
    known: dict[str, Any] = record if isinstance(record, dict) else {}
    try:
        _Record.model_validate(known)
    except ValidationError as error:
        raise files.damaged(path, complaint(error, "a record has")) from None
    with files.understanding(path):  # numbers may be too large to multiply
        for seen, entry in known["snapshots"].items():
            if not str(entry["images"]) == seen == str(images_seen(known, entry["epochs"])):
                raise ValueError(f"snapshot {seen} tells other images or epochs")
    return known


def images_in(checkpoint: Path) -> int:
    """The images that the training in a checkpoint has seen; 0 where there is none."""
    if not checkpoint.exists():
        return 0
    state = files.read_checkpoint(checkpoint, whole=False)
    with files.understanding(checkpoint):
        return int(state["counts"]["images"])
