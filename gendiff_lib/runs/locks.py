"""Locks between processes, and what killed ones left behind."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import GendiffError
from ..paths import runs_dir
from .files import HOST, check_writable


class Busy(GendiffError):
    """Another process holds what was asked for."""


_DRAFT = re.compile(rf"\..+\.{re.escape(HOST)}\.(\d+)")


def sweep(folder: Path) -> None:
    """Remove the drafts that processes of this machine left in `folder`, or below it, when they were killed."""
    for place, folders, files in os.walk(folder):  # which passes over what vanishes meanwhile
        for path in (Path(place, name) for name in (*folders, *files)):
            told = _DRAFT.fullmatch(path.name)
            if told and not _alive(int(told[1])):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def lock(name: str, doing: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock called `name`, which is kept beside the runs; the system frees it when a process dies.

    `doing` says for what, in the note to a user who has to wait, or in Busy where `wait` is false. Lock files stay
    behind, since removing one is a race.
    """
    folder = runs_dir() / ".locks"
    check_writable(folder)
    held = FileLock(folder / name, mode=0o666)
    try:
        held.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise Busy(f"another process is {doing}") from None
        print(f"another process is {doing}; waiting for it", file=sys.stderr)
        held.acquire()
    try:
        yield
    finally:
        held.release()
