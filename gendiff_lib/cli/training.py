"""Commands that train."""

import argparse
import hashlib
import math
import time
from functools import partial

import torch

from .. import ranks
from ..config import Config
from ..device import MOST_THREADS, commit
from ..errors import ConfigError, GendiffError
from ..experiments import EXPERIMENTS, get
from ..experiments.book import book_configs
from ..experiments.budget import by_worth, check_patience, seconds_of
from ..experiments.queue import nothing, published, study, work
from ..runs.replay import Replay, replay
from ..runs.run import Run, all_runs
from ..runs.train import found, train
from .parser import CLUSTER, RUNS, SIZE, command, flag, option, whole
from .words import refuse, run_of, settings_of, to_cluster


def _overrides(args: argparse.Namespace) -> dict[str, str]:
    """--epochs, --seed and every --set, as words by the fields they name."""
    words = {name: getattr(args, name) for name in ("epochs", "seed") if getattr(args, name) is not None}
    words |= {"dataset": args.dataset} if args.dataset else {}
    return settings_of(args.set, words)


@command(
    option("names", nargs="*", default=[], metavar="NAME", help="experiment (see `gendiff list`), or a run: its like"),
    flag("--all", "everything that the book needs and that is missing"),
    *SIZE,
    option("--budget", help="a span such as 25m; what cannot end in it stops at a checkpoint"),
    option("--seeds", type=whole(1, 100), help="with --all: training seeds, one of everything before a second"),
    option("--epochs", help="how long; no part of a run's identity"),
    option("--seed", help="seed of weights, data order and noise"),
    flag("--publish", "score and publish each run of the preset overnight, with a commit"),
    option("--threads", type=whole(1, MOST_THREADS), help="threads to compute on (default: as many as torch takes)"),
    flag("--yes", "though it takes longer than 20 minutes here"),
    flag("--again", "train it here though a published run is there"),
    option("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field by name"),
    *CLUSTER,
)
def train_command(args: argparse.Namespace) -> None:
    """Train experiments, unless runs of them are there."""
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if bool(args.names) == args.all:
        raise ConfigError("name experiments, or give --all: `gendiff list` shows the experiments")
    if args.cluster:
        refuse(args, ("budget", "publish", "threads", "again"), "does not go with --cluster: leave one of them out")
    if args.publish:
        if args.preset != "overnight":
            raise ConfigError("--publish goes by the protocol of overnight: give --preset overnight, or leave it out")
        why = "does not go with --publish, whose protocol is of experiments as they are: leave one out"
        refuse(args, ("set",), why)
    in_turn = args.budget is not None or args.publish
    if ranks.count() > 1 and (in_turn or len(args.names) != 1):
        raise ConfigError(
            "torchrun trains one run: name one experiment without --all, --budget and --publish, or leave out torchrun"
        )
    configs = _whole_book(args) if args.all else _named(args)
    if to_cluster(args, configs):
        return
    if in_turn:
        refuse(args, ("again",), "does not go with --budget and --publish: leave one of them out")
        budget = seconds_of(args.budget) if args.budget is not None else math.inf
        for line in work(configs, budget, published if args.publish else nothing):
            print(line, flush=True)
        return
    for config in configs:
        before = found(config, args.again)
        run = before or train(config, again=args.again)
        what = "is there" if before else f"trained in {run.snapshot['seconds']:.1f} s"
        print(f"{run.id}, {config.epochs:.5g} epochs: {what} ({run.folder})", flush=True)


def _whole_book(args: argparse.Namespace) -> list[Config]:
    """What --all asks for, in order of worth; of the preset overnight, the study.

    TooLong before the first, where one is longer than may be waited, unless nights are meant.
    """
    refuse(args, ("seed", "set", "again"), "is for what is named: name experiments instead of --all")
    epochs = Config().told({"epochs": args.epochs}).epochs if args.epochs is not None else None
    if args.preset == "overnight" and not args.dataset and epochs is None:
        configs = study()
    else:
        configs = by_worth(book_configs(args.preset, dataset=args.dataset, epochs=epochs), args.seeds or 1)
    if not (args.yes or args.publish or args.cluster or args.budget is not None):
        for config in configs:
            check_patience(config, None, "add --yes, or say by --budget how long all may take")
    return configs


def _named(args: argparse.Namespace) -> list[Config]:
    """What is named, each once, with the fields that options change; TooLong where one is longer than may be waited."""
    refuse(args, ("seeds",), "goes with --all: leave it out, or name no experiment")
    words = _overrides(args)
    bases = [
        get(name, args.preset, dataset=args.dataset) if name in EXPERIMENTS else run_of(name, args).config
        for name in args.names
    ]
    configs = list(dict.fromkeys(base.told(words) for base in bases))
    if not args.cluster and args.budget is None:
        hours = math.inf if args.yes else None
        for config in configs:
            ranks.lead(partial(check_patience, config, hours, "add --yes, or lower --epochs", again=args.again))
    return configs


@command(
    RUNS,
    *SIZE,
    flag("--all", "every published run"),
    option("--budget", help="a span such as 5m, after which none more is begun"),
)
def replay_command(args: argparse.Namespace) -> None:
    """Train the first updates of runs again: does today's code still make them?"""
    if args.all == bool(args.runs):
        raise ConfigError("name runs, or give --all for the published ones: `gendiff runs` shows the runs")
    runs = {word: run_of(word, args) for word in args.runs}  # refuses a wrong word before anything is trained
    if args.all:
        runs = _by_turns({run.id: run for run in all_runs() if run.published})
    until = time.monotonic() + (math.inf if args.budget is None else seconds_of(args.budget))
    found: dict[str, Replay] = {}
    for word, run in runs.items():
        if found and time.monotonic() > until:
            print(f"left for another commit: {', '.join(word for word in runs if word not in found)}")
            break
        found[word] = told = replay(run)
        print(f"{word}: {told.verdict} ({told.why})", flush=True)
    if differing := [word for word, told in found.items() if told.verdict == "differs"]:
        raise GendiffError(
            f"today's code does not make {', '.join(differing)}: raise the version of what has changed, or undo it"
        )


def _by_turns(runs: dict[str, Run]) -> dict[str, Run]:
    """In another order at each commit, so that what a budget leaves out at one comes early at another."""
    here = str(commit()["commit"])
    return dict(sorted(runs.items(), key=lambda entry: hashlib.sha256(f"{here}{entry[0]}".encode()).digest()))
