"""Everything a page needs comes with the book: MathJax out of the package sphinx-mathjax-offline, and the banner.

GENDIFF_BANNER, set by build.py, is a sentence that stands on top of every page.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

PACKAGE = "sphinx-mathjax-offline"  # its import name has the hyphens too
PARTS = ("tex-mml-chtml.js", "output/chtml/fonts/woff-v2")
# The theme complains in the console where no mode was chosen yet, and search where it may not read the pages' files.
QUIET = """document.documentElement.dataset.mode ||= "auto";
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"""


def copy_mathjax(app: Sphinx) -> None:
    """Put MathJax and its fonts into the output's _static.

    Before the pages are written and not after, since Sphinx puts a checksum of the script into each page.
    """
    if app.builder.format != "html":
        return
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ExtensionError(f"the package {PACKAGE} is missing: install the project with its [book] extra")
    source = Path(spec.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target / part)


def show_banner(app: Sphinx, config: Any) -> None:
    """Hand the build's banner to the theme."""
    if banner := os.environ.get("GENDIFF_BANNER"):
        config.html_theme_options["announcement"] = banner


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_js_file(None, body=QUIET)
    app.connect("config-inited", show_banner)
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
