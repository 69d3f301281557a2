"""What is made of evidence: a verdict with its reason and its numbers, and the comparisons that verdicts rest on."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.uncertainty import Comparison, Estimate, compared, estimate
from gendiff_lib.runs.run import Run

from ..number import Number, merged, score_number, spanned
from ..provenance import training_protocol
from ..tables.rows import HIGHER_IS_BETTER, apart_in_words, check_alike

REPLICATED, NOT_REPLICATED, INCONCLUSIVE = "replicated", "not replicated", "inconclusive"
NOT_REACHED = "budget not reached"  # what a rule needs is not there
VERDICTS = (REPLICATED, NOT_REPLICATED, INCONCLUSIVE, NOT_REACHED)


class Ruling(NamedTuple):
    """A verdict, the reason in a sentence, and the numbers it rests on, by label."""

    verdict: str
    why: str
    ours: tuple[tuple[str, Number], ...] = ()


def united(rulings: Mapping[str | None, Ruling]) -> Ruling:
    """The one verdict of several extractors; where they differ, it is inconclusive. Numbers say whose they are."""
    if len(rulings) == 1:
        return next(iter(rulings.values()))
    verdicts = {ruling.verdict for ruling in rulings.values()}
    reasons = " ".join(f"By {space}: {ruling.why[0].lower()}{ruling.why[1:]}" for space, ruling in rulings.items())
    split = "The two feature spaces do not agree. " if {REPLICATED, NOT_REPLICATED} <= verdicts else ""
    why = f"{split or 'One feature space alone decides. ' * (len(verdicts) > 1)}{reasons}"
    ours = tuple((f"{label}, by {space}", number) for space, r in rulings.items() for label, number in r.ours)
    return Ruling(verdicts.pop() if len(verdicts) == 1 else INCONCLUSIVE, why, ours)


def lead(one: Sequence[Scores], other: Sequence[Scores], name: str) -> Comparison:
    """Its sign is 1 where the first is better by the value `name` beyond the noise, -1 where the second is, else 0."""
    found = exceeds(one, other, name)
    return found if name in HIGHER_IS_BETTER else -found


def exceeds(
    one: Sequence[Scores], other: Sequence[Scores], name: str = "frechet_distance", factor: float = 1.0
) -> Comparison:
    """Its sign is 1 where a value is more than `factor` times the other beyond the noise, -1 where it is less, else 0.

    ScoreError where the two were scored by unlike protocols.
    """
    check_alike(one, other)
    b = estimate(other, name)
    return compared(estimate(one, name), b._replace(mean=b.mean * factor, std=b.std * factor, error=b.error * factor))


def exactly(value: float) -> Estimate:
    """A printed number, which has no noise that we know of."""
    return Estimate(value, 0.0, 1, "print", 0.0, 1)


def ruled(parts: Mapping[str, Comparison | int], ours: Sequence[tuple[str, Number]]) -> Ruling:
    """Replicated where all parts of a claim hold beyond the noise; not where the opposite of one does."""
    said = {1: "holds beyond the noise", 0: "is inside the noise", -1: "fails: the opposite holds beyond the noise"}
    found = {part: c if isinstance(c, Comparison) else Comparison(c, math.nan, math.nan) for part, c in parts.items()}
    why = "; ".join(f"{part} {said[c.sign]}{apart_in_words(c)}" for part, c in found.items()) + "."
    least = min(c.sign for c in found.values())
    verdict = NOT_REPLICATED if least < 0 else REPLICATED if least > 0 else INCONCLUSIVE
    return Ruling(verdict, why[0].upper() + why[1:], tuple(ours))


def agreed(found: Sequence[bool | None], yes: str, no: str, ours: Sequence[tuple[str, Number]]) -> Ruling:
    """By what each seed says alone: True, False, or None for what it cannot tell."""
    if all(found):
        return Ruling(REPLICATED, yes, tuple(ours))
    if all(each is False for each in found):
        return Ruling(NOT_REPLICATED, no, tuple(ours))
    return Ruling(INCONCLUSIVE, "The runs do not agree, or tell nothing of it.", tuple(ours))


def numbers(name: str, **several: Sequence[Scores]) -> list[tuple[str, Number]]:
    """One value of several models, by label."""
    return [
        (f"{scores[0].labels[name]} of {model.replace('_', ' ')}", score_number(scores, name))
        for model, scores in several.items()
    ]


def spread(values: Sequence[float], runs: Sequence[Run], form: str = ".3g") -> Number:
    """The mean of a number of several runs, with the least and the greatest; it opens to all of them."""
    of = f"mean over {len(runs)} training seeds (least to greatest)" if len(runs) > 1 else "of one training seed"
    return spanned(values, {"what": of} | merged([training_protocol(run) for run in runs]), form)


def loss_ratio(run: Run, name: str, late: tuple[float, float]) -> float:
    """A loss's mean between two epochs, over that of the first ten."""
    epochs, values = run.history["epoch"], run.history[name]

    def mean(first: float, last: float) -> float:
        chosen = [v for e, v in zip(epochs, values, strict=True) if first < e <= last]
        return sum(chosen) / len(chosen)

    return mean(*late) / mean(0, 10)
