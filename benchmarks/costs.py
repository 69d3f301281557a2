"""What a study of a hundred models costs at the paper's size, counted without training any of them.

    python -m benchmarks.costs --out benchmarks/results/costs-paper.json

The hundred are all experiments that have this size, of one training seed, then again of the next ones.
Operations, bytes kept and bytes that processes tell each other are counted by steps of a few blank images, and scaled
to the batches and the length of each training. Nothing is timed, so what else the machine does changes nothing.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from gendiff_lib import ranks
from gendiff_lib.cli.parser import Parser
from gendiff_lib.config import Config
from gendiff_lib.data.dataset import ImageBridge
from gendiff_lib.errors import ConfigError
from gendiff_lib.experiments import EXPERIMENTS, get, protocol
from gendiff_lib.experiments.cost import steps_of, training_operations
from gendiff_lib.learner import Learner
from gendiff_lib.progress import Progress
from gendiff_lib.runs import files
from gendiff_lib.training.build import evaluations, images_at, make, resolve, seen_shape
from gendiff_lib.training.distributed import SharedStep
from gendiff_lib.training.operations import drawing_operations

from .common import at_least, provenance, report

SIDE, N_CLASSES = 32, 10  # CIFAR-10's, on which every model of the study is trained at the paper's size
ROWS = (8, 16)  # of the steps that are counted: what is told grows by the same bytes with every row
NOTES = (
    "operations: multiplications and sums of matrix products and convolutions, forward and backward, of whole "
    "trainings; those of drawing are of all samples that are scored at the end",
    "an autoencoder that a training works on is counted by itself, once",
    "checkpoint: all weights, averages and the optimisers' states; a snapshot keeps what sampling needs",
    "told: bytes that a process hands to the sums over all processes, the mean over a training's updates; by the ring "
    "algorithm each of N processes sends 2 (N - 1) / N times as many",
)


def hundred(n: int = 100) -> list[Config]:
    """Every experiment of the paper's size, less the live chapter's and the judge; then of the next seeds, until n."""
    names = [name for name, known in EXPERIMENTS.items() if "paper" in known.presets and not name.startswith("live-")]
    models = [c for c in (get(name, "paper") for name in names) if c.kind != "classifier"]
    return [c.but(seed=c.seed + i) for i in range(n) for c in models][:n]


# ---------------------------------------------------------------- one model


def cost(config: Config) -> dict[str, Any]:
    """All that is counted of one model; the seed changes none of it."""
    image = ImageBridge(SIDE).shape(config.image_size)
    seen = seen_shape(config, image)
    learner = make(config, seen, N_CLASSES)
    updates = images_at(config.epochs, steps_of(config), 1)
    told = _told(learner, updates)
    operations = training_operations(config) - (training_operations(config.needs) if config.needs else 0)
    return {
        "name": config.name,
        "kind": config.kind,
        "needs": config.needs.name if config.needs else None,
        "batch_size": config.batch_size,
        "precision": config.precision,
        "updates": updates,
        "images": updates * config.batch_size,
        "parameters": sum(p.numel() for key, net in learner.modules.items() if key != "ema" for p in net.parameters()),
        "training_operations": operations,
        "told_bytes": told,
        "checkpoint_bytes": _bytes(learner.state_dict()),  # after steps, which give the optimisers their states
        "snapshots": len({e for e in (*config.snapshots, config.epochs) if e <= config.epochs}),
        "snapshot_bytes": _bytes(learner.weights()),
        **_drawing(config, image, seen),
    }


def _drawing(config: Config, image: tuple[int, ...], seen: tuple[int, ...]) -> dict[str, Any]:
    """What the samples take that are scored at a training's end; an autoencoder draws none."""
    if config.kind not in ("gan", "diffusion"):
        return {"samples": 0, "sample_bytes": 0, "drawing_operations": 0}
    known = protocol(config.name, "paper")
    n, sampling = known.sampling.n * known.seeds, resolve(known.sampling, config, seen)
    each = drawing_operations(config, image, N_CLASSES, evaluations(sampling, config, seen))
    return {"samples": n, "sample_bytes": n * 3 * SIDE**2, "drawing_operations": n * each}


def _bytes(value: Any) -> int:
    """Of all tensors in a tree of dictionaries and lists."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(map(_bytes, parts))


@dataclass
class _Tally:
    """What one of two processes would have handed to the sums. What the other has is not there: zeros stand for it."""

    bytes: int = 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """In the place of `ranks.add_up`."""
        self.bytes += _bytes(list(tensors))


def _told(learner: Learner, updates: int) -> float:
    """The bytes that an update tells, the mean over the training, each kind of update counted once."""
    config = learner.config
    steps, known = steps_of(config), dict[str, tuple[int, float]]()
    step, progress = SharedStep(learner), Progress(torch.Generator(), steps)
    seen = 1 if learner.steady else updates
    for update in range(seen):
        progress.epoch, progress.step = divmod(update, steps)
        progress.images = update * config.batch_size
        phase = learner.phase(progress)
        n, told = known.get(phase) or (0, _told_by(step, progress))
        known[phase] = (n + 1, told)
    return sum(n * told for n, told in known.values()) / seen


def _told_by(step: SharedStep, progress: Progress) -> float:
    """By an update of a whole batch, from those of a few rows."""
    learner, found = step.learner, []
    for n in ROWS:
        tally = _Tally()
        with mock.patch.multiple(ranks, count=lambda: 2, rank=lambda: 0, add_up=tally.add_up):
            learner.add_up = tally.add_up
            step(torch.zeros(n, *learner.shape), torch.zeros(n, dtype=torch.long), progress, progress.rng)
        found.append(tally.bytes)
    row = (found[1] - found[0]) / (ROWS[1] - ROWS[0])
    return found[0] + row * (learner.config.batch_size - ROWS[0])


# ---------------------------------------------------------------- all of them


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The cost of every model, each configuration counted once."""
    if args.out:
        files.check_writable(args.out.absolute().parent)
    models = hundred(args.models)
    if args.only:
        models = [c for c in models if c.name in args.only]
        if lacking := set(args.only) - {c.name for c in models}:
            raise ConfigError(f"--only {' '.join(sorted(lacking))}: no model of the {args.models}: leave it out")
    costs: dict[str, dict[str, Any]] = {}
    for config in models:
        if config.name not in costs:
            started = time.monotonic()
            costs[config.name] = cost(config) | {"seeds": 0}
            seconds = time.monotonic() - started
            print(f"{config.name}: counted in {seconds:.0f} s", file=sys.stderr, flush=True)
        costs[config.name]["seeds"] += 1
    return {
        **provenance(torch.device("cpu"), torch.get_num_threads(), []),
        "settings": {"models": args.models},
        "trainings": list(costs.values()),
        "notes": NOTES,
    }


def table(result: dict[str, Any]) -> str:
    """The result for the eye."""
    lines = [f"{'':<24}{'seeds':>6}{'training, PF':>14}{'drawing, PF':>13}{'parameters':>12}{'told, MB':>10}"]
    for found in result["trainings"]:
        of = [found[k] / 1e15 for k in ("training_operations", "drawing_operations")]
        told = found["told_bytes"] / 1e6
        lines.append(
            f"{found['name']:<24}{found['seeds']:>6}{of[0]:>14.4g}{of[1]:>13.4g}{found['parameters']:>12,}{told:>10.4g}"
        )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m benchmarks.costs", description="What a hundred models cost at the paper's size.")
    parser.add_argument("--models", type=at_least(1), default=100, help="how many (default: 100)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="count these experiments of them alone")
    parser.add_argument("--out", type=Path, help="JSON to write")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Count; 0 when it was done, 2 for what the user can mend, 130 when interrupted."""
    return report("benchmarks.costs", _parser(), words, measure, table)


if __name__ == "__main__":
    sys.exit(main())
