"""The command that sweeps over settings and seeds."""

import argparse
import importlib.util
import math
import shlex
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ..config import Sampling
from ..data import count
from ..errors import ConfigError, GendiffError
from ..evaluation.evaluate import evaluate
from ..experiments import experiment, get
from ..experiments.budget import check_patience_of
from ..experiments.experiment import Protocol
from ..experiments.sweep import ALL, PAGE, Point, expand, values_of, write
from ..progress import TrainingError
from ..runs import files
from ..runs.run import find
from ..runs.train import train
from .parser import CLUSTER, EXTRACTOR, SIZE, command, flag, option, whole
from .words import extractor_of, print_table, settings_of, to_cluster

REMEDY = "name another folder by --out"


@command(
    option("name", help="experiment (see `gendiff list`)"),
    *SIZE,
    option(
        "--set", action="append", default=[], metavar="FIELD=A,B", help="values of a field; a list stands in brackets"
    ),
    option("--seeds", type=whole(1, 100), default=1, help="training seeds, from 0 on (default: 1, which is seed 0)"),
    option("--epochs", help="how long; no part of a run's identity"),
    EXTRACTOR,
    option("--out", help="folder of the tables and the page (default: sweep-NAME)"),
    flag("--yes", "though all of it takes longer than 20 minutes here"),
    *CLUSTER,
)
def sweep_command(args: argparse.Namespace) -> None:
    """Train every combination of settings and seeds, and write tables and a page of them."""
    if importlib.util.find_spec("papermill") is None:
        raise GendiffError("the page of a sweep needs papermill: pip install 'gendiff[book]'")
    folder = Path(args.out or f"sweep-{args.name}").absolute()
    points = _points(args)
    known = experiment(args.name).protocols.get(args.preset)
    files.check_writable(folder, REMEDY)  # before anything is trained
    seeds = ", ".join(map(str, range(args.seeds)))
    missing = sum(find(point.config) is None for point in points)
    print(f"{len(points)} runs, of training seeds {seeds}: {missing} to train", flush=True)
    configs = [point.config for point in points]
    if not args.cluster:
        check_patience_of(
            configs, "the sweep takes", math.inf if args.yes else None, "add --yes, or lower --epochs or --seeds"
        )
    failed = [] if to_cluster(args, configs) else _train(points)
    if args.extractor is not None and known:
        _score(points, known, args)
    _write(folder, args, points, known.sampling if known else None)
    if failed:
        raise GendiffError(f"{len(failed)} of {len(points)} trainings failed: {'; '.join(failed)}")


def _points(args: argparse.Namespace) -> list[Point]:
    """The runs of the sweep; ConfigError for what cannot be swept over."""
    given = {"epochs": args.epochs} if args.epochs is not None else {}
    settings = settings_of(args.set, given)
    if "seed" in settings:
        raise ConfigError("--set seed is what --seeds is for: give --seeds N for the seeds from 0 to N - 1")
    base = get(args.name, args.preset, dataset=args.dataset).told(given)
    return expand(base, {name: values_of(text) for name, text in settings.items() if name not in given}, args.seeds)


def _train(points: Sequence[Point]) -> list[str]:
    """Train what is missing; returns why those failed that did: one that diverges costs no other its place."""
    failed = []
    for point in points:
        there = find(point.config)
        try:
            run = there or train(point.config)
        except TrainingError as error:
            failed.append(str(error))
            continue
        what = "is there" if there else f"trained in {run.snapshot['seconds']:.1f} s"
        print(f"{run.id} ({point.label or 'as it is'}, seed {point.seed}): {what}", flush=True)
    return failed


def _score(points: Sequence[Point], known: Protocol, args: argparse.Namespace) -> None:
    """Score each run that is there by the experiment's protocol; scores that are kept are not made again."""
    for run in filter(None, (find(point.config) for point in points)):
        if run.dataset.is_image:
            judge = extractor_of(args, run.config.dataset, args.preset)
            evaluate(run, known.sampling, judge, known.reals(count(run.config.dataset)))


def _write(folder: Path, args: argparse.Namespace, points: Sequence[Point], sampling: Sampling | None) -> None:
    """Write tables and page of the runs that are there, and print what is true of each setting."""
    words = ["gendiff", "sweep", args.name, "--preset", args.preset, *(w for text in args.set for w in ("--set", text))]
    words += ["--seeds", str(args.seeds)]
    for name in ("dataset", "epochs", "extractor"):
        words += [f"--{name}", getattr(args, name)] if getattr(args, name) else []
    averaged = write(folder, shlex.join(words), points, sampling)
    missing = [point for point in points if not find(point.config)]
    if averaged:
        shown = [name for name in averaged[0] if name not in ("operations", "operations sd", "seconds sd")]
        rows = [[_cell(row[name]) for name in shown] for row in averaged]
        print_table([shown, *rows])
        _page(folder)
        print(f"{folder}: tables and a page of {len(points) - len(missing)} runs", flush=True)
    if missing:
        print(f"{len(missing)} runs are not there yet: give the same command again when they are", flush=True)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _page(folder: Path) -> None:
    """Execute the report's page of a sweep over the tables in `folder`, into it."""
    import papermill

    source, parameters = resources.files("gendiff_report") / PAGE, {"file": str(folder / ALL)}
    with tempfile.TemporaryDirectory() as place, resources.as_file(source) as notebook:
        made = Path(place) / PAGE
        how = {"kernel_name": "python3", "progress_bar": False, "log_output": False}
        papermill.execute_notebook(str(notebook), str(made), parameters, **how)
        files.copy(made, folder / PAGE)
