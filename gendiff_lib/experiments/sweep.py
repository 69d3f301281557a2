"""Sweeps: every combination of some settings with every training seed, and what came of it as a table."""

import csv
import itertools
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Config, Sampling
from ..errors import ConfigError
from ..evaluation.evaluate import read_scores
from ..runs import files, layout
from ..runs.run import Run, find

RUNS, SETTINGS, ALL, PAGE = "runs.csv", "settings.csv", "sweep.json", "sweep.ipynb"  # the files of a sweep
_TOLD = {"seed", "run", "folder", "epochs", "device"}  # columns that have no mean


@dataclass(frozen=True)
class Point:
    """One run of a sweep: the command-line words of its setting, its training seed, and all of it."""

    words: dict[str, str]
    seed: int
    config: Config

    @property
    def label(self) -> str:
        """The setting in words; empty where there is one alone."""
        return ", ".join(f"{name}={word}" for name, word in self.words.items())


def values_of(text: str) -> list[str]:
    """The values in a list with commas; one that is a list itself stands in brackets."""
    return re.findall(r"(?:\([^)]*\)|\[[^]]*\]|[^,])+|(?<=,)(?=,|$)|^$", text)


def expand(base: Config, settings: Mapping[str, Sequence[str]], seeds: int) -> list[Point]:
    """The runs of a sweep: all combinations of the values, each with the training seeds 0 to `seeds` - 1.

    ConfigError for what is no field or value, and where two of them are one run.
    """
    points = []
    for values in itertools.product(*settings.values()):
        words = dict(zip(settings, values, strict=True))
        made = base.told(words)
        points += [Point(words, seed, made.but(seed=seed)) for seed in range(seeds)]
    seen: dict[tuple[str, float], Point] = {}
    for point in points:
        first = seen.setdefault((point.config.digest, point.config.epochs), point)
        if first is not point:
            raise ConfigError(f"{first.label} and {point.label} are one run: leave one out")
    return points


def rows(points: Sequence[Point], sampling: Sampling | None) -> list[dict[str, Any]]:
    """A row for each run that is there: setting, seed, last losses, what it cost, and scores of such samples."""
    there = [(point, run) for point in points if (run := find(point.config))]
    found = [{**_start(point, run), **_scores(run, sampling), **_cost(run)} for point, run in there]
    names = dict.fromkeys(name for row in found for name in row)
    return [{name: row.get(name) for name in names} for row in found]  # what one lacks is empty


def _start(point: Point, run: Run) -> dict[str, Any]:
    last = {name: column[-1] for name, column in run.history.items() if name.startswith("loss")}
    return {**point.words, "seed": point.seed, "run": run.id, "epochs": run.config.epochs, **last}


def _cost(run: Run) -> dict[str, Any]:
    told = {"operations": run.training_operations, "seconds": run.snapshot["seconds"]}
    return told | {"device": run.record["device"], "folder": str(run.folder)}


def _scores(run: Run, sampling: Sampling | None) -> dict[str, float]:
    """The scores that are kept of these samples, by every extractor."""
    if sampling is None or not run.dataset.is_image:
        return {}
    place, _ = run.place(layout.samples(run.images, run.resolve(sampling).digest))
    kept = [scores for path in sorted(place.glob(layout.SCORES)) if (scores := read_scores(path))]
    return {f"{name} ({s.extractor})": value for s in kept for name, value in s.values.items()}


def means(found: Sequence[dict[str, Any]], fields: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each setting: mean and standard deviation over its training seeds, the latter from two seeds on."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in found:
        groups.setdefault(tuple(row[name] for name in fields), []).append(row)
    made = []
    for setting, several in groups.items():
        row = {**dict(zip(fields, setting, strict=True)), "seeds": len(several)}
        for name in (n for n in several[0] if n not in {*fields, *_TOLD}):
            values = [float(each[name]) for each in several if each[name] is not None]
            row[name] = statistics.fmean(values) if values else None
            row[f"{name} sd"] = statistics.stdev(values) if len(values) > 1 else None
        made.append(row)
    return made


def write(folder: Path, command: str, points: Sequence[Point], sampling: Sampling | None) -> list[dict[str, Any]]:
    """Write the tables of a sweep into `folder`, and return what is true of each setting."""
    fields, found = list(points[0].words), rows(points, sampling)
    averaged = means(found, fields)
    for name, table in ((RUNS, found), (SETTINGS, averaged)):
        with files.writing(folder / name) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]) if table else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
    missing = [f"{p.config.name}-{p.config.digest}" for p in points if not find(p.config)]
    told = {"command": command, "fields": fields, "runs": found, "settings": averaged, "missing": missing}
    with files.writing(folder / ALL) as draft:  # columns in their order
        draft.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return averaged
