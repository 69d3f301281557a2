"""What every page shows: its runs and warnings, tables, findings, and what opens to how it was made."""

import dataclasses
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import HTML, Markdown, display

from gendiff_lib.config import Sampling
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.validation import Validation
from gendiff_lib.experiments import EXPERIMENTS, shrunk
from gendiff_lib.experiments.budget import PATIENCE
from gendiff_lib.experiments.experiment import PRESETS
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import sampling_record

from .asking import Asking
from .number import Number, command_name, data_links, plain, score_number
from .provenance import training_protocol
from .tables.table import aligned, details, table


class Showing(Asking):
    """A page that tells where its numbers come from."""

    def put(self, text: str) -> None:
        """Show HTML."""
        display(HTML(text))

    def show(self, *runs: Run) -> None:
        """Banners that a reader must see, then the parameters of this page and the runs it reads."""
        self._shown = runs
        for text in self._warnings(runs):
            self._warn(text)
        self.put(
            details(
                "Parameters and runs of this page", self._parameters() + table([training_protocol(r) for r in runs])
            )
        )
        for run in {run.id: run for run in runs}.values():
            changes = self._shrinkage(run)
            if changes:
                self.put(details(f"What {self.preset} changes in {run.config.name}", table(changes)))
        for why in dict.fromkeys(self._missing.values()):
            self.missing(why, [name for name, its in self._missing.items() if its == why])
        self._missing = {}

    def missing(self, why: str, names: Sequence[str]) -> None:
        """A line that says what is left out, and why, commands in backticks; nothing where nothing is."""
        if names:
            told = re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(why, quote=False))
            self.put(f'<p class="missing">{", ".join(dict.fromkeys(names))}: {told}.</p>')

    def _warn(self, text: str) -> None:
        self.put(f'<div class="admonition warning banner"><p class="admonition-title">{text}</p></div>')

    def _warnings(self, runs: Sequence[Run]) -> list[str]:
        texts = []
        names = self._data | {r.config.dataset for r in runs if not r.config.name.startswith("live-")}
        if names - {"cifar10"}:
            texts.append(f"This page shows the data set {', '.join(sorted(names))}, not CIFAR-10.")
        papers = [r.config.name for r in runs if EXPERIMENTS[r.config.name].in_paper or r.config.name in self.pair]
        if papers and self.preset == "overnight":
            texts.append(f"Runs of the preset overnight: {OVERNIGHT}")
        elif papers and self.preset != "paper":
            texts.append(
                f"Runs of the preset {self.preset}, smaller than the paper's: no verdict can rest on them. {SMALL}"
            )
        texts += [f"{r.id} is older than the code that would train it now." for r in runs if r.stale]
        return texts

    def _parameters(self) -> str:
        rows: list[dict[str, Any]] = [
            {"parameter": "preset", "value": self.preset, "meaning": "size of every run: " + ", ".join(PRESETS)},
            {"parameter": "epochs", "value": self.epochs, "meaning": "epochs of this page's runs"},
            {"parameter": "seed", "value": self.seed, "meaning": "training seed"},
            {"parameter": "dataset", "value": self.dataset, "meaning": "data set of this page's runs"},
        ]
        rows = [row | {"value": "preset's own" if row["value"] is None else row["value"]} for row in rows]
        hours = f"{PATIENCE / 60:.0f} minutes" if self.patience is None else f"{self.patience:g} hours"
        waits = {"parameter": "patience", "value": hours, "meaning": "how long each training may take where it is made"}
        return table([*rows, waits])

    def _shrinkage(self, run: Run) -> list[dict[str, Any]]:
        if self.preset == "paper" or run.config.name.startswith("live-"):
            return []
        return [
            {"field": k, "paper preset": plain(a), "here": plain(b)}
            for k, (a, b) in shrunk(run.config, run.config.name).items()
        ]

    def table(self, rows: Sequence[Mapping[str, Any]], caption: str = "") -> None:
        """Rows as a table, floats with four digits, with links to the same as CSV and JSON."""
        self._tables += 1
        links = data_links(f"table-{self._tables}", rows, caption) if rows else ""
        self.put(table(rows, caption) + links)

    def finding(self, text: str) -> None:
        """The paragraph that a figure leads to; every number in it has been formatted from a run.

        Where no number in it opens to its own protocol, a box below opens to that of the page.
        """
        display(Markdown(f"**Finding.** {text}"))
        if 'class="number"' not in text:
            self.note(self._sources(), of="these numbers were")

    def value(self, scores: Scores | Sequence[Scores], name: str) -> str:
        """A field of scores, with its noise, as HTML that opens to its protocol."""
        return score_number([scores] if isinstance(scores, Scores) else scores, name).html

    def numbers(self, scores: Scores, what: str) -> dict[str, Number]:
        """Every value by the name that it may bear, each of which opens to its protocol; `what` are its images."""
        there = {label: name for name, label in scores.labels.items() if getattr(scores, name) is not None}
        found = {label: score_number([scores], name) for label, name in there.items()}
        return {k: dataclasses.replace(v, protocol={"images": what, **v.protocol}) for k, v in found.items()}

    def epoch(self, run: Run) -> str:
        """The epoch at which a run is seen, as pages call it."""
        return f"epoch {run.config.epochs:.4g}"

    def of(self, run: Run, value: float, form: str = ".3g") -> str:
        """A number that is a run's own (a loss, its seconds) as HTML that opens to how the run was made."""
        return Number(format(value, form), value, training_protocol(run)).html

    def source(self, *runs: Run, sampling: Sampling | None = None, sampled: bool = False, sheets: bool = False) -> None:
        """A box below a figure that opens to what it was drawn from: these runs, else all of the page, else its data.

        With `sampling`, or `sampled` for the protocol's own, also how the runs' samples were drawn; with `sheets`, how
        the contact sheets were that their snapshots keep.
        """
        drawn = [self._drawn(run, sampling or self.sampling(run)) for run in runs] if sampling or sampled else []
        drawn += [{"run": run.id, **(run.snapshot["sheet"] or {})} for run in runs] if sheets else []
        self.note(self._sources(runs), aligned(drawn))

    def note(self, *tables: Sequence[Mapping[str, Any]], of: str = "this figure was") -> None:
        """A box that opens to how something was made."""
        if any(tables):
            self.put(details(f"How {of} made", "".join(map(table, tables))))

    def judged_by(self, found: Validation, of: str = "this figure was") -> None:
        """The same for a figure, or the numbers, of an extractor's validation."""
        self.note([self._judged(found)], of=of)

    def _judged(self, found: Validation) -> dict[str, str]:
        one, made = found.rows[0].scores, found.made
        dataset = "" if found.dataset == "cifar10" else f" --dataset {found.dataset}"
        return {
            "extractor": f"{one.extractor} {one.extractor_digest}",
            "images": f"of {found.dataset}; damaged or thinned, where a row's name says so, with fixed seeds",
            "device": f"{made['device']}, {made['threads']} threads",
            "seconds for all": f"{made['seconds']:.0f}",
            "commit": (made["commit"] or "none")[:10],
            "command": f"gendiff validate --preset {self.preset}{dataset} --extractor {command_name(one.extractor)}",
        }

    def _sources(self, runs: Sequence[Run] = ()) -> list[dict[str, Any]]:
        """What these runs, else all of the page, else its data, are."""
        return [training_protocol(run) for run in runs or self._shown] or [
            self._data_row(name) for name in sorted(self._data)
        ]

    def _data_row(self, name: str) -> dict[str, Any]:
        data = self.reals()
        return {"data": name, "split": "train", "images": data.sizes["train"], "digest": data.digests["train"]}

    def _drawn(self, run: Run, sampling: Sampling) -> dict[str, Any]:
        record = sampling_record(run, sampling)
        shown = {k: v for k, v in record["sampling"].items() if v is not None}
        return {"run": run.id, **shown, "seconds": record["seconds"], "device": record["device"]}


OVERNIGHT = (
    "models for two CPU cores, the paper's two at the same counted operations, with its settings but for the width of "
    "their networks. Its GAN is the one at the 32x32 pixels of its text; its Fig. 16 prints 64."
)
SMALL = "Such budgets give palette and texture, not objects."
