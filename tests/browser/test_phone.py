"""What a reader does with the pages on a phone: 390 pixels, a finger, a dark theme."""

import io

import numpy as np
import pytest
from built import SITE, url
from PIL import Image
from playwright.sync_api import expect

PHONE = {"has_touch": True, "is_mobile": True}
WIDTH = 390
COMPARISON = "executed/09_comparison.html"
MORE = "box => box.scrollWidth - box.clientWidth"
LEGIBLE = """() => [...document.querySelectorAll(".bd-article img.plot")].map((image) => ({
  of_its_size: image.getBoundingClientRect().width / image.naturalWidth,
  reached: getComputedStyle(image.parentElement).overflowX === "auto" && image.parentElement.tabIndex === 0,
}))"""
EXTRACT = """(page) => {
  const found = Search.htmlToText(page);
  const cards = [...new DOMParser().parseFromString(page, "text/html").querySelectorAll(".number-card")];
  return [found, cards.length, cards.filter((card) => found.includes(card.textContent)).length];
}"""
CARDS = """() => [...document.querySelectorAll(".number-card")].filter((card) => {
  card.showPopover();
  const wide = card.scrollWidth > card.clientWidth + 1;
  card.hidePopover();
  return wide;
}).map((card) => card.textContent)"""
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


@pytest.mark.parametrize("which", [2, -1])
def test_a_link_in_the_menu_of_the_page_leads_there(phone, which):
    tab = phone("method.html")
    tab.locator(".secondary-toggle:visible").tap()
    link = tab.locator("#pst-secondary-sidebar-modal a[href^='#']").nth(which)
    place = link.get_attribute("href")
    link.tap()
    expect(tab.locator("#pst-secondary-sidebar-modal")).to_be_hidden()
    expect(tab.locator(place)).to_be_in_viewport()
    at_its_top = "place => document.querySelector(place).getBoundingClientRect().y < 100"  # below the bar
    if which > 0:  # the last of a page may be lower
        tab.wait_for_function(at_its_top, arg=place)


def light(tab, clip):
    """How light the screen is there (H, W), in 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(tab.screenshot(clip=clip))).convert("L"), dtype=float)


def shade(tab, place, x, y):
    """How much lighter `place` is at its left and right edge than within, in a band 4 high at `y` of its top."""
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    band = light(tab, {"x": box["x"] + x, "y": box["y"] + y, "width": box["width"] - x, "height": 4}).mean(0)
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


@pytest.mark.parametrize("page", ["index.html", "executed/02_dcgan.html", "executed/06_samplers.html"])
def test_plots_are_large_enough_to_be_read_and_scroll(phone, page):
    shown = phone(page).evaluate(LEGIBLE)
    assert shown
    assert all(plot["of_its_size"] > 0.85 and plot["reached"] for plot in shown)  # so that 8 points are 9 pixels


@pytest.mark.parametrize("page", ["index.html", "executed/02_dcgan.html"])
def test_a_plot_that_is_cut_says_that_it_goes_on(phone, page):
    told = "all => all.map((image) => getComputedStyle(image.parentElement, '::before').content)"
    said = phone(page).locator("img.plot:visible").evaluate_all(told)
    assert said
    assert all("goes on to the right" in words for words in said)


@pytest.mark.parametrize("page", [COMPARISON, "executed/02_dcgan.html"])
def test_no_card_is_wider_than_the_screen(phone, page):
    tab = phone(page)
    assert tab.locator(".number-card").count()
    assert tab.evaluate(CARDS) == []


@pytest.mark.parametrize("page", ["executed/02_dcgan.html", "executed/05_diffusion.html"])
def test_names_of_rows_stay_in_their_cells(phone, page):
    over = "all => all.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)"
    names = phone(page).locator(".wide > table > tbody > tr > :first-child")
    assert names.count()
    assert names.evaluate_all(over) == []


def test_long_words_of_search_results_do_not_widen_the_page(phone):
    tab = phone("search.html")
    tab.evaluate("document.getElementById('search-results').innerHTML = '<p>' + '0.123±0.001'.repeat(50) + '</p>'")
    assert tab.evaluate("document.documentElement.scrollWidth") == WIDTH


def test_search_shows_extracts_without_the_cards_behind_numbers(opened):
    text = (SITE / COMPARISON).read_text(encoding="utf-8")
    found, cards, told = opened(url("search.html")).evaluate(EXTRACT, text)
    assert "This table as" in found
    assert cards > 20
    assert told == 0


@pytest.mark.parametrize("page", ["method.html", "reproduce.html"])
def test_names_in_the_first_column_of_a_table_are_not_broken(phone, page):
    lines = "all => all.map((code) => [code.textContent, code.getClientRects().length])"
    names = phone(page).locator("table td:first-child code .pre").evaluate_all(lines)
    assert names
    assert [name for name, pieces in names if pieces > 1] == []


def test_a_card_shows_that_it_goes_on_and_is_closed_by_a_button(phone):
    tab = phone(COMPARISON)
    number = tab.locator("button.number:visible").first
    number.tap()
    card = tab.locator(f"[id='{number.get_attribute('popovertarget')}']")
    assert card.evaluate("card => card.scrollHeight - card.clientHeight") > 40
    box = card.bounding_box()
    rows = {"x": box["x"] + 4, "y": box["y"] + 4, "width": 6, "height": box["height"] - 6}  # beside all words
    before = light(tab, rows).mean(1)
    card.evaluate("card => card.scrollTop = card.scrollHeight")
    after = light(tab, rows).mean(1)
    assert before[-3:].mean() - np.median(before) > 30
    assert abs(after[-3:].mean() - np.median(after)) < 5
    card.get_by_role("button", name="Close").tap()
    expect(card).to_be_hidden()


def test_small_links_and_numbers_are_tapped_24_pixels_high(phone):
    tab = phone(COMPARISON)
    for small in (tab.locator("a.data:visible").first, tab.locator("button.number:visible").first):
        small.scroll_into_view_if_needed()
        box = small.bounding_box()
        middle = box["y"] + box["height"] / 2
        for y in (middle - 11.9, middle + 11.9):
            there = "(e, at) => document.elementFromPoint(...at) === e"
            assert small.evaluate(there, [box["x"] + box["width"] / 2, y])
