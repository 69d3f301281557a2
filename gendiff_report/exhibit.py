"""What a cell of a notebook shows, as HTML: with what it was made from, so that a finding can be told of it."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class Exhibit(Generic[T]):
    """Something to look at, and what was `found` to make it: a table's scores, the results of a benchmark."""

    html: str
    found: T

    def __repr__(self) -> str:
        return "<Exhibit>"  # what a page shows where it cannot show HTML

    def _repr_html_(self) -> str:
        return self.html


def details(title: str, body: str, *, printed: bool = True) -> str:
    """A box that opens on a click; on paper it is open, or not there."""
    kind = "provenance" if printed else "provenance unprinted"
    return f'<details class="{kind}"><summary>{html.escape(title)}</summary>{body}</details>'


def banner(text: str) -> str:
    """What a reader must see before all else."""
    return f'<p class="banner">{text}</p>'


def with_commands(text: str) -> str:
    """A sentence as HTML, what stands in backticks set as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(text, quote=False))


def left_out(why: str, names: Sequence[str]) -> str:
    """A line that says what is left out, and why, commands in backticks; nothing where nothing is."""
    if not names:
        return ""
    return f'<p class="missing">{", ".join(dict.fromkeys(names))}: {with_commands(why)}.</p>'
