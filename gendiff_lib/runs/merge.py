"""What a training adds to the finished run that it went on from, or that another one has made meanwhile."""

from pathlib import Path
from typing import Any

from . import drafts, files, layout
from .record import images_in, read_record


def merge(new: Path, mine: dict[str, Any], final: Path) -> dict[str, Any]:
    """Add the training in `new` to the run in `final`, whose samples and scores stay; returns its record.

    The record is written last, so that whoever is interrupted finishes it from the checkpoint. A shorter training adds
    its snapshots alone.
    """
    theirs = read_record(final) if (final / layout.RECORD).exists() else None
    for seen in map(int, mine["snapshots"]):
        for part in (layout.weights(seen), layout.sheet(seen)):
            if (new / part).exists():
                files.copy(new / part, final / part)
    record = mine if theirs is None or theirs["images"] < mine["images"] else theirs
    if record is mine:
        files.copy(new / layout.HISTORY, final / layout.HISTORY)
        if images_in(new / layout.CHECKPOINT) > images_in(final / layout.CHECKPOINT):
            files.copy(new / layout.CHECKPOINT, final / layout.CHECKPOINT)
    record["snapshots"] = (theirs or mine)["snapshots"] | mine["snapshots"]
    with drafts.removing(new):  # by now the finished run holds what a training goes on from
        files.write_json(final / layout.RECORD, record)
    return record
