"""Tables and points as files that a page holds itself: links that save them, in full precision."""

import base64
import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .number import Number, plain


def data_links(name: str, rows: Sequence[Mapping[str, Any]], caption: str | None) -> str:
    """Links that download rows as CSV and JSON. Self-contained, so they work in Jupyter; the book makes them files."""
    made = {"csv": as_csv(rows), "json": as_json(rows, caption)}
    links = (download(f"{name}.{kind}", text) for kind, text in made.items())
    return f'<p class="data-links">This table as {" or ".join(links)}.</p>'


def download(name: str, text: str) -> str:
    """A link that saves `text` under `name`, whose ending is its label."""
    kind = name.rpartition(".")[2]
    mime = {"csv": "text/csv", "json": "application/json"}[kind]
    content = base64.b64encode(text.encode()).decode()
    return f'<a class="data" download="{name}" href="data:{mime};base64,{content}">{kind.upper()}</a>'


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every cell in full precision; a number's spread in a column of its own."""
    out = io.StringIO()
    spread = [key for key in rows[0] if any(isinstance(r[key], Number) and r[key].spread is not None for r in rows)]
    names = [n for key in rows[0] for n in ((key, f"{key} ±") if key in spread else (key,))]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        cells: list[Any] = []
        for key, cell in row.items():
            number = isinstance(cell, Number)
            cells.append(_bare(cell.value if number else cell))
            cells += [_bare(cell.spread) if number else None] if key in spread else []
        writer.writerow(cells)
    return out.getvalue()


def as_json(rows: Sequence[Mapping[str, Any]], caption: str | None) -> str:
    """Rows with the protocols that their numbers point at by position."""
    protocols: list[dict[str, str]] = []

    def cell(value: Any) -> Any:
        if not isinstance(value, Number):
            return _bare(value)
        known = dict(value.protocol)
        if known not in protocols:
            protocols.append(known)
        exact = {"value": _bare(value.value), "spread": _bare(value.spread)}
        return {"text": value.text, **exact, "protocol": protocols.index(known)}

    made = [{key: cell(value) for key, value in row.items()} for row in rows]
    return json.dumps({"caption": caption, "rows": made, "protocols": protocols}, indent=1, ensure_ascii=False)


def _bare(value: Any) -> Any:
    """A value as CSV and JSON take it; what is no number is none there."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (int, float, str)) else plain(value)
