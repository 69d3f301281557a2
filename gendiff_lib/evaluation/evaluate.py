"""Evaluation of a run: its samples against real images in an extractor's space, once, and kept beside the samples."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import ranks
from ..config import Sampling
from ..data import load
from ..data.dataset import Dataset
from ..device import packages
from ..errors import Light
from ..runs import files, layout
from ..runs.run import Run
from ..runs.samples import beside, check_drawable, drawn_once_more, sample, sampling_record
from ..versions import outdated, result_versions
from .features import Extractor, Features, extract
from .metrics import check_enough, kept_reference, score
from .scores import ScoreError, Scores
from .statistics import published_statistics

REFERENCE = "train"  # the split that scores compare with


def outdated_parts(scores: Scores) -> list[str]:
    """What of these scores the present code would make anew: "samples", "scores", both or neither."""
    raised = outdated(scores.made.get("versions", {"sampling": 0, "metrics": 0}))
    return (["samples"] if "sampling" in raised else []) + (["scores"] if {"metrics", "features"} & {*raised} else [])


def read_scores(path: Path) -> Scores | None:
    """Kept scores; None where they are of an earlier form, which is as good as none."""
    with suppress(ScoreError), files.understanding(path):
        return Scores.from_dict(files.read_json(path))
    return None


def evaluate(
    run: Run,
    sampling: Sampling,
    extractor: Extractor,
    n_real: int | None = None,
    reference: str = REFERENCE,
    *,
    again: bool = False,
) -> Scores:
    """Scores of these samples against n_real images of the split `reference`, a balanced choice (None: all); kept.

    `again` makes anew what older sources drew or scored; Light where they are published, or have to be drawn without
    weights. Processes that torchrun started share the drawing and the features; the first of them scores.
    """
    sampling = run.resolve(sampling)
    name = layout.scores(extractor.name, extractor.digest, reference, n_real)
    path, there = ranks.lead(lambda: beside(run, sampling, name))
    kept = read_scores(path) if there else None
    if kept and not (again and outdated_parts(kept)):
        return kept
    if there and run.folder in path.parents and run.published:
        raise Light(
            f"{run.id} is published with scores of older code: `{run.command}` makes it here, "
            "to be scored and published anew"
        )
    check_drawable(run, sampling)
    chosen = load(run.config.dataset, reference).choose(n_real, "n_real", "n_real")  # refused before drawing
    for n in (sampling.n, len(chosen.samples)):
        check_enough(n)
    fake = extract(extractor, sample(run, sampling, again=again))
    if ranks.count() > 1:
        extract(extractor, chosen.samples)  # for the first, which finds them in the cache

    def scored() -> Scores:
        scores = _against(run, chosen, fake, extractor, provenance(run, sampling))
        files.write_json(path, asdict(scores))
        return scores

    return ranks.lead(scored)


def recomputed(
    run: Run, sampling: Sampling, extractor: Extractor, n_real: int | None = None, reference: str = REFERENCE
) -> Scores:
    """What `evaluate` gives of these samples if they are drawn and scored once more; nothing is kept of it.

    Light without weights.
    """
    chosen = load(run.config.dataset, reference).choose(n_real, "n_real", "n_real")
    return _against(run, chosen, extract(extractor, drawn_once_more(run, sampling)), extractor, {"run": run.id})


def _against(run: Run, chosen: Dataset, fake: Features, extractor: Extractor, made: dict[str, Any]) -> Scores:
    """Scores of a run's samples against chosen images, and the statistics of all images where these are published."""
    real = kept_reference(extractor, chosen.samples)
    whole = published_statistics(run.config.dataset, extractor, chosen.split)
    return score(fake, real, extractor, reference=chosen.split, statistics=whole, made=made)


def best_snapshot(run: Run, distance: Callable[[Run], float]) -> Run:
    """The run at the snapshot, up to the epoch that it is seen at, of the least distance to real images.

    On the samples that chose it that is too low, being the least of several: report it on samples of another seed.
    """
    return min(map(run.at, run.epochs_so_far), key=distance)


def provenance(run: Run, sampling: Sampling) -> dict[str, Any]:
    """How these samples came about, as their scores carry it: run, seeds, sampler, seconds, device."""
    sampling, record = run.resolve(sampling), sampling_record(run, sampling)
    return {
        "run": run.id,
        "epochs": run.config.epochs,
        "training_seed": run.config.seed,
        "training_seconds": run.snapshot["seconds"],
        "training_device": run.device,
        "training_operations": run.training_operations,
        "training_command": run.command,
        "training_commit": run.commit,
        "sampling_seed": sampling.seed,
        "sampling_seconds": record["seconds"],
        **{k: v for k, v in sampling.to_dict().items() if k not in ("n", "seed")},
        **{k: record[k] for k in ("device", "threads", "commit")},
        "versions": record["versions"] | result_versions("features", "metrics"),
        "packages": packages(),
    }
