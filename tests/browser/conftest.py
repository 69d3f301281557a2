"""Fixtures of the browser tests: one browser a process, one context a setting, one visit to each page in each."""

import os
import pickle
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pytest
from built import (
    AUDITED,
    ON_PAPER,
    PROBE,
    SETTINGS,
    SHEET,
    SITE,
    Seen,
    audit,
    find_chromium,
    new_context,
    open_page,
    url,
)
from playwright.sync_api import sync_playwright


def pytest_configure():
    """Stop with one sentence where there is nothing to look at, or nothing to look with."""
    if not (SITE / "index.html").exists():
        raise pytest.UsageError(f"there is no built book at {SITE}: run `make book` first")
    try:
        find_chromium()
    except SystemExit as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_modifyitems(items):
    """All that is asked of a page is asked by one process, so that each visit is made once."""
    for item in items:
        page = getattr(item, "callspec", None) and item.callspec.params.get("page")
        item.add_marker(pytest.mark.xdist_group(page or item.location[0]))


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=["--disable-gpu", "--disable-quic"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def visits(tmp_path_factory):
    """The folder in which visits are kept for the other processes of these tests."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "visits"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def seen(browser, visits):
    """seen(page, setting): what one visit showed; each is made once, by whichever process asks first."""
    foreign = []
    contexts = {setting: new_context(browser, setting, foreign) for setting in SETTINGS}

    @cache
    def once(page, setting):
        kept = visits / f"{quote(page, safe='')}-{setting[0]}-{setting[1]}"
        if not kept.exists():
            draft = Path(f"{kept}.{os.getpid()}")
            draft.write_bytes(pickle.dumps(visit(page, setting)))
            draft.replace(kept)
        return pickle.loads(kept.read_bytes())

    def visit(page, setting):
        foreign.clear()
        visited = Seen()
        tab = open_page(contexts[setting], url(page), visited)
        visited.shown = tab.evaluate(PROBE)
        visited.foreign = foreign.copy()
        if setting in AUDITED:
            visited.audit = audit(tab, setting)
        tab.set_viewport_size({"width": SHEET, "height": 900})
        tab.emulate_media(media="print")
        visited.printed = tab.evaluate(ON_PAPER)
        tab.close()
        return visited

    return once


@pytest.fixture
def opened(browser):
    """opened(address): a tab in a context of its own, which is closed afterwards; on a desktop, in the light."""
    contexts = []

    def open_one(address, setting=SETTINGS[0], **more):
        contexts.append(new_context(browser, setting, [], **more))
        return open_page(contexts[-1], address, Seen())

    yield open_one
    for context in contexts:
        context.close()
