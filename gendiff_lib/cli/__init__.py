"""The command line: one function a command, in files by what they are about."""

import argparse
import sys
from collections.abc import Callable, Sequence

from .. import data
from ..device import check_threads
from ..experiments.experiment import check_preset
from .ending import exit_code
from .keeping import fetch_command, prune_command, publish_command, runs_command
from .listing import list_command
from .measures import calibrate_command, validate_command
from .parser import parser
from .samples import bits_command, sample_command, score_command
from .training import replay_command, train_command

COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "train": train_command,
    "replay": replay_command,
    "sample": sample_command,
    "score": score_command,
    "bits": bits_command,
    "validate": validate_command,
    "calibrate": calibrate_command,
    "fetch": fetch_command,
    "publish": publish_command,
    "runs": runs_command,
    "prune": prune_command,
    "list": list_command,
}


def _check_size(args: argparse.Namespace) -> None:
    """Refuse an unknown preset or data set, whatever the command does with it; CIFAR-10 need not be at hand."""
    if getattr(args, "preset", None) is not None:
        check_preset(args.preset)
    if (dataset := getattr(args, "dataset", "")) and data.check_name(dataset) != ("cifar10", ""):
        data.load(dataset)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; see exit_code."""
    given = list(sys.argv[1:] if words is None else words)

    def work() -> int | None:
        args = parser().parse_args(given)
        _check_size(args)
        check_threads()
        COMMANDS[args.command](args)
        return None

    return exit_code("gendiff", work, "the same command goes on from the last checkpoint")
