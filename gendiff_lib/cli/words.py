"""From words of the command line to runs and samplings, and from rows to a table."""

import argparse
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from .. import paths
from ..cluster.submit import submit
from ..config import Config, Sampling
from ..errors import ConfigError, GendiffError
from ..evaluation.features import Extractor
from ..experiments import EXPERIMENTS, get, preset_of
from ..experiments.experiment import Protocol
from ..experiments.extractors import extractor, offline_kind
from ..runs import layout
from ..runs.run import Run, folders


def run_of(word: str, args: argparse.Namespace) -> Run:
    """The run that a word of the command line names."""
    epoch = getattr(args, "epoch", None)
    if word in EXPERIMENTS:
        config = get(word, args.preset, dataset=args.dataset)
        there = folders(config)
        if not there:
            words = f"gendiff train {word} --preset {args.preset}"
            words += f" --dataset {shlex.quote(args.dataset)}" if args.dataset else ""
            raise GendiffError(f"no run of {word} in preset {args.preset} is there: `{words}` makes one")
        run = Run.read(there[0])
    else:
        places = [Path(word), paths.runs_dir() / word, paths.published_dir() / word] if word else []
        folder = next((place for place in places if os.path.isfile(place / layout.RECORD)), None)
        if folder is None:
            raise GendiffError(f"{word!r} is neither an experiment nor a run: `gendiff runs` shows what there is")
        run = Run.read(folder.absolute())
    return run if epoch is None else run.at(Config().told({"epochs": epoch}).epochs)


def settings_of(given: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Fields and words of every --set, besides those that are known; ConfigError for one without =, or given twice."""
    words = dict(known)
    for word in given:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"--set {word} is incomplete: write --set FIELD=VALUE")
        if name in words:
            raise ConfigError(f"{name} is given twice, as {words[name]} and as {text}: leave one out")
        words[name] = text
    return words


def to_cluster(args: argparse.Namespace, configs: Sequence[Config]) -> bool:
    """Submit the runs where --cluster asks for it, with a line of news each; returns whether it does."""
    if not args.cluster:
        refuse(args, ("gpus", "at_once"), "goes with --cluster: leave it out")
        return False
    gpus = args.gpus if args.gpus is not None else int(args.cluster == "slurm" or torch.cuda.is_available())
    for line in submit(configs, args.cluster, gpus=gpus, at_once=args.at_once):
        print(line, flush=True)
    return True


def protocol_of(run: Run) -> Protocol:
    """The protocol of the run's experiment in its preset; where it has none, the plainest."""
    known = EXPERIMENTS.get(run.config.name)
    return known.protocols[preset_of(run.config)] if known and known.protocols else Protocol(Sampling())


def sampling_of(run: Run, args: argparse.Namespace) -> Sampling:
    """How the run's experiment is sampled in its preset, with what options change."""
    base = protocol_of(run).sampling
    given = {name: getattr(args, name) for name in Sampling.fields() if getattr(args, name) is not None}
    if "sampler" in given:  # another sampler has its own number of steps, grid and eta
        base = base.but(n_steps=None, grid=None, eta=None)
    return base.told(given)


def extractor_of(args: argparse.Namespace, dataset: str, preset: str) -> Extractor:
    """The one that --extractor names, else the data set's offline one."""
    return extractor(args.extractor if args.extractor is not None else offline_kind(dataset), dataset, preset)


def print_table(rows: Sequence[Sequence[str]], *, cut: bool = True) -> None:
    """Print rows in columns, cut to the width of the terminal."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    room = shutil.get_terminal_size((160, 24)).columns if cut else None
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()[:room])


def refuse(args: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """ConfigError for the first of the options called `names` that is given."""
    for name in names:
        if getattr(args, name) not in (None, False, []):
            raise ConfigError(f"--{name.replace('_', '-')} {why}")
