"""What a study of a hundred models takes on several GPUs: counted costs, published speeds, measured efficiency."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gendiff_lib.errors import GendiffError

from .printed import PUBLISHED_RATES, RATED
from .tables.speed import COMMANDS, bench_command, benchmarks

DAY = 86_400.0
GPUS = (1, 8, 64)
TOGETHER = 8  # GPUs that share a batch: those of one machine
WIDTHS = (1, 2, 4, TOGETHER)
TIMED = {"gan": "dcgan"}  # whose efficiency stands for a kind's: else the U-Net's
APART, WITHOUT = "a model a GPU", "a model a GPU, without {}"
SHARED = f"the longest shared by up to {TOGETHER} GPUs each"

Cost = Mapping[str, Any]


# ---------------------------------------------------------------- planning


@dataclass(frozen=True)
class Job:
    """A model to train and to draw from: the seconds that one GPU takes, and `width` GPUs that share its batches."""

    name: str
    seconds: float
    unshared: float = 0.0  # the share of a step that takes as long on any number of GPUs
    needs: str | None = None
    width: int = 1

    @property
    def lasts(self) -> float:
        """Seconds on its GPUs, by Amdahl's law."""
        return self.seconds * (self.unshared + (1 - self.unshared) / self.width)


def unshared(efficiency: float, processes: int) -> float:
    """The share of a step that is not shared, where so many processes give this share of so many times one."""
    return min(max((1 / efficiency - 1) / (processes - 1), 0.0), 1.0)


def makespan(jobs: Sequence[Job], n_gpus: int) -> float:
    """Seconds until all are done: first what others need, then the longest, each on the GPUs that are free soonest."""
    free, ended = [0.0] * n_gpus, dict[str, float]()
    needed = {job.needs for job in jobs}
    for job in sorted(jobs, key=lambda j: (j.name not in needed, -j.lasts)):
        mine = [heapq.heappop(free) for _ in range(job.width)]
        end = max(mine[-1], ended.get(job.needs or "", 0.0)) + job.lasts
        ended[job.name] = min(end, ended.get(job.name, math.inf))  # of any seed, which is what is worked on
        for _ in mine:
            heapq.heappush(free, end)
    return max(free)


def shared(jobs: Sequence[Job], n_gpus: int, width: int) -> list[Job]:
    """The same, `width` GPUs sharing each that alone would take longer than all of them divided evenly."""
    even = sum(job.seconds for job in jobs) / n_gpus
    return [replace(job, width=min(width, n_gpus)) if job.seconds > even else job for job in jobs]


# ---------------------------------------------------------------- what was counted and measured


@dataclass(frozen=True)
class Study:
    """The counted costs, the measured efficiency of processes that share a batch, and where either is kept."""

    costs: Mapping[str, Any]
    together: Mapping[str, Any]

    @classmethod
    def recorded(cls) -> "Study":
        """From the tracked results; GendiffError names the one that is missing."""
        found = []
        for name in ("costs-paper", "processes-cpu"):
            if (result := benchmarks(name).get(name)) is None:
                words = COMMANDS[name.partition("-")[0]][0]
                raise GendiffError(f"benchmarks/results/{name}.json is missing: `{words} --out` makes it")
            found.append(result)
        return cls(*found)

    @property
    def counted(self) -> dict[str, str]:
        """How the costs were had, for a number that is made of them alone."""
        command = bench_command("costs", self.costs)
        return {"command": command, "all counts": "benchmarks/results/costs-paper.json", "commit": self.costs["commit"]}

    @property
    def projected(self) -> dict[str, str]:
        """How days are had."""
        speeds = ", ".join(f"{rate:g} on {device}" for device, rate in PUBLISHED_RATES.items())
        return {
            "what": "counted operations over one speed, longest first on the GPUs that are free soonest",
            "speeds": f"published images a second of {RATED}'s network: {speeds}",
            "sharing": "Amdahl's law by the efficiency in benchmarks/results/processes-cpu.json",
        } | self.counted

    @property
    def trainings(self) -> list[Cost]:
        """One of each experiment, the most costly first."""
        return sorted(self.costs["trainings"], key=operations, reverse=True)

    @property
    def heaviest(self) -> str:
        """The experiment of the most operations."""
        return str(self.trainings[0]["name"])

    @property
    def rates(self) -> dict[str, float]:
        """Operations a second of a device: the images a second that a repository prints, of a network counted here."""
        known = next(c for c in self.costs["trainings"] if c["name"] == RATED)
        each = known["training_operations"] / known["images"]
        return {device.removeprefix("one "): rate * each for device, rate in PUBLISHED_RATES.items()}

    def efficiency(self, kind: str) -> Mapping[str, float]:
        """What processes give of as many times one, over rounds, of the training that stands for a kind's."""
        found: Mapping[str, float] = self.together["trainings"][TIMED.get(kind, "unet")]["efficiency"]
        return found

    def unshared(self, kind: str, of: str = "median") -> float:
        """The share of a step that is not shared: by the median of these rounds, or by "min" or "max" of all rounds.

        The last two are of all trainings that were timed, since nobody knows which of them a network is like.
        """
        all_rounds = [found["efficiency"][of] for found in self.together["trainings"].values()]
        efficiency = {"median": self.efficiency(kind)["median"], "min": min(all_rounds), "max": max(all_rounds)}[of]
        return unshared(efficiency, self.together["settings"]["processes"])

    @property
    def ways(self) -> tuple[str, ...]:
        """The three ways of giving models to GPUs."""
        return APART, SHARED, WITHOUT.format(self.heaviest)

    def planned(self, way: str, rate: float, of: str = "median") -> list[Job]:
        """Every model of one of these ways, at so many operations a second."""
        return [
            Job(c["name"], operations(c) / rate, self.unshared(c["kind"], of), c["needs"])
            for c in self.trainings
            for _ in range(c["seeds"])
            if way != self.ways[2] or c["name"] != self.heaviest
        ]

    def days(self, way: str, n_gpus: int, rate: float, of: str = "median") -> float:
        """Until all are done; of those that are shared by the best of a few widths."""
        jobs, widths = self.planned(way, rate, of), WIDTHS if way == SHARED else (1,)
        return min(makespan(shared(jobs, n_gpus, width), n_gpus) for width in widths) / DAY


def operations(cost: Cost) -> float:
    """Of one model: its training, and the samples that are scored at its end."""
    return float(cost["training_operations"] + cost["drawing_operations"])


def kept(cost: Cost) -> float:
    """Bytes of one model on disk: checkpoint, snapshots, samples."""
    snapshots = cost["snapshots"] * cost["snapshot_bytes"]
    return float(cost["checkpoint_bytes"] + snapshots + cost["sample_bytes"])


def sent(cost: Cost, processes: int = TOGETHER) -> float:
    """Bytes that each of so many processes sends in an update, by the ring algorithm (Patarasuk and Yuan 2009)."""
    return float(cost["told_bytes"]) * 2 * (processes - 1) / processes
