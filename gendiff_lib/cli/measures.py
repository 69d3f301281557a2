"""Commands that ask whether extractors and standard errors can be trusted."""

import argparse
from collections.abc import Sequence

from .. import paths
from ..config import Sampling
from ..errors import GendiffError
from ..evaluation.calibration import Calibration, calibrate, publish_calibration
from ..evaluation.uncertainty import estimate
from ..evaluation.validation import kept_validation, validation_path
from ..experiments import get, preset_of, protocol
from ..experiments.experiment import Protocol
from ..runs.publish import publish_validation
from .words import count_of, extractor_of, print_table, protocol_of, run_of


def validate_command(args: argparse.Namespace) -> None:
    """Validate an extractor on real images."""
    dataset = args.dataset or get("dcgan", args.preset).dataset
    judge = extractor_of(args, dataset, args.preset)
    found = kept_validation(judge, dataset, *protocol("dcgan", args.preset).validated)
    rows = [("images", "n", *found.rows[0].scores.labels.values())]
    for row in found.rows:
        values = [str(estimate([row.scores], name)) for name in row.scores.labels]
        rows.append((row.what, f"{row.scores.n_fake}", *values))
    print_table(rows)
    print(f"{judge.name} ({judge.digest}) on {dataset}, {found.made['seconds']:.0f} s on {found.made['device']}")
    if args.publish:
        path = validation_path(paths.runs_dir(), judge, dataset, *protocol("dcgan", args.preset).validated)
        print(f"published {publish_validation(path)}" if path.exists() else "it is published already")


def calibrate_command(args: argparse.Namespace) -> None:
    """Compare the standard errors that are told with the spread of many draws."""
    run = run_of(args.run, args)
    if not run.dataset.is_image:
        raise GendiffError(
            f"{run.id} makes points in the plane, whose scores tell no standard errors: name another run"
        )
    counts = {flag: count_of(f"--{flag}", getattr(args, flag), least=1) for flag in ("n", "pool", "draws")}
    known = protocol_of(run) or Protocol(Sampling())
    n_real, sampling = known.reals(len(run.dataset.samples)), known.sampling.but(n=counts["pool"])
    judge = extractor_of(args, run.config.dataset, preset_of(run.config))
    found = calibrate(run, sampling, judge, n=counts["n"], draws=counts["draws"], n_real=n_real)
    print_table(_calibration_rows(found))
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
