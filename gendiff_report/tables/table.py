"""Rows as HTML tables, and as the files beside them."""

import html
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ..downloads import data_links
from ..exhibit import Exhibit
from ..number import Number, plain

Rows = Sequence[Mapping[str, Any]]

_SERIAL = itertools.count(1)  # each table of a page has files of its own


def table(rows: Rows, caption: str | None = None) -> str:
    """Rows as an HTML table that scrolls sideways where it must; the first row's keys are the head."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{html.escape(str(k))}</th>' if k else "<td></td>" for k in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_cell(v)}</td>" for v in row.values()) + "</tr>" for row in rows)
    title = f"<caption><span>{html.escape(caption)}</span></caption>" if caption else ""
    inside = f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide" tabindex="0"><table class="table">{inside}</table></div>'


def filed(rows: Rows, caption: str = "", *, once: Sequence[str] = ()) -> str:
    """The same with links to it as CSV and JSON; new files at every call.

    What the columns in `once` hold is said in the caption where it is the same in all rows; the files keep it a column.
    """
    if not rows:
        return ""
    shared = alike(rows, [name for name in once if name in rows[0]])
    said = f" All rows: {', '.join(f'{name} {plain(rows[0][name])}' for name in shared)}." if shared else ""
    brief = [{name: value for name, value in row.items() if name not in shared} for row in rows]
    return table(brief, caption + said) + data_links(f"table-{next(_SERIAL)}", rows, caption)


def alike(rows: Rows, names: Sequence[str]) -> list[str]:
    """Those of some names under which all rows tell the same."""
    return [name for name in names if len({plain(row.get(name)) for row in rows}) == 1]


def of_rows(rows: Rows, caption: str = "") -> Exhibit[Rows]:
    """Rows as an exhibit, floats with four digits, with links to the same as CSV and JSON."""
    return Exhibit(filed(rows, caption), rows)


def _cell(value: Any) -> str:
    return value.html if isinstance(value, Number) else html.escape(plain(value))
