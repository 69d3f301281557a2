"""Every model's snapshots against what it took to train them, to draw by them, and the images they had seen."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gendiff_lib.config import Sampling
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.experiments.book import COMPARED, OTHERS
from gendiff_lib.experiments.cost import PETA
from gendiff_lib.experiments.experiment import TRIAL
from gendiff_lib.experiments.queue import FIRST, LATER, TRIALS
from gendiff_lib.experiments.scaling import SCALED
from gendiff_lib.runs.run import Run

from . import results
from .asking import Asking
from .equal import tried
from .exhibit import Exhibit
from .number import Number, score_number, trainings, value
from .reading import LACKING
from .tables.rows import spent, told_apart
from .tables.table import filed

GIGA = 10**9
SIDES = {"gan": "GAN", "diffusion": "diffusion"}
# Every model that the study trains by itself, which an autoencoder is not.
LARGE = tuple(large for _, large in SCALED.values())  # at 64 pixels
MODELLED = tuple(n for n in dict.fromkeys((*COMPARED, *OTHERS, *FIRST, *LATER, *LARGE)) if n != "autoencoder")
COLUMNS = ("frechet_distance", "precision", "recall", "coverage")


@dataclass(frozen=True)
class Point:
    """A snapshot of a model, and its scores, of each training seed one."""

    name: str
    run: Run
    sampling: Sampling
    scores: Sequence[Scores]

    @property
    def side(self) -> str:
        """GAN or diffusion."""
        return SIDES[self.run.config.kind]

    @property
    def petaflop(self) -> float:
        """Operations of the training, in 10^15."""
        return self.run.training_operations / PETA

    @property
    def fd(self) -> tuple[float, float, float]:
        """The mean Fréchet distance over training seeds, and the least and the greatest."""
        values = [scores.frechet_distance for scores in self.scores]
        return estimate(self.scores, "frechet_distance").mean, min(values), max(values)


Curves = Mapping[str, Sequence[Point]]
Lines = dict[str, tuple[str, list[float], list[tuple[float, float, float]]]]


def lines(several: Curves, x: Callable[[Point], float] = lambda point: point.petaflop) -> Lines:
    """What `figures.against` draws of each model's distances over `x`."""
    return {name: (c[0].side, [x(p) for p in c], [p.fd for p in c]) for name, c in several.items()}


def modelled(asked: Asking) -> tuple[str, ...]:
    """The experiments that stand beside each other in this preset."""
    return MODELLED if asked.preset == "overnight" else asked.compared


def curves(asked: Asking, runs: Mapping[str, Run]) -> dict[str, list[Point]]:
    """The snapshots of each run that are scored by the offline extractor, all at one n, in the order of training."""
    found: dict[str, list[Point]] = {}
    for name, run in runs.items():
        for each in map(run.at, run.epochs_so_far):
            how = asked.of_snapshots(each)
            try:
                found.setdefault(name, []).append(Point(name, each, how, results.of_each_training(asked, each, how)))
            except LACKING:
                asked.left_out[f"{name} at epoch {each.config.epochs:.4g}"] = "not scored yet, so left out of this page"
    return found


def ends(asked: Asking, runs: Mapping[str, Run], extractor: str) -> dict[str, list[Point]]:
    """The last snapshot of each run that is scored by an extractor, by its experiment's own protocol."""
    kept = {name: results.kept(asked, run, extractor) for name, run in runs.items()}
    return {n: [Point(n, runs[n], asked.sampling(runs[n]), scores)] for n, scores in kept.items() if scores}


def table(several: Curves) -> Exhibit[Curves]:
    """A row a snapshot: what it cost, and how good it is."""
    rows = [_row(point) for points in several.values() for point in points]
    one = next(point for points in several.values() for point in points).scores[0]
    caption = f"Every snapshot, by the protocol {one.protocol}. NFE: evaluations of the network for a sample."
    return Exhibit(filed(rows, caption, once=("n", "training seeds")), several)


def _row(point: Point) -> dict[str, object]:
    run, how = point.run, trainings(point.scores)
    drawn = run.drawing_operations(point.sampling) / GIGA
    called = point.scores[0].labels
    return {
        "model": point.name,
        "side": point.side,
        "epochs": f"{run.config.epochs:.4g}",
        "petaFLOP": spent(point.scores),
        "images seen": f"{run.images:,}",
        "GFLOP a sample": Number(f"{drawn:.3g}", drawn, {"what": "operations of drawing a sample"} | how),
        "NFE": run.evaluations(point.sampling),
        **{called[name]: score_number(point.scores, name) for name in COLUMNS},
        "n": f"{point.scores[0].n_fake:,}",
        "training seeds": len(point.scores),
    }


def crossings(several: Curves) -> list[tuple[float, str]]:
    """Who leads, and from which petaFLOP on: the first entry tells the start, each other one a crossing.

    A side's standing is the best that any of its models has reached by so many operations, between snapshots on the
    straight line over the logarithm of operations that is drawn. It begins where both sides have a snapshot; those of
    equal operations, which differ by a part of a batch, are all there.
    """
    sides = {side: [c for c in several.values() if c[0].side == side] for side in SIDES.values()}
    if not all(sides.values()):
        return []
    low = max(min(c[0].petaflop for c in side) for side in sides.values())
    low = max(x for c in several.values() if (x := c[0].petaflop) < 1.01 * low)
    places = sorted({low, *(p.petaflop for c in several.values() for p in c if p.petaflop > low)})
    fine = [low, *(x for a, b in itertools.pairwise(places) for x in _between(a, b))]
    leaders = [(x, min(sides, key=lambda side: min(_best(curve, x) for curve in sides[side]))) for x in fine]
    return [leaders[0], *(b for a, b in itertools.pairwise(leaders) if a[1] != b[1])]


def _between(a: float, b: float, n: int = 50) -> list[float]:
    return [a * (b / a) ** (i / n) for i in range(1, n + 1)]


def _best(curve: Sequence[Point], petaflop: float) -> float:
    """The least distance that a model has reached by so many operations; infinite before its first snapshot."""
    reached = [p.fd[0] for p in curve if p.petaflop <= petaflop]
    for a, b in itertools.pairwise(curve):
        if a.petaflop < petaflop < b.petaflop:
            share = math.log(petaflop / a.petaflop) / math.log(b.petaflop / a.petaflop)
            reached.append(a.fd[0] + share * (b.fd[0] - a.fd[0]))
    return min(reached, default=math.inf)


def led(several: Curves) -> str:
    """A sentence: which side has the least distance, from which operations on."""
    found = crossings(several)
    if not found:
        return "One side alone is here, so nobody leads."
    (first, side), *rest = found
    last = max(p.petaflop for curve in several.values() for p in curve)
    told = f"Noise not counted, the best {side} model is ahead from {first:.2g} petaFLOP on, where snapshots begin"
    told += "".join(f", the best {leader} one from {x:.2g} on" for x, leader in rest)
    ended = [
        f"{name}, the best {curve[0].side} model, was trained for no more than {curve[-1].petaflop:.3g}"
        for name, curve in _leaders(several, last)
        if _over(curve, last)
    ]
    past = f"; {' and '.join(ended)}, so beyond that it cannot answer" if ended else ""
    once = [len(p.scores) == 1 for curve in several.values() for p in curve]
    seeds = "; each model is one training" if all(once) else "; some models are one training" if any(once) else ""
    how = f"the least mean that a side has reached, on lines between snapshots{seeds}"
    return f"{told}, up to {last:.2g} ({how}){past}."


def of_trials(asked: Asking) -> str:
    """A sentence on the settings that were only tried, which the curves leave out: the best of as many on either side.

    Nothing where a preset has no trials, or not all of them are scored.
    """
    if asked.preset != "overnight":
        return ""
    sides = tried(asked)
    try:
        found = {
            side: [results.scores(asked, r, asked.of_snapshots(r)) for r in sides[side].values()] for side in sides
        }
    except LACKING:
        return ""
    if any(len(found[side]) < len(names) for side, names in TRIALS.items()):
        return ""
    gan, diffusion = (min(several, key=lambda s: s.frechet_distance) for several in found.values())
    fd = "frechet_distance"
    return (
        f" Settings tried for {TRIAL:.2g} petaFLOP alone are not among them: of {len(found['GAN'])} on either "
        f"side the best GAN has {value(gan, fd)}, the best diffusion model {value(diffusion, fd)}, which is "
        f"{told_apart(gan, diffusion, fd)}; as the best of several, both are a little too low."
    )


def _leaders(several: Curves, petaflop: float) -> list[tuple[str, Sequence[Point]]]:
    """The model of each side with the least distance by so many operations."""
    sides = [[(n, c) for n, c in several.items() if c[0].side == side] for side in SIDES.values()]
    return [min(side, key=lambda entry: _best(entry[1], petaflop)) for side in sides if side]


def _over(curve: Sequence[Point], petaflop: float) -> bool:
    """Whether a training ended well before so many operations; a snapshot more or less is none."""
    return curve[-1].petaflop < 0.9 * petaflop
