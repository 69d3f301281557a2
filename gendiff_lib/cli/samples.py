"""Commands that draw samples and score them."""

import argparse
import dataclasses
import json
import os
from pathlib import Path

from .. import data
from ..config import Sampling
from ..data import images
from ..errors import ConfigError, GendiffError
from ..evaluation.bits import bits_of
from ..evaluation.evaluate import evaluate
from ..evaluation.points import evaluate_points
from ..evaluation.uncertainty import estimate
from ..experiments import EXPERIMENTS, preset_of
from ..experiments.book import book_configs, to_score
from ..experiments.extractors import offline_kind
from ..runs import files
from ..runs.run import Light, Run, find
from ..runs.samples import sample
from .words import count_of, extractor_of, protocol_of, run_of, sampling_of

SPLITS = ("train", "test")


MOST_ON_A_SHEET = 10_000


def sample_command(args: argparse.Namespace) -> None:
    """Draw samples and write them as a contact sheet."""
    run = run_of(args.run, args)
    out = Path(args.out)
    _check_out(out)
    if not run.dataset.is_image:
        raise GendiffError(f"{run.id} makes points in the plane: open notebooks/07_live.ipynb to see them")
    sampling = run.resolve(sampling_of(run, args) if args.n is not None else sampling_of(run, args).but(n=64))
    if sampling.n > MOST_ON_A_SHEET:
        raise ConfigError(f"--n {sampling.n} is more than a contact sheet holds: give at most {MOST_ON_A_SHEET}")
    files.check_writable(out.absolute().parent, "name another file by --out")  # before anything is drawn
    samples = sample(run, sampling)
    with files.writing(out.absolute(), "name another file by --out") as draft:
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


def score_command(args: argparse.Namespace) -> None:
    """Score one run, or every run of the book."""
    if (args.run is not None) == args.all:
        raise ConfigError("name one run, or give --all: `gendiff runs` shows the runs")
    if not args.all:
        run = run_of(args.run, args)
        _score_one(run, sampling_of(run, args), args)
        return
    for name in (*Sampling.fields(), "epoch", "n_real"):
        if getattr(args, name) is not None:
            flag = name.replace("_", "-")
            raise ConfigError(f"--{flag} changes one run's protocol: name that run instead of --all, or leave it out")
    drawn = [c for c in book_configs(args.preset, dataset=args.dataset) if EXPERIMENTS[c.name].protocols]
    wanted = [(run, sampling_of(run, args)) for run in filter(None, map(find, drawn)) if run.dataset.is_image]
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
        print(json.dumps(dataclasses.asdict(evaluate_points(run, sampling)), indent=2))
        return
    real = data.load(run.config.dataset, args.reference)
    default = known.reals(len(real.samples)) if (known := protocol_of(run)) else None
    n_real = count_of("--n-real", args.n_real) if args.n_real is not None else default
    if n_real is not None and n_real > len(real.samples):
        raise ConfigError(f"--n-real {n_real} is more than the {len(real.samples):,} {args.reference} images: lower it")
    n_real = None if n_real == len(real.samples) and not default else n_real  # all, as the protocol calls them
    judge = extractor_of(args, run.config.dataset, preset)
    scores = evaluate(run, sampling, judge, n_real, args.reference, again=args.again)
    for name, label in scores.labels.items():
        print(f"{label:>10} {estimate([scores], name)}")
    print(f"{run.id}, epoch {run.config.epochs:.5g}: {scores.protocol}", flush=True)


def bits_command(args: argparse.Namespace) -> None:
    """Tell the bits per dimension of real images."""
    run = run_of(args.run, args)
    if args.split not in SPLITS:
        raise ConfigError(f"--split must be one of {', '.join(SPLITS)}, not {args.split!r}")
    found = bits_of(run, count_of("--n", args.n), args.split, args.weights)
    print(f"{found.total:.4f} ± {found.error:.4f} bits per dimension")
    print(f"  steps {sum(found.steps):.4f}, decoder {found.decoder:.4f}, prior {found.prior:.2e}")
    print(
        f"{run.id}, epoch {run.config.epochs:.5g}: {found.n:,} {found.split} images, T = {len(found.steps) + 1}, "
        f"{found.weights} weights, {found.seconds:.1f} s on {found.device}"
    )
