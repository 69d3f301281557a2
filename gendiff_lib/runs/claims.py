"""Claims: who works on something, in files that tell it to every host that sees them, whatever flock does there.

A claim is a file named by a number, and the highest number in a folder counts. Whoever finds it over makes the next by
a hard link, which a network file system refuses to all but one (open(2), O_EXCL). The holder changes the file again and
again; who waits elsewhere counts it as dead when it stays as it is, by the waiter's own clock: no two are compared.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import GendiffError
from .files import draft_of, explained
from .process import Process

BEAT = 5.0  # seconds between two signs of life
SILENCE = 60.0  # seconds without one after which a holder on another host counts as dead
RELEASED = "released"


class Lost(GendiffError):
    """Another process has taken over what this one held, which had shown no sign of life."""


def newest(folder: Path) -> int:
    """The number of the claim that counts; 0 where there is none."""
    return max(_numbers(folder), default=0)


def _numbers(folder: Path) -> list[int]:
    with suppress(FileNotFoundError):  # somebody has removed all locks
        return [int(name) for name in os.listdir(folder) if name.isdecimal()]
    return []


@dataclass(frozen=True)
class Claim:
    """A claim that this process holds."""

    path: Path

    def check(self) -> None:
        """Lost where another process has taken over: to be asked before what is claimed is written to."""
        if newest(self.path.parent) > int(self.path.name):
            why = f"this one had shown no sign of life for {SILENCE:.0f} seconds"
            raise Lost(f"another process has taken over {self.path.parent.stem}, since {why}: give the command again")

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Show signs of life meanwhile; the claim is over at the end."""
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(done,), daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
            self._tell(RELEASED)

    def _beat(self, done: threading.Event) -> None:
        count = 0
        while not done.wait(BEAT):
            count += 1
            self._tell(str(count))

    def _tell(self, state: str) -> None:
        with suppress(OSError), self.path.open("r+b") as file:  # opened anew: closing it is what others see
            file.write(_first_line(state))


def _first_line(state: str) -> bytes:
    return f"{state:<20}\n".encode()


class Watch:
    """What one who wants a claim has seen of the one that counts."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder where it is missing."""
        self.folder = folder
        self.alive = False  # whether a holder has been seen to live
        self.host = ""  # the holder's, where it is another
        self._seen: tuple[int, str] | None = None
        self._since = 0.0
        with explained(folder / "claim"):
            folder.mkdir(parents=True, exist_ok=True)

    def take(self, flocked: bool | None) -> Claim | None:
        """The claim, where the one that counts is over; else None.

        `flocked` is whether the system's lock was had too, None where there is none. It is insisted on where the last
        holder had it: then a process of an earlier version, which knows no claims, has it now.
        """
        number, over, insisted = self._look()
        if over and insisted and flocked is False:
            self.alive = True
        elif over:
            return self._make(number + 1, bool(flocked))
        return None

    def _look(self) -> tuple[int, bool, bool]:
        """The number of the claim that counts, whether it is over, and whether the system's lock is insisted on."""
        now = time.monotonic()  # from before it is read: who is stopped in between must not take that for silence
        if not (number := newest(self.folder)):
            return 0, True, True
        try:
            seen = number, (self.folder / str(number)).read_text(encoding="utf-8")
        except OSError:  # the next one has just been made
            return number, False, False
        if seen != self._seen:
            self.alive = self._seen is not None
            self._seen, self._since = seen, time.monotonic()
        state, holder, flocked = _read(seen[1])
        if state == RELEASED:
            return number, True, flocked
        if holder and (lives := holder.lives) is not None:
            self.alive = lives
            return number, not lives, False  # what the system keeps for the dead, it keeps in vain
        self.host = holder.host if holder else ""
        return number, now - self._since > SILENCE, False

    def _make(self, number: int, flocked: bool) -> Claim | None:
        """The claim of this number; None where another process was first."""
        path = self.folder / str(number)
        draft = draft_of(path, f".{threading.get_ident()}")
        told = {"holder": asdict(Process.of(os.getpid())), "flocked": flocked}
        with explained(path):
            draft.write_bytes(_first_line("0") + json.dumps(told).encode())
            try:
                os.link(draft, path)
            except FileExistsError:
                if draft.stat().st_nlink == 1:  # else it was made, and the answer was lost on the way
                    return None
            finally:
                draft.unlink(missing_ok=True)
        if newest(self.folder) > number:  # this one slept since it looked
            path.unlink(missing_ok=True)
            return None
        for older in (n for n in _numbers(self.folder) if n < number):
            with suppress(OSError):  # another user's
                (self.folder / str(older)).unlink()
        return Claim(path)


def _read(text: str) -> tuple[str, Process | None, bool]:
    """The state that a claim tells, its holder, and whether that had the system's lock; nobody where it is damaged."""
    state, _, rest = text.partition("\n")
    with suppress(ValueError, TypeError, KeyError):
        told = json.loads(rest)
        return state.strip(), Process(**told["holder"]), bool(told["flocked"])
    return state.strip(), None, True
