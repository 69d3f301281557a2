"""What a reader does with the pages on a phone: 390 pixels, a finger, a dark theme."""

import io

import numpy as np
import pytest
from built import url
from PIL import Image
from playwright.sync_api import expect

PHONE = {"has_touch": True, "is_mobile": True}
WIDTH = 390
COMPARISON = "executed/09_comparison.html"
MORE = "box => box.scrollWidth - box.clientWidth"
ON_TOP = "e => (({ x, y }) => document.elementFromPoint(x + 9, y + 9) === e)(e.getBoundingClientRect())"


@pytest.fixture
def phone(opened):
    """phone(page): a tab on a phone."""
    return lambda page: opened(url(page), (WIDTH, "dark"), **PHONE)


@pytest.mark.parametrize(
    ("kind", "inside", "beside"),
    [("primary", "a[href='method.html']", WIDTH - 20), ("secondary", "a[href^='#']", 20)],
    ids=["site", "page"],
)
def test_the_menus_open_by_touch_and_close_again(phone, kind, inside, beside):
    tab = phone("index.html")
    drawer, button = tab.locator(f"#pst-{kind}-sidebar-modal"), tab.locator(f".{kind}-toggle:visible")
    for close in (lambda: tab.keyboard.press("Escape"), lambda: tab.touchscreen.tap(beside, 800)):
        expect(drawer).to_be_hidden()
        button.tap()
        expect(drawer).to_be_visible()
        expect(drawer.locator(inside).first).to_be_visible()
        close()
    expect(drawer).to_be_hidden()
    expect(tab.locator(".tooltip")).to_be_hidden()  # which would cover the buttons beside


def test_a_link_in_the_menu_of_the_page_leads_there(phone):
    tab = phone("method.html")
    tab.locator(".secondary-toggle:visible").tap()
    link = tab.locator("#pst-secondary-sidebar-modal a[href^='#']").last
    place = link.get_attribute("href")
    link.tap()
    expect(tab.locator("#pst-secondary-sidebar-modal")).to_be_hidden()
    expect(tab.locator(place)).to_be_in_viewport()


def shade(tab, place, x, y):
    """How much lighter `place` is at its left and right edge than within, in a band 4 high at `y` of its top."""
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    clip = {"x": box["x"] + x, "y": box["y"] + y, "width": box["width"] - x, "height": 4}
    band = np.asarray(Image.open(io.BytesIO(tab.screenshot(clip=clip))).convert("L"), dtype=float).mean(0)
    return band[:3].mean() - np.median(band), band[-3:].mean() - np.median(band)


def test_a_wide_table_keeps_the_names_of_its_rows_and_shows_on_which_side_it_goes_on(phone):
    tab = phone(COMPARISON)
    box = tab.locator(".wide:has(> table)").first
    name = box.locator("tbody tr:first-child > :first-child")
    before = name.bounding_box()["x"]
    below = box.locator("tbody tr:first-child").bounding_box()["y"] - box.bounding_box()["y"] + 1
    assert shade(tab, box, 100, below)[1] > 30
    box.evaluate("box => box.scrollLeft = box.scrollWidth")
    assert name.bounding_box()["x"] == before
    assert name.evaluate(ON_TOP)
    assert abs(shade(tab, box, 100, below)[1]) < 5


def test_a_formula_that_is_cut_shows_on_which_side_it_goes_on(phone):
    tab = phone("method.html")
    cut = next(f for f in tab.locator("div.math > mjx-container").all() if f.evaluate(MORE) > 40)
    assert shade(tab, cut, 0, 2)[1] > 30
    cut.evaluate("f => f.scrollLeft = f.scrollWidth")
    left, right = shade(tab, cut, 0, 2)
    assert left > 30 > right
