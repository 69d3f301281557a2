"""Scoring a new set of images against a known reference: this library beside torch-fidelity, by one network.

    python -m benchmarks.scoring --n-fake 10000 --n-real 50000 --repeats 3 --out benchmarks/results/scoring-cpu.json

Four contestants take turns, each time in a new process: both libraries with nothing known of the reference ("cold"),
and both with what they can keep of it on disk ("kept"). Ours computes density, coverage and standard errors besides.
GENDIFF_DEVICE and OMP_NUM_THREADS are passed on to all of them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from gendiff_lib import device as machine
from gendiff_lib.cli.parser import Parser
from gendiff_lib.data import images as images_module
from gendiff_lib.data import load
from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation.distances import KERNEL_SUBSET_SIZE
from gendiff_lib.evaluation.features import content_digest, image_keys
from gendiff_lib.evaluation.metrics import SPLITS
from gendiff_lib.experiments.experiment import PRESETS
from gendiff_lib.experiments.extractors import own_classifier
from gendiff_lib.runs import files

from .common import at_least, cifar10_or_shapes, provenance, report, spread
from .contestants import THEIR_NAMES, Task

LEAST = 2 * SPLITS  # fewer images are not scored
# label -> contestant, and whether it finds the reference in its cache; in the order of their turns
TURNS = {
    "ours cold": ("ours", False),
    "theirs cold": ("theirs", False),
    "ours kept": ("ours", True),
    "theirs kept": ("theirs cached", True),
}
NOTES = (
    "seconds: from images and network in memory to values; imports and loading are left out of all",
    "ours also computes density, coverage and standard errors, and writes what it extracted to its cache",
    "both sides get the images in the order in which ours scores them, so splits and subsets are the same",
    "memory: the process's peak while it was timed, without any worker processes that torch-fidelity starts",
)


def _parser() -> argparse.ArgumentParser:
    about = "Time and memory of scoring, beside torch-fidelity's."
    parser = Parser(prog="python -m benchmarks.scoring", description=about)
    add = parser.add_argument
    add("--n-fake", type=at_least(LEAST), help="new images (default: the whole test split, corrupted)")
    add("--n-real", type=at_least(LEAST), help="images of the reference (default: the whole train split)")
    add("--repeats", type=at_least(1), default=3, help="turns of each contestant (default: 3)")
    add("--dataset", default="", help="cifar10 or shapes (default: cifar10 where it is at hand, else shapes)")
    add("--preset", choices=PRESETS, default="laptop", help="size of the network that judges shapes (default: laptop)")
    add("--batch-size", type=at_least(1), default=250, help="torch-fidelity's, for images (default: 250, as ours)")
    add("--prc-batch-size", type=at_least(1), default=10_000, help="its own, for distances (default: 10000, as its)")
    add("--save-cpu-ram", choices=("auto", "yes", "no"), default="auto", help="its option (default: where it must)")
    add("--out", type=Path, help="JSON to write")
    return parser


# ---------------------------------------------------------------- the images


def corrupted(images: Tensor) -> Tensor:
    """Slightly blurred and noisy copies of uint8 images (N, 3, H, W); always the same."""
    x = images_module.to_model(images)
    kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
    weight = torch.outer(kernel, kernel).expand(3, 1, 3, 3)
    blurred = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (1,) * 4, mode="reflect"), weight, groups=3)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return images_module.to_images(blurred + 0.05 * noise)


def _split(dataset: str, split: str, n: int | None, option: str) -> Tensor:
    """The first n images of a split, all for None; GendiffError where it holds fewer, or no images."""
    found = load(dataset, split)
    if not found.is_image:
        raise GendiffError(f"--dataset {dataset} holds points in the plane: name one that holds images")
    if n and n > len(found.samples):
        raise GendiffError(f"{option} {n} is more than the {len(found.samples)} {split} images of {dataset}: lower it")
    return found.samples[:n]


def _in_order(images: Tensor) -> Tensor:
    """Sorted as Features.in_order sorts."""
    return images[image_keys(images).argsort(stable=True)].contiguous()


# ---------------------------------------------------------------- the turns


def _save_cpu_ram(choice: str, n: int) -> bool:
    """Whether torch-fidelity must keep to parts of the distances; whole, it takes 16 bytes for each of n x n."""
    if choice != "auto":
        return choice == "yes"
    return 16 * n * n > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def _task(args: argparse.Namespace, folder: Path) -> Task:
    """Write the images to `folder`, make sure of the network, and say what all contestants share."""
    dataset = args.dataset or cifar10_or_shapes()
    real = _in_order(_split(dataset, "train", args.n_real, "--n-real"))
    fake = _in_order(corrupted(_split(dataset, "test", args.n_fake, "--n-fake")))
    own_classifier(dataset, args.preset)
    files.write_tensors(folder / "images.safetensors", {"fake": fake, "real": real})
    return Task(
        contestant="prepare",
        dataset=dataset,
        preset=args.preset,
        images=str(folder / "images.safetensors"),
        cache=str(folder / "known"),
        reference=f"real-{content_digest(real)}",
        n_fake=len(fake),
        n_real=len(real),
        batch_size=args.batch_size,
        prc_batch_size=args.prc_batch_size,
        kid_subset_size=min(KERNEL_SUBSET_SIZE, len(fake), len(real)),
        save_cpu_ram=_save_cpu_ram(args.save_cpu_ram, max(len(fake), len(real))),
    )


def _run(task: Task) -> dict[str, Any]:
    """A task in a process of its own, which sees `task.cache` and this checkout."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.contestants", json.dumps(asdict(task))],
        env=os.environ | {"GENDIFF_CACHE": task.cache, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise GendiffError(f"{task.contestant} could not be measured: {why}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _turn(task: Task, label: str) -> dict[str, Any]:
    """One turn of a contestant, from a cache that is empty or holds the reference alone."""
    contestant, known = TURNS[label]
    with tempfile.TemporaryDirectory() as place:
        if known:
            shutil.copytree(task.cache, place, dirs_exist_ok=True)
        found = _run(Task(**asdict(task) | {"contestant": contestant, "cache": place}))
    print(f"{label}: {found['seconds']:.2f} s", file=sys.stderr, flush=True)
    return found


# ---------------------------------------------------------------- what they add up to


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Every contestant's turns, interleaved, and what they add up to."""
    if args.out:
        files.check_writable(args.out.absolute().parent)
    with tempfile.TemporaryDirectory() as folder:
        task = _task(args, Path(folder))
        print("putting the reference into both caches", file=sys.stderr, flush=True)
        prepared = _run(task)
        turns: dict[str, list[dict[str, Any]]] = {label: [] for label in TURNS}
        for _ in range(args.repeats):
            for label, made in turns.items():
                made.append(_turn(task, label))
    return {
        **_provenance(task, prepared),
        "repeats": args.repeats,
        "contestants": {label: _summary(made) for label, made in turns.items()},
        "ratios": {k: _ratios(turns[f"theirs {k}"], turns[f"ours {k}"]) for k in ("cold", "kept")},
        "values": {name: {label: made[0]["values"][name] for label, made in turns.items()} for name in THEIR_NAMES},
        "notes": NOTES,
    }


def _provenance(task: Task, prepared: dict[str, Any]) -> dict[str, Any]:
    shared = ("dataset", "preset", "n_fake", "n_real", "reference")
    options = ("batch_size", "prc_batch_size", "kid_subset_size", "save_cpu_ram")
    return {
        **{name: getattr(task, name) for name in shared},
        "torch_fidelity": {name: getattr(task, name) for name in options},
        "extractor": prepared["extractor"],
        **provenance(machine.default_device(), prepared["threads"], ["torch-fidelity"]),
    }


def _summary(made: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of one contestant's turns. Its values are the first turn's; `same_values` says whether all turns gave them."""
    names = ("seconds", "peak_bytes", "loaded_bytes", *(["gpu_peak_bytes"] if made[0]["gpu_peak_bytes"] else []))
    same = all(turn["values"] == made[0]["values"] for turn in made)
    spreads = {name: spread([turn[name] for turn in made]) for name in names}
    return spreads | {"values": made[0]["values"], "same_values": same}


def _ratios(theirs: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Theirs over ours: of medians, and the least and greatest of neighbouring turns."""
    found = {}
    for name in ("seconds", "peak_bytes"):
        of_turns = [a[name] / b[name] for a, b in zip(theirs, ours, strict=True)]
        ratio = median(turn[name] for turn in theirs) / median(turn[name] for turn in ours)
        found[name] = {"of_medians": ratio, "min": min(of_turns), "max": max(of_turns)}
    return found


def table(result: dict[str, Any]) -> str:
    """The result for the eye."""
    lines = [
        f"{result['n_fake']:,} new images against {result['n_real']:,} of {result['dataset']}, "
        f"{machine.with_threads(result['device'], result['threads'])}, {result['repeats']} turns",
        f"{'':<12} {'seconds':>9} {'min':>9} {'max':>9} {'peak MiB':>9}",
    ]
    for label, found in result["contestants"].items():
        seconds = found["seconds"]
        times = " ".join(f"{seconds[k]:>9.2f}" for k in ("median", "min", "max"))
        lines.append(f"{label:<12} {times} {found['peak_bytes']['median'] / 2**20:>9.0f}")
    for kind, found in result["ratios"].items():
        time, memory = found["seconds"]["of_medians"], found["peak_bytes"]["of_medians"]
        lines.append(f"{kind}: theirs / ours: {time:.2f} in seconds, {memory:.2f} in peak memory")
    lines += [f"{'':<18}" + "".join(f"{label:>14}" for label in TURNS)]
    for name, values in result["values"].items():
        lines.append(f"{name:<18}" + "".join(f"{value:>14.6g}" for value in values.values()))
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Compare; 0 when it was done, 2 for what the user can mend, 130 when interrupted."""
    return report("benchmarks.scoring", _parser(), words, compare, table)


if __name__ == "__main__":
    sys.exit(main())
