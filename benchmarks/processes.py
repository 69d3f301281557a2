"""What a second process gives: images a second of one training by one process and by two, on the same cores.

    python -m benchmarks.processes --seconds 30 --rounds 3 --out benchmarks/results/processes-cpu.json

Each turn is a new start by torchrun, as `torchrun … -m gendiff_lib train` is: the networks and batches of the speed
benchmark, by the library's own loop, its first steps not timed. All cores are tried by threads of one process, too.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from gendiff_lib import ranks
from gendiff_lib.cli.parser import Parser
from gendiff_lib.config import Config
from gendiff_lib.data import load
from gendiff_lib.errors import ConfigError, GendiffError
from gendiff_lib.runs import files
from gendiff_lib.training.build import build, start
from gendiff_lib.training.engine import accelerate
from gendiff_lib.training.loop import fit

from . import ours
from .common import at_least, cifar10_or_shapes, loaded, provenance, report, spread

WARM_UP = 1  # steps of a turn that are not timed
TRAININGS = {"dcgan": ("DCGAN at 64x64", ours.gan_config), "unet": ("U-Net at 32x32", ours.unet_config)}
NOTES = (
    "a turn: a new start by torchrun; whole batches after the first one, until the seconds are over; the batch is the "
    "same however many processes share it",
    "of N times one: images a second by N processes of one thread, over N times those of one process of one thread",
    "by processor time: images a processor second of all processes together, over those of one process; it counts what "
    "is done twice and what messages cost, but no waiting for each other, and little of what else the machine does",
    "what one process does with as many threads as there are processes is beside it: it is what the cores gave before",
)


@dataclass(frozen=True)
class Turn:
    """What is trained, on which data, by how many processes of how many threads, for how long."""

    training: str
    dataset: str
    tiny: bool
    processes: int
    threads: int
    seconds: float

    @property
    def label(self) -> str:
        """Its name in tables."""
        processes = "1 process" if self.processes == 1 else f"{self.processes} processes"
        return f"{processes} of {self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def config(self) -> Config:
        """What is trained."""
        return TRAININGS[self.training][1](self.dataset, tiny=self.tiny)


def _parser() -> argparse.ArgumentParser:
    about = "Images a second of a training by one process and by several."
    parser = Parser(prog="python -m benchmarks.processes", description=about)
    add = parser.add_argument
    add("--processes", type=at_least(2), default=2, help="how many share a training (default: 2)")
    add("--seconds", type=at_least(1), default=30, help="length of a turn, at least one step (default: 30)")
    add("--rounds", type=at_least(1), default=3, help="turns of each (default: 3)")
    add("--dataset", default="", help="cifar10 or shapes (default: cifar10 where it is at hand, else shapes)")
    add("--beside", default="nothing", help="what else the machine does meanwhile, for the record (default: nothing)")
    add("--tiny", action="store_true", help="networks and batches too small to measure anything: a rehearsal")
    add("--out", type=Path, help="JSON to write")
    return parser


# ---------------------------------------------------------------- a turn


def train(turn: Turn) -> dict[str, Any]:
    """Train for as long as the turn lasts; images a second, and what was trained in them."""
    torch.set_num_threads(turn.threads)
    dataset, endless = load(turn.dataset), turn.config.but(epochs=1e6)
    learner = build(endless, dataset, torch.device("cpu"))
    progress = start(endless, dataset, learner.device)
    steps = fit(learner, dataset, endless, progress, accelerate(learner, "eager"))
    for _ in islice(steps, WARM_UP):
        pass
    before, started, processor = progress.images, time.perf_counter(), time.process_time()
    for _ in steps:
        seconds = time.perf_counter() - started
        if ranks.agreed(seconds >= turn.seconds)[0]:
            break
    images, processor = progress.images - before, sum(ranks.gathered(time.process_time() - processor))
    told = {"images": images, "seconds": seconds, "processor_seconds": processor}
    return told | {"images_per_second": images / seconds, "images_per_processor_second": images / processor}


def _started(turn: Turn) -> dict[str, Any]:
    """The turn in processes of its own; GendiffError where it comes to nothing."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={turn.processes}"]
    done = subprocess.run(
        [sys.executable, *start, "-m", "benchmarks.processes", "--turn", json.dumps(asdict(turn))],
        env=os.environ | {"PYTHONPATH": path, "GENDIFF_DEVICE": "cpu", "OMP_NUM_THREADS": str(turn.threads)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise GendiffError(f"{turn.label} could not be measured: {done.stderr.strip()[-400:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{turn.training}, {turn.label}: {found['images_per_second']:.4g} images/s", file=sys.stderr, flush=True)
    return found


# ---------------------------------------------------------------- what they add up to


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Every training's turns, interleaved, and what they add up to."""
    if args.out:
        files.check_writable(args.out.absolute().parent)
    dataset, load_before = args.dataset or cifar10_or_shapes(), os.getloadavg()[0]
    if dataset.partition(":")[0] not in ("cifar10", "shapes"):
        raise ConfigError(f"--dataset {dataset} is none that this measures on: use cifar10 or shapes")
    ways = ((1, 1), (1, args.processes), (args.processes, 1))
    trainings = {}
    for name in TRAININGS:
        turns = [Turn(name, dataset, args.tiny, n, threads, args.seconds) for n, threads in ways]
        found: dict[str, list[dict[str, Any]]] = {turn.label: [] for turn in turns}
        for _ in range(args.rounds):
            for turn in turns:
                found[turn.label].append(_started(turn))
        trainings[name] = _summary(turns, found)
    return {
        **provenance(torch.device("cpu"), 1, []),
        "load": {"before": load_before, "after": os.getloadavg()[0], "processors": os.cpu_count()},
        "beside": args.beside,
        "settings": {k: getattr(args, k) for k in ("processes", "seconds", "rounds", "tiny")} | {"dataset": dataset},
        "trainings": trainings,
        "notes": NOTES,
    }


def _summary(turns: Sequence[Turn], found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Of one training: each way's images a second, and the efficiency of several processes, round by round."""
    rates = {label: [turn["images_per_second"] for turn in made] for label, made in found.items()}
    per_processor = [[turn["images_per_processor_second"] for turn in made] for made in found.values()]
    one, threads, several = rates.values()
    n, config = turns[-1].processes, turns[0].config
    return {
        "title": TRAININGS[turns[0].training][0],
        "batch_size": config.batch_size,
        "config": config.to_dict(),
        "images_per_second": {label: spread(values) for label, values in rates.items()},
        "turns": found,
        "efficiency": spread([b / (n * a) for a, b in zip(one, several, strict=True)]),
        "by_processor_time": spread([b / a for a, b in zip(per_processor[0], per_processor[-1], strict=True)]),
        "over_threads": spread([b / a for a, b in zip(threads, several, strict=True)]),
    }


def table(result: dict[str, Any]) -> str:
    """The result for the eye."""
    rounds = result["settings"]["rounds"]
    lines = [f"{result['device']}, {rounds} rounds beside {result['beside']}; {loaded(result)}"]
    for found in result["trainings"].values():
        lines += ["", f"{found['title']}, batches of {found['batch_size']}"]
        for label, rate in found["images_per_second"].items():
            lines.append(f"{label:<28}{rate['median']:>9.1f} images/s ({rate['min']:.1f} to {rate['max']:.1f})")
        shares = "efficiency", "by_processor_time", "over_threads"
        of_one, processor, of_threads = (found[share]["median"] for share in shares)
        n = result["settings"]["processes"]
        lines.append(
            f"{n} processes give {of_one:.0%} of {n} times one, {processor:.0%} by processor time, and "
            f"{of_threads:.2f} times {n} threads"
        )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure; 0 when it was done, 2 for what the user can mend, 130 when interrupted."""
    given = sys.argv[1:] if words is None else words
    if given[:1] == ["--turn"]:
        with ranks.joined():
            print(json.dumps(train(Turn(**json.loads(given[1])))))
        return 0
    return report("benchmarks.processes", _parser(), words, measure, table)


if __name__ == "__main__":
    sys.exit(main())
