"""Tables in HTML, and the rows that show scores: made from `Scores` alone, so that no number loses its protocol."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .cards import Number, over, plain, score_number, score_protocol
from .metrics import VALUES, Scores, check_alike, differ, estimate, noise

HIGHER_IS_BETTER = {"classifier_score", "precision", "recall", "coverage"}
NOT_COMPUTED = "not computed"
NO_LOGITS = "none: no logits"  # of an extractor whose file holds features alone
NO_BETTER = {"density"}  # real images have about 1; a set that crowds has more

Rows = Sequence[Mapping[str, Any]]


def table(rows: Rows, caption: str = "") -> str:
    """Rows as an HTML table that scrolls sideways where it must; the first row's keys are the head."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{html.escape(str(k))}</th>' if k else "<td></td>" for k in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row.values()) + "</tr>" for row in rows)
    title = f"<caption><span>{html.escape(caption)}</span></caption>" if caption else ""
    inside = f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide" tabindex="0"><table class="table">{inside}</table></div>'


def aligned(rows: Rows) -> list[dict[str, Any]]:
    """Rows with the keys of all of them, in the order in which they are met; what a row lacks is None."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def _cell(value: Any) -> str:
    return value.html if isinstance(value, Number) else html.escape(plain(value))


def details(title: str, body: str) -> str:
    """A box that opens on a click."""
    return f'<details class="provenance"><summary>{html.escape(title)}</summary>{body}</details>'


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


def class_columns(own: Scores | None) -> dict[str, Any]:
    """What a data set's own classifier alone tells of samples, under its name, for a row by another extractor."""
    if own is None:
        return {"cs, classifier": NOT_COMPUTED, "classes, classifier": NOT_COMPUTED}
    return {
        "cs, classifier": cell([own], "classifier_score"),
        "classes, classifier": f"{own.classes_covered} of {len(own.shares)}",
    }


def label_of(scores: Scores) -> dict[str, str]:
    """What each value is called by this extractor, those included that it does not give."""
    return dict(zip(VALUES, (*scores.names, *VALUES[3:]), strict=True))


def cell(scores: Sequence[Scores], name: str) -> Number | str:
    """A value over its seeds; a word where the extractor gives none, having no classes."""
    return score_number(scores, name) if getattr(scores[0], name) is not None else NO_LOGITS


def operations(run_operations: int, protocol: Mapping[str, str]) -> Number:
    """The operations of a training, in 10^15."""
    what = {"what": "operations of the training, forward and backward, counted, in 10^15"}
    return Number(f"{run_operations / 1e15:.3g}", run_operations / 1e15, what | dict(protocol))


def lead_rows(one: tuple[str, Sequence[Scores]], other: tuple[str, Sequence[Scores]]) -> list[dict[str, Any]]:
    """A row a value: both sides' mean ± std, how far apart, what chance allows, and which is better beyond it.

    ScoreError where the two sides were scored by unlike protocols.
    """
    check_alike(one[1], other[1])
    rows = []
    for name in one[1][0].labels:
        a, b = estimate(one[1], name), estimate(other[1], name)
        shown = score_number(one[1], name), score_number(other[1], name)
        apart, label = abs(a.mean - b.mean), one[1][0].labels[name]
        how = {"what": f"{label}, how far apart", **{k: n.text for k, n in zip((one[0], other[0]), shown, strict=True)}}
        first = (a.mean > b.mean) == (name in HIGHER_IS_BETTER)
        verdict = (one[0] if first else other[0]) if differ(a, b) else "inside the noise"
        rows.append(
            {
                "": label,
                one[0]: shown[0],
                other[0]: shown[1],
                "apart": Number(plain(apart), apart, how),
                "by chance": f"up to {noise(a, b):.2g}" if noise(a, b) > 0 else "unknown",
                "better": "none: 1 is real" if name in NO_BETTER else verdict,
            }
        )
    return rows


def told_apart(a: Scores, b: Scores, name: str) -> str:
    """What may be said of the difference of a value between two sets of samples."""
    return "beyond the noise" if differ(estimate([a], name), estimate([b], name)) else "inside the noise"


def lowest(found: Mapping[str, tuple[float, float]]) -> str:
    """A sentence: which of several (value, standard error) is lowest, if any is beyond the noise."""
    ranked = sorted(found, key=lambda k: found[k][0])
    if len(ranked) == 1:
        return "there is {}: {:.3f} ± {:.3f}.".format(ranked[0], *found[ranked[0]])
    (a, error_a), (b, error_b) = found[ranked[0]], found[ranked[1]]
    shown = f"{a:.3f} ± {error_a:.3f} against {b:.3f} ± {error_b:.3f} of {ranked[1]}"
    if b - a > 3 * math.hypot(error_a, error_b):
        return f"{ranked[0]} is lowest beyond the noise, {shown}."
    return f"{ranked[0]} has the lowest value, {shown}, but not beyond the noise."


def protocol_row(label: str, scores: Sequence[Scores]) -> dict[str, Any]:
    """How the samples of a row came about and what they were compared with."""
    return {"": label, **score_protocol(scores)}


# ---------------------------------------------------------------- benchmarks, from their results on disk


def measured_row(name: str, result: Mapping[str, Any]) -> dict[str, str]:
    """Where the benchmark called `name` ran, what repeats it, and where its every turn is kept."""
    turns = f"benchmarks/results/{name}.json"
    return {
        "benchmark": name,
        "measured on": where(result),
        "all turns": turns,
        "command": _bench_command(name, result),
    }


def _bench_command(name: str, result: Mapping[str, Any]) -> str:
    if name.startswith("speed"):
        words, of = ["gendiff bench", f"--threads {result['threads']}"], result["settings"]
        options = ("seconds", "rounds", "sampling_steps", "dataset")
    else:
        words, of = [f"OMP_NUM_THREADS={result['threads']} python -m benchmarks.scoring"], result
        options = ("n_fake", "n_real", "repeats", "dataset")
    return " ".join(words + [f"--{option.replace('_', '-')} {plain(of[option])}" for option in options])


def _spread(
    found: Mapping[str, Any], how: Mapping[str, str], unit: float = 1.0, of: str = "the turns' measurements"
) -> Number:
    low, middle, high = (found[k] / unit for k in ("min", "median", "max"))
    what = {"what": f"median of {of} (least to greatest)"}
    return Number(f"{middle:.3g} ({low:.3g} to {high:.3g})", middle, what | dict(how))


def contest_rows(contest: Mapping[str, Any], how: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a contestant of a speed benchmark: median (least to greatest) over rounds. Numbers open to `how`."""
    median = {"what": "images a second, at the median of the turns"}
    share = {"what": "counted operations a second, over those of square matrix products"}
    how = dict(how)
    return [
        {
            "": name,
            f"seconds a {contest['work']}": _spread(found["seconds"], how),
            "images/s": Number(plain(found["images_per_second"]), found["images_per_second"], median | how),
            "parameters": f"{found['parameters']:,}",
            "GFLOP, one image forward": found["forward_flops"] / 1e9,
            "of what matrix products reach": Number(f"{found['utilisation']:.0%}", found["utilisation"], share | how),
        }
        for name, found in contest["contestants"].items()
    ]


def ratio_rows(contests: Mapping[str, Any], how: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a pair: how many times as fast ours is, as measured and at equal operations, and the goal that was set."""
    return [
        {
            "work": contest["title"],
            "ours": ratio["ours"],
            "theirs": ratio["theirs"],
            "times as fast": _spread(ratio["raw"], how, of="the rounds' ratios"),
            "at equal operations": _spread(ratio["per_flop"], how, of="the rounds' ratios"),
            "goal": ratio.get("goal", "none"),
            "reached": {True: "yes", False: "no", None: ""}[ratio.get("reached")],
        }
        for contest in contests.values()
        for ratio in contest["ratios"]
    ]


def scoring_rows(result: Mapping[str, Any], how: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a contestant of the scoring benchmark."""
    return [
        {
            "": name,
            "seconds": _spread(found["seconds"], how),
            "peak memory, GB": _spread(found["peak_bytes"], how, 1e9),
        }
        for name, found in result["contestants"].items()
    ]


def where(result: Mapping[str, Any]) -> str:
    """The machine and the versions of a benchmark's result, in a line."""
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items() if k not in ("python", "gendiff", "numpy"))
    changed = " + changes" if result["dirty"] else ""
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return f"{result['device']}, {threads}; {versions}; commit {str(result['commit'])[:10]}{changed}"
