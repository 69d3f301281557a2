"""Point clouds in the plane, where the truth is known."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gendiff_lib.evaluation.points import evaluate_points
from gendiff_lib.parsing import as_text
from gendiff_lib.runs.run import Run

from ..asking import Asking
from ..exhibit import Exhibit
from ..number import merged, numbered, plain, spanned
from ..provenance import training_protocol
from .table import filed

POINT_COLUMNS = {"modes": "modes covered", "high_quality": "high quality", "distance": "sliced Wasserstein"}


def points(asked: Asking, runs: Mapping[str, Sequence[Run]]) -> Exhibit[None]:
    """A row a method in the plane: the mean over seeds, with the least and the greatest, of its point scores."""
    rows = [_row(asked, label, several) for label, several in runs.items()]
    return Exhibit(filed(rows, "Mean over seeds (least to greatest)."), None)


def _row(asked: Asking, label: str, several: Sequence[Run]) -> dict[str, Any]:
    scores = [asdict(evaluate_points(run, asked.sampling(run))) for run in several]
    how = _protocol(asked, several)
    row: dict[str, Any] = {"": label}
    for key, name in POINT_COLUMNS.items():
        values = [s[key] for s in scores if s[key] is not None]
        row[name] = spanned(values, how) if values else "no modes"
    row |= {"n": scores[0]["n"], "seeds": len(several)}
    return row | {"training s": spanned([r.snapshot["seconds"] for r in several], how, ".1f")}


def _protocol(asked: Asking, several: Sequence[Run]) -> dict[str, str]:
    runs = merged([training_protocol(run) for run in several])
    sampling = asked.sampling(several[0])
    shown = {k: v for k, v in several[0].resolve(sampling).to_dict().items() if v is not None}
    given = {k: v for k, v in sampling.to_dict().items() if v is not None}
    options = " ".join(f"--{k.replace('_', '-')} {as_text(v)}" for k, v in given.items())
    commands = [f"gendiff score {run.id} --epoch {as_text(run.config.epochs)} {options}" for run in several]
    samples = {"samples": ", ".join(f"{k} {plain(v)}" for k, v in shown.items())}
    return runs | samples | numbered("score", commands)
