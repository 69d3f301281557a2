"""A cluster of one machine: jobs are processes, a few at a time, and who submits them stays until they have ended."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import paths
from ..config import Config
from ..errors import ConfigError, GendiffError
from ..runs.process import Process
from ..runs.run import find
from .job import GRACE, Job
from .record import DONE, FAILED, Key, Record, key, name, waited_for

POLL = 0.2  # seconds between two looks at the jobs
FOREVER = 60 * 24 * 365  # minutes: a job here has no limit


def slots(gpus: int, at_once: int | None) -> list[list[int]]:
    """The GPUs of each job that may run at a time; ConfigError where so many are not there."""
    if not gpus:
        return [[]] * (at_once or 1)
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    there = [int(word) for word in named.split(",") if word.isdecimal()] or list(range(torch.cuda.device_count()))
    if gpus > len(there):
        raise ConfigError(f"--gpus {gpus} is more than the {len(there)} of this machine: lower it")
    return [there[i : i + gpus] for i in range(0, len(there) - gpus + 1, gpus)][:at_once]


def announce(missing: Mapping[Key, Config]) -> None:
    """Tell others that this process will see to these runs."""
    for config in missing.values():
        Record.of(config, process=Process.of(os.getpid())).write()


@dataclass
class _Begun:
    config: Config
    record: Record
    job: Any
    gpus: list[int]


def run(
    missing: Mapping[Key, Config], active: Mapping[Key, Record], executor: Any, free: list[list[int]]
) -> Iterator[str]:
    """Run the jobs, each when what it needs is there; a line of news each. Those not begun are forgotten at the end.

    GendiffError at the end where a run is not there then.
    """
    left, begun, others = dict(missing), dict[Key, _Begun](), list(missing.values())
    try:
        while left or begun:
            for k, config in list(left.items()):
                needs = config.needs
                if needs and not find(needs) and key(needs) not in {*left, *begun, *active}:
                    Record.of(config).path.unlink(missing_ok=True)
                    yield f"{name(config)}: left out, since {needs.name} failed, which it needs"
                elif free and not any(other in left or other in begun for other in waited_for(config, others)):
                    begun[k] = _begin(config, executor, free.pop())
                    yield f"{name(config)}: submitted{begun[k].record.told}"
                else:
                    continue
                del left[k]
            for k, each in [(k, each) for k, each in begun.items() if each.job.done()]:
                del begun[k]
                free.append(each.gpus)
                yield f"{name(each.config)}: {DONE if find(each.config) else FAILED}{each.record.told}"
            time.sleep(POLL)
    finally:
        for config in left.values():
            Record.of(config).path.unlink(missing_ok=True)
    if failed := [config for config in missing.values() if not find(config)]:
        raise GendiffError(f"{len(failed)} of {len(missing)} runs are not there: the logs of their jobs tell why")


def _begin(config: Config, executor: Any, gpus: Sequence[int]) -> _Begun:
    how = {"timeout_min": FOREVER, "signal_delay_s": GRACE, "stderr_to_stdout": True}
    executor.update_parameters(**how, gpus_per_node=len(gpus), visible_gpus=tuple(gpus))
    job = executor.submit(Job(config, paths.runs_dir()))
    record = Record.of(config, job.job_id, str(job.paths.stdout), Process.of(int(job.job_id))).write()
    return _Begun(config, record, job, list(gpus))
