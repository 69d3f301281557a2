"""What the benchmarks share: words of the command line, the spread of measurements, where a result comes from."""

import argparse
import datetime
from collections.abc import Sequence
from importlib import metadata
from statistics import median
from typing import Any, NoReturn

import torch

from gendiff_lib import machine
from gendiff_lib.config import ConfigError


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one sentence instead of the usage."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see `{self.prog} --help`)")


def at_least(low: int) -> Any:
    """The type of an option that takes a whole number from `low` on."""

    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} on")
        return int(text)

    return count


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least, greatest, and all of them."""
    return {"median": median(values), "min": min(values), "max": max(values), "all": list(values)}


def provenance(device: torch.device, threads: int, packages: Sequence[str]) -> dict[str, Any]:
    """Where and when a result was made, and by which versions; `packages` are those of others."""
    return {
        "device": machine.device_name(device),
        "device_type": device.type,
        "processor": machine.device_name(torch.device("cpu")),
        "threads": threads,
        "versions": machine.versions() | {name: metadata.version(name) for name in packages},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **machine.commit(),
    }
