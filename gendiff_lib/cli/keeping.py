"""Commands about what is on disk."""

import argparse
from collections.abc import Sequence

from .. import paths
from ..errors import ConfigError
from ..evaluation.weights import INCEPTION_FEATURES, fetch
from ..experiments.book import book_configs
from ..experiments.reals import publish_real
from ..runs import layout
from ..runs.prune import KINDS, found, prune, size
from ..runs.publish import publish
from ..runs.run import all_runs, find
from .words import print_table, run_of


def fetch_command(args: argparse.Namespace) -> None:
    """Fetch a network's weights."""
    print(f"{args.network} is in {fetch(INCEPTION_FEATURES)}")


def publish_command(args: argparse.Namespace) -> None:
    """Publish runs, or what pages show of real images."""
    if args.real == bool(args.runs):
        raise ConfigError("name runs, or give --real for the sheets of real images: `gendiff runs` shows the runs")
    if args.real:
        path = publish_real(args.dataset or "cifar10")
        print(f"published {path}")
        return
    for run in [run_of(word, args) for word in args.runs]:  # refuses a wrong word before anything is published
        folder = publish(run, weights=args.weights)
        print(f"published {folder} ({size(folder) / 2**20:.2f} MiB)")


def runs_command(args: argparse.Namespace) -> None:
    """Show the runs that there are, and those that the book lacks."""
    rows = [("run", "epochs", "state", "seconds", "MiB", "device")]
    for run in all_runs():
        state = ("published" if run.published else "local") + (", stale" if run.stale else "")
        epochs = ",".join(f"{e:.4g}" for e in run.epochs)
        rows.append(
            (
                run.id,
                epochs,
                state,
                f"{run.record['seconds']:.0f}",
                f"{size(run.folder) / 2**20:.1f}",
                run.record["device"],
            )
        )
    for config in book_configs(args.preset, dataset=args.dataset):
        if find(config) is None:
            begun = (paths.runs_dir() / layout.training(config.digest)).exists()
            epochs = f"{config.epochs:.4g}"
            rows.append((f"{config.name}-{config.digest}", epochs, "begun" if begun else "missing", "", "", ""))
    print_table(rows)


def prune_command(args: argparse.Namespace) -> None:
    """Show what can be made again, or remove it."""
    kinds = list(dict.fromkeys(args.kinds)) or list(KINDS)
    there = {kind: found(kind) for kind in kinds}  # refuses a wrong word before anything is removed
    if not args.kinds:
        rows: list[Sequence[str]] = [("kind", "MiB", "without it")]
        for kind, paths in there.items():
            rows.append((kind, f"{sum(map(size, paths)) / 2**20:.1f}", KINDS[kind].cost))
        print_table(rows)
        return
    for kind in kinds:
        for path, freed in prune(kind):
            print(f"removed {path} ({freed / 2**20:.1f} MiB)", flush=True)
