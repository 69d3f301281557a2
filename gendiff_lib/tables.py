"""Tables in HTML, and the rows that show scores: made from `Scores` alone, so that no number loses its protocol."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .metrics import VALUES, Estimate, ScoreError, Scores, differ, estimate, noise, protocol_of

HIGHER_IS_BETTER = {"classifier_score", "precision", "recall", "coverage"}
NO_BETTER = {"density"}  # real images have about 1; a set that crowds has more

Rows = Sequence[Mapping[str, Any]]


def plain(value: Any) -> str:
    """A cell's text; floats with four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(v) for v in value)
    return "none" if value is None else str(value).replace(" ± ", "\u00a0±\u00a0")  # kept on one line


def table(rows: Rows, caption: str = "") -> str:
    """Rows as an HTML table that scrolls sideways where it must; the first row's keys are the head."""
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(str(k))}</th>" if k else "<td></td>" for k in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(plain(v))}</td>" for v in row.values()) + "</tr>" for row in rows
    )
    title = f"<caption><span>{html.escape(caption)}</span></caption>" if caption else ""
    inside = f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide" tabindex="0"><table class="table">{inside}</table></div>'


def details(title: str, body: str) -> str:
    """A box that opens on a click."""
    return f'<details class="provenance"><summary>{html.escape(title)}</summary>{body}</details>'


def score_row(label: str, train: Sequence[Scores], test: Sequence[Scores]) -> dict[str, Any]:
    """A row of one model: each value over its seeds, the Fréchet distance against both splits."""
    one = train[0]
    row: dict[str, Any] = {"": label}
    for name in VALUES:
        if name != "frechet_distance":
            row[one.labels[name]] = str(estimate(train, name))
            continue
        fd = one.labels[name]
        row[f"{fd} (train)"] = str(estimate(train, name))
        row[f"{fd} (test)"] = str(estimate(test, name)) if test else "not computed"
    if one.shares:
        row["classes"] = f"{min(s.classes_covered for s in train)} of {len(one.shares)}"
    return row | {"n": f"{one.n_fake:,}", "over": over(train)}


def lead_rows(one: tuple[str, Sequence[Scores]], other: tuple[str, Sequence[Scores]]) -> list[dict[str, Any]]:
    """A row a value: both sides' mean ± std, how far apart, what chance allows, and which is better beyond it.

    ScoreError where the two sides were scored by unlike protocols.
    """
    if protocol_of(one[1][0], made=False) != protocol_of(other[1][0], made=False):
        raise ScoreError(f"{one[0]} and {other[0]} do not compare: they have another n, reference or extractor")
    rows = []
    for name in VALUES:
        a, b = estimate(one[1], name), estimate(other[1], name)
        first = (a.mean > b.mean) == (name in HIGHER_IS_BETTER)
        verdict = (one[0] if first else other[0]) if differ(a, b) else "inside the noise"
        rows.append(
            {
                "": one[1][0].labels[name],
                one[0]: str(a),
                other[0]: str(b),
                "apart": abs(a.mean - b.mean),
                "by chance": f"up to {noise(a, b):.2g}" if noise(a, b) > 0 else "unknown",
                "better": "none: 1 is real" if name in NO_BETTER else verdict,
            }
        )
    return rows


def told_apart(a: Estimate, b: Estimate) -> str:
    """What may be said of the difference of two estimates."""
    return "beyond the noise" if differ(a, b) else "inside the noise"


def lowest(found: Mapping[str, tuple[float, float]]) -> str:
    """A sentence: which of several (value, standard error) is lowest, if any is beyond the noise."""
    ranked = sorted(found, key=lambda k: found[k][0])
    (a, error_a), (b, error_b) = found[ranked[0]], found[ranked[1]]
    shown = f"{a:.3f} ± {error_a:.3f} against {b:.3f} ± {error_b:.3f} of {ranked[1]}"
    if b - a > 3 * math.hypot(error_a, error_b):
        return f"{ranked[0]} is lowest beyond the noise, {shown}."
    return f"{ranked[0]} has the lowest value, {shown}, but not beyond the noise."


def over(scores: Sequence[Scores]) -> str:
    """What a mean ± std was taken over, in words."""
    found = estimate(scores, "frechet_distance")
    if found.source == "parts":
        return f"1 set in {scores[0].parts} parts"
    return f"{found.n} {found.source}"


def protocol_row(label: str, scores: Sequence[Scores]) -> dict[str, Any]:
    """How the samples of a row came about and what they were compared with."""
    one = scores[0]

    def several(key: str) -> str:
        return ", ".join(dict.fromkeys(plain(s.made.get(key)) for s in scores))

    def seconds(key: str) -> str:
        found = [s.made[key] for s in scores if key in s.made]
        return f"{sum(found) / len(found):.1f}" if found else "none"

    return {
        "": label,
        "run": several("run"),
        "epochs": several("epochs"),
        "training seeds": several("training_seed"),
        "training s": seconds("training_seconds"),
        "weights": several("weights"),
        "sampler": several("sampler"),
        "steps": several("n_steps"),
        "eta": several("eta"),
        "clip x0": several("clip_x0"),
        "sampling seeds": several("sampling_seed"),
        "sampling s": seconds("sampling_seconds"),
        "device": f"{several('device')}, {several('threads')} threads",
        "extractor": f"{one.extractor} {one.extractor_digest}",
        "n": f"{one.n_fake:,}",
        "real images": f"{one.n_real:,} {one.reference}",
        "k": f"{one.neighbours} and {one.density_neighbours}",
        "commit": ", ".join(dict.fromkeys(str(s.made.get("commit"))[:10] for s in scores)),
    }


# ---------------------------------------------------------------- benchmarks, from their results on disk


def _spread(found: Mapping[str, Any], digits: int = 3) -> str:
    return f"{found['median']:.{digits}g} ({found['min']:.{digits}g} to {found['max']:.{digits}g})"


def contest_rows(contest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a contestant of a speed benchmark: median (least to greatest) over rounds."""
    return [
        {
            "": name,
            f"seconds a {contest['work']}": _spread(found["seconds"]),
            "images/s": found["images_per_second"],
            "parameters": f"{found['parameters']:,}",
            "GFLOP, one image forward": found["forward_flops"] / 1e9,
            "of what matrix products reach": f"{found['utilisation']:.0%}",
        }
        for name, found in contest["contestants"].items()
    ]


def ratio_rows(contests: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a pair: how many times as fast ours is, as measured and at equal operations, and the goal that was set."""
    return [
        {
            "work": contest["title"],
            "ours": ratio["ours"],
            "theirs": ratio["theirs"],
            "times as fast": _spread(ratio["raw"]),
            "at equal operations": _spread(ratio["per_flop"]),
            "goal": ratio.get("goal", "none"),
            "reached": {True: "yes", False: "no", None: ""}[ratio.get("reached")],
        }
        for contest in contests.values()
        for ratio in contest["ratios"]
    ]


def scoring_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a contestant of the scoring benchmark."""
    return [
        {"": name, "seconds": _spread(found["seconds"]), "peak memory, GB": _spread(_scaled(found["peak_bytes"], 1e9))}
        for name, found in result["contestants"].items()
    ]


def _scaled(found: Mapping[str, Any], unit: float) -> dict[str, float]:
    return {k: found[k] / unit for k in ("median", "min", "max")}


def where(result: Mapping[str, Any]) -> str:
    """The machine and the versions of a benchmark's result, in a line."""
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items() if k not in ("python", "gendiff", "numpy"))
    changed = " + changes" if result["dirty"] else ""
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return f"{result['device']}, {threads}; {versions}; commit {str(result['commit'])[:10]}{changed}"
