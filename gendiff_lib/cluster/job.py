"""What a job does: it trains one run, and when it has to make room it leaves a checkpoint and asks to be run again."""

import math
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import Config
from ..runs import locks
from ..runs.run import Run
from ..runs.train import OutOfTime, train

GRACE = 90  # seconds between the signal that a job has to make room, and its end
PATIENCE = 10.0  # seconds between two looks at a run that another process trains


@dataclass
class Job:
    """Trains `config` over the runs in the folder `runs`: submitit calls it where the job runs."""

    config: Config
    runs: Path
    told: bool = field(default=False, init=False)  # to make room

    def __call__(self) -> str:
        """The run's name. SIGUSR1 stops the training at its next step, with a checkpoint; then the job is requeued.

        submitit's own handler, which writes the job anew, has it requeued and ends the process, is called only then: at
        the signal itself, the networks may be in the middle of an update.
        """
        os.environ["GENDIFF_RUNS"] = str(self.runs)
        self.told = False  # whatever it was told when it ran last
        requeue = signal.signal(signal.SIGUSR1, self._stop)
        print(f"training {self.config.name} (seed {self.config.seed}), {self.config.epochs:.5g} epochs", flush=True)
        try:
            run = self._train()
        except OutOfTime as stopped:
            print(f"making room: {stopped}", flush=True)
            if callable(requeue):
                requeue(signal.SIGUSR1, None)
            raise
        return run.id

    def _train(self) -> Run:
        while True:
            try:
                return train(self.config, lambda: -math.inf if self.told else math.inf, wait=False)
            except locks.Busy as busy:  # here waiting can be given up
                if self.told:
                    raise OutOfTime(str(busy)) from None
                time.sleep(PATIENCE)

    def _stop(self, *_: Any) -> None:
        self.told = True

    def checkpoint(self) -> Any:
        """What is submitted in this job's place: itself, whose training goes on from its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
