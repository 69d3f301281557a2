"""Numbers of runs in the text of pages, and the files beside tables.

{metric}`RUN KEY FORMAT` shows a number of a run's record, read when the page is built, as a button that opens to how
the run was made. RUN is a run's folder name or EXPERIMENT@PRESET, KEY a dotted path into its run.json, FORMAT one of
Python's. What is missing is a warning, so it fails the build.

A link that carries a table inside itself (data:) becomes a link to a file, data/PAGE-table-1.csv; a link to
data/runs/RUN.json brings that run's record along.
"""

import base64
import math
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments import get
from gendiff_lib.runs.run import Run, all_runs, find
from gendiff_report.number import Number
from gendiff_report.provenance import training_protocol

LOGGER = logging.getLogger(__name__)
DATA = re.compile(r'<a class="data" download="([^"]+)" href="data:[^;]+;base64,([^"]+)">')
RECORD = re.compile(r'href="\.\./data/runs/([^"/]+)\.json"')


def run_called(word: str) -> Run:
    """The run that RUN names; GendiffError where there is none."""
    name, at, preset = word.partition("@")
    run = find(get(name, preset)) if at else next((r for r in all_runs() if r.id == word), None)
    if run is None:
        raise GendiffError(f"there is no run {word}: `gendiff runs` shows what there is")
    return run


def metric(text: str) -> tuple[Number, Path]:
    """The number that `RUN KEY FORMAT` names, and the record it is from; GendiffError where it is not there."""
    words = text.split()
    if not 2 <= len(words) <= 3:
        raise GendiffError("give a run, a key and perhaps a format")
    word, key, form = (*words, "")[:3]
    run = run_called(word)
    value: Any = run.record
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            raise GendiffError(f"the record of {run.id} has no {key}: see {run.folder / 'run.json'}")
        value = value[part]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise GendiffError(f"{key} of {run.id} is no number: name a key below it")
    snapshot = key.split(".")[1] if key.startswith("snapshots.") else str(run.record["images"])
    epochs = run.record["snapshots"][snapshot]["epochs"]
    try:
        return Number(format(value, form), value, training_protocol(run.at(epochs))), run.folder / "run.json"
    except ValueError:
        raise GendiffError(f"{form} is no format of Python's: write .2% or ,") from None


class Metric(SphinxRole):
    """The role {metric}."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """A raw node: the book is made as HTML, on screens and on paper."""
        try:
            number, record = metric(self.text)
        except GendiffError as error:
            LOGGER.warning("{metric}`%s`: %s", self.text, error, location=self.get_location())
            return [nodes.inline(self.rawtext, self.text)], []
        self.env.note_dependency(str(record))
        return [nodes.raw("", number.html, format="html")], []


def write_data(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the tables that links carry into files beside the page."""
    if app.builder.name != "html":  # on paper there is nothing to download
        return
    page = docname.rpartition("/")[2]
    folder = Path(app.outdir) / "data"

    def link(found: re.Match[str]) -> str:
        name = f"{page}-{found[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(base64.b64decode(found[2]))
        return f'<a class="data" download="{name}" href="{"../" * docname.count("/")}data/{name}">'

    for node in doctree.findall(nodes.raw):
        text = node.astext()
        for run in RECORD.findall(text):
            (folder / "runs").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run_called(run).folder / "run.json", folder / "runs" / f"{run}.json")
        if "data:" in text:
            node.children = [nodes.Text(DATA.sub(link, text))]


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_role("metric", Metric())
    app.connect("doctree-resolved", write_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
