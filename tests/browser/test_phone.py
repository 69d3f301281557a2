"""What a reader does with the pages on a phone: 390 pixels, a finger, a dark theme."""

import pytest
from built import url
from playwright.sync_api import expect

PHONE = {"has_touch": True, "is_mobile": True}
WIDTH = 390


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
