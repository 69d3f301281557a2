"""The command line: one function a command, in files by what they are about."""

from collections.abc import Sequence

from ..device import check_threads
from .ending import exit_code
from .parser import COMMANDS, parser

from . import training, sweeping, samples, keeping, listing  # isort: skip  # in the order of the help

__all__ = ["COMMANDS", "keeping", "listing", "main", "samples", "sweeping", "training"]


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; see exit_code."""

    def work() -> None:
        args = parser().parse_args(words)
        check_threads()
        args.do(args)

    return exit_code("gendiff", work, "the same command goes on from the last checkpoint")
