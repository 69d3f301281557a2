"""What the front page says of published runs, as HTML; where there are none they say so."""

import html

from gendiff_lib.data import count
from gendiff_lib.evaluation.scores import ScoreError, Scores
from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.experiments import PAPER_PAIR, get, protocol
from gendiff_lib.experiments.book import COMPARED
from gendiff_lib.experiments.claimed import EARLY_N
from gendiff_lib.experiments.extractors import classifier_name
from gendiff_lib.runs.run import Run, find, siblings

from . import viewers
from .claims.html import judged, tally
from .claims.stated import SPACES
from .compute import GIGA, MODELLED, SIDES, Point, led, lines
from .figures.against import against
from .figures.style import svg
from .number import Number
from .printed import TABLE1
from .provenance import training_protocol
from .reading import FAMOUS
from .scored import kept_scores
from .tables.rows import NO_BETTER, cell, lead_rows, operations

MODELS = ("the paper's DCGAN", "its diffusion model")


def published_pair(preset: str = "overnight") -> dict[str, Run]:
    """The published runs of the paper's two models in a preset, by what they are called; those that there are."""
    runs = {
        label: find(get(name, preset, snapshots=()), published=True)
        for label, name in zip(MODELS, PAPER_PAIR, strict=True)
    }
    return {label: run for label, run in runs.items() if run is not None}


def front(preset: str = "overnight") -> str:
    """One figure and the answer in a few sentences, from published runs; where there are none it says so."""
    rulings = judged()
    pair = published_pair(preset)
    judge = next((name for name in _extractors(pair) if all(_kept(run, name, preset) for run in pair.values())), None)
    judge = judge if len(pair) == len(PAPER_PAIR) else None
    told = _answer(pair, judge, preset) if judge else _no_answer(pair)
    figure = _figure(pair, judge, preset) if judge else ""
    return f'{figure}<p class="answer">{told}</p>{tally(rulings, "executed/12_claims.html")}\n'


def _extractors(pair: dict[str, Run]) -> list[str]:
    """Whose scores the front page shows, the first for which there are any: Inception-v3, then what else there is."""
    return [*FAMOUS, *dict.fromkeys(classifier_name(run.config.dataset) for run in pair.values())]


def _no_answer(there: dict[str, Run]) -> str:
    ahead = sum(_gan_ahead(name) for name in TABLE1)
    missing = [label for label in MODELS if label not in there]
    what = f"no run of {' and '.join(missing)} at equal operations is published here"
    if not missing:
        what = "both of its models are published here at equal operations, but not yet scored alike"
    return (
        f"<strong>Not yet answered:</strong> {what}, so whether its diffusion model beats its GAN is open. "
        "What can be said without is that its own table does not bear out its title: the GAN is ahead in "
        f"{ahead} of its {len(TABLE1)} rows."
    )


def _gan_ahead(name: str) -> bool:
    """By the paper's print; of "(2.50)(3)" the first number counts."""
    gan, diffusion = (float(cell.strip("()").partition(")")[0]) for cell in TABLE1[name])
    return gan < diffusion if name == "FID" else gan > diffusion


def _kept(run: Run, extractor: str, preset: str, n: int | None = None) -> list[Scores]:
    """Scores of every published training seed by the experiment's protocol, at another n where given, as kept."""
    known = protocol(run.config.name, preset)
    sampling = known.sampling.but(n=min(n or known.sampling.n, known.sampling.n))
    real = known.reals(count(run.config.dataset, "train"))
    found = [kept_scores(each, sampling, extractor, real) for each in siblings(run.config, published=True)]
    return [scores for scores in found if scores is not None]


def _answer(pair: dict[str, Run], judge: str, preset: str) -> str:
    """What the pair's scores say, each with its n, and what stays open."""
    several = {label: _kept(run, judge, preset) for label, run in pair.items()}
    (gan, a), (diffusion, b) = several.items()
    try:
        parts = [_standing(label, run, several[label]) for label, run in pair.items()]
        better = [row["better"] for row in lead_rows((gan, a), (diffusion, b)) if row[""] not in NO_BETTER]
    except ScoreError:
        return "<strong>At equal counted operations</strong> both are published, but they were not scored alike."
    n = f"{a[0].n_fake:,} images of each against {a[0].reals} of {pair[gan].record['data']['name']}"
    return (
        f"<strong>At equal counted operations</strong>, {' and '.join(parts)} ({n}, by {judge}; "
        f"less {a[0].names[1]} is better). Of {len(better)} scores the GAN leads in {better.count(gan)} beyond the "
        f"noise, the diffusion model in {better.count(diffusion)}. {_other_space(pair, judge, preset)}"
        f"{_best(judge, preset)}{_open(pair, min(len(a), len(b)), preset)}"
    )


def _best(judge: str, preset: str) -> str:
    """The best model of each side, by the least distance at its own end, and what an image of it costs."""
    known = [get(name, preset, snapshots=()) for name in MODELLED]
    runs = [run for config in known if (run := find(config, published=True))]
    scored = {run.config.name: (run, kept) for run in runs if (kept := _kept(run, judge, preset))}
    best = [_least({n: e for n, e in scored.items() if e[0].config.kind == kind}) for kind in SIDES]
    told = []
    for side, entry in zip(SIDES.values(), best, strict=True):
        if entry is None:
            return ""
        run, kept = entry
        drawn = run.drawing_operations(protocol(run.config.name, preset).sampling) / GIGA
        cost = Number(f"{drawn:.2g}", drawn, {"what": "operations of drawing an image"} | training_protocol(run))
        work = operations(run.training_operations, training_protocol(run))
        told.append(
            f"the best {side} model is {run.config.name} with {kept[0].labels['frechet_distance']} "
            f"{_html(cell(kept, 'frechet_distance'))} after {work.html} petaFLOP, and {cost.html} GFLOP for an image"
        )
    return f"<strong>Of all that is published here</strong> {'; '.join(told)}. "


def _least(scored: dict[str, tuple[Run, list[Scores]]]) -> tuple[Run, list[Scores]] | None:
    return min(scored.values(), key=lambda e: estimate(e[1], "frechet_distance").mean, default=None)


def _other_space(pair: dict[str, Run], judge: str, preset: str) -> str:
    """Whether the other of the two ImageNet spaces puts the same model first by its Fréchet distance."""
    if judge not in SPACES:
        return ""
    other = next(name for name in SPACES if name != judge)
    firsts = [_first(pair, name, preset) for name in (judge, other)]
    if not all(firsts):
        return ""
    if firsts[0] == firsts[1]:
        return f"The Fréchet distance by {other} puts the same one first. "
    return f"The Fréchet distance by {other} puts the other one first, so neither is called better. "


def _first(pair: dict[str, Run], extractor: str, preset: str) -> str | None:
    """The model with the least mean Fréchet distance; None where one is not scored."""
    several = {label: _kept(run, extractor, preset) for label, run in pair.items()}
    if not all(several.values()):
        return None
    return min(several, key=lambda label: estimate(several[label], "frechet_distance").mean)


def _standing(label: str, run: Run, scores: list[Scores]) -> str:
    called = scores[0].labels["frechet_distance"]
    fd, precision, recall = (cell(scores, name) for name in ("frechet_distance", "precision", "recall"))
    work = operations(run.training_operations, training_protocol(run))
    return (
        f"{label} has {called} {_html(fd)}, precision {_html(precision)} and recall {_html(recall)} after "
        f"{work.html} petaFLOP"
    )


def _html(value: object) -> str:
    return str(getattr(value, "html", value))


def _open(pair: dict[str, Run], seeds: int, preset: str) -> str:
    """What this answer does not tell."""
    one = "there is one training seed each, so this speaks of two runs, not of two methods; " if seeds == 1 else ""
    missing = [name for name in COMPARED if find(get(name, preset, snapshots=()), published=True) is None]
    training = f"; {', '.join(missing)} are still in training" if missing else ""
    return (
        f"<strong>Still open:</strong> {one}their networks are narrower than the paper's, and at its own size nothing "
        f"is decided; and a fraction of a petaFLOP says nothing of where either ends{training}."
    )


def _figure(pair: dict[str, Run], judge: str, preset: str) -> str:
    """Samples of both side by side, and the distance of every model's snapshots against their operations."""
    sheets = "".join(
        f"<p>{html.escape(label)}</p>{viewers.picture(run.sheet(), f'Forty samples of {label}, {run.id}')}"
        for label, run in pair.items()
    )
    extractor, curves = max(((name, _curves(name, preset)) for name in _extractors(pair)), key=lambda e: _size(e[1]))
    fd = "FID" if extractor == "inception" else f"fd by {extractor}"
    compute = "training compute (petaFLOP)"
    drawn = against(lines(curves), xlabel=compute, ylabel=fd, size=(5.6, 3.7)) if curves else None
    points = [point for curve in curves.values() for point in curve]
    alt = "; ".join(f"{p.name}: {fd} {p.fd[0]:.3g} after {p.petaflop:.3g} petaFLOP" for p in points)
    plot = viewers.plot(svg(drawn), alt) if drawn else ""
    told = f", and {fd} of every model against the operations of its training; {EARLY_N:,} samples of each snapshot. "
    caption = "Samples of the paper's two models" + (f"{told}{led(curves)}" if curves else ".")
    inside = f'<div class="beside"><div>{sheets}</div><div>{plot}</div></div>'
    return f'<figure class="front">{inside}<figcaption>{caption}</figcaption></figure>'


def _size(curves: dict[str, list[Point]]) -> int:
    return sum(map(len, curves.values()))


def _curves(judge: str, preset: str) -> dict[str, list[Point]]:
    """The snapshots of every published model that are scored by an extractor, all at one n."""
    found: dict[str, list[Point]] = {}
    for name in MODELLED:
        run = find(get(name, preset, snapshots=()), published=True)
        for each in map(run.at, run.epochs_so_far) if run else ():
            if scores := _kept(each, judge, preset, EARLY_N):
                how = protocol(name, preset).sampling
                found.setdefault(name, []).append(Point(name, each, how.but(n=min(EARLY_N, how.n)), scores))
    return found
