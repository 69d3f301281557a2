"""What a reader does with the pages: turning them, searching, sliders, cards, printing, doing without JavaScript."""

import json
import re

import pytest
from built import PAGES, SHEET, SITE, audit, url
from playwright.sync_api import expect

TEXTS = {page: (SITE / page).read_text(encoding="utf-8") for page in PAGES}
TITLES = {page: re.search(r"<title>([^<]+?) &#8212;", text) for page, text in TEXTS.items()}
WITH_VIEWS = [page for page, text in TEXTS.items() if '<figure class="view' in text]
WITH_CARDS = [page for page, text in TEXTS.items() if "popovertarget=" in text]
NOTEBOOKS = [page for page in PAGES if page.startswith("executed/")]


def test_the_book_has_parts_that_move_and_numbers_that_open():
    assert WITH_VIEWS  # else the tests below test nothing
    assert WITH_CARDS


def test_next_leads_through_all_pages_and_previous_back(opened):
    tab = opened(url("index.html"), java_script_enabled=False)
    way = [tab.url]
    while tab.locator("a.right-next").count():
        tab.locator("a.right-next").click()
        assert tab.locator("a.left-prev").evaluate("a => a.href") == way[-1]
        way.append(tab.url)
    assert set(way) == {url(page) for page in PAGES if page not in ("genindex.html", "search.html")}


def test_search_from_disk_finds_every_page_by_a_word_of_its_title(opened):
    tab = opened(url("search.html"))
    for page, title in TITLES.items():
        if title and page not in ("genindex.html", "search.html"):
            word = max(re.findall(r"[A-Za-z_]+", title[1]), key=len)  # gendiff_lib is one to the search
            tab.goto(f"{url('search.html')}?q={word}")
            expect(tab.locator("#search-results > p")).to_contain_text("Search finished")
            found = [a.evaluate("a => a.href.split(/[?#]/)[0]") for a in tab.locator("#search-results li a").all()]
            assert url(page) in found, f"{word} does not lead to {page}"


def test_search_is_reached_by_keyboard(opened):
    tab = opened(url("index.html"))
    tab.keyboard.press("Control+k")
    tab.keyboard.type("seed")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=seed")
    expect(tab.locator("#search-results > p")).to_contain_text("Search finished")


@pytest.mark.parametrize("page", WITH_VIEWS)
def test_sliders_move_by_keyboard_and_say_where_they_are(opened, page):
    tab = opened(url(page))
    sliders = tab.locator("input[type=range]").all()
    assert len(sliders) == TEXTS[page].count('<figure class="view')
    for slider in sliders:
        slider.focus()
        tab.keyboard.press("Home")
        states = [(slider.input_value(), slider.get_attribute("aria-valuetext"))]
        tab.keyboard.press("ArrowRight")
        states.append((slider.input_value(), slider.get_attribute("aria-valuetext")))
        assert states[0][0] != states[1][0]
        assert all(said for _, said in states)
        assert states[0][1] != states[1][1]


@pytest.mark.parametrize("page", WITH_VIEWS)
def test_without_javascript_a_view_is_a_static_picture(opened, page):
    tab = opened(url(page), java_script_enabled=False)
    for view in tab.locator("figure.view").all():
        expect(view.locator("img").first).to_be_visible()
        expect(view.locator("input")).to_have_count(0)


@pytest.mark.parametrize("page", WITH_CARDS)
def test_a_number_opens_its_card_and_escape_closes_it(opened, page):
    tab = opened(url(page))
    button = tab.locator("button.number[popovertarget]").first
    closed = tab.locator("details:not([open])", has=button)
    while closed.count():  # from the outermost in
        closed.first.locator("> summary").click()
    card = tab.locator(f"[id='{button.get_attribute('popovertarget')}']")
    expect(card).to_be_hidden()
    button.click()
    expect(card).to_be_visible()
    assert [found["text"] for found in audit(tab) if found["known"] < 0] == []
    tab.keyboard.press("Escape")
    expect(card).to_be_hidden()


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_each_notebook_page_says_how_to_run_it_and_hands_the_notebook_over(page):
    name = page.removeprefix("executed/").removesuffix(".html")
    words = re.sub(r"<[^>]+>", "", TEXTS[page])
    assert f"papermill notebooks/{name}.ipynb out.ipynb -p preset " in words
    link = re.search(r'<a href="([^"]+)" download>', TEXTS[page])
    cells = json.loads(((SITE / page).parent / link[1]).read_text(encoding="utf-8"))["cells"]
    nothing = "Not shown yet: " in words  # and so no result to hand over
    assert any(cell.get("outputs") for cell in cells) != nothing


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_every_figure_of_a_notebook_is_shown_and_opens_to_how_it_was_made(page):
    name = page.removeprefix("executed/").removesuffix(".html")
    cells = json.loads((SITE / "_sources/executed" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    names = [
        cell["metadata"]["mystnb"]["figure"]["name"] for cell in cells if "figure" in cell["metadata"].get("mystnb", {})
    ]
    assert [n for n in names if f'id="{n}"' not in TEXTS[page]] == []
    assert TEXTS[page].count("<summary>How this figure was made</summary>") == len(names)


@pytest.mark.parametrize("page", PAGES)
def test_on_paper_there_is_everything_and_nothing_to_press(seen, page):
    printed = seen(page, (1280, "dark")).printed
    assert printed["width"] <= SHEET
    assert printed["pressed"] == []
    assert printed["closed"] == 0
    assert printed["colour"] == "rgb(0, 0, 0)"  # and not the light one of dark mode
    assert set(printed["filters"]) <= {"none"}
