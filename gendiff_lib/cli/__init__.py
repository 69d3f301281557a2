"""The command line: one function a command, in files by what they are about."""

from collections.abc import Sequence

from .. import ranks
from ..device import check_threads
from ..errors import ConfigError
from .ending import exit_code
from .parser import COMMANDS, parser

from . import training, sweeping, samples, keeping, listing  # isort: skip  # in the order of the help

SHARED = ("train", "sample", "score")  # what several processes may do together

__all__ = ["COMMANDS", "keeping", "listing", "main", "samples", "sweeping", "training"]


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; see exit_code."""

    def work() -> None:
        args = parser().parse_args(words)
        check_threads()
        if ranks.count() > 1 and args.command not in SHARED:
            raise ConfigError(f"`gendiff {args.command}` is for one process: start it without torchrun")
        args.do(args)

    with ranks.joined():
        return exit_code("gendiff", work, ranks.GOES_ON)
