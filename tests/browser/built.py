"""The built book as the browser tests see it: its pages, the settings they are looked at in, and one visit to one."""

import os
import re
import sys
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
SITE = ROOT / "book" / "_build" / "html"
ENVIRONMENT = dict(os.environ)  # before any fixture changes it
sys.path.insert(0, str(ROOT / "book"))
from paper import find_chromium  # noqa: E402, F401

sys.path.pop(0)
PAGES = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html") if "_static" not in p.parts)
SETTINGS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
# In each setting every page, but on a phone in the dark three: what either changes is seen in the other settings.
DARK_PHONE = ("index.html", "executed/06_samplers.html", "executed/12_claims.html")
VISITS = [(page, s) for page in PAGES for s in SETTINGS if s != (390, "dark") or page in DARK_PHONE]
SHEET = 665  # pixels between the margins of A4: what is wider makes Chromium print all of the page smaller
CONTRAST = ["color-contrast"]  # the slowest rule, and the only one that sees colours
AUDITED = {  # what axe-core is asked: all of it once, then what another theme and another width can change
    (1280, "light"): {},
    (1280, "dark"): {"runOnly": CONTRAST},
    (390, "light"): {"rules": {rule: {"enabled": False} for rule in CONTRAST}},
}
ELSEWHERE = re.compile(r"^(?!file:|data:|blob:|about:)")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

# Findings of axe-core that are not ours to mend: rule and selector, with the reason.
KNOWN = [
    ("region", ".sidebar-primary-item", "the theme puts the report's name into the sidebar outside of any landmark"),
    ("aria-allowed-role", "div.citation", "Sphinx gives the entries of a bibliography the roles of an e-book"),
    ("aria-deprecated-role", "div.citation", "the same roles, which have been deprecated since"),
    ("aria-required-children", "div.citation-list", "the same list, whose entries have those roles"),
]

PROBE = """async () => {
  const images = [...document.images];
  await Promise.all(images.map((image) => { image.loading = "eager"; return image.decode().catch(() => 0); }));
  const filters = (node) => node ? [getComputedStyle(node).filter, ...filters(node.parentElement)] : [];
  const closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((box) => { box.open = true; });
  const tables = [...document.querySelectorAll(".bd-article .wide")];
  const wider = tables.filter((box) => box.scrollWidth > box.clientWidth + 1);
  const scrolling = wider.map((box) => box.innerText.slice(0, 200));
  closed.forEach((box) => { box.open = false; });
  return {
    scrolling,
    width: document.documentElement.scrollWidth,
    icons: [...document.querySelectorAll("svg.svg-inline--fa path")].filter((path) => !path.getAttribute("d")).length,
    images: images.map((image) => ({
      html: image.outerHTML.slice(0, 200),
      alt: image.alt || (image.closest(".stage")?.querySelector("img").alt ?? ""),
      width: image.naturalWidth,
      samples: image.classList.contains("samples"),
      filters: filters(image).filter((filter) => filter !== "none"),
      rendering: getComputedStyle(image).imageRendering,
    })),
  };
}"""

ON_PAPER = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const chrome = ".bd-header, .bd-header-article, [class^=bd-sidebar], .copybtn, .prev-next-area";
  return {
    width: document.documentElement.scrollWidth,
    pressed: all(chrome).filter((part) => part.checkVisibility()).map((part) => part.className),
    closed: all(".bd-article details").filter((d) => !d.lastElementChild.getBoundingClientRect().height).length,
    colour: getComputedStyle(document.body).color,
    filters: all(".bd-article img").map((image) => getComputedStyle(image).filter),
  };
}"""

AUDIT = """async ([options, known]) => {
  const quick = { resultTypes: ["violations"], preload: false, elementRef: true };
  const found = await axe.run(document, { ...quick, ...options });
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ element, html, failureSummary }) => ({
    known: known.findIndex(([rule, selector]) => rule === id && element.matches(selector)),
    text: `${id}: ${html.slice(0, 200)}: ${failureSummary}`,
  })));
}"""


@dataclass
class Seen:
    """One visit: what was said, asked for, shown, and printed; `audit` holds axe-core's findings where it was run."""

    said: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    loaded: set[str] = field(default_factory=set)
    shown: dict[str, Any] = field(default_factory=dict)
    printed: dict[str, Any] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """The weight of all files that the page loaded, itself included."""
        paths = {unquote(urlsplit(url).path) for url in self.loaded if url.startswith("file:")}
        return sum(Path(path).stat().st_size for path in paths if Path(path).exists())


def url(page: str) -> str:
    """The address of a page of the site on disk."""
    return (SITE / page).as_uri()


def open_page(context: Any, address: str, seen: Seen) -> Any:
    """A browser's page at `address`, all its formulas set; what it says and asks for goes into `seen`."""
    tab = context.new_page()
    tab.on("console", lambda m: m.type in ("error", "warning") and seen.said.append(f"{m.type}: {m.text}"))
    tab.on("pageerror", lambda error: seen.said.append(f"page error: {error}"))
    tab.on("requestfailed", lambda request: seen.said.append(f"failed: {request.url}"))
    tab.on("request", lambda request: seen.loaded.add(request.url))
    tab.goto(address)
    tab.evaluate("() => window.MathJax?.startup?.promise")
    return tab


def new_context(browser: Any, setting: tuple[int, str], foreign: list[str], **more: Any) -> Any:
    """A context of that width and theme, in which no other host can be reached: whoever is asked for is noted.

    Nothing in it fades: a colour that axe-core meets halfway from one theme to the other is no finding.
    """
    width, theme = setting
    how = {"viewport": {"width": width, "height": 900}, "color_scheme": theme, "reduced_motion": "reduce"}
    context = browser.new_context(**how, **more)
    context.route(ELSEWHERE, lambda route: (foreign.append(route.request.url), route.abort()))
    return context


def audit(tab: Any, setting: tuple[int, str] = SETTINGS[0]) -> list[dict[str, Any]]:
    """What axe-core finds on a page: `text`, and `known`, the place in KNOWN or -1."""
    tab.evaluate(AXE)
    found: list[dict[str, Any]] = tab.evaluate(AUDIT, [AUDITED[setting], [known[:2] for known in KNOWN]])
    return found
