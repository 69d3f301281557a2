"""What a reader does with the pages: turning them, searching, sliders, cards, printing, doing without JavaScript."""

import json
import re

import pytest
from built import PAGES, SITE, audit, url
from playwright.sync_api import expect

TEXTS = {page: (SITE / page).read_text(encoding="utf-8") for page in PAGES}
TITLES = {page: re.search(r"<title>([^<]+?) &#8212;", text) for page, text in TEXTS.items()}
WITH_VIEWS = [page for page, text in TEXTS.items() if '<figure class="view' in text]
WITH_CARDS = [page for page, text in TEXTS.items() if "popovertarget=" in text]
NOTEBOOKS = [page for page in PAGES if page.startswith("executed/")]


def test_next_leads_through_all_pages_and_previous_back(opened):
    tab = opened(url("index.html"), java_script_enabled=False)
    way = [tab.url]
    while tab.locator("a.right-next").count():
        tab.locator("a.right-next").click()
        way.append(tab.url)
    assert set(way) == {url(page) for page in PAGES if page not in ("genindex.html", "search.html")}
    for before in reversed(way[:-1]):
        tab.locator("a.left-prev").click()
        assert tab.url == before


def test_search_from_disk_finds_every_page_by_a_word_of_its_title(opened):
    tab = opened(url("search.html"))
    for page, title in TITLES.items():
        if title and page not in ("genindex.html", "search.html"):
            word = max(re.findall(r"[A-Za-z]+", title[1]), key=len)
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
    for closed in tab.locator("details:not([open])", has=button).all():
        closed.locator("> summary").click()
    card = tab.locator(f"[id='{button.get_attribute('popovertarget')}']")
    expect(card).to_be_hidden()
    button.click()
    expect(card).to_be_visible()
    assert [found["text"] for found in audit(tab) if found["known"] < 0] == []
    tab.keyboard.press("Escape")
    expect(card).to_be_hidden()


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_each_notebook_page_says_how_to_run_it_and_hands_the_notebook_over(opened, page):
    tab = opened(url(page), java_script_enabled=False)
    name = page.removeprefix("executed/").removesuffix(".html")
    expect(tab.locator("pre").first).to_contain_text(f"papermill notebooks/{name}.ipynb out.ipynb -p preset ")
    link = tab.locator("a[download]").first
    target = (SITE / page).parent / link.get_attribute("href")
    cells = json.loads(target.read_text(encoding="utf-8"))["cells"]
    assert any(cell.get("outputs") for cell in cells)


@pytest.mark.parametrize("page", PAGES)
def test_on_paper_there_is_everything_and_nothing_to_press(opened, page):
    tab = opened(url(page), setting=(1280, "dark"))
    tab.emulate_media(media="print")
    for chrome in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", ".copybtn", ".prev-next-area"):
        assert not [part for part in tab.locator(chrome).all() if part.is_visible()], chrome
    closed = "all => all.filter((one) => one.lastElementChild.getBoundingClientRect().height === 0).length"
    assert tab.locator(".bd-article details").evaluate_all(closed) == 0
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    filters = "all => all.map((image) => getComputedStyle(image).filter)"
    assert set(tab.locator(".bd-article img").evaluate_all(filters)) <= {"none"}
