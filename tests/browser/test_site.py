"""Every page that was built, at two widths, in the light and in the dark."""

import pytest
from built import AUDITED, KNOWN, PAGES, SETTINGS, SITE, VISITS, url
from playwright.sync_api import expect

MOST = 4_000_000  # bytes of a page with all it loads
everywhere = pytest.mark.parametrize("page", PAGES)
each_visit = pytest.mark.parametrize(
    ("page", "setting"), VISITS, ids=[f"{page}-{width}-{theme}" for page, (width, theme) in VISITS]
)
audited = pytest.mark.parametrize("setting", AUDITED, ids=lambda s: f"{s[0]}-{s[1]}")


def test_the_pages_of_the_book_are_there():
    assert "index.html" in PAGES
    assert len([p for p in PAGES if p.startswith("executed/")]) == len(
        list((SITE / "_sources/executed").glob("*.ipynb"))
    )


@each_visit
def test_the_console_is_silent_and_no_host_is_asked(seen, page, setting):
    assert seen(page, setting).said == []
    assert seen(page, setting).foreign == []


@each_visit
def test_every_picture_is_there_and_is_told_in_words(seen, page, setting):
    images = seen(page, setting).shown["images"]
    assert [image["html"] for image in images if not image["width"]] == []
    assert [image["html"] for image in images if not image["alt"].strip()] == []
    assert seen(page, setting).shown["icons"] == 0  # outlines that were trimmed though they are used


@each_visit
def test_samples_are_neither_recoloured_nor_smoothed(seen, page, setting):
    samples = [image for image in seen(page, setting).shown["images"] if image["samples"]]
    assert [image["html"] for image in samples if image["filters"] or image["rendering"] != "pixelated"] == []


@each_visit
def test_nothing_is_wider_than_the_screen(seen, page, setting):
    assert seen(page, setting).shown["width"] <= setting[0]


@pytest.mark.parametrize("page", PAGES)
def test_no_table_scrolls_on_a_laptop(page, seen):
    assert seen(page, (1280, "light")).shown["scrolling"] == []  # those that are folded away too


@audited
@everywhere
def test_axe_finds_nothing_of_ours(seen, page, setting):
    ours = [found["text"] for found in seen(page, setting).audit if found["known"] < 0]
    assert not ours, "\n".join(ours)


def test_every_listed_finding_still_occurs(seen):
    met = {found["known"] for page in PAGES for setting in AUDITED for found in seen(page, setting).audit}
    assert [KNOWN[i] for i in range(len(KNOWN)) if i not in met] == []


@everywhere
def test_a_page_weighs_at_most_4_megabytes(seen, page):
    assert seen(page, SETTINGS[0]).bytes <= MOST


def test_some_picture_is_of_samples(seen):
    assert any(image["samples"] for page in PAGES for image in seen(page, SETTINGS[0]).shown["images"])


def test_the_front_page_shows_samples_of_both_and_the_curves_on_its_first_screen(opened):
    tab = opened(url("index.html"))
    tab.set_viewport_size({"width": 1280, "height": 800})
    pictures = tab.locator("figure.front img")
    expect(pictures).to_have_count(3)
    for picture in pictures.all():
        box = picture.bounding_box()
        assert box["y"] + box["height"] <= 800
