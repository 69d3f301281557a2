"""What the benchmarks share: words of the command line, the spread of measurements, where a result comes from."""

import argparse
import datetime
from collections.abc import Callable, Sequence
from importlib import metadata
from statistics import median
from typing import Any

import torch

from gendiff_lib import device as machine
from gendiff_lib.cli.ending import exit_code
from gendiff_lib.data import load
from gendiff_lib.errors import MissingDataError
from gendiff_lib.runs import files


def report(
    program: str,
    parser: argparse.ArgumentParser,
    words: Sequence[str] | None,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    table: Callable[[dict[str, Any]], str],
) -> int:
    """Measure what the words ask for, print the table, and write the result where `--out` says; the exit code."""

    def work() -> None:
        args = parser.parse_args(words)
        result = measure(args)
        print(table(result))
        if args.out:
            files.write_json(args.out, result)

    return exit_code(program, work, "nothing was written")


def at_least(low: int) -> Any:
    """The type of an option that takes a whole number from `low` on."""

    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} on")
        return int(text)

    return count


def cifar10_or_shapes() -> str:
    """The data set that is measured on where none is named: CIFAR-10 where it is to be had."""
    try:
        load("cifar10")
    except MissingDataError:
        return "shapes"
    return "cifar10"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least, greatest, and all of them."""
    return {"median": median(values), "min": min(values), "max": max(values), "all": list(values)}


def loaded(result: dict[str, Any]) -> str:
    """How busy the machine was before and after a measurement, in words."""
    load = result["load"]
    return f"load {load['before']:.1f} before and {load['after']:.1f} after, on {load['processors']} processors"


def provenance(device: torch.device, threads: int, packages: Sequence[str]) -> dict[str, Any]:
    """Where and when a result was made, and by which versions; `packages` are those of others."""
    return {
        "device": machine.device_name(device),
        "device_type": device.type,
        "processor": machine.device_name(torch.device("cpu")),
        "threads": threads,
        "versions": machine.packages() | {name: metadata.version(name) for name in packages},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **machine.commit("benchmarks/*.py"),
    }
