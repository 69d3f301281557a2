"""What has become of jobs: a file for each, beside the runs, and what Slurm tells."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import paths
from ..config import Config
from ..parsing import as_text
from ..runs import files, layout
from ..runs.process import Process
from ..runs.run import find
from ..training.build import from_dict

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
UNKNOWN = "submitted"  # where Slurm cannot be asked
_AT_WORK = ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT")

Key = tuple[str, float]


def key(config: Config) -> Key:
    """What tells jobs apart: the run, and how long it is trained."""
    return config.digest, config.epochs


def name(config: Config) -> str:
    """What news call a run."""
    return f"{config.name}-{config.digest} (seed {config.seed}), {config.epochs:.5g} epochs"


def waited_for(config: Config, others: Iterable[Config]) -> list[Key]:
    """The jobs that one comes after: what it needs, and the longest shorter training of its run, which it goes on from.

    Together they would do the same twice, or one would hold a GPU while it waits for the other.
    """
    needs = [key(other) for other in others if config.needs and key(other) == key(config.needs)]
    shorter = [key(other) for other in others if other.digest == config.digest and other.epochs < config.epochs]
    return [*needs, *sorted(shorter)[-1:]]


@dataclass(frozen=True)
class Record:
    """A job, as its file tells it."""

    id: str  # the cluster's; empty for one that waits to be begun on this machine
    log: str
    kind: str
    values: dict[str, Any]  # of the configuration
    process: dict[str, Any] | None  # on this machine: the job's, or that of who will begin it

    @staticmethod
    def of(config: Config, id: str = "", log: str = "", process: Process | None = None) -> "Record":
        """The record of a job that trains `config`."""
        return Record(id, log, config.kind, config.to_dict(), asdict(process) if process else None)

    @cached_property
    def config(self) -> Config:
        """What it trains."""
        return from_dict(self.kind, self.values)

    @property
    def path(self) -> Path:
        """Its file: one for each run and length, of the last job."""
        name, digest, epochs = self.config.name, self.config.digest, as_text(self.config.epochs)
        return paths.runs_dir() / layout.job(name, digest, epochs)

    @property
    def told(self) -> str:
        """Its number and log, as news end."""
        return f" (job {self.id}, {self.log})" if self.id else ""

    def write(self) -> "Record":
        """Write its file, and return it."""
        files.write_json(self.path, asdict(self))
        return self

    def state(self, queue: Mapping[str, str] | None) -> str:
        """One of the words above; `queue` as slurm.queue gives it."""
        if find(self.config):
            return DONE
        if self.process:
            gone = Process(**self.process).lives is False
            return FAILED if gone else RUNNING if self.id else QUEUED
        if queue is None:
            return UNKNOWN
        told = queue.get(self.id)
        return FAILED if told is None else RUNNING if told in _AT_WORK else QUEUED


def records() -> list[Record]:
    """The last job of every run that had one, by file name."""
    return [_read(path) for path in sorted((paths.runs_dir() / layout.CLUSTER).glob("*.json"))]


def _read(path: Path) -> Record:
    told = files.read_json(path)
    with files.understanding(path):
        return Record(**told)
