"""Drafts: folders that take another's place when they are whole, and what killed processes left of them."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .files import HOST, draft_of

_DRAFT = re.compile(rf"\..+\.{re.escape(HOST)}\.(\d+)")


def sweep(folder: Path) -> None:
    """Remove the drafts that processes of this machine left in `folder`, or below it, when they were killed."""
    for place, folders, files in os.walk(folder):  # which passes over what vanishes meanwhile
        for path in (Path(place, name) for name in (*folders, *files)):
            told = _DRAFT.fullmatch(path.name)
            if told and not alive(int(told[1])):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def alive(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # it is another user's
    return True


@contextmanager
def removing(folder: Path) -> Iterator[None]:
    """Take a folder away, and remove it at the end: who is interrupted leaves a draft, which is swept."""
    grave = draft_of(folder)
    os.replace(folder, grave)
    try:
        yield
    finally:
        shutil.rmtree(grave, ignore_errors=True)


@contextmanager
def drafting(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the block ends well, and is removed when not."""
    draft, grave = draft_of(folder), draft_of(folder, ".old")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        yield draft
        if folder.exists():
            os.replace(folder, grave)
        os.replace(draft, folder)
        shutil.rmtree(grave, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
