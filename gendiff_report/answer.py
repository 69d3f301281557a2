"""The answer in a sentence and three that bear it out, from published runs: for the front page and the README."""

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from gendiff_lib.data import count
from gendiff_lib.evaluation.scores import ScoreError, Scores
from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.experiments import PAPER_PAIR, get, protocol
from gendiff_lib.experiments.book import COMPARED
from gendiff_lib.experiments.cost import PETA, training_operations
from gendiff_lib.experiments.extractors import classifier_name
from gendiff_lib.runs.run import Run, find

from .claims.stated import SPACES
from .compute import GIGA, MODELLED, SIDES
from .number import Number, trainings
from .reading import FAMOUS
from .scored import family, found_in_turn, kept_scores, published_run, speaking
from .tables.rows import NO_BETTER, cell, lead_rows, spent, told_apart

MODELS = ("the paper's DCGAN at 32 pixels", "its diffusion model")
PRINTED = "dcgan"  # the paper's networks at the size that it prints; the pair has 32 pixels
Shown = Callable[[Number | str], str]


def as_html(number: Number | str) -> str:
    """A number that opens to its protocol."""
    return number.html if isinstance(number, Number) else number


def published_pair(preset: str = "overnight") -> dict[str, Run]:
    """The published runs of the paper's two models in a preset, by what they are called; those that there are."""
    runs = {
        label: find(get(name, preset, snapshots=()), published=True)
        for label, name in zip(MODELS, PAPER_PAIR, strict=True)
    }
    return {label: run for label, run in runs.items() if run is not None}


def answer(preset: str = "overnight", shown: Shown = as_html) -> list[str]:
    """Who leads of the paper's pair, by how much, who leads of all, and what is open, numbers as `shown` has them.

    Empty where the pair is not published, or not scored alike.
    """
    pair = published_pair(preset)
    if len(pair) < len(PAPER_PAIR):
        return []
    scored = {k: {label: speaking(kept(r, k, preset), preset) for label, r in pair.items()} for k in extractors(pair)}
    scored = {name: several for name, several in scored.items() if all(several.values())}
    if not scored:
        return []
    try:
        pairs = _of_the_pair(pair, scored, preset, shown)
    except ScoreError:
        return []
    judge, several = next(iter(scored.items()))
    seeds = {label: len(scores) for label, scores in several.items()}
    return [*pairs, *_of_all(judge, preset, shown), _open(seeds, preset)]


def _of_the_pair(
    pair: dict[str, Run], scored: dict[str, dict[str, list[Scores]]], preset: str, shown: Shown
) -> list[str]:
    """Which is better, and in what numbers, by the first extractor; `scored` are the scores of both models by each."""
    judge, several = next(iter(scored.items()))
    gan, diffusion = several
    one = several[gan][0]
    spaces = {name: _rows(scored[name]) for name in SPACES if name in scored} or {judge: _rows(several)}
    leads = {rows[0]["better"] for rows in spaces.values()}  # the first is the Fréchet distance
    headline = "which of the paper's two models makes the better images is not decided"
    if len(spaces) == len(SPACES) and len(leads) == 1 and (leader := leads.pop()) in pair:
        headline = f"{_named(leader)} makes the better images"
    parts = [_standing(label, run, several[label], preset, shown) for label, run in pair.items()]
    n = f"{one.n_fake:,} images of each against {one.reals} of {pair[gan].record['data']['name']}"
    counted = "; ".join(_counted(rows, gan, diffusion, name) for name, rows in spaces.items())
    called = one.labels["frechet_distance"]
    far = {label: shown(cell(scores, "frechet_distance")) for label, scores in several.items()}
    return [
        f"<strong>At equal counted operations {headline}:</strong> "
        f"{called} {far[gan]} against {far[diffusion]} of {_named(diffusion)} (less is better).",
        f"<strong>In numbers:</strong> {', and '.join(parts)} ({n}, by {judge}; "
        f"{_drawn(several[diffusion][0])}). Beyond the noise, {counted}.",
    ]


def _named(label: str) -> str:
    """One of the pair, spoken of by itself."""
    return label.replace("its ", "the paper's ")


def _rows(scored: dict[str, list[Scores]]) -> list[dict[str, Any]]:
    """Who of the pair leads in what, as one extractor sees them, the Fréchet distance first."""
    rows = [row for row in lead_rows(*scored.items()) if row[""] not in NO_BETTER]
    distance = next(iter(scored.values()))[0].labels["frechet_distance"]
    return sorted(rows, key=lambda row: row[""] != distance)


def _counted(rows: list[dict[str, Any]], gan: str, diffusion: str, space: str) -> str:
    """In how many scores either of the pair leads; of the one that leads in fewer, in which."""
    led = {label: [row[""] for row in rows if row["better"] == label] for label in (gan, diffusion)}
    few = min(led, key=lambda label: len(led[label]))
    told = {label: f"in {len(names)}" for label, names in led.items()}
    told[few] += f" ({', '.join(led[few])})" if led[few] else ""
    return f"of {len(rows)} scores by {space} the GAN leads {told[gan]}, the diffusion model {told[diffusion]}"


def _drawn(scores: Scores) -> str:
    """How the diffusion model's images were drawn, in words."""
    made = scores.made
    return f"the diffusion model's drawn in {made['n_steps']} steps of {made['sampler']}"


def _standing(label: str, run: Run, scores: list[Scores], preset: str, shown: Shown) -> str:
    called = scores[0].labels["frechet_distance"]
    fd, precision, recall = (shown(cell(scores, name)) for name in ("frechet_distance", "precision", "recall"))
    has = f"has, over {len(scores)} trainings," if len(scores) > 1 else "has"
    scored = f"{called} {fd}, precision {precision} and recall {recall}"
    parameters = f"{sum(run.record['parameters'].values()):,} parameters"
    return f"{label}, of {parameters}, {has} {scored} after {_costs(run, scores, preset, shown)}"


def _costs(run: Run, scores: Sequence[Scores], preset: str, shown: Shown) -> str:
    """What training took, as a mean over those that the scores are of, and what an image costs."""
    drawn = run.drawing_operations(protocol(run.config.name, preset).sampling) / GIGA
    image = Number(f"{drawn:.2g}", drawn, {"what": "operations of drawing an image"} | trainings(scores))
    return f"{shown(spent(scores))} petaFLOP, at {shown(image)} GFLOP to draw an image"


def _of_all(judge: str, preset: str, shown: Shown) -> list[str]:
    """The best model of each side, by the least distance of its first training's end; nothing where a side has none.

    Where one of the two had more operations, its side's best with as few as the other's as well; and the DCGAN at the
    64 pixels at which the paper prints it, where that is published.
    """
    scored = [(run, scores) for run in published_models(preset) if (scores := kept(run, judge, preset))]
    mine = {side: [entry for entry in scored if entry[0].config.kind == kind] for kind, side in SIDES.items()}
    if not all(mine.values()):
        return []

    def standing(run: Run, scores: list[Scores]) -> str:
        seeds = speaking(scores, preset)
        fd = shown(cell(seeds, "frechet_distance"))
        of = (
            f"{len(seeds)} {'trainings' if scores[0] in seeds else 'later trainings'}" if len(seeds) > 1 else "that one"
        )
        return f"{scores[0].labels['frechet_distance']} {fd} ({of}) after {_costs(run, seeds, preset, shown)}"

    best = {side: min(entries, key=_first_distance) for side, entries in mine.items()}
    said = [f"the best {side} model is {e[0].config.name} with {standing(*e)}" for side, e in best.items()]
    least, equal = min(run.training_operations for run, _ in best.values()), dict(best)
    for side, (run, _) in best.items():
        as_few = [entry for entry in mine[side] if entry[0].training_operations < 1.01 * least]
        if run.training_operations > 1.01 * least and as_few:
            equal[side] = rival = min(as_few, key=_first_distance)
            said.append(f"with as few operations the best {side} model is {rival[0].config.name}, {standing(*rival)}")
    if max(run.training_operations for run, _ in equal.values()) <= 1.01 * least:
        a, b = (speaking(scores, preset) for _, scores in equal.values())
        names = " and ".join(run.config.name for run, _ in equal.values())
        said.append(f"at equal operations the difference of {names} is {told_apart(a, b, 'frechet_distance')}")
    said += [f"the DCGAN at the printed 64 pixels has {standing(*e)}" for e in scored if e[0].config.name == PRINTED]
    return [f"<strong>Of all that is published here,</strong> judged by the first training of each, {'; '.join(said)}."]


def _first_distance(entry: tuple[Run, list[Scores]]) -> float:
    """The Fréchet distance of a model's first training, which is what chooses."""
    return estimate(entry[1][:1], "frechet_distance").mean


def published_models(preset: str) -> list[Run]:
    """The published runs of all models that stand beside each other."""
    return [run for name in MODELLED if (run := published_run(get(name, preset, snapshots=()), preset))]


def _open(seeds: dict[str, int], preset: str) -> str:
    """What this answer does not tell; `seeds` are how many trainings speak of either model."""
    alone = [_named(label) for label, n in seeds.items() if n == 1]
    one = "either is told by one training, so this speaks of two runs, not of two methods; " if alone else ""
    if len(alone) == 1:
        one = f"{alone[0]} is told by one training, so there this speaks of a run, not of a method; "
    missing = [name for name in COMPARED if find(get(name, preset, snapshots=()), published=True) is None]
    training = f"; {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not published yet" if missing else ""
    return (
        f"<strong>Still open:</strong> {one}both networks are narrower than the paper's ({_narrower(preset)}), "
        f"whose trainings take {_printed_costs()} petaFLOP by our count, and at that size nothing is decided; and a "
        f"fraction of a petaFLOP says nothing of where either ends{training}."
    )


def _narrower(preset: str) -> str:
    """By what the widths of the paper's two networks are divided in a preset."""
    widths = dict(zip(PAPER_PAIR, ("network.ngf", "network.hidden_dim"), strict=True))
    told = {n: get(n, "paper").flat()[w] / get(n, preset, snapshots=()).flat()[w] for n, w in widths.items()}
    gan, diffusion = told.values()
    return f"the DCGAN {gan:.2g} times, the denoiser {diffusion:.2g}"


def _printed_costs() -> str:
    """The petaFLOP of the two trainings that the paper prints, of its DCGAN at 64 pixels."""
    return " and ".join(f"{training_operations(get(name, 'paper')) / PETA:.2g}" for name in (PRINTED, PAPER_PAIR[1]))


def extractors(pair: dict[str, Run]) -> list[str]:
    """Whose scores the front page shows, the first for which there are any: Inception-v3, then what else there is."""
    return [*FAMOUS, *dict.fromkeys(classifier_name(run.config.dataset) for run in pair.values())]


def kept(run: Run, extractor: str, preset: str, n: int | None = None) -> list[Scores]:
    """Scores of every published training seed, in order, by the experiment's protocol (at another n where given)."""
    known = protocol(run.config.name, preset)
    sampling = known.sampling.but(n=min(n or known.sampling.n, known.sampling.n))
    real = known.reals(count(run.config.dataset, "train"))
    found = found_in_turn(family(run, published=True), lambda each: kept_scores(each, sampling, extractor, real))
    return sorted(found, key=lambda s: int(s.made["training_seed"]))


BEGIN, END = "<!-- the answer, written by `make readme` -->\n", "<!-- until here -->\n"


def in_readme(text: str, preset: str = "overnight") -> str:
    """The README's text with the answer between its two marks as it is today; as it was where there is none."""
    sentences = [re.sub("</?strong>", "**", s) for s in answer(preset, lambda number: str(number))]
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{_wrapped(sentences)}{END}{after}" if sentences and after else text


def _wrapped(sentences: list[str]) -> str:
    lines = [
        line for s in sentences for line in ("", *textwrap.wrap(s, 120, break_long_words=False, break_on_hyphens=False))
    ]
    return "\n".join([*lines, "", ""])
