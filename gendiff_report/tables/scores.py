"""Tables of scores: a row a set of samples, or all seeds of a model; by one extractor, or those of the literature."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gendiff_lib.config import Sampling
from gendiff_lib.evaluation.evaluate import outdated_parts
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.experiments.extractors import classifier_name, offline_name
from gendiff_lib.runs.run import Run

from .. import results
from ..asking import Asking
from ..exhibit import Exhibit, banner, details, left_out
from ..reading import FAMOUS, LACKING, Unpublished
from .protocol import protocol_table
from .rows import (
    MADE_WITH,
    NO_BETTER,
    NOISE_NOTE,
    cell,
    class_columns,
    compact,
    lead_rows,
    protocol_row,
    score_row,
    spent,
)
from .table import filed

Entry = Run | tuple[Run, Sampling]  # a run's samples by its own protocol, or by another sampling
Splits = tuple[list[Scores], list[Scores]]  # against training and test images
SEEDS_NOTE = "Where there is one training seed this speaks of two runs, not of two methods."


def scores(asked: Asking, entries: Mapping[str, Entry], *, cost: bool = False) -> Exhibit[dict[str, Scores]]:
    """A row an entry: the scores of one set of samples, with the protocol of each; Unpublished where none has any.

    `cost` adds the operations of each training, and whether its samples are of raw or of averaged weights.
    What is not scored, and must not be now, is left out, and a line says so.
    """
    found, missing = _both_splits(asked, entries, lambda *entry: [results.scores(asked, *entry)])
    more = {label: _cost(train) for label, (train, _) in found.items()} if cost else {}
    own = {label: [s] if (s := results.own_scores(asked, *_whole(entries[label]))) else [] for label in found}
    shown = _shown(found, own, more)
    return Exhibit(missing + shown, {label: train[0] for label, (train, _) in found.items()})


def seeds(asked: Asking, entries: Mapping[str, Entry]) -> Exhibit[dict[str, list[Scores]]]:
    """A row an entry over its sampling seeds and the training seeds that speak of it, otherwise as `scores`."""
    return _over_seeds(asked, entries, results.several)


def trained(asked: Asking, entries: Mapping[str, Entry]) -> Exhibit[dict[str, list[Scores]]]:
    """A row a model on its way, over every training seed that came so far, otherwise as `scores` with its `cost`.

    A run without a sampling is sampled as snapshots are.
    """
    wholes = {label: e if isinstance(e, tuple) else (e, asked.of_snapshots(e)) for label, e in entries.items()}
    return _over_seeds(asked, wholes, results.of_each_training, cost=True)


def _over_seeds(
    asked: Asking, entries: Mapping[str, Entry], ask: Callable[..., list[Scores]], *, cost: bool = False
) -> Exhibit[dict[str, list[Scores]]]:
    """A row an entry over the seeds that `ask`, of `results`, tells of."""
    found, missing = _both_splits(asked, entries, lambda *entry: ask(asked, *entry))
    own = {label: results.own_of_several(asked, *_whole(entries[label]), ask) for label in found}
    more = {label: _cost(train) for label, (train, _) in found.items()} if cost else {}
    return Exhibit(missing + _shown(found, own, more), {label: train for label, (train, _) in found.items()})


def famous(asked: Asking, runs: Mapping[str, Run]) -> Exhibit[dict[str, dict[str, list[Scores]]]]:
    """Scores by the networks of the literature, where somebody who has their weights has computed them.

    A table an extractor, else a sentence; found are the scores by extractor and model. The offline extractor has a
    table of its own (`seeds`), so it has none here. Where one gives no classifier score, that of the data set's own
    classifier stands beside, under its own name.
    """
    offline = {offline_name(run.config.dataset) for run in runs.values()}
    found, shown = {}, []
    for extractor in (name for name in FAMOUS if name not in offline):
        train = {label: kept for label, run in runs.items() if (kept := results.kept(asked, run, extractor))}
        if train:
            found[extractor] = train
            shown.append(_famous_table(asked, runs, extractor, train))
        else:
            command = f"gendiff score --all --preset {asked.preset} --extractor {extractor}"
            shown.append(f"<p>Not scored by {extractor} yet: <code>{command}</code> does it where its weights are.</p>")
    return Exhibit("".join(shown), found)


def leads(one: tuple[str, list[Scores]], other: tuple[str, list[Scores]]) -> Exhibit[list[str | None]]:
    """Which of two is better in what, beyond the noise; found is who leads, or None, in each that has a better."""
    rows = lead_rows(one, other)
    caption = "By chance: three standard deviations, by Student's t for as few values as the errors rest on."
    judged = [row["better"] for row in rows if row[""] not in NO_BETTER]
    sides = [better if better in (one[0], other[0]) else None for better in judged]
    return Exhibit(filed(rows, caption), sides)


def _cost(scored: Sequence[Scores]) -> dict[str, Any]:
    return {"petaFLOP": spent(scored), "weights": scored[0].made["weights"]}


def _whole(entry: Entry) -> tuple[Run, Sampling | None]:
    return entry if isinstance(entry, tuple) else (entry, None)


def _both_splits(
    asked: Asking, entries: Mapping[str, Entry], ask: Callable[..., list[Scores]]
) -> tuple[dict[str, Splits], str]:
    """The scores of each entry that has some, and a line about the others. Those against test images may be lacking."""
    found: dict[str, Splits] = {}
    lacking = []
    for label, entry in entries.items():
        try:
            train = ask(*_whole(entry), "train")
        except LACKING:
            lacking.append(label)
            continue
        try:
            found[label] = train, ask(*_whole(entry), "test")
        except LACKING:
            found[label] = train, []
    if not found:
        raise Unpublished(f"nothing of {', '.join(entries) or 'these models'} is scored yet")
    return found, left_out("not scored yet, so left out here", lacking)


def _shown(
    found: Mapping[str, Splits],
    own: Mapping[str, list[Scores]],
    more: Mapping[str, dict[str, Any]] | None = None,
) -> str:
    """`own` are the scores by the data set's own classifier, which has columns of its own where it tells anything."""
    columns = {label: class_columns(scored) for label, scored in own.items()} if any(own.values()) else {}
    rows, lacking = compact(
        [
            score_row(label, train, test) | columns.get(label, {}) | (more or {}).get(label, {})
            for label, (train, test) in found.items()
        ]
    )
    one = next(iter(found.values()))[0][0]
    against = next((f"; (test): {test[0].n_real:,} test images" for _, test in found.values() if test), "")
    names = "" if one.extractor == "inception" else "fd, kd and cs are no FID, KID and IS. "
    protocols = protocol_table([protocol_row(label, train) for label, (train, _) in found.items()])
    shown = filed(rows, f"By the protocol {one.protocol}{against}. {names}{NOISE_NOTE}{lacking}", once=MADE_WITH)
    return _outdated(found) + shown + details("Protocol of each row", protocols)


def _outdated(found: Mapping[str, Splits]) -> str:
    """Banners about samples and scores that other code has made."""
    banners = []
    for what in ("samples", "scores"):
        if old := [k for k, (train, _) in found.items() if any(what in outdated_parts(s) for s in train)]:
            banners.append(banner(f"The {what} of {', '.join(old)} are older than the code that would make them now."))
    return "".join(banners)


def _famous_table(asked: Asking, runs: Mapping[str, Run], extractor: str, train: Mapping[str, list[Scores]]) -> str:
    rows, lacking = compact([_famous_row(asked, k, runs[k], extractor, several) for k, several in train.items()])
    names = "" if extractor == "inception" else f"By {extractor} they are no FID, KID and IS. "
    of = next(iter(train.values()))[0].protocol
    missing = left_out(f"not scored by {extractor} yet, so left out here", [k for k in runs if k not in train])
    caption = f"{of}; each model at its own protocol's n. {names}{NOISE_NOTE}{lacking}"
    return filed(rows, caption, once=MADE_WITH) + missing


def _famous_row(asked: Asking, label: str, run: Run, extractor: str, train: list[Scores]) -> dict[str, Any]:
    row = score_row(label, train, results.kept(asked, run, extractor, reference="test"))
    own = classifier_name(run.config.dataset)
    if train[0].classifier_score is None and (kept := results.kept(asked, run, own)):
        row["cs, classifier"] = cell(kept, "classifier_score")
    return row | {"petaFLOP": spent(train)}
