"""Submitting: a job for each run that is missing, and for what it needs."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import paths
from ..config import Config
from ..data import load
from ..errors import GendiffError
from ..runs import layout, locks
from ..runs.run import find
from . import here, slurm
from .record import FAILED, Record, key, name, record_of, records

TIMEOUTS = 20  # how often a job that its limit has ended may go on
CLUSTERS = ("slurm", "local")


@dataclass
class _Plan:
    """What is missing, what it needs first, and what is on its way; `news` are of what was asked for."""

    missing: dict[tuple[str, float], Config] = field(default_factory=dict)
    active: dict[tuple[str, float], Record] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)

    def add(self, config: Config, queue: dict[str, str] | None, *, asked: bool = True) -> None:
        """Find out where a run stands, and what it needs."""
        if run := find(config):
            self.news += [f"{name(config)}: is there ({run.folder})"] if asked else []
            return
        record = record_of(config)
        state = record.state(queue) if record else FAILED
        if record and state != FAILED:
            self.active[key(config)] = record
            self.news += [f"{name(config)}: {state} already{record.told}"] if asked else []
            return
        if config.needs:
            self.add(config.needs, queue, asked=False)
        self.missing.setdefault(key(config), config)


def submit(configs: Sequence[Config], cluster: str, *, gpus: int, at_once: int | None) -> Iterator[str]:
    """Submit what is neither there nor on its way, what it needs first; a line of news each.

    On `local` it ends when all jobs have ended, of which `at_once` run at a time, by default one for each set of `gpus`
    GPUs. GendiffError where submitit or the cluster is not there, before anything is submitted.
    """
    slots = here.slots(gpus, at_once) if cluster == "local" else []
    executor = _executor(cluster)
    with locks.lock("cluster", "submitting jobs"):
        plan, queue = _Plan(), slurm.queue() if any(r.process is None for r in records()) else {}
        for config in configs:
            plan.add(config, queue)
        yield from plan.news
        for dataset in dict.fromkeys(config.dataset for config in plan.missing.values()):
            load(dataset)  # jobs that begin together would each fetch it
        if cluster == "slurm":
            yield from slurm.submit(plan.missing, plan.active, executor, gpus, at_once)
        else:
            here.announce(plan.missing)
    if cluster == "local":
        yield from here.run(plan.missing, plan.active, executor, slots)
    if not plan.missing:
        yield "nothing is left to submit"


def _executor(cluster: str) -> Any:
    """What submits there; GendiffError where that cannot be."""
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"  # read when it is imported, here and in the jobs
    try:
        import submitit
    except ImportError:
        raise GendiffError("--cluster needs submitit: pip install 'gendiff[cluster]'") from None
    folder = paths.runs_dir() / layout.CLUSTER
    if cluster == "local":
        return submitit.LocalExecutor(folder, max_num_timeout=TIMEOUTS)
    if lacking := [program for program in ("sbatch", "srun", "squeue") if not shutil.which(program)]:
        where = "give the command on a login node of a Slurm cluster, or give --cluster local"
        raise GendiffError(f"--cluster slurm needs {lacking[0]}, which is not on this machine: {where}")
    return submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
