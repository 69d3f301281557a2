"""Print the built book with Chromium: all of it as one PDF, or its front page as the picture in the README.

Usage: paper.py pdf, paper.py preview, or paper.py readme. Run by `make pdf`, `make preview` and `make readme`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from build import BOOK, EXECUTED, jupyter_book, say
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BUILD = BOOK / "_build"
FRONT = BUILD / "html" / "index.html"
PREVIEW = BOOK / "_static" / "preview.png"
README = BOOK.parent / "README.md"
LARGEST = 200_000  # bytes of the preview: it is tracked


def find_chromium() -> str:
    """The path of a Chromium or Chrome; SystemExit says how to get one. CHROMIUM=path names another."""
    wanted = os.environ.get("CHROMIUM")
    found = next(filter(None, map(shutil.which, [wanted] if wanted else NAMES)), None)
    if found is None and wanted:
        raise SystemExit(f"[book] CHROMIUM={wanted} cannot be run: give the path of a Chromium or Chrome")
    if found is None:
        raise SystemExit("[book] Chromium is missing: apt-get install chromium, or name one by CHROMIUM=path")
    return found


def chromium(page: Path, result: Path, *words: str) -> None:
    """Open a page without a window, wait for its formulas, and leave `result`; SystemExit with its last line if not."""
    result.parent.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        command += [f"--user-data-dir={profile}", "--virtual-time-budget=20000", *words, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True)
    if not result.exists():
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise SystemExit(f"[book] Chromium left no {result.name}: {lines[-1]}")


def pdf() -> Path:
    """Render the book as one page, and print that; returns the PDF's path."""
    find_chromium()
    jupyter_book("--builder", "singlehtml")
    page = BUILD / "singlehtml" / "index.html"
    html = page.read_text(encoding="utf-8").replace("<body", '<body class="whole"', 1)
    page.write_text(html.replace("On this page", "Contents"), encoding="utf-8")
    result = BUILD / "pdf" / "gendiff.pdf"
    chromium(page, result, "--no-pdf-header-footer", "--generate-pdf-document-outline", f"--print-to-pdf={result}")
    return result


def preview() -> Path:
    """Photograph the top of the front page in 256 colours; returns the picture's path, which is replaced when made."""
    shot = BUILD / PREVIEW.name
    chromium(FRONT, shot, "--hide-scrollbars", "--window-size=1200,800", f"--screenshot={shot}")
    with Image.open(shot) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(shot, optimize=True)
    if shot.stat().st_size > LARGEST:
        raise SystemExit(f"[book] {shot} has more than {LARGEST:,} bytes: show less of the page")
    os.replace(shot, PREVIEW)
    return PREVIEW


def readme() -> Path:
    """Write the front page's answer into the README, as it is today; returns the README's path."""
    from gendiff_report.answer import in_readme  # which takes seconds to import

    README.write_text(in_readme(README.read_text(encoding="utf-8")), encoding="utf-8")
    return README


def main() -> None:
    """Make what the one word on the command line names."""
    there = FRONT.exists() and any(EXECUTED.glob("*.ipynb"))
    if not there and sys.argv[1] != "readme":  # which is told from records alone
        raise SystemExit(f"[book] there is no built book at {FRONT}: run `make book` first")
    say(str({"pdf": pdf, "preview": preview, "readme": readme}[sys.argv[1]]()))


if __name__ == "__main__":
    main()
