"""A notebook's page: what a reader must see first, where its numbers come from, and what it finds.

What is asked of a page (asking), what is known of its runs (results), and how that is shown (tables, figures, diagrams)
stand apart; a page holds the first, and the runs that it shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import HTML, Markdown, display

from gendiff_lib.config import Config, Sampling
from gendiff_lib.data import check_name
from gendiff_lib.evaluation.validation import Validation
from gendiff_lib.experiments import EXPERIMENTS
from gendiff_lib.experiments.budget import PATIENCE
from gendiff_lib.experiments.experiment import PRESETS
from gendiff_lib.runs.run import Run

from .asking import Asking
from .exhibit import banner, details, left_out
from .figures.style import use_svg
from .number import plain
from .provenance import drawn, training_protocol, validation_protocol
from .tables.protocol import protocol_table
from .tables.table import table

OVERNIGHT = (
    "models for two CPU cores, the paper's two at the same counted operations, with its settings but for the width of "
    "their networks and the length of training. Its GAN is the one at the 32x32 pixels of its text; its Fig. 16 prints "
    "64."
)
SMALL = "Such budgets give palette and texture, not objects."


class Page:
    """What is asked of a page, and the runs that it shows.

    As HTML: in a line what a reader must know, what is left out, and a box with parameters and how the runs were made,
    which the book puts at the foot of the page.
    """

    def __init__(self, asked: Asking, *runs: Run) -> None:
        self.asked, self.runs = asked, runs
        use_svg()

    def __repr__(self) -> str:
        return f"<Page of {', '.join(run.id for run in self.runs) or self.asked.preset}>"

    def _repr_html_(self) -> str:
        runs, warnings, missing = (
            protocol_table([training_protocol(run) for run in self.runs]),
            self._warnings(),
            self.asked.left_out,
        )
        inside = [self._parameters(), runs]
        for run in {run.id: run for run in self.runs}.values():
            if changes := self._shrinkage(run):
                inside.append(details(f"What {self.asked.preset} changes in {run.config.name}", table(changes)))
        shown = [banner(" ".join(warnings))] if warnings else []
        for why in dict.fromkeys(missing.values()):
            shown.append(left_out(why, [name for name, its in missing.items() if its == why]))
        return "".join(shown) + details("Parameters and runs of this page", "".join(inside))

    def _warnings(self) -> list[str]:
        preset, texts = self.asked.preset, []
        names = self.asked.shown_data | {r.config.dataset for r in self.runs if not r.config.name.startswith("live-")}
        if "cifar10" not in {check_name(name)[0] for name in names} and names:
            texts.append(f"This page shows the data set {', '.join(sorted(names))}, not CIFAR-10.")
        shown = {r.config.name for r in self.runs}
        papers = [name for name in shown if EXPERIMENTS[name].in_paper or name in self.asked.pair]
        if papers and preset == "overnight":
            texts.append(f"Runs of the preset overnight: {OVERNIGHT}")
        elif papers and preset != "paper":
            texts.append(f"Runs of the preset {preset}, smaller than the paper's: no verdict can rest on them. {SMALL}")
        return texts + [f"{r.id} is older than the code that would train it now." for r in self.runs if r.stale]

    def _parameters(self) -> str:
        asked = self.asked
        rows: list[dict[str, Any]] = [
            {"parameter": "preset", "value": asked.preset, "meaning": "size of every run: " + ", ".join(PRESETS)},
            {"parameter": "epochs", "value": asked.epochs, "meaning": "epochs of this page's runs"},
            {"parameter": "seed", "value": asked.seed, "meaning": "training seed"},
            {"parameter": "dataset", "value": asked.dataset, "meaning": "data set of this page's runs"},
        ]
        rows = [row | {"value": "preset's own" if row["value"] is None else row["value"]} for row in rows]
        hours = f"{PATIENCE / 60:.0f} minutes" if asked.patience is None else f"{asked.patience:g} hours"
        waits = {"parameter": "patience", "value": hours, "meaning": "how long each training may take where it is made"}
        return table([*rows, waits])

    def _shrinkage(self, run: Run) -> list[dict[str, Any]]:
        has_paper = "paper" in EXPERIMENTS[run.config.name].presets  # a trial has not
        if self.asked.preset == "paper" or run.config.name.startswith("live-") or not has_paper:
            return []
        return [
            {"field": k, "paper preset": plain(a), "here": plain(b)}
            for k, (a, b) in shrunk(run.config, run.config.name).items()
        ]

    def finding(self, text: str) -> None:
        """Show the paragraph that a page leads to; every number in it has been formatted from a run.

        Where no number in it opens to its own protocol, a box below opens to that of the page.
        """
        display(Markdown(f"**Finding.** {text}"))
        if 'class="number"' not in text:
            self.note(self._sources(), of="these numbers were")

    def source(self, *runs: Run, sampling: Sampling | None = None, sampled: bool = False, sheets: bool = False) -> None:
        """A box that opens to what a figure was drawn from: these runs, else all of the page, else its data.

        In the book it stands below the figure of its cell.

        With `sampling`, or `sampled` for the protocol's own, also how the runs' samples were drawn; with `sheets`, how
        the contact sheets were that their snapshots keep.
        """
        rows = [drawn(run, sampling or self.asked.sampling(run)) for run in runs] if sampling or sampled else []
        rows += [{"run": run.id, **(run.snapshot.get("sheet") or {})} for run in runs] if sheets else []
        self.note(self._sources(runs), rows)

    def judged_by(self, found: Validation, of: str = "this figure was") -> None:
        """A box that opens to how an extractor was validated, for a figure or the numbers made of that."""
        self.note([validation_protocol(found, self.asked.preset)], of=of)

    def note(self, *tables: Sequence[Mapping[str, Any]], of: str = "this figure was") -> None:
        """A box that opens to how something was made."""
        if any(tables):
            display(HTML(details(f"How {of} made", "".join(map(protocol_table, tables)), printed=False)))

    def _sources(self, runs: Sequence[Run] = ()) -> list[dict[str, Any]]:
        """What these runs, else all of the page, else its data, are."""
        return [training_protocol(run) for run in runs or self.runs] or [
            self._data_row(name) for name in sorted(self.asked.shown_data)
        ]

    def _data_row(self, name: str) -> dict[str, Any]:
        data = self.asked.reals()
        return {"data": name, "split": "train", "images": data.sizes["train"], "digest": data.digests["train"]}


def shrunk(config: Config, name: str) -> dict[str, tuple[Any, Any]]:
    """The fields in which `config` differs from the experiment's `paper` preset: name -> (paper's, its own)."""
    paper, mine = EXPERIMENTS[name].presets["paper"].flat(), config.flat()
    skip = ("name", "snapshots", "seed")
    return {k: (v, mine[k]) for k, v in paper.items() if k not in skip and k in mine and v != mine[k]}
