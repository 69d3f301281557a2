"""Commands that draw samples, score them, and ask whether the scores can be trusted."""

import argparse
import dataclasses
import json
import os
from pathlib import Path

from .. import data, paths, ranks
from ..config import Sampling
from ..data import images
from ..data.cifar10 import SPLITS
from ..errors import ConfigError, GendiffError, Light
from ..evaluation.bits import bits_of
from ..evaluation.calibration import calibrate, publish_calibration
from ..evaluation.evaluate import evaluate, recomputed
from ..evaluation.points import evaluate_points
from ..evaluation.scores import Scores
from ..evaluation.uncertainty import differ, estimate
from ..evaluation.validation import kept_validation, validation_path
from ..experiments import EXPERIMENTS, get, preset_of, protocol
from ..experiments.book import book_configs
from ..experiments.claimed import to_score
from ..experiments.extractors import offline_kind
from ..runs import files
from ..runs.publish import publish_validation
from ..runs.run import Run, find
from ..runs.samples import sample
from .parser import EPOCH, EXTRACTOR, PUBLISH, SAMPLING, SIZE, SNAPSHOT, command, flag, option, whole
from .words import extractor_of, print_table, protocol_of, refuse, run_of, sampling_of

MOST_ON_A_SHEET = 10_000


@command(*SNAPSHOT, *SAMPLING, option("--out", default="samples.png", help="PNG to write (default: samples.png)"))
def sample_command(args: argparse.Namespace) -> None:
    """Draw samples of a run and write them as a contact sheet."""
    run = run_of(args.run, args)
    out = Path(args.out)
    if os.path.lexists(out) and not (out.is_file() and images.is_ours(out)):
        raise ConfigError(f"--out {out} is no picture that gendiff made, so it stays: name another file")
    if not run.dataset.is_image:
        raise GendiffError(f"{run.id} makes points in the plane: open notebooks/07_live.ipynb to see them")
    sampling = run.resolve(sampling_of(run, args) if args.n is not None else sampling_of(run, args).but(n=64))
    if sampling.n > MOST_ON_A_SHEET:
        raise ConfigError(f"--n {sampling.n} is more than a contact sheet holds: give at most {MOST_ON_A_SHEET}")
    remedy = "name another file by --out"
    ranks.lead(lambda: files.check_writable(out.absolute().parent, remedy))  # before anything is drawn
    samples = sample(run, sampling)

    def write() -> None:
        with files.writing(out.absolute(), remedy) as draft:
            images.save_png(images.sheet(samples, columns=max(1, round(len(samples) ** 0.5))), draft)

    ranks.lead(write)
    print(f"{len(samples)} samples of {run.id} at epoch {run.config.epochs:.5g}: {out}")


@command(
    option("run", nargs="?", help="experiment or run folder"),
    flag("--all", "every run of the book, by its own protocol"),
    *SIZE,
    EPOCH,
    *SAMPLING,
    EXTRACTOR,
    option("--n-real", type=whole(1), help="real images to compare with (default: the preset's)"),
    flag("--again", "anew where kept samples or scores are of older sources"),
    flag("--check", "draw and score once more, keep nothing of it, and hold what is kept against it"),
    option("--reference", choices=SPLITS, help="split that they are of (default: train)"),
)
def score_command(args: argparse.Namespace) -> None:
    """Score samples of a run against real images."""
    if (args.run is not None) == args.all:
        raise ConfigError("name one run, or give --all: `gendiff runs` shows the runs")
    if not args.all:
        run = run_of(args.run, args)
        _score_one(run, sampling_of(run, args), args)
        return
    refuse(args, (*Sampling.fields(), "epoch", "n_real"), "changes one run's protocol: name that run instead of --all")
    drawn = [c for c in book_configs(args.preset, dataset=args.dataset) if EXPERIMENTS[c.name].protocols]
    wanted = [(run, sampling_of(run, args)) for run in filter(None, map(find, drawn)) if run.dataset.is_image]
    claimed = to_score(args.extractor or offline_kind("cifar10")) if args.preset == "paper" else []
    for run, sampling in wanted + claimed:
        try:
            _score_one(run, sampling, args)
        except Light as error:
            print(f"left out: {error}", flush=True)


def _score_one(run: Run, sampling: Sampling, args: argparse.Namespace) -> None:
    if not run.dataset.is_image:
        points = f"does not apply to {run.id}, which makes points in the plane: leave it out"
        refuse(args, ("reference", "extractor", "n_real", "again", "check"), points)
        print(json.dumps(dataclasses.asdict(evaluate_points(run, sampling)), indent=2))
        return
    split = args.reference or "train"
    there = data.count(run.config.dataset, split)
    default = protocol_of(run).reals(there)
    n_real = default if args.n_real is None else args.n_real
    if n_real is not None and n_real > there:
        raise ConfigError(f"--n-real {n_real} is more than the {there:,} {split} images: lower it")
    n_real = None if n_real == there and not default else n_real  # all, as the protocol calls them
    judge = extractor_of(args, run.config.dataset, preset_of(run.config))
    scores = evaluate(run, sampling, judge, n_real, split, again=args.again)
    for name, label in scores.labels.items():
        print(f"{label:>10} {estimate([scores], name)}")
    print(f"{run.id}, epoch {run.config.epochs:.5g}: {scores.protocol}", flush=True)
    if args.check:
        _hold(scores, recomputed(run, sampling, judge, n_real, split), run)


def _hold(kept: Scores, anew: Scores, run: Run) -> None:
    """Prints how far scores are from what is made once more; GendiffError where they are further than noise allows."""
    beyond = []
    for name, label in kept.labels.items():
        a, b = estimate([kept], name), estimate([anew], name)
        far = abs(a.mean - b.mean)
        apart = f"{far / a.error:.2g} standard errors apart" if a.error > 0 else f"{far:.2g} apart"
        print(f"once more, {label:>10} {b}: {apart if far else 'equal'}", flush=True)
        beyond += [label] if differ(a, b) else []
    if beyond:
        raise GendiffError(f"{', '.join(beyond)} of {run.id} cannot be made again: see what has changed since")


@command(
    *SNAPSHOT,
    option("--n", type=whole(1), default=1000, help="images (default: 1000)"),
    option("--split", choices=SPLITS, default="test", help="split that they are of (default: test)"),
    option("--weights", choices=("raw", "ema"), help="raw or averaged weights (default: averaged if kept)"),
)
def bits_command(args: argparse.Namespace) -> None:
    """Bits per dimension of real images, by a diffusion model's variational bound."""
    run = run_of(args.run, args)
    found = bits_of(run, args.n, args.split, args.weights)
    print(f"{found.total:.4f} ± {found.error:.4f} bits per dimension")
    print(f"  steps {sum(found.steps):.4f}, decoder {found.decoder:.4f}, prior {found.prior:.2e}")
    print(
        f"{run.id}, epoch {run.config.epochs:.5g}: {found.n:,} {found.split} images, T = {len(found.steps) + 1}, "
        f"{found.weights} weights, {found.seconds:.1f} s on {found.device}"
    )


@command(*SIZE, EXTRACTOR, PUBLISH)
def validate_command(args: argparse.Namespace) -> None:
    """Score damaged and thinned real images: is the extractor a measure?"""
    dataset, sizes = args.dataset or get("dcgan", args.preset).dataset, protocol("dcgan", args.preset).validated
    judge = extractor_of(args, dataset, args.preset)
    found = kept_validation(judge, dataset, *sizes)
    rows = [("images", "n", *found.rows[0].scores.labels.values())]
    for row in found.rows:
        values = [str(estimate([row.scores], name)) for name in row.scores.labels]
        rows.append((row.what, f"{row.scores.n_fake}", *values))
    print_table(rows)
    print(f"{judge.name} ({judge.digest}) on {dataset}, {found.made['seconds']:.0f} s on {found.made['device']}")
    if args.publish:
        path = validation_path(paths.runs_dir(), judge, dataset, *sizes)
        print(f"published {publish_validation(path)}" if path.exists() else "it is published already")


@command(
    *SNAPSHOT,
    EXTRACTOR,
    option("--n", type=whole(1), default=2000, help="samples in each draw (default: 2000)"),
    option("--pool", type=whole(1), default=20000, help="samples that they are drawn from (default: 20000)"),
    option("--draws", type=whole(1), default=50, help="how many draws (default: 50)"),
    PUBLISH,
)
def calibrate_command(args: argparse.Namespace) -> None:
    """Score many draws of a run's samples: are the standard errors as large as their spread?"""
    run = run_of(args.run, args)
    if not run.dataset.is_image:
        raise GendiffError(
            f"{run.id} makes points in the plane, whose scores tell no standard errors: name another run"
        )
    known = protocol_of(run)
    n_real, sampling = known.reals(len(run.dataset.samples)), known.sampling.but(n=args.pool)
    judge = extractor_of(args, run.config.dataset, preset_of(run.config))
    found = calibrate(run, sampling, judge, n=args.n, draws=args.draws, n_real=n_real)
    called, rows = found.draws[0].labels, [("score", "error told", "spread", "told / spread")]
    for value, ratio in found.ratios().items():
        rows.append((called[value], f"{found.told(value):.4g}", f"{found.spread(value):.4g}", f"{ratio:.2f}"))
    print_table(rows)
    print(
        f"{run.id}, epoch {run.config.epochs:.5g}: {len(found.draws)} draws of {found.n:,} of {found.pool:,} samples "
        f"by {judge.name} ({judge.digest}), {found.made['seconds']:.0f} s on {found.made['device']}"
    )
    if args.publish:
        print(f"published {publish_calibration(found, run.config.dataset)}")
