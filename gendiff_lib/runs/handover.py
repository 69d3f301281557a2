"""Trainings under way in runs/, which is tracked: one that takes longer than a machine lasts goes on elsewhere.

The folder of an interrupted training, its checkpoint and the snapshots so far, is copied beside the published runs.
`train` takes it up where it is further on than what is there, and the finished run, published, takes its place.
"""

import shutil
import sys
from pathlib import Path

from .. import paths
from ..config import Config
from . import drafts, files, layout, locks
from .prune import lock_of
from .publish import weigh
from .record import images_in


def interrupted() -> list[Path]:
    """The folders of trainings of this machine that are not at their end."""
    return [path.parent for path in sorted(paths.runs_dir().glob(f"{layout.training('*')}/{layout.CHECKPOINT}"))]


def hand_over(folder: Path) -> Path:
    """Copy the folder of an interrupted training into runs/; what was there of it before is replaced.

    locks.Busy while a process is at work on it; StoreError for a damaged checkpoint; GendiffError where runs/ would
    outgrow its budget.
    """
    target = paths.published_dir() / folder.name
    with locks.lock(lock_of("trainings", folder), f"working on {folder}", wait=False):
        name = files.read_checkpoint(folder / layout.CHECKPOINT)["record"]["config"]["name"]
        files.check_writable(target.parent)
        with drafts.drafting(target) as draft:
            shutil.copytree(folder, draft, ignore=shutil.ignore_patterns(".*"))  # drafts of files
            weigh(f"the training of {name}", draft, target.name)
    return target


def take_up(folder: Path, most: int) -> None:
    """Bring what was handed over into the folder of a training, if it is further on, by at most so many images."""
    there = paths.published_dir() / folder.name
    seen = images_in(there / layout.CHECKPOINT)
    if images_in(folder / layout.CHECKPOINT) < seen <= most:
        print(f"going on from {seen:,} images, handed over in {there}", file=sys.stderr)
        with drafts.drafting(folder) as draft:
            shutil.copytree(there, draft)


def forget(config: Config) -> list[Path]:
    """Remove what was handed over of a training that is published; the folders that are no more."""
    gone = list(paths.published_dir().glob(f"{layout.training(config.digest)}*"))
    for folder in gone:
        with drafts.removing(folder):
            pass
    return gone
