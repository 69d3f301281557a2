"""A page loads what it shows, and no more: MathJax only where there are formulas, only icons that are used, no maps.

What can be downloaded is packed as well.
"""

import base64
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image
from sphinx.application import Sphinx

from gendiff_report.number import without_cards

ICON = re.compile(r'("?)(?P<name>[\w-]+)\1:(?P<head>\[\d+,\d+,\[[^\]]*\],"\w+",)(?:"[^"]*"|\[[^\]]*\])')
FILES = re.compile(r'<p class="data-links">.*?</p>', re.DOTALL)
PICTURE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")


def drop_mathjax(app: Sphinx, pagename: str, _: str, context: dict[str, Any], doctree: Any) -> None:
    """Take MathJax off a page without formulas: Sphinx puts it onto a page whose chapters have some, as the first."""
    math = app.env.get_domain("math").data["has_equations"]
    if app.builder.name == "html" and not math.get(pagename):
        context["script_files"] = [f for f in context["script_files"] if "mathjax" not in str(f.filename)]


def trim_icons(script: str, used: set[str]) -> str:
    """The theme's script with 2,000 icons, without the outlines of those that no page uses."""
    return ICON.sub(lambda m: m[0] if m["name"] in used else f'{m[1]}{m["name"]}{m[1]}:{m["head"]}""', script)


@cache  # a picture is on its page and in the notebook to download
def packed(picture: str) -> str:
    """A PNG in base64 that has the same pixels in fewer bytes: Matplotlib hardly packs it, with a channel of ones."""
    file = base64.b64decode(picture)
    image, again = Image.open(io.BytesIO(file)), io.BytesIO()
    opaque = image.mode == "RGBA" and image.getextrema()[3] == (255, 255)
    (image.convert("RGB") if opaque else image).save(again, "PNG", optimize=True)
    return base64.b64encode(min(file, again.getvalue(), key=len)).decode()


def denser(drawing: str) -> str:
    """An SVG with its PNGs packed."""
    return PICTURE.sub(lambda m: f"data:image/png;base64,{packed(m[1])}", drawing)


def lighter(notebook: str) -> str:
    """A notebook to download, its numbers plain text and its tables without the files that they carry.

    What numbers open to and the files are on the page, and weigh half.
    """
    there = json.loads(notebook)
    for cell in there["cells"]:
        shown = [output["data"] for output in cell.get("outputs", []) if "data" in output]
        for part, key in [(data, "text/html") for data in shown if "text/html" in data] + [(cell, "source")]:
            part[key] = without_cards(FILES.sub("", "".join(part[key])))  # a list of lines, or a text
        for data in shown:
            if "image/svg+xml" in data:
                data["image/svg+xml"] = denser("".join(data["image/svg+xml"]))
    return json.dumps(there, ensure_ascii=False, indent=1) + "\n"


def trim(app: Sphinx, exception: Exception | None) -> None:
    """Trim what Sphinx and the theme copied into the output."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    icons = static / "scripts" / "fontawesome.js"
    users = [*Path(app.outdir).rglob("*.html"), *(p for p in static.rglob("*.js") if p != icons)]
    used = {name for p in users for name in re.findall(r"\bfa-([a-z0-9-]+)", p.read_text(encoding="utf-8"))}
    icons.write_text(trim_icons(icons.read_text(encoding="utf-8"), used), encoding="utf-8")
    for notebook in (Path(app.outdir) / "_sources").rglob("*.ipynb"):
        notebook.write_text(lighter(notebook.read_text(encoding="utf-8")), encoding="utf-8")
    for drawing in (Path(app.outdir) / "_images").glob("*.svg"):
        drawing.write_text(denser(drawing.read_text(encoding="utf-8")), encoding="utf-8")
    for source_map in static.rglob("*.map"):
        source_map.unlink()


def sort_files(app: Sphinx, config: Any) -> None:
    """Load our own files by name, so print.css after book.css: Jupyter Book takes them in the order of the disk."""
    config.html_css_files = sorted(config.html_css_files)
    config.html_js_files = sorted(config.html_js_files)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("config-inited", sort_files)
    app.connect("html-page-context", drop_mathjax, priority=900)  # after MathJax has been put there
    app.connect("build-finished", trim)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
