"""Run one notebook with papermill, and leave in it only what the pages show, and how to run it again.

Usage: run_notebook.py SOURCE TARGET PARAMETERS, the last as JSON. build.py calls `run`.
"""

import html
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager

from gendiff_report import READ
from gendiff_report.claims.html import on_page

LACKING = ("Unpublished", "Light")  # errors that end a page where it asks for what is not published
PAGES_OWN = '<details class="provenance"><summary>Parameters and runs of this page</summary>'
WIDGET = "application/vnd.jupyter.widget-view+json"


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """SystemExit for a name that the parameters cell lacks: papermill would only warn and run the default."""
    known = papermill.inspect_notebook(str(notebook))
    for name in parameters:
        if name not in known:
            raise SystemExit(f"{notebook.name} has no parameter {name!r}: it has {', '.join(known)}")


def command(name: str, parameters: dict[str, Any]) -> str:
    """What one types at the top of the source tree to get this notebook as it is; None is the default."""
    words = ["papermill", f"notebooks/{name}", "out.ipynb"]
    words += [word for key, value in parameters.items() if value is not None for word in ("-p", key, str(value))]
    reads = parameters.get("preset") in READ and os.environ.get("GENDIFF_TRAIN") == "0"  # else it would train
    return ("GENDIFF_TRAIN=0 " if reads else "") + shlex.join(words)


def run_yourself(name: str, parameters: dict[str, Any]) -> nbformat.NotebookNode:
    """The cell that says so. The link is to the copy of the source that Sphinx puts beside every page."""
    link = f'<a href="../_sources/executed/{name}" download>download this notebook with its results</a>'
    text = f'**Run this yourself** at the top of the source tree<span class="noprint">, or {link}</span>:'
    return nbformat.v4.new_markdown_cell(f"{text}\n\n```bash\n{command(name, parameters)}\n```", id="run-yourself")


FINDING = "**Finding.**"
BOX = '<details class="provenance'  # how something was made: a figure, or the whole page


def laid_out(
    cells: list[nbformat.NotebookNode], yourself: nbformat.NotebookNode, verdicts: str
) -> list[nbformat.NotebookNode]:
    """The cells as a reader wants them: the finding below the title, and at the foot how all of it was made.

    A figure is its cell's only output. What the notebook shows when it is run by hand is the same, in another order,
    less `verdicts` on the claims of its page, as HTML, which follow the finding.
    """
    boxes = [box for cell in cells for box in _boxes_of(cell)]
    found = [o for cell in cells for o in cell.get("outputs", []) if _finding(o)]
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o not in found]
    first = [nbformat.v4.new_markdown_cell(o["data"]["text/markdown"], id=f"finding-{i}") for i, o in enumerate(found)]
    if verdicts:
        first.append(nbformat.v4.new_markdown_cell(verdicts, id="verdicts"))
    foot = [_foot(boxes), yourself] if boxes else [yourself]
    return [*cells[:1], *first, *cells[1:], *foot]


def _finding(output: nbformat.NotebookNode) -> bool:
    return str(output.get("data", {}).get("text/markdown", "")).startswith(FINDING)


def _boxes_of(cell: nbformat.NotebookNode) -> list[str]:
    """The boxes that a figure or the finding opens to, and the one that ends what a page shows, taken out of it."""
    figure, outputs = cell.metadata.get("mystnb", {}).get("figure"), list(cell.get("outputs", []))
    mine = bool(figure) or any(map(_finding, outputs))
    boxes = []
    for output in outputs:
        shown, own, rest = output.get("data", {}).get("text/html", "").partition(PAGES_OWN)
        if mine and shown.startswith(BOX):
            title = (
                f'<p><a href="#{figure["name"]}">{html.escape(_sentence(figure["caption"]))}</a></p>' if figure else ""
            )
            boxes.append(title + shown)
            cell.outputs.remove(output)
        elif own:
            boxes.append(own + rest)
            output["data"]["text/html"] = shown
            cell.outputs = [o for o in cell.outputs if o is not output or shown]
    return boxes


def _sentence(caption: str) -> str:
    return caption.partition(". ")[0].rstrip(".") + "."


def _foot(boxes: list[str]) -> nbformat.NotebookNode:
    """One box with all of them."""
    inside = f'{BOX} unprinted"><summary>How this page was made</summary>{"".join(boxes)}</details>'
    output = nbformat.v4.new_output("display_data", {"text/html": inside, "text/plain": "How this page was made"})
    source = "# how this page was made"  # a cell without source is not rendered
    cell = nbformat.v4.new_code_cell(source, outputs=[output], metadata={"tags": ["remove-input"]}, id="made")
    cell.execution_count = 0  # it was run, as parts of others
    return cell


def without_messages(notebook: nbformat.NotebookNode) -> list[str]:
    """Take out what is news of one execution and no part of the page, and return its lines.

    Those are what was written to stderr, such as whom a cell had to wait for, which differs from build to build, and
    progress bars: a page would ask another host for the script that draws them.
    """
    notebook.metadata.pop("widgets", None)
    told: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            spoken = [o for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]
            told += [line for o in spoken for line in o.text.splitlines() if line.strip()]
            cell.outputs = [o for o in cell.outputs if o not in spoken and WIDGET not in o.get("data", {})]
    return told


def cut(cells: list[nbformat.NotebookNode], lacking: str) -> list[nbformat.NotebookNode]:
    """The cells before the one that failed, less headings without a body, and what is lacking, in a sentence."""
    mine = [cell for cell in cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    failed = next(i for i, c in enumerate(mine) if any(o.output_type == "error" for o in c.get("outputs", [])))
    kept = mine[:failed]
    while len(kept) > 1 and kept[-1].cell_type == "markdown":
        kept.pop()
    return [*kept, nbformat.v4.new_markdown_cell(f"**Not shown yet:** {lacking}.", id="not-shown-yet")]


def run(
    source: Path, target: Path, parameters: dict[str, Any], folder: Path, kernels: type = AsyncKernelManager
) -> list[str]:
    """Execute `source` into `target`, then hide parameter cells and drop what changes from run to run.

    A page that asks for what is not published yet ends there, and says what it is. Its cells run in `folder`, in a
    kernel that a manager of the type `kernels` starts. Returns the messages that were dropped.
    """
    check_parameters(source, parameters)
    where = {"kernel_manager_class": kernels, "resources": {"metadata": {"path": str(folder)}}}
    how = {"kernel_name": "python3", "progress_bar": False, "log_output": False}
    lacking = ""
    try:
        papermill.execute_notebook(source, target, parameters, **how, **where)
    except papermill.PapermillExecutionError as error:
        if error.ename not in LACKING:
            raise
        lacking = str(error.evalue)
    notebook = nbformat.read(target, as_version=4)
    if lacking:
        notebook.cells = cut(notebook.cells, lacking)
    told = without_messages(notebook)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        tags = cell.metadata.get("tags", [])
        if {"parameters", "injected-parameters"} & set(tags):
            cell.metadata["tags"] = [*tags, "remove-cell"]
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"  # papermill draws one anew each time
        if cell.cell_type == "code" and cell.execution_count is None and cell.source.strip():
            raise SystemExit(f"{source}: a cell was not executed")
    notebook.cells = laid_out(notebook.cells, run_yourself(source.name, parameters), on_page(source.stem))
    nbformat.write(notebook, target)
    return told


if __name__ == "__main__":
    for line in run(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), Path.cwd()):
        print(line)
