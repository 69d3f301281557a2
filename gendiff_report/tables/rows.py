"""Rows that show scores: made from `Scores` alone, so that no number loses its protocol."""

import html
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from gendiff_lib.evaluation.scores import VALUES, ScoreError, Scores, protocol_of
from gendiff_lib.evaluation.uncertainty import Comparison, compared, estimate

from ..number import Number, over, plain, score_number, score_protocol, trainings, value

HIGHER_IS_BETTER = {"classifier_score", "precision", "recall", "coverage"}
NOT_COMPUTED = "not computed"
NO_LOGITS = "none: no logits"  # of an extractor whose file holds features alone
LACKING_SAID = {NO_LOGITS: " No {}: the extractor gives no logits.", NOT_COMPUTED: " Not computed here: {}."}
MADE_WITH = ("n", "over", "petaFLOP", "weights")  # columns that are no results
TRAINED = "operations of the training, forward and backward, counted, in 10^15"
NO_BETTER = {"density"}  # real images have about 1; a set that crowds has more
NOISE_NOTE = "± is the standard deviation over seeds; where there is one set, the error that its groups tell."


def score_row(label: str, train: Sequence[Scores], test: Sequence[Scores]) -> dict[str, Any]:
    """A row of one model: each value over its seeds, the Fréchet distance against both splits."""
    one, called = train[0], label_of(train[0])
    row: dict[str, Any] = {"": label}
    for name in VALUES:
        if name != "frechet_distance":
            row[called[name]] = cell(train, name)
            continue
        row[f"{called[name]} (train)"] = cell(train, name)
        row[f"{called[name]} (test)"] = cell(test, name) if test else NOT_COMPUTED
    if one.shares:
        row["classes"] = f"{min(s.classes_covered for s in train)} of {len(one.shares)}"
    return row | {"n": f"{one.n_fake:,}", "over": over(train)}


def compact(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Rows without the columns that hold no value in any of them, and a sentence that names those."""
    lacking = {word: [c for c in rows[0] if all(row.get(c) == word for row in rows)] for word in LACKING_SAID}
    told = [LACKING_SAID[word].format(", ".join(columns)) for word, columns in lacking.items() if columns]
    gone = {column for columns in lacking.values() for column in columns}
    return [{k: v for k, v in row.items() if k not in gone} for row in rows], "".join(told)


def class_columns(own: Sequence[Scores]) -> dict[str, Any]:
    """What a data set's own classifier alone tells of samples, under its name, for a row by another extractor."""
    if not own:
        return {"cs, classifier": NOT_COMPUTED, "classes, classifier": NOT_COMPUTED}
    return {
        "cs, classifier": cell(own, "classifier_score"),
        "classes, classifier": f"{min(s.classes_covered for s in own)} of {len(own[0].shares)}",
    }


def label_of(scores: Scores) -> dict[str, str]:
    """What each value is called by this extractor, those included that it does not give."""
    return dict(zip(VALUES, (*scores.names, *VALUES[3:]), strict=True))


def cell(scores: Sequence[Scores], name: str) -> Number | str:
    """A value over its seeds; a word where the extractor gives none, having no classes."""
    return score_number(scores, name) if getattr(scores[0], name) is not None else NO_LOGITS


def spent(scores: Sequence[Scores]) -> Number:
    """The operations of the trainings whose samples these scores are of, in 10^15: their mean."""
    work = fmean(s.made["training_operations"] for s in scores) / 1e15
    return Number(f"{work:.3g}", work, {"what": TRAINED} | trainings(scores))


def check_alike(one: Sequence[Scores], other: Sequence[Scores]) -> None:
    """ScoreError where two sides were scored by unlike protocols."""
    if protocol_of(one[0], made=False) != protocol_of(other[0], made=False):
        raise ScoreError("these scores do not compare: they have another n, reference or extractor")


def lead_rows(one: tuple[str, Sequence[Scores]], other: tuple[str, Sequence[Scores]]) -> list[dict[str, Any]]:
    """A row a value: both sides' mean ± std, how far apart, what chance allows, and which is better beyond it.

    ScoreError where the two sides were scored by unlike protocols.
    """
    check_alike(one[1], other[1])
    rows = []
    for name in one[1][0].labels:
        a, b = estimate(one[1], name), estimate(other[1], name)
        shown = score_number(one[1], name), score_number(other[1], name)
        held, label = compared(a, b), one[1][0].labels[name]
        how = {"what": f"{label}, how far apart", **{k: n.text for k, n in zip((one[0], other[0]), shown, strict=True)}}
        first = (held.sign > 0) == (name in HIGHER_IS_BETTER)
        verdict = (one[0] if first else other[0]) if held.sign else "inside the noise"
        rows.append(
            {
                "": label,
                one[0]: shown[0],
                other[0]: shown[1],
                "apart": Number(plain(held.apart), held.apart, how),
                "by chance": f"up to {held.noise:.2g}" if held.noise > 0 else "unknown",
                "better": "none: 1 is real" if name in NO_BETTER else verdict,
            }
        )
    return rows


def ranked(found: Mapping[str, Scores | Sequence[Scores]], name: str) -> str:
    """A sentence: the lowest and the highest of a value by model, and whether the lowest is beyond the noise."""
    if not found:
        return "There is nothing to compare yet."
    several = {label: _several(scores) for label, scores in found.items()}
    order = sorted(several, key=lambda label: estimate(several[label], name).mean)
    told = [f"{value(several[label], name)} of {html.escape(label)}" for label in order]
    title = several[order[0]][0].labels[name]
    if len(order) == 1:
        return f"Nothing can be compared yet: there is one {title}, {told[0]}."
    two = several[order[0]], several[order[1]]
    apart = told_apart(*two, name) + _samplers(two[0][0], two[1][0])
    worst = f" The highest is {told[-1]}." if len(order) > 2 else ""
    return f"The lowest {title} is {told[0]}, then {told[1]}, which is {apart}.{worst}"


def _several(scores: Scores | Sequence[Scores]) -> Sequence[Scores]:
    return [scores] if isinstance(scores, Scores) else scores


def drawing_alone(*tables: Mapping[str, Scores | Sequence[Scores]]) -> str:
    """What the noise of `ranked` leaves out, as the end of a finding; nothing where no table compares such models."""
    beside = [_several(scores) for found in tables if len(found) > 1 for scores in found.values()]
    alone = [len(several) == 1 for several in beside]
    if not any(alone):
        return ""
    if all(alone):
        return " The noise is that of drawing samples: with one training seed of each, a difference may be a seed's."
    return " Of what has one training seed the noise is that of drawing samples: there a difference may be a seed's."


def told_apart(a: Scores | Sequence[Scores], b: Scores | Sequence[Scores], name: str) -> str:
    """What may be said of the difference of a value between two sets of samples, or two models."""
    held = compared(estimate(_several(a), name), estimate(_several(b), name))
    return f"{'beyond' if held.sign else 'inside'} the noise{apart_in_words(held)}"


def apart_in_words(held: Comparison) -> str:
    """How far two values are apart, and how far chance may take them; nothing where that is unknown."""
    return "" if math.isnan(held.noise) else f" ({held.apart:.3g} apart, where chance may give {held.noise:.3g})"


def _samplers(a: Scores, b: Scores) -> str:
    """The samplers of two diffusion models, where they are not one: that moves a value too."""
    one, other = ((s.made.get("sampler"), s.made.get("n_steps")) for s in (a, b))
    if one == other or "generator" in (one[0], other[0]):
        return ""
    return ", by unlike samplers: " + " and ".join(f"{name} in {steps}" for name, steps in (one, other))


def protocol_row(label: str, scores: Sequence[Scores]) -> dict[str, Any]:
    """How the samples of a row came about and what they were compared with."""
    return {"": label, **score_protocol(scores)}
