"""The pages about the code, made from the source each time that the book is built.

{code-layout} shows every folder with its files and names, and a drawing of who imports whom; {code-folder}`PATH` every
public name of a folder with its signature and docstring. A page with the second is written for each folder, into code/.
"""

import html
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dependencies import boxes, drawing
from docutils import nodes
from sources import Folder, Name, Source, folders
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from gendiff_report.diagrams.network import figure

PAGES = "code"  # the folder of pages, in the book's
TO_NAME = "code-name"  # the type of a reference from a name to its entry
CAPTION = (
    "The library in blue, what uses it in green; each box stands above all that it imports. A dot says that the box at "
    "its left imports the one to which the line leads down. The base, in yellow, is the files {base}."
)


def page_of(folder: Folder) -> str:
    """The name of a folder's page, such as code/gendiff_lib-networks."""
    return f"{PAGES}/{folder.name.replace('/', '-')}"


def place_of(source: Source, name: str = "") -> str:
    """The anchor of a file, or of a name in it."""
    return "-".join([*source.path.with_suffix("").parts, *([name] if name else [])]).replace("__init__", "init")


def write_pages(app: Sphinx, _: Any) -> None:
    """A page for each folder; those of folders that are no more are removed."""
    shutil.rmtree(Path(app.srcdir) / PAGES, ignore_errors=True)
    (Path(app.srcdir) / PAGES).mkdir()
    for folder in folders(Path(app.srcdir).parent):
        text = f"# {folder.name}\n\n```{{code-folder}} {folder.name}\n```\n"
        (Path(app.srcdir) / f"{page_of(folder)}.md").write_text(text, encoding="utf-8")


# ---------------------------------------------------------------- text


def paragraphs(doc: str) -> Iterator[str]:
    """A docstring's paragraphs as HTML; what stands between backticks is code."""
    for block in filter(None, re.split(r"\n\s*\n", doc.strip())):
        words = html.escape(" ".join(block.split()), quote=False)
        marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", words)
        yield f"<p>{marked}</p>"


def signature(name: Name) -> str:
    """A name with its kind and signature as HTML."""
    kind = f"<i>{name.kind}</i> " if name.kind in ("class", "property") else ""
    return f"<code>{kind}<b>{name.name}</b>{html.escape(name.signature, quote=False)}</code>"


def fields(names: Sequence[Name]) -> str:
    """The fields among a class's members, a line for each."""
    lines = "".join(
        f"<li>{signature(n)}&ensp;{html.escape(n.doc, quote=False)}</li>" for n in names if n.kind == "field"
    )
    return f"<ul>{lines}</ul>" if lines else ""


def entry(name: Name, place: str = "") -> str:
    """A name as HTML: signature, docstring, fields, and those methods that say something; `place` is its anchor."""
    shown = [m for m in name.members if m.kind == "constructor" or (m.kind != "field" and m.doc)]
    inner = "".join(map(entry, shown))
    told = "".join(paragraphs(name.doc)) + fields(name.members) + (f"<dl>{inner}</dl>" if inner else "")
    anchor = f' id="{place}"' if place else ""
    return f"<dt{anchor}>{signature(name)}</dt><dd>{told}</dd>"


def told(folder: Folder) -> list[Source]:
    """The files that a page shows; an `__init__.py` only if there is more in it than the folder's docstring."""
    first, *others = folder.sources
    return [first, *others] if first.names or first.passed_on else others


def prose(doc: str) -> list[nodes.Node]:
    """A docstring as paragraphs of a page."""
    return [nodes.raw("", "".join(paragraphs(doc)), format="html")] if doc else []


# ---------------------------------------------------------------- directives


class CodeFolder(SphinxDirective):
    """The public names of a folder's files, a section for each file."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The sections."""
        known = {folder.name: folder for folder in folders(Path(self.env.srcdir).parent)}
        if self.arguments[0] not in known:
            raise ExtensionError(f"there is no folder {self.arguments[0]}: there are {', '.join(known)}")
        folder = known[self.arguments[0]]
        return [*prose(folder.doc), *(self._section(source) for source in told(folder))]

    def _section(self, source: Source) -> nodes.section:
        first = source.path.name == "__init__.py"
        section = nodes.section(ids=[place_of(source)])
        section += nodes.title("", source.path.name)
        section += [] if first else prose(source.doc)
        if source.passed_on:
            section += nodes.paragraph("", f"Passes on {', '.join(source.passed_on)}.")
        if source.names:
            listed = "".join(entry(name, place_of(source, name.name)) for name in source.names)
            section += nodes.raw("", f'<dl class="api">{listed}</dl>', format="html")
        return section


class CodeLayout(SphinxDirective):
    """Every folder with its files and their names, below a drawing of who imports whom."""

    def run(self) -> list[nodes.Node]:
        """The drawing, and a section for each folder."""
        root = Path(self.env.srcdir).parent
        found = boxes(root)
        base = ", ".join(next(box.parts for box in found if len(box.parts) > 1))
        shown = nodes.raw("", figure(drawing(found), CAPTION.format(base=base)), format="html")
        return [shown, *(self._section(folder) for folder in folders(root))]

    def _section(self, folder: Folder) -> nodes.section:
        section = nodes.section(ids=[f"layout-{folder.name.replace('/', '-')}"])
        section += nodes.title("", folder.name)
        section += prose(folder.doc.partition("\n")[0])
        section += nodes.definition_list("", *(self._item(folder, s) for s in told(folder)))
        return section

    def _item(self, folder: Folder, source: Source) -> nodes.definition_list_item:
        term = nodes.term("", "", link(self.env.docname, folder, place_of(source), source.path.name))
        first = source.path.name == "__init__.py"
        passed_on = f"Passes on {', '.join(source.passed_on)}." if source.passed_on else ""
        names = nodes.paragraph("", passed_on, classes=["names"])
        for name in source.names:
            names += [nodes.Text(", ")] if len(names) else []
            names += link(self.env.docname, folder, place_of(source, name.name), name.name)
        summary = [] if first else prose(source.doc.partition("\n")[0])
        return nodes.definition_list_item("", term, nodes.definition("", *summary, *([names] if len(names) else [])))


def link(here: str, folder: Folder, place: str, words: str) -> addnodes.pending_xref:
    """A reference from the page `here` to a place in a folder's page."""
    target = {"refdomain": "", "reftype": TO_NAME, "reftarget": place, "refdoc": here, "page": page_of(folder)}
    return addnodes.pending_xref("", nodes.literal("", words), refwarn=True, **target)


def follow(app: Sphinx, env: Any, node: addnodes.pending_xref, inside: nodes.Node) -> nodes.reference | None:
    """Turn a reference of `link` into one that suits what is built: many pages, or one."""
    if node["reftype"] != TO_NAME:
        return None
    return make_refnode(app.builder, node["refdoc"], node["page"], node["reftarget"], inside)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("code-folder", CodeFolder)
    app.add_directive("code-layout", CodeLayout)
    app.connect("config-inited", write_pages, priority=1)  # before the table of contents looks for files
    app.connect("missing-reference", follow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
