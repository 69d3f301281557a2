"""Every link, anchor and picture of the site leads somewhere, and the site is small enough to be carried about."""

from functools import cache
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from built import PAGES, SITE

MOST = 40_000_000  # bytes of the site
NO_FILE = ("http", "https", "mailto", "data", "javascript")


class Page(HTMLParser):
    """The places in a page that can be linked to, and the links out of it."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = {"", "top"}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        self.links += [given[key] for key in ("href", "src", "poster", "data") if given.get(key)]
        self.links += [part.split()[0] for part in (given.get("srcset") or "").split(",") if part.strip()]


@cache
def parsed(page):
    return Page((SITE / page).read_text(encoding="utf-8"))


def broken(page):
    """The links of a page, with a word about each that leads nowhere."""
    for link in parsed(page).links:
        parts = urlsplit(link)
        if parts.scheme in NO_FILE:
            continue
        target = ((SITE / page).parent / unquote(parts.path)).resolve() if parts.path else SITE / page
        if parts.scheme or parts.netloc or not target.is_relative_to(SITE):
            yield f"{link} leaves the site"
        elif not target.is_file():
            yield f"{link} is not there"
        elif parts.fragment and target.suffix == ".html":
            place = target.relative_to(SITE).as_posix()
            if unquote(parts.fragment) not in parsed(place).anchors:
                yield f"{link} has no such place"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    assert sorted(set(broken(page))) == []


def test_the_site_weighs_at_most_40_megabytes():
    assert sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file()) <= MOST
