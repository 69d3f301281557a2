"""How things came about: many facts of few things, so each fact is a line of its own, and no table scrolls."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from ..number import as_code, plain
from .table import alike

BESIDE = 3  # so many things have a column each


def protocol_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a label, a column a row; of more rows than BESIDE a line each, below what is the same in all.

    A row is called by the value of its first label.
    """
    if not rows:
        return ""
    labels = list(dict.fromkeys(label for row in rows for label, value in row.items() if plain(value) != "none"))
    lines = (_beside if len(rows) <= BESIDE else _below)(rows, labels)
    body = "".join(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>' for name, cells in lines)
    return f'<div class="wide protocol" tabindex="0"><table class="table"><tbody>{body}</tbody></table></div>'


def _beside(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[tuple[str, str]]:
    shared, lines = alike(rows, labels[1:]), []
    for label in labels:
        values = [as_code(plain(row.get(label))) for row in rows]
        once = f'<td colspan="{len(rows)}">{values[0]}</td>'
        lines.append((label, once if label in shared else "".join(f"<td>{value}</td>" for value in values)))
    return lines


def _below(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[tuple[str, str]]:
    first, *facts = labels
    shared = alike(rows, facts)
    told = [[k for k in facts if k not in shared and plain(row.get(k)) != "none"] for row in rows]
    lines = [(plain(row[first]), _facts(row, its)) for row, its in zip(rows, told, strict=True)]
    return [("all", _facts(rows[0], shared)), *lines] if shared else lines


def _facts(row: Mapping[str, Any], labels: Sequence[str]) -> str:
    told = (f'<span class="label">{html.escape(label)}</span> {as_code(plain(row[label]))}' for label in labels)
    return f"<td>{'; '.join(told)}</td>"
