"""The page of blind pairs: what a reader sees before the key is opened, and what the key makes of the ticks."""

import pytest
from built import PAGES, SETTINGS, SITE, audit, url
from playwright.sync_api import expect
from scipy.stats import binomtest

PAGE = "executed/13_eyes.html"
TEXT = (SITE / PAGE).read_text(encoding="utf-8") if PAGE in PAGES else ""
KEY = "details:has(> .key)"
pytestmark = pytest.mark.skipif("Not shown yet" in TEXT, reason="the pair of this build is not published yet")


def radio(tab, pair, side):
    return tab.locator(f"input[name=pair-{pair}][value={side}]")


def answers(tab):
    """The side of the GAN's image by the number of its pair."""
    found = tab.locator(".key [data-pair]").evaluate_all(
        "all => all.map((one) => [one.dataset.pair, one.dataset.side])"
    )
    return {int(pair): side for pair, side in found}


def test_the_page_is_there():
    assert TEXT.count("<fieldset") == 20


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s[0]}-{s[1]}")
def test_before_the_key_is_opened_the_pairs_are_told_apart_by_number_alone(opened, setting):
    tab = opened(url(PAGE), setting)
    expect(tab.locator(".key")).to_be_hidden()
    for read in (tab.locator("article").inner_text(), tab.locator("article").aria_snapshot()):
        assert "Where the image of the GAN is" not in read
        assert "you ticked" not in read.lower()
    boxes = tab.locator(".pairs fieldset")
    told = {box.aria_snapshot().replace(f"Pair {i}", "Pair") for i, box in enumerate(boxes.all(), 1)}
    assert len(told) == 1
    sizes = boxes.locator("img").evaluate_all("all => all.map((i) => [i.clientWidth / i.naturalWidth, i.title])")
    assert {tuple(size) for size in sizes} == {(4.0, "")}  # each of its pixels is four wide
    assert tab.evaluate("document.documentElement.scrollWidth") <= setting[0]


@pytest.mark.parametrize(("ticked", "hits"), [(20, 20), (20, 0), (20, 13), (7, 5), (1, 0)])
def test_the_key_counts_the_ticks_and_says_what_guessing_gives(opened, ticked, hits):
    tab = opened(url(PAGE))
    sides, other = answers(tab), {"left": "right", "right": "left"}
    for pair in range(1, ticked + 1):
        radio(tab, pair, sides[pair] if pair <= hits else other[sides[pair]]).check()
    tab.locator(f"{KEY} > summary").click()
    chance = binomtest(hits, ticked).pvalue
    said = tab.locator(".key .count")
    expect(said).to_contain_text(f"You ticked {ticked} of 20 pairs, {hits} of them on the image of the GAN.")
    expect(said).to_contain_text(f"puts {ticked / 2:g} there on average")
    expect(said).to_contain_text(f"in {'less than 0.1%' if chance < 0.001 else f'{chance:.1%}'} of all tries")
    expect(tab.locator(".key [data-pair='1']")).to_have_text(
        f"{sides[1]} (you ticked {sides[1] if hits else other[sides[1]]})"
    )
    expect(tab.get_by_text("(you ticked")).to_have_count(ticked)


def test_pairs_and_key_are_used_by_keyboard_and_what_is_ticked_later_counts_too(opened):
    tab = opened(url(PAGE))
    radio(tab, 1, "left").focus()
    tab.keyboard.press("Space")
    tab.keyboard.press("ArrowRight")
    expect(radio(tab, 1, "right")).to_be_checked()
    tab.keyboard.press("Tab")
    expect(radio(tab, 2, "left")).to_be_focused()
    tab.locator(f"{KEY} > summary").focus()
    tab.keyboard.press("Enter")
    said = tab.locator(".key .count")
    expect(said).to_contain_text("You ticked 1 of 20 pairs")
    assert [found["text"] for found in audit(tab) if found["known"] < 0] == []
    radio(tab, 2, "left").check()
    expect(said).to_contain_text("You ticked 2 of 20 pairs")


def test_without_a_tick_the_key_counts_nothing(opened):
    tab = opened(url(PAGE))
    tab.locator(f"{KEY} > summary").click()
    expect(tab.locator(".key .count")).to_have_text("No pair is ticked yet. What is ticked is counted here.")


def test_without_javascript_pictures_are_ticked_and_the_key_opens(opened):
    tab = opened(url(PAGE), (390, "dark"), java_script_enabled=False)
    third = tab.locator(".pairs fieldset").nth(2)
    third.scroll_into_view_if_needed()
    box = third.locator("img").bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    expect(radio(tab, 3, "right")).to_be_checked()
    expect(tab.locator(".key")).to_be_hidden()
    tab.locator(f"{KEY} > summary").click()
    expect(tab.locator(".key ol")).to_be_visible()
    expect(tab.locator(".key .count")).to_have_count(0)
    expect(tab.locator(".key li")).to_have_count(20)
    expect(tab.locator(".key")).to_contain_text("Guessing finds it in 10 of 20 pairs on average")
    expect(radio(tab, 3, "right")).to_be_checked()
