"""Scores that were computed before, whatever extractor is at hand now; and which of them speak of a model."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from gendiff_lib.config import Config, Sampling
from gendiff_lib.evaluation.evaluate import REFERENCE, outdated_parts, read_scores
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.experiments.claimed import FRESH
from gendiff_lib.runs import layout
from gendiff_lib.runs.run import Run, find, siblings

T = TypeVar("T")


def kept_scores(
    run: Run, sampling: Sampling, extractor: str, n_real: int | None = None, reference: str = REFERENCE
) -> Scores | None:
    """Scores by an extractor that need not be at hand, if they were computed before by this very protocol."""
    part = layout.samples(run.images, run.resolve(sampling).digest)
    name = layout.scores(extractor, "*", reference, n_real)
    places = (run.made / part, run.folder / part)
    kept = [p for place in places for p in sorted(place.glob(name)) if p.name.count("-") == name.count("-")]
    found = [scores for path in reversed(kept) if (scores := read_scores(path))]
    return next((scores for scores in found if not outdated_parts(scores)), found[0] if found else None)


def published_run(config: Config, preset: str) -> Run | None:
    """The published run of a configuration; overnight, where its seed was not trained, of the first fresh one there."""
    seeds = (config.seed, *FRESH) if preset == "overnight" else (config.seed,)
    return next((run for seed in seeds if (run := find(config.but(seed=seed), published=True))), None)


def family(run: Run, *, published: bool = False) -> list[list[Run]]:
    """A run, then those that differ from it in the training seed alone: each at the snapshots to look at, in turn.

    The first is of as many images. Of a training that ends no more than a hundredth later the second is its end, which
    may be what was scored in full.
    """
    others = (each for each in siblings(run.config, published=published) if each.config.seed != run.config.seed)
    ends = ((each, each.at(each.epochs[-1])) for each in others)
    return [[run], *([each, end] if each.images < end.images <= 1.01 * each.images else [each] for each, end in ends)]


def found_in_turn(several: Sequence[Sequence[Run]], ask: Callable[[Run], T | None]) -> list[T]:
    """What is found at the first snapshot of each of these that has it; of the others nothing."""
    return [found for each in several if (found := next(filter(None, map(ask, each)), None)) is not None]


def speaking(found: Sequence[Scores], preset: str) -> list[Scores]:
    """Of the scores of a model's training seeds, those that speak of the model; the first is of the seed asked for.

    Overnight that seed chose which models fresh ones are trained of: until all of these are there it speaks alone,
    then they do, without it. At other sizes nothing was chosen, and all of them speak.
    """
    if preset != "overnight" or not found:
        return list(found)
    first, seeds = found[0].made["training_seed"], {scores.made["training_seed"] for scores in found}
    wanted = FRESH if seeds.issuperset(FRESH) else (first,)
    return [scores for scores in found if scores.made["training_seed"] in wanted]
