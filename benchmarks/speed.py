"""Speed of training and sampling beside other projects' loops, at equal network, batch and objective.

    python -m benchmarks.speed --threads 1 --seconds 20 --rounds 5 --out benchmarks/results/speed-cpu.json

Within a contest all contestants are built once, warmed up, and then take turns of about the same length, round after
round. A ratio is the median of the rounds' ratios. Floating-point operations are counted, not estimated, and matrix
products timed in every round say what the machine could do.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gendiff_lib import device as machine
from gendiff_lib.cli.parser import Parser
from gendiff_lib.data import load as load_data
from gendiff_lib.errors import ConfigError
from gendiff_lib.runs import files

from . import ours, rivals
from .common import at_least, cifar10_or_shapes, loaded, provenance, report, spread
from .turns import Contestant, Setup, Timing, compare, prepare, race, summary

Entry = Callable[[Setup, str], Contestant]


@dataclass(frozen=True)
class Contest:
    """One kind of work, and who does it."""

    title: str
    work: str  # one piece of it
    ours: Entry
    rivals: dict[str, Entry]


CONTESTS = {
    "dcgan": Contest("DCGAN at 64x64", "training step", ours.gan, {"tutorial": rivals.tutorial}),
    "unet": Contest(
        "U-Net at 32x32",
        "training step",
        ours.diffusion,
        {"diffusers": rivals.diffusers_training, "lucidrains": rivals.lucidrains_training},
    ),
    "ddim": Contest(
        "U-Net at 32x32, DDIM",
        "batch drawn",
        ours.sampling,
        {"diffusers": rivals.diffusers_sampling, "lucidrains": rivals.lucidrains_sampling},
    ),
}
PACKAGES = {"diffusers": ("diffusers", "UNet2DModel"), "lucidrains": ("denoising_diffusion_pytorch", "Unet")}
# (contest, ours, theirs) -> how many times as fast, at equal operations; what the project set out to reach on a CPU
GOALS = {
    ("dcgan", "ours bf16", "tutorial fp32"): 2.6,
    ("unet", "ours bf16", "diffusers fp32"): 2.0,
    ("unet", "ours bf16", "lucidrains fp32"): 3.5,
    ("ddim", "ours bf16", "diffusers fp32"): 2.0,
    ("dcgan", "ours fp32", "tutorial fp32"): 1.0,
    ("unet", "ours fp32", "diffusers fp32"): 1.0,
    ("unet", "ours fp32", "lucidrains fp32"): 1.0,
    ("ddim", "ours fp32", "diffusers fp32"): 1.0,
    ("ddim", "ours fp32", "lucidrains fp32"): 1.0,
}
NOTES = (
    "a step: a batch fetched, both networks (or the one) updated once, losses kept; a batch drawn: noise to bytes",
    "DCGAN: the same two networks on both sides; U-Net: the same levels, widths, blocks and attention in diffusers, "
    "lucidrains' own network at the same narrowest width; no averaged weights, no dropout, gradients clipped at 1",
    "the rivals read PIL images through a DataLoader whose processes run beside the threads counted here",
    "operations: a multiply-add is two; forward: one image through the networks; per_flop: images/s times forward",
    "utilisation: counted operations a second over those of square matrix products of the same precision",
)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m benchmarks.speed", description="Speed beside other projects' training loops.")
    add = parser.add_argument
    add("--device", help="cpu or cuda (default: cuda where there is one)")
    add("--threads", type=at_least(1), help="of torch on the CPU (default: torch's own choice)")
    add("--seconds", type=_seconds, default=10.0, help="length of a turn, roughly (default: 10)")
    add("--rounds", type=at_least(1), default=5, help="turns of each contestant (default: 5)")
    add("--contests", default=",".join(CONTESTS), help=f"some of {','.join(CONTESTS)} (default: all)")
    add("--sampling-steps", type=at_least(1), default=50, help="of DDIM (default: 50)")
    add("--dataset", default="", help="cifar10 or shapes (default: cifar10 where it is at hand, else shapes)")
    add("--rivals-bf16", action="store_true", help="the rivals under bf16 autocast too, which a GPU always gets")
    add("--tiny", action="store_true", help="networks and batches too small to measure anything: a rehearsal")
    add("--out", type=Path, help="JSON to write")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds between 0 and 3600")
    return seconds


# ---------------------------------------------------------------- what is asked for


def _device(name: str | None) -> torch.device:
    if name is None:
        return machine.default_device()
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise ConfigError(f"--device {name} is no device: use cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"--device {name} is not to be had on this machine: use cpu")
    return torch.device(name)


def _contests(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in CONTESTS:
            raise ConfigError(f"contest {name!r} is unknown: --contests takes some of {','.join(CONTESTS)}")
    return [name for name in CONTESTS if name in names]


def _setup(args: argparse.Namespace) -> Setup:
    device = _device(args.device)
    name = args.dataset or cifar10_or_shapes()
    dataset = load_data(name)
    if not dataset.is_image or dataset.bridge.shape(None)[-1] != 32:
        raise ConfigError(f"--dataset {name} does not hold images of 32x32 pixels: use cifar10 or shapes")
    return Setup(
        dataset=dataset,
        device=device,
        gan=ours.gan_config(name, tiny=args.tiny),
        unet=ours.unet_config(name, tiny=args.tiny),
        n_samples=4 if args.tiny else 64,
        sampling_steps=args.sampling_steps,
        workers=2,
    )


def _check_packages(contests: Sequence[str]) -> list[str]:
    """The optional packages that the contests need; GendiffError for the first that is not there."""
    needed = {rival for name in contests for rival in CONTESTS[name].rivals if rival in PACKAGES}
    for rival in sorted(needed):
        rivals.theirs(*PACKAGES[rival])
    return [PACKAGES[rival][0].replace("_", "-") for rival in sorted(needed)]


def _precisions(setup: Setup) -> tuple[list[str], list[str]]:
    """Those that the machine has, and a sentence for the one it has not."""
    try:
        machine.check_precision(setup.gan.but(precision="bf16"), setup.device)
    except ConfigError as error:
        return ["fp32"], [f"the bf16 contestants are left out: {error}"]
    return ["fp32", "bf16"], []


# ---------------------------------------------------------------- the contests


def _timings(contest: Contest, setup: Setup, precisions: list[str], theirs: list[str], seconds: float) -> list[Timing]:
    """Everybody built and warmed up, one after the other."""
    entries = [(contest.ours, p) for p in precisions]
    entries += [(rival, p) for rival in contest.rivals.values() for p in theirs]
    timings = []
    for entry, precision in entries:
        torch.manual_seed(0)
        contestant = entry(setup, precision)
        print(f"{contest.title}: warming up {contestant.label}", file=sys.stderr, flush=True)
        timings.append(prepare(contestant, seconds, setup.device))
    return timings


def _hold(
    name: str, setup: Setup, precisions: list[str], theirs: list[str], args: argparse.Namespace
) -> dict[str, Any]:
    contest = CONTESTS[name]
    timings = _timings(contest, setup, precisions, theirs, args.seconds)
    side = 256 if args.tiny else 2048 if setup.device.type == "cpu" else 4096
    peaks = race(timings, args.rounds, side, setup.device, min(0.5, args.seconds))
    mine = [t for t in timings if t.contestant.whose == "ours"]
    others = [t for t in timings if t.contestant.whose != "ours"]
    goals = GOALS if setup.device.type == "cpu" and not args.tiny else {}
    ratios = [_ratio(name, a, b, goals) for a in mine for b in others]
    return {
        "title": contest.title,
        "work": contest.work,
        "contestants": {t.contestant.label: summary(t, peaks) for t in timings},
        "ratios": ratios,
        "matmul": {"side": side} | {p: spread(speeds) for p, speeds in peaks.items()},
    }


def _ratio(name: str, a: Timing, b: Timing, goals: Mapping[tuple[str, str, str], float]) -> dict[str, Any]:
    """One of ours against one of theirs; where there is a goal, with it and whether it is reached."""
    labels = a.contestant.label, b.contestant.label
    found = {"ours": labels[0], "theirs": labels[1], **compare(a, b)}
    goal = goals.get((name, *labels))
    return found if goal is None else found | {"goal": goal, "reached": found["per_flop"]["median"] >= goal}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All contests that were asked for, with where they took place."""
    names = _contests(args.contests)
    if args.out:
        files.check_writable(args.out.absolute().parent)
    packages = _check_packages(names)
    setup = _setup(args)
    precisions, left_out = _precisions(setup)
    theirs = precisions if args.rivals_bf16 or setup.device.type == "cuda" else ["fp32"]
    for sentence in left_out:
        print(sentence, file=sys.stderr, flush=True)
    if args.threads:
        torch.set_num_threads(args.threads)
    load_before = os.getloadavg()[0]
    contests = {name: _hold(name, setup, precisions, theirs, args) for name in names}
    return {
        **provenance(setup.device, torch.get_num_threads(), packages),
        "load": {"before": load_before, "after": os.getloadavg()[0], "processors": os.cpu_count()},
        "tf32": setup.device.type == "cuda" and torch.backends.cudnn.allow_tf32,
        "settings": {"seconds": args.seconds, "rounds": args.rounds, "tiny": args.tiny, "dataset": setup.dataset.name}
        | {"sampling_steps": args.sampling_steps, "workers": setup.workers},
        "configs": {"dcgan": setup.gan.to_dict(), "unet": setup.unet.to_dict()},
        "contests": contests,
        "left_out": left_out,
        "notes": NOTES,
    }


# ---------------------------------------------------------------- for the eye


def _rows(contest: dict[str, Any]) -> list[str]:
    head = ("", "parameters", "GF forward", "GF an image", "s (median)", "min", "max", "images/s", "of matmul")
    lines = [f"{head[0]:<16}" + "".join(f"{word:>13}" for word in head[1:])]
    for label, c in contest["contestants"].items():
        seconds, work = c["seconds"], c["flops"] / c["images"] / 1e9
        cells = [f"{c['parameters']:,}", f"{c['forward_flops'] / 1e9:.3f}", f"{work:.3f}"]
        cells += [f"{seconds[k]:.4g}" for k in ("median", "min", "max")]
        cells += [f"{c['images_per_second']:.1f}", f"{c['utilisation']:.0%}"]
        lines.append(f"{label:<16}" + "".join(f"{cell:>13}" for cell in cells))
    return lines


def table(result: dict[str, Any]) -> str:
    """The result in words and columns."""
    rounds = result["settings"]["rounds"]
    lines = [f"{machine.with_threads(result['device'], result['threads'])}, {rounds} rounds; {loaded(result)}"]
    for contest in result["contests"].values():
        images = next(iter(contest["contestants"].values()))["images"]
        lines += ["", f"{contest['title']}: {contest['work']}, {images} images", *_rows(contest)]
        for p, speeds in ((k, v) for k, v in contest["matmul"].items() if k != "side"):
            lines.append(f"matmul {p}: {speeds['median'] / 1e9:,.0f} GFLOP/s ({contest['matmul']['side']} a side)")
        for r in contest["ratios"]:
            raw, equal = r["raw"], r["per_flop"]
            goal = f"; goal {r['goal']}: {'reached' if r['reached'] else 'not reached'}" if "goal" in r else ""
            lines.append(
                f"{r['ours']} is {raw['median']:.2f} times as fast as {r['theirs']} ({raw['min']:.2f} to "
                f"{raw['max']:.2f}), {equal['median']:.2f} at equal operations{goal}"
            )
    return "\n".join([*lines, *(["", *result["left_out"]] if result["left_out"] else [])])


def main(words: Sequence[str] | None = None) -> int:
    """Measure; 0 when it was done, 2 for what the user can mend, 130 when interrupted."""
    return report("benchmarks.speed", _parser(), words, measure, table)


if __name__ == "__main__":
    sys.exit(main())
