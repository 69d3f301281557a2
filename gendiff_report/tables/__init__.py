"""Tables of the report: functions from what is asked of a page, and its runs, to what a notebook's cell shows."""

from .collapse import collapse, gan_setting
from .likelihood import bits, lowest
from .memorisation import memorisation
from .paper import printed, table1
from .points import POINT_COLUMNS, points
from .rows import drawing_alone, ranked, spent, told_apart
from .scores import SEEDS_NOTE, famous, leads, scores, seeds, trained
from .speed import measured, processes, scoring, speed
from .table import of_rows
from .trust import agreement, errors, unlike
from .validation import calibration, damage, splits, validation

__all__ = [
    "POINT_COLUMNS",
    "SEEDS_NOTE",
    "agreement",
    "bits",
    "calibration",
    "collapse",
    "damage",
    "drawing_alone",
    "errors",
    "famous",
    "gan_setting",
    "leads",
    "lowest",
    "measured",
    "memorisation",
    "of_rows",
    "points",
    "printed",
    "processes",
    "ranked",
    "scores",
    "scoring",
    "seeds",
    "speed",
    "spent",
    "splits",
    "table1",
    "told_apart",
    "trained",
    "unlike",
    "validation",
]
