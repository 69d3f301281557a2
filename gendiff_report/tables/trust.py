"""Whether scores can be trusted: told against measured standard errors, and how alike two feature spaces order."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gendiff_lib.evaluation.calibration import Calibration
from gendiff_lib.evaluation.scores import VALUES, Scores
from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.parsing import as_text

from ..agreement import FEWEST, Agreement, agreements, discordant, scored_sets
from ..asking import Asking
from ..exhibit import Exhibit, banner
from ..number import Number, command_name, plain
from ..provenance import is_stale
from ..validated import published_calibrations
from .rows import NO_LOGITS, label_of
from .table import filed


def errors(asked: Asking) -> Exhibit[dict[str, dict[str, float]]]:
    """Told over measured standard errors of one model's samples: a row a score, a column an extractor.

    Found are the ratios by extractor and score, of all extractors whose calibration is published.
    """
    dataset = asked.data()
    several = published_calibrations(dataset)
    if not several:
        text = f"<p>No calibration on {dataset} is published: <code>gendiff calibrate</code> makes one.</p>"
        return Exhibit(text, {})
    stale = [name for name, found in several.items() if is_stale(found)]
    told = f"The calibrations by {', '.join(stale)} are older than the code that computes scores now."
    rows: list[dict[str, Any]] = [
        {"": label, **{name: _ratio(found, value) for name, found in several.items()}}
        for value, label in _named(found.draws[0] for found in several.values()).items()
    ]
    shown = filed(rows, f"Standard error told, over the spread of draws: one is exact. {_draws(several)}")
    return Exhibit((banner(told) if stale else "") + shown, {name: found.ratios() for name, found in several.items()})


def agreement(asked: Asking) -> Exhibit[list[Agreement]]:
    """How alike two extractors order the published sets of samples: a row a pair of extractors and an n."""
    found = agreements(scored_sets(asked.data()))
    if not found:
        return Exhibit("<p>No published set of samples is scored by two extractors yet.</p>", found)
    caption = "Sets of samples that two extractors have both scored, each pair at one n: the snapshots of runs."
    return Exhibit(filed([_agreement_row(each) for each in found], caption), found)


def unlike(one: Mapping[str, Sequence[Scores]], other: Mapping[str, Sequence[Scores]]) -> Exhibit[None]:
    """Says which of the models that two extractors have scored they order differently by the Fréchet distance."""
    both = [label for label in one if label in other]
    if len(both) < 2:
        return Exhibit("", None)
    names = [next(iter(side.values()))[0].extractor for side in (one, other)]
    fd = {k: (_mean_distance(one[k]), _mean_distance(other[k])) for k in both}
    pairs = "; ".join(f"{a} and {b}" for a, b in discordant(fd))
    told = (
        f"order these differently: {pairs}. A lead in one space alone is no verdict"
        if pairs
        else f"order all {len(both)} alike"
    )
    return Exhibit(f"<p>By the Fréchet distance {' and '.join(names)} {told}.</p>", None)


def _draws(several: Mapping[str, Calibration]) -> str:
    """What was drawn for each extractor, and how well a spread over so few draws is known."""
    of = "; ".join(
        f"by {name}: {len(c.draws)} draws of {c.n:,} from {c.pool:,} samples of {c.made['run']}, a spread known to "
        f"{doubt(len(c.draws)):.0%}"
        for name, c in several.items()
    )
    return of[0].upper() + of[1:] + "."


def doubt(draws: int) -> float:
    """By what share of itself a spread over so few draws is off, as a standard deviation (of a normal value)."""
    return 1 / math.sqrt(2 * (draws - 1))


def _ratio(found: Calibration, value: str) -> Number | str:
    """A ratio that opens to both errors and to how it was made; a word where there is none."""
    ratio = found.ratios().get(value)
    if ratio is None:
        return NO_LOGITS
    made, one = found.made, found.draws[0]
    command = f"gendiff calibrate {made['run']} --epoch {as_text(made['epochs'])} --n {found.n} --pool {found.pool}"
    how = {
        "what": f"{one.labels[value]}: standard error told, over the standard deviation of draws",
        "told": plain(found.told(value)),
        "measured": plain(found.spread(value)),
        "extractor": f"{one.extractor} {one.extractor_digest}",
        "real images": one.reals,
        "seconds": f"{made['seconds']:.0f} on {made['device']}",
        "commit": (made["commit"] or "none")[:10],
        "command": f"{command} --draws {len(found.draws)} --extractor {command_name(one.extractor)}",
    }
    return Number(f"{ratio:.2f}", ratio, how)


def _agreement_row(found: Agreement) -> dict[str, Any]:
    how = {"what": "Kendall's tau-b of the Fréchet distances", "sets": "; ".join(found.sets)}
    known = len(found.sets) >= FEWEST
    return {
        "extractors": f"{found.one}, {found.other}",
        "n of each set": f"{found.n:,}",
        "sets": len(found.sets),
        "tau": Number(f"{found.tau:.2f}", found.tau, how) if known else f"fewer than {FEWEST} sets",
        "pairs ordered differently": len(found.discordant),
    }


def _mean_distance(scores: Sequence[Scores]) -> float:
    return estimate(scores, "frechet_distance").mean


def _named(several: Iterable[Scores]) -> dict[str, str]:
    """What each value is called by several extractors, by each of the names that it bears."""
    called = [label_of(scores) for scores in several]
    return {value: " or ".join(dict.fromkeys(names[value] for names in called)) for value in VALUES}
