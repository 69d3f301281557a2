"""Which of several runs have what a table shows."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from gendiff_lib.runs.run import Run

from ..exhibit import left_out
from ..reading import LACKING, Unpublished

T = TypeVar("T")


def there(runs: Mapping[str, Run], ask: Callable[[Run], T]) -> tuple[dict[str, T], str]:
    """What is kept of some runs, and a line about those without it. Unpublished where none has it."""
    found, lacking = {}, []
    for label, run in runs.items():
        try:
            found[label] = ask(run)
        except LACKING:
            lacking.append(label)
    if not found:
        raise Unpublished(f"none of this is computed yet of {', '.join(runs) or 'these models'}")
    return found, left_out("not computed yet, so left out here", lacking)
