"""Do feature spaces agree? How alike they order published sets of samples by their Fréchet distances."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from gendiff_lib.evaluation.evaluate import REFERENCE
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.runs import files, layout
from gendiff_lib.runs.run import Run, all_runs

FEWEST = 3  # sets of samples: two are ordered alike or not, which is a coin's toss


class Agreement(NamedTuple):
    """Of two extractors over the sets of n samples that both have scored against as many real images.

    `tau` is Kendall's tau-b of the Fréchet distances, nan below FEWEST sets. It has no p: the sets are snapshots of the
    same trainings, so they are not independent. `discordant` names the pairs of sets that the two order differently.
    """

    one: str
    other: str
    n: int
    sets: tuple[str, ...]
    tau: float
    discordant: tuple[tuple[str, str], ...]


def scored_sets(dataset: str) -> dict[str, list[Scores]]:
    """The scores of each published set of samples of models of a data set, against training images, by set."""
    runs = [run for run in all_runs() if run.published and run.config.dataset == dataset]
    found = {f"{run.id} {folder.name}": _scores(run, folder.name) for run in runs for folder in _folders(run)}
    return {name: scores for name, scores in found.items() if scores}


def _folders(run: Run) -> Sequence[Path]:
    return sorted(run.folder.glob(f"{layout.SAMPLE_SETS}/*"))


def _scores(run: Run, folder: str) -> list[Scores]:
    several = map(files.read_json, sorted((run.folder / layout.SAMPLE_SETS / folder).glob(layout.SCORES)))
    return [scores for each in several if (scores := Scores.from_dict(each)).reference == REFERENCE]


def agreements(sets: Mapping[str, Sequence[Scores]]) -> list[Agreement]:
    """Of each two extractors at each n: sets of unlike n, or against unlike numbers of images, do not compare."""
    points: dict[tuple[str, str, int, int, str, str], dict[str, tuple[float, float]]] = defaultdict(dict)
    for name, several in sets.items():
        ordered = sorted(several, key=lambda s: (s.extractor, s.extractor_digest))
        for a, b in combinations(ordered, 2):
            if a.extractor != b.extractor and a.n_real == b.n_real:
                key = a.extractor, b.extractor, a.n_fake, a.n_real, a.extractor_digest, b.extractor_digest
                points[key][name] = a.frechet_distance, b.frechet_distance
    return [agreement(key[0], key[1], key[2], points[key]) for key in sorted(points)]


def agreement(one: str, other: str, n: int, points: Mapping[str, tuple[float, float]]) -> Agreement:
    """Of the distances by two extractors of each set of n samples, by the set's name."""
    tau = _kendall(list(points.values())) if len(points) >= FEWEST else math.nan
    return Agreement(one, other, n, tuple(points), tau, tuple(discordant(points)))


def discordant(points: Mapping[str, tuple[float, float]]) -> list[tuple[str, str]]:
    """The pairs of names whose two values are ordered one way by the first and the other way by the second."""
    return [
        (a, b) for a, b in combinations(points, 2) if (points[a][0] - points[b][0]) * (points[a][1] - points[b][1]) < 0
    ]


def _kendall(points: Sequence[tuple[float, float]]) -> float:
    from scipy import stats  # a second to import

    return float(stats.kendalltau(*zip(*points, strict=True)).statistic)
