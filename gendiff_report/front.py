"""What the front page says of published runs, as HTML and MyST; where there are none it says so."""

import html
from collections.abc import Sequence

from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.experiments import protocol
from gendiff_lib.experiments.claimed import EARLY_N
from gendiff_lib.runs.run import Run

from . import viewers
from .answer import MODELS, answer, as_html, extractors, kept, published_models, published_pair
from .claims.html import judged, tally
from .compute import Point, led, lines
from .figures.against import against
from .figures.style import svg
from .number import over
from .printed import TABLE1
from .scored import speaking
from .tables.paper import METRICS, MISSING
from .tables.rows import cell


def front(preset: str = "overnight") -> str:
    """The answer, its figure and its numbers, from published runs; where there are none it says so."""
    pair = published_pair(preset)
    told = answer(preset)
    first, *others = (f'<p class="answer">{sentence}</p>' for sentence in told or [_no_answer(pair)])
    figure = _figure(pair, preset) if told else ""
    return f"{first}{figure}{''.join(others)}{tally(judged(), 'executed/12_claims.html')}\n"


def table1(preset: str = "overnight") -> str:
    """The paper's Table 1, and beside it ours as Inception-v3 sees them, as MyST; cells that there are not say so."""
    pair = published_pair(preset)
    ours = [speaking(kept(pair[k], "inception", preset), preset) if k in pair else [] for k in MODELS]
    caption = "What the paper prints as its Table 1 (its Fig. 5)"
    if all(ours):
        one, noise = ours[0][0], " and ".join(dict.fromkeys(map(over, ours)))
        caption += (
            f", and ours: by {one.extractor}, {one.n_fake:,} images of each model against {one.reals}, mean ± "
            f"deviation over {noise} each, at equal operations"
        )
    rows = [["score", "DCGAN, paper", "diffusion, paper", "DCGAN, ours", "diffusion, ours"]]
    for name, label in METRICS:
        if label in TABLE1:
            better = "lower" if label == "FID" else "higher"
            rows.append([f"{label} ({better} is better)", *TABLE1[label], *(_ours(scores, name) for scores in ours)])
    body = "\n".join(f"{'  ' if i else '* '}- {text}" for row in rows for i, text in enumerate(row))
    return f"```{{list-table}} {caption}.\n:name: tbl-paper\n:header-rows: 1\n\n{body}\n```\n"


def _ours(scores: Sequence[Scores], name: str) -> str:
    """A cell of our own, which opens to its protocol."""
    return as_html(cell(scores, name)) if scores and getattr(scores[0], name) is not None else MISSING


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


def _figure(pair: dict[str, Run], preset: str) -> str:
    """Samples of both side by side, and the distance of every model's snapshots against their operations."""
    sheets = "".join(
        f"<p>{html.escape(label)}</p>{viewers.picture(run.sheet(), f'Forty samples of {label}, {run.id}')}"
        for label, run in pair.items()
    )
    runs = published_models(preset)
    extractor, curves = max(
        ((name, _curves(runs, name, preset)) for name in extractors(pair)), key=lambda e: _size(e[1])
    )
    fd = "FID" if extractor == "inception" else f"fd by {extractor}"
    compute = "training compute (petaFLOP)"
    drawn = against(lines(curves), xlabel=compute, ylabel=f"{fd} (less is better)", size=(5.6, 3.7)) if curves else None
    points = [point for curve in curves.values() for point in curve]
    alt = "; ".join(f"{p.name}: {fd} {p.fd[0]:.3g} after {p.petaflop:.3g} petaFLOP" for p in points)
    plot = viewers.plot(svg(drawn), alt) if drawn else ""
    told = (
        f", and {fd} of every model, settings that were only tried aside, against the operations of its training; "
        f"{EARLY_N:,} samples of each snapshot, bands from the least to the greatest of several trainings. "
    )
    caption = "Samples of the paper's two models" + (f"{told}{led(curves)}" if curves else ".")
    inside = f'<div class="beside"><div>{sheets}</div><div>{plot}</div></div>'
    return f'<figure class="front">{inside}<figcaption>{caption}</figcaption></figure>'


def _size(curves: dict[str, list[Point]]) -> int:
    return sum(map(len, curves.values()))


def _curves(runs: Sequence[Run], judge: str, preset: str) -> dict[str, list[Point]]:
    """The snapshots of these runs that are scored by an extractor, all at one n."""
    found: dict[str, list[Point]] = {}
    for run in runs:
        name, how = run.config.name, protocol(run.config.name, preset).sampling
        for each in map(run.at, run.epochs_so_far):
            if scores := kept(each, judge, preset, EARLY_N):
                found.setdefault(name, []).append(Point(name, each, how.but(n=min(EARLY_N, how.n)), scores))
    return found
