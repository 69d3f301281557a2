"""Commands that train."""

import argparse
import hashlib
import math
import time

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
from ..runs.run import Run, all_runs, find
from ..runs.train import train
from .parser import CLUSTER, RUNS, SIZE, command, flag, option, whole
from .words import refuse, run_of, settings_of, to_cluster


def _overrides(args: argparse.Namespace) -> dict[str, str]:
    """--epochs, --seed and every --set, as words by the fields they name."""
    words = {name: getattr(args, name) for name in ("epochs", "seed") if getattr(args, name) is not None}
    words |= {"dataset": args.dataset} if args.dataset else {}
    return settings_of(args.set, words)


@command(
    option("name", nargs="?", help="experiment (see `gendiff list`), or a run to train its like"),
    flag("--all", "everything that the book needs and that is missing"),
    *SIZE,
    option("--budget", help="with --all: a span such as 25m; what cannot end in it stops at a checkpoint"),
    option("--seeds", type=whole(1, 100), help="with --all: training seeds, one of everything before a second"),
    option("--epochs", help="how long; no part of a run's identity"),
    option("--seed", help="seed of weights, data order and noise"),
    flag("--publish", "with --all: score and publish each run, with a commit"),
    option("--threads", type=whole(1, MOST_THREADS), help="threads to compute on (default: as many as torch takes)"),
    flag("--yes", "though it takes longer than 20 minutes here"),
    flag("--again", "train it here though a published run is there"),
    option("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field by name"),
    *CLUSTER,
)
def train_command(args: argparse.Namespace) -> None:
    """Train an experiment, unless a run of it is there."""
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if (args.name is not None) == args.all:
        raise ConfigError("name one experiment, or give --all: `gendiff list` shows the experiments")
    if args.cluster:
        refuse(args, ("budget", "publish", "threads", "again"), "does not go with --cluster: leave one of them out")
    if args.all:
        if ranks.count() > 1:
            raise ConfigError("--all trains run after run in one process: name one experiment, or leave out torchrun")
        refuse(args, ("seed", "set", "again"), "is for one experiment: name it instead of --all")
        epochs = Config().told({"epochs": args.epochs}).epochs if args.epochs is not None else None
        if args.publish and args.preset != "overnight":
            raise ConfigError("--publish goes by the protocol of overnight: give --preset overnight, or leave it out")
        configs = by_worth(book_configs(args.preset, dataset=args.dataset, epochs=epochs), args.seeds or 1)
        if args.preset == "overnight" and not args.dataset and epochs is None:
            configs = study()
        if args.budget is not None or args.publish:
            budget = seconds_of(args.budget) if args.budget is not None else math.inf
            for line in work(configs, budget, published if args.publish else nothing):
                print(line, flush=True)
            return
    else:
        refuse(args, ("budget", "seeds", "publish"), "goes with --all: leave it out, or name no experiment")
        known = args.name in EXPERIMENTS
        base = get(args.name, args.preset, dataset=args.dataset) if known else run_of(args.name, args).config
        configs = [base.told(_overrides(args))]
        if not args.cluster:
            hours = math.inf if args.yes or args.again else None
            ranks.lead(lambda: check_patience(configs[0], hours, "add --yes, or lower --epochs"))
    if to_cluster(args, configs):
        return
    for config in configs:
        there = find(config)
        before = None if args.again and there and there.published else there
        run = before or train(config, again=args.again)
        what = "is there" if before else f"trained in {run.snapshot['seconds']:.1f} s"
        print(f"{run.id}, {config.epochs:.5g} epochs: {what} ({run.folder})", flush=True)


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
