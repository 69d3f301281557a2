"""Locks between processes, on one host or on several that share a file system."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .. import paths, ranks
from ..errors import GendiffError
from .claims import Claim, Watch
from .files import check_writable, explained

POLL = 0.5  # seconds between two looks at a lock that another process holds


class Busy(GendiffError):
    """Another process holds what was asked for."""


@contextmanager
def lock(name: str, doing: str, *, wait: bool = True) -> Iterator[Claim]:
    """Hold the lock called `name`, which is kept beside the runs; it is free again when a process dies.

    `doing` says for what, in the note to a user who has to wait, or in Busy where `wait` is false. Its claim holds on
    every host; the system's lock, where there is one, keeps processes of earlier versions away. Lock files stay behind,
    since removing one is a race. Of processes that share a command the first holds it, and none waits.
    """
    wait = wait and ranks.count() == 1
    with ExitStack() as stack:
        yield ranks.lead(lambda: stack.enter_context(_held(name, doing, wait=wait)))


@contextmanager
def _held(name: str, doing: str, *, wait: bool) -> Iterator[Claim]:
    """See lock; by this process alone."""
    folder = paths.runs_dir() / ".locks"
    check_writable(folder)
    watch, told = Watch(folder / f"{name}.claims"), False
    with _file(folder / name) as file:
        while (claim := watch.take(_flocked(file))) is None:
            who = "another process" + (f" on {watch.host}" if watch.host else "")
            if not wait and watch.alive:
                raise Busy(f"{who} is {doing}")
            if wait and not told:
                print(f"{who} is {doing}; waiting for it", file=sys.stderr)
                told = True
            time.sleep(POLL)
        with claim.kept():
            with suppress(OSError):
                os.utime(paths.runs_dir())  # a change of our own: now this host sees what others have renamed there
            yield claim


@contextmanager
def _file(path: Path) -> Iterator[int]:
    """A file for the system's lock, which goes with it; other users may take it too."""
    with explained(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    with suppress(PermissionError):
        os.fchmod(file, 0o666)
    try:
        yield file
    finally:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)  # a child of this process may have the file too
        os.close(file)


def _flocked(file: int) -> bool | None:
    """Whether the system's lock on a file is had, now or already; None where the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
