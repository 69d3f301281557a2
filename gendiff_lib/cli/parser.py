"""The words of the command line.

Examples:
  gendiff train dcgan                          the paper's DCGAN, in a laptop's size
  gendiff train dcgan --preset paper           as the paper has it (wants a GPU)
  gendiff train ddpm-conv --set lr=1e-4 --seed 3
  gendiff train --all                          every run that the book needs and that is missing
  gendiff train --preset paper --all --budget 25m --seeds 3    as many of them as fit, in order of worth
  gendiff train --preset overnight --all --budget 150m --publish    the study goes on; two of these share it
  gendiff train sngan sagan --preset overnight --budget 60m --publish    of the study these alone
  gendiff train --preset paper --all --cluster slurm --gpus 1    a job for each run that is missing
  gendiff sweep dcgan-32 --set lrG=1e-4,2e-4 --seeds 3    trains all of them, and writes tables and a page
  gendiff replay dcgan-32 --preset overnight   does today's code still make that run?
  gendiff sample dcgan --n 100 --out dcgan.png
  gendiff score dcgan --extractor inception    IS, FID, KID, precision, recall, density, coverage
  gendiff score --all --extractor inception    the same of every run of the book whose weights are at hand
  gendiff bits ddpm-conv                       bits per dimension of test images
  gendiff fetch inception                      the weights that FID, KID, precision and recall need
  gendiff validate                             is the extractor a measure? scores of damaged real images
  gendiff calibrate dcgan-32 --preset overnight    are the standard errors right? many draws of its samples
  torchrun --nproc-per-node 4 -m gendiff_lib train dcgan --preset paper    on four GPUs: train, sample or score
  gendiff runs                                 what exists, and what the book still lacks

A run is named by its experiment (then it is the preset's own), or by its folder. The same command never trains twice;
after an interruption it goes on where it stopped. GENDIFF_RUNS, GENDIFF_DATA_DIR, GENDIFF_INCEPTION, GENDIFF_VGG16
and GENDIFF_DEVICE say where runs, CIFAR-10 and the networks' weights are, and what to compute on.
"""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from .. import data
from ..cluster.submit import CLUSTERS
from ..config import Sampling
from ..errors import ConfigError
from ..experiments.experiment import PRESETS
from ..experiments.extractors import EXTRACTORS
from ..parsing import LARGEST, whole_number


class _Once(argparse.Action):
    """Stores the word of an option, and refuses a second one: the last would win in silence."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        given = vars(namespace).setdefault("given", set())
        if self.option_strings and self.dest in given:
            parser.error(f"{self.option_strings[0]} is given twice: leave one out")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one sentence instead of the usage."""

    def error(self, message: str) -> NoReturn:
        """One sentence instead of the usage."""
        raise ConfigError(f"{message} (see `{self.prog} --help`)")


Do = Callable[[argparse.Namespace], None]
Option = Callable[[Any], Any]  # what gives a parser, or a group in it, one option or several
COMMANDS: dict[str, tuple[Do, tuple[Option, ...]]] = {}  # by name: what it does and what it takes; see `command`


def command(*options: Option) -> Callable[[Do], Do]:
    """Make the function NAME_command the command NAME with these options; its docstring is the help."""

    def known(do: Do) -> Do:
        COMMANDS[do.__name__.removesuffix("_command")] = (do, options)
        return do

    return known


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    whole = Parser(
        prog="gendiff",
        description="GANs and diffusion models on CIFAR-10 under one protocol.",
        epilog=str(__doc__).partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (do, options) in COMMANDS.items():
        sub = commands.add_parser(name, help=do.__doc__, description=do.__doc__)
        sub.set_defaults(do=do)
        for add in options:
            add(sub)
    return whole


# ---------------------------------------------------------------- options


def option(*names: str, **how: Any) -> Option:
    """An argument, or an option that is taken once; `how` is argparse's."""
    return lambda sub: sub.add_argument(*names, **{"action": _Once} | how)


def flag(name: str, help: str) -> Option:
    """An option without a word."""
    return option(name, action="store_true", help=help)


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """The type of an option that takes a whole number, from `least` to `most`."""

    def count(word: str) -> int:
        n = whole_number(word)
        if n is None or not least <= n <= most:
            raise argparse.ArgumentTypeError(f"it must be a whole number from {least} to {most}, not {word!r}")
        return n

    return count


def _data_set(name: str) -> str:
    """`name`; DataError where it is no data set, though the command need none; CIFAR-10 need not be at hand."""
    if name:
        data.count(name)
    return name


RUN = option("run", help="experiment or run folder")
RUNS = option("runs", nargs="*", default=[], metavar="RUN", help="experiment or run folder")
SIZE = (
    option("--preset", choices=PRESETS, default="laptop", help="size (default: laptop)"),
    option("--dataset", type=_data_set, default="", help="data set instead of the preset's own (see `gendiff list`)"),
)
CLUSTER = (
    option("--cluster", choices=CLUSTERS, help="a job for each run: by Slurm, or as processes here"),
    option("--gpus", type=whole(0, 64), help="with --cluster: GPUs of each job (default: 1, where there are any)"),
    option("--at-once", type=whole(1), help="with --cluster: jobs at a time"),
)
EPOCH = option("--epoch", help="snapshot (default: the last)")
SNAPSHOT = (RUN, *SIZE, EPOCH)
SAMPLING = [option(f"--{name.replace('_', '-')}", help=f.description) for name, f in Sampling.fields().items()]
EXTRACTOR = option("--extractor", help=f"{', '.join(EXTRACTORS)} (default: efficientnet for CIFAR-10, else classifier)")
PUBLISH = flag("--publish", "keep the result in runs/, which is tracked")
