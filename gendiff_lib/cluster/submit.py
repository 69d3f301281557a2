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
from .record import DONE, FAILED, Key, Record, key, name, records

TIMEOUTS = 20  # how often a job that its limit has ended may go on
CLUSTERS = ("slurm", "local")


@dataclass
class _Plan:
    """What is missing, what it needs first, and what is on its way."""

    asked: Sequence[Config]
    active: dict[Key, Record]
    missing: dict[Key, Config] = field(default_factory=dict)

    def add(self, config: Config, queue: dict[str, str] | None) -> str:
        """Find out where a run stands, and what it needs; news of one that needs no job."""
        if run := find(config):
            return f"is there ({run.folder})"
        if record := self.active.get(key(config)):
            return f"{record.state(queue)} already{record.told}"
        for longer in (*self.asked, *(record.config for record in self.active.values())):
            alike = longer.digest == config.digest and config.epochs < longer.epochs
            if alike and config.epochs in longer.snapshots and not find(longer):
                return f"comes with the training to {longer.epochs:.5g} epochs"
        if config.needs:
            self.add(config.needs, queue)
        self.missing.setdefault(key(config), config)
        return ""


def submit(configs: Sequence[Config], cluster: str, *, gpus: int, at_once: int | None) -> Iterator[str]:
    """Submit what is neither there nor on its way, what it needs first; a line of news each.

    On `local` it ends when all jobs have ended, of which `at_once` run at a time, by default one for each set of `gpus`
    GPUs. GendiffError where submitit or the cluster is not there, before anything is submitted.
    """
    slots = here.slots(gpus, at_once) if cluster == "local" else []
    executor = _executor(cluster)
    with locks.lock("cluster", "submitting jobs"):
        known = records()
        queue = slurm.queue() if any(record.process is None for record in known) else {}
        plan = _Plan(configs, {key(r.config): r for r in known if r.state(queue) not in (DONE, FAILED)})
        for config in configs:
            if news := plan.add(config, queue):
                yield f"{name(config)}: {news}"
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
    try:
        import submitit
        from submitit.core.job_environment import JobEnvironment
    except ImportError:
        raise GendiffError("--cluster needs submitit: pip install 'gendiff[cluster]'") from None
    JobEnvironment.USR_SIG = "USR1"  # which is asked for here; the jobs read it when they import submitit
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = JobEnvironment.USR_SIG
    folder = paths.runs_dir() / layout.CLUSTER
    if cluster == "local":
        return submitit.LocalExecutor(folder, max_num_timeout=TIMEOUTS)
    if lacking := [program for program in ("sbatch", "srun", "squeue") if not shutil.which(program)]:
        where = "give the command on a login node of a Slurm cluster, or give --cluster local"
        raise GendiffError(f"--cluster slurm needs {lacking[0]}, which is not on this machine: {where}")
    return submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
