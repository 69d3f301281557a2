"""What a study of a hundred models takes on several GPUs: counted costs, published speeds, measured efficiency."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gendiff_lib.errors import GendiffError

from .exhibit import Exhibit, details
from .number import Number
from .printed import PUBLISHED_RATES, RATED
from .tables.speed import benchmarks, measured_row
from .tables.table import filed

PETA, GIGA, MEGA, DAY = 1e15, 1e9, 1e6, 86_400.0
GPUS = (1, 8, 64)
TOGETHER = 8  # GPUs that share a batch: those of one machine
WIDTHS = (1, 2, 4, TOGETHER)
SHOWN = 10  # trainings that have a row of their own
TIMED = {"gan": "dcgan"}  # whose efficiency stands for a kind's: else the U-Net's
WAYS, WITHOUT = "a model a GPU", "a model a GPU, without {}"
SHARED = f"the longest shared by up to {TOGETHER}"

Cost = Mapping[str, Any]


# ---------------------------------------------------------------- planning


@dataclass(frozen=True)
class Job:
    """A model to train and to draw from: the seconds that one GPU takes, and `width` GPUs that share its batches."""

    name: str
    seconds: float
    alone: float = 0.0  # the share of a step that every process does by itself
    needs: str | None = None
    width: int = 1

    @property
    def lasts(self) -> float:
        """Seconds on its GPUs, by Amdahl's law: what is not shared takes as long on any number of them."""
        return self.seconds * (self.alone + (1 - self.alone) / self.width)


def alone(efficiency: float, processes: int) -> float:
    """The share of a step that is not shared, where so many processes give this share of so many times one."""
    return min(max((1 / efficiency - 1) / (processes - 1), 0.0), 1.0)


def makespan(jobs: Sequence[Job], n_gpus: int) -> float:
    """Seconds until all are done: first what others need, then the longest, each on the GPUs that are free soonest."""
    free, ended = [0.0] * n_gpus, dict[str, float]()
    needed = {job.needs for job in jobs}
    for job in sorted(jobs, key=lambda j: (j.name not in needed, -j.lasts)):
        mine = [heapq.heappop(free) for _ in range(min(job.width, n_gpus))]
        end = max(mine[-1], ended.get(job.needs or "", 0.0)) + job.lasts
        ended[job.name] = min(end, ended.get(job.name, math.inf))  # of any seed, which is what is worked on
        for _ in mine:
            heapq.heappush(free, end)
    return max(free)


def shared(jobs: Sequence[Job], n_gpus: int, width: int) -> list[Job]:
    """The same, `width` GPUs sharing each that alone would take longer than all of them divided evenly."""
    even = sum(job.seconds for job in jobs) / n_gpus
    return [replace(job, width=width) if job.seconds > even else job for job in jobs]


# ---------------------------------------------------------------- what was counted and measured


@dataclass(frozen=True)
class Study:
    """The counted costs, the measured efficiency of processes that share a batch, and how either was had."""

    name: str
    costs: Mapping[str, Any]
    together: Mapping[str, Any]
    protocol: Mapping[str, str]

    @classmethod
    def recorded(cls) -> "Study":
        """From the tracked results; GendiffError where one is missing."""
        counted, timed = benchmarks("costs"), benchmarks("processes")
        if not counted or not timed:
            raise GendiffError("benchmarks/results holds no costs or no processes: run `python -m benchmarks costs`")
        (name, costs), (_, together) = *counted.items(), *timed.items()
        return cls(name, costs, together, measured_row(name, costs))

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
        return {device: rate * each for device, rate in PUBLISHED_RATES.items()}

    def alone(self, kind: str) -> float:
        """The share of a step that processes do not share, from the training that was timed for this kind."""
        found = self.together["trainings"][TIMED.get(kind, "unet")]
        return alone(found["efficiency"]["median"], self.together["settings"]["processes"])

    def jobs(self, rate: float, without: str = "") -> list[Job]:
        """Every model at so many operations a second, less an experiment."""
        return [
            Job(c["name"], operations(c) / rate, self.alone(c["kind"]), c["needs"])
            for c in self.trainings
            for _ in range(c["seeds"])
            if c["name"] != without
        ]

    def days(self, way: str, n_gpus: int, rate: float) -> float:
        """Until all are done in one of three ways."""
        without = self.heaviest if way == WITHOUT.format(self.heaviest) else ""
        jobs = self.jobs(rate, without)
        widths = [w for w in WIDTHS if w <= n_gpus] if way == SHARED else [1]
        return min(makespan(shared(jobs, n_gpus, width), n_gpus) for width in widths) / DAY

    @property
    def ways(self) -> tuple[str, ...]:
        """The three ways of giving models to GPUs."""
        return WAYS, SHARED, WITHOUT.format(self.heaviest)


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


# ---------------------------------------------------------------- tables


def costs(study: Study) -> Exhibit[Study]:
    """The most costly experiments, the others together, and all."""
    first, others = study.trainings[:SHOWN], study.trainings[SHOWN:]
    rows = [_row(study, cost["name"], [cost]) for cost in first]
    rows += [_row(study, f"the {len(others)} others", others), _row(study, "all", study.trainings)]
    shown = filed(rows, f"{study.costs['settings']['models']} models, by experiment.")
    return Exhibit(
        shown + details("How this was counted", "".join(f"<p>{n}.</p>" for n in study.costs["notes"])), study
    )


def _row(study: Study, name: str, several: Sequence[Cost]) -> dict[str, Any]:
    def total(value: Any, unit: float) -> Number:
        found = sum(value(c) * c["seeds"] for c in several) / unit
        return Number(f"{found:,.4g}" if found < 1000 else f"{found:,.0f}", found, study.protocol)

    return {
        "": name,
        "models": sum(c["seeds"] for c in several),
        "training, petaFLOP": total(lambda c: c["training_operations"], PETA),
        "drawing, petaFLOP": total(lambda c: c["drawing_operations"], PETA),
        "parameters, million": total(lambda c: c["parameters"], MEGA),
        "on disk, GB": total(kept, GIGA),
    }


def plans(study: Study) -> Exhibit[Study]:
    """Days until all are done, by how models are given to GPUs, how many there are, and which."""
    rows = []
    for way in study.ways:
        for n in GPUS:
            days = {device: study.days(way, n, rate) for device, rate in study.rates.items()}
            device, rate = list(study.rates.items())[-1]
            used = sum(job.seconds for job in study.jobs(rate, study.heaviest if way == study.ways[2] else ""))
            rows.append(
                {"": way, "GPUs": n}
                | {f"days, {name}": _days(study, value) for name, value in days.items()}
                | {"speed-up ÷ GPUs": f"{used / DAY / days[device] / n:.0%}"}
            )
    rated = f"Speeds are published images a second of {RATED}'s network, times its counted operations an image."
    return Exhibit(filed(rows, f"Training and drawing, one after the other. {rated}"), study)


def _days(study: Study, value: float) -> Number:
    what = {"what": "counted operations over a published speed, longest first on the GPUs that are free soonest"}
    return Number(f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", value, what | dict(study.protocol))


def sharing(study: Study) -> Exhibit[Study]:
    """What sharing a batch gives and asks for, of the most costly trainings."""
    device, rate = list(study.rates.items())[-1]
    rows = []
    for cost in study.trainings[:SHOWN]:
        left, update = study.alone(cost["kind"]), cost["training_operations"] / cost["updates"] / rate
        together = update * (left + (1 - left) / TOGETHER)
        rows.append(
            {
                "": cost["name"],
                "batch": cost["batch_size"],
                "seconds an update, alone": update,
                f"of {TOGETHER} GPUs, projected": together,
                "at most, on any number": f"{1 / left:.3g} times as fast" if left else "no limit seen",
                "MB that each sends an update": Number(f"{sent(cost) / MEGA:.4g}", sent(cost), study.protocol),
                "GB a second": sent(cost) / GIGA / together,
            }
        )
    return Exhibit(filed(rows, f"At the speed of {device}; a batch of n has work for n GPUs at most."), study)


def finding(study: Study) -> str:
    """The sentence that the page leads to."""
    *_, (device, rate) = study.rates.items()
    exa = [
        sum(c[k] * c["seeds"] for c in study.trainings) / 1e18 for k in ("training_operations", "drawing_operations")
    ]
    share = sum(operations(c) * c["seeds"] for c in study.trainings[:1]) / (sum(exa) * 1e18)
    days = {way: [f"{study.days(way, n, rate):.3g}" for n in GPUS] for way in study.ways}
    gigabytes = sum(kept(c) * c["seeds"] for c in study.trainings) / GIGA
    several = [f"{n} GPUs" if n > 1 else "one GPU" for n in GPUS]
    without, apart, together = days[study.ways[2]], days[WAYS], days[SHARED]
    return (
        f"{study.costs['settings']['models']} models at the paper's size take {exa[0]:.3g} exaFLOP to train, "
        f"{exa[1]:.2g} to draw from and {gigabytes:,.0f} GB to keep. At the speed that is published for {device}, "
        f"that is {', '.join(apart[:-1])} or {apart[-1]} days on {', '.join(several[:-1])} or {several[-1]}: "
        f"{study.heaviest} is {share:.0%} of it, and ends no sooner for having neighbours. With its batches shared by "
        f"up to {TOGETHER} GPUs, {GPUS[-1]} would take {together[-1]} days (projected); without it, all would take "
        f"{', '.join(without[:-1])} or {without[-1]} days."
    )
