"""Processes: which one a file means, told so that another of its number is not taken for it."""

import os
from dataclasses import dataclass
from pathlib import Path

from .drafts import alive
from .files import HOST


@dataclass(frozen=True)
class Process:
    """A process of some host."""

    host: str
    here: str  # where its number means something: that start of the system, and in it that space of numbers
    pid: int
    began: str  # when, in ticks; empty where no telling

    @staticmethod
    def of(pid: int) -> "Process":
        """A process of this host, as what it is now."""
        return Process(HOST, _here(), pid, _began(pid))

    @property
    def lives(self) -> bool | None:
        """Whether it is still there; None where it is another host's, of which nothing is known."""
        if self.here != _here():
            return None
        return alive(self.pid) and _began(self.pid) == self.began


def _here() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return HOST


def _began(pid: int) -> str:
    """When a process began; empty where there is none, or no telling."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if told[0] in "ZX" else told[19]  # ended, though its parent has not asked how
