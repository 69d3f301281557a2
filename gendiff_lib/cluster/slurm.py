"""Slurm: arrays of jobs, each with the time that it may take, and after what it needs."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .. import paths
from ..config import Config
from ..errors import GendiffError
from ..runs.run import all_runs
from .job import GRACE, Job
from .limits import Limits
from .record import Key, Record, key, name, waited_for


def queue() -> dict[str, str] | None:
    """The states of the user's jobs that wait or run, by number, in Slurm's words; None where Slurm is not there."""
    words = ["squeue", "--noheader", "--array", "--format=%i %T", f"--user={os.getuid()}"]
    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
        return {line.split()[0]: line.split()[1] for line in told.splitlines() if line.strip()}
    return None


def submit(
    missing: Mapping[Key, Config], active: Mapping[Key, Record], executor: Any, gpus: int, at_once: int | None
) -> Iterator[str]:
    """An array for all that have one time limit and wait for the same jobs, or for none; a line of news for each."""
    limits = Limits(all_runs(), gpu=gpus > 0)
    ids, left = {k: record.id for k, record in active.items() if record.process is None}, dict(missing)
    others = [*missing.values(), *(record.config for record in active.values())]
    while left:
        arrays: dict[tuple[int, str], list[Config]] = {}
        for config in left.values():
            first = waited_for(config, others)
            if not any(k in left for k in first):
                after = ":".join(ids[k] for k in first if k in ids)
                arrays.setdefault((limits.minutes(config), after), []).append(config)
        for (minutes, after), several in arrays.items():
            _set(executor, minutes, after, gpus, at_once)
            for config, job in zip(several, _submitted(executor, several), strict=True):
                record = Record.of(config, job.job_id, str(job.paths.stdout)).write()
                ids[key(config)] = record.id
                del left[key(config)]
                told = f", at most {minutes / 60:.4g} hours" + (f", after job {after}" if after else "")
                yield f"{name(config)}: submitted{record.told}{told}"


def _set(executor: Any, minutes: int, after: str, gpus: int, at_once: int | None) -> None:
    """Say how the next jobs are to be run. All else is as the user's SBATCH_… variables have it."""
    dependency = {"dependency": f"afterok:{after}", "kill-on-invalid-dep": "yes"} if after else {}
    executor.update_parameters(
        job_name="gendiff",
        time=minutes,
        signal_delay_s=GRACE,
        stderr_to_stdout=True,
        setup=[f"export SUBMITIT_PREEMPT_SIGNAL={os.environ['SUBMITIT_PREEMPT_SIGNAL']}"],  # whatever --export says
        additional_parameters={"requeue": True, **dependency},
        **({"gpus_per_node": gpus} if gpus else {}),
        **({"array_parallelism": at_once} if at_once else {}),
    )


def _submitted(executor: Any, configs: Sequence[Config]) -> list[Any]:
    from submitit.core.utils import FailedJobError

    try:
        return list(executor.submit_array([Job(config, paths.runs_dir()) for config in configs]))
    except FailedJobError as error:
        why = (str(error).strip().splitlines() or ["it does not say why"])[-1]
        raise GendiffError(f"sbatch refuses ({why}): mend that, and give the same command again") from None
