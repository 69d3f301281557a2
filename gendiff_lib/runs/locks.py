"""Locks between processes, and what killed ones left behind."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from filelock import FileLock, Timeout

from .. import paths, ranks
from ..errors import GendiffError
from .files import check_writable


class Busy(GendiffError):
    """Another process holds what was asked for."""


@contextmanager
def lock(name: str, doing: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock called `name`, which is kept beside the runs; the system frees it when a process dies.

    `doing` says for what, in the note to a user who has to wait, or in Busy where `wait` is false. Lock files stay
    behind, since removing one is a race. Of processes that share a command the first holds it, and none waits.
    """
    wait = wait and ranks.count() == 1
    with ExitStack() as held:

        def take() -> None:
            held.callback(_taken(name, doing, wait).release)

        ranks.lead(take)
        yield


def _taken(name: str, doing: str, wait: bool) -> FileLock:
    """The lock, acquired."""
    folder = paths.runs_dir() / ".locks"
    check_writable(folder)
    held = FileLock(folder / name, mode=0o666)
    try:
        held.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise Busy(f"another process is {doing}") from None
        print(f"another process is {doing}; waiting for it", file=sys.stderr)
        held.acquire()
    return held
