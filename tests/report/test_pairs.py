import math
import re
from html.parser import HTMLParser

import pytest
import torch

from gendiff_lib.data import images
from gendiff_lib.errors import GendiffError
from gendiff_lib.runs.publish import publish
from gendiff_report import page as report
from gendiff_report import pairs, results
from gendiff_report.asking import Asking
from gendiff_report.page import Page
from gendiff_report.pairs import Pairs, as_html, blind, closed_key, guessing, key, noticed
from gendiff_report.reading import Unpublished
from tests.report.test_viewers import pictures


def noise(n, seed, side=8):
    return torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def halves(text, side=8):
    """Left and right image of each picture in HTML, (N, 2, 3, H, W)."""
    return torch.stack([images.cells(picture, (side, side)) for picture in pictures(text)])


def without_pictures(text):
    return re.sub(r'src="[^"]*"', "", text)


def test_each_image_is_shown_once_in_order_and_the_key_names_its_side():
    gan, diffusion = noise(12, 0), noise(12, 1)
    made = blind(gan, diffusion)
    shown = halves(as_html(made))
    answers = re.findall(r'<li data-pair="(\d+)" data-side="(\w+)">(\w+)</li>', key(made, "the GAN", "the other"))
    assert [int(number) for number, _, _ in answers] == list(range(1, 13))
    assert {side for _, side, _ in answers} == {"left", "right"}
    for (_, side, said), two, a, b in zip(answers, shown, gan, diffusion, strict=True):
        assert said == side
        torch.testing.assert_close(two, torch.stack([a, b] if side == "left" else [b, a]))


def test_a_constructed_key():
    made = Pairs(noise(3, 0), noise(3, 1), torch.tensor([True, False, False]))
    text = key(made, "<one>", "two")
    assert re.findall(r'data-side="(\w+)"', text) == ["left", "right", "right"]
    assert 'data-name="&lt;one&gt;"' in text
    first, second = (images.cells(picture, (8, 8)) for picture in pictures(text))
    torch.testing.assert_close(first[:3], made.first)  # the sheet has room for five
    torch.testing.assert_close(second[:3], made.second)


def test_nothing_but_the_pictures_depends_on_the_sides():
    gan, diffusion = noise(6, 0), noise(6, 1)
    on_left = torch.tensor([True, False, True, True, False, False])
    one, other = as_html(Pairs(gan, diffusion, on_left)), as_html(Pairs(gan, diffusion, ~on_left))
    assert one != other
    assert without_pictures(one) == without_pictures(other)
    assert not re.search("gan|diffusion|dcgan|ddpm|checked|title=|data-", without_pictures(one), flags=re.I)
    torch.testing.assert_close(halves(one), halves(other).flip(1))


def test_the_sides_are_a_fair_coin_of_a_stream_of_its_own():
    many = noise(4000, 0, side=1)
    made = [blind(many, many, seed=seed).on_left for seed in (0, 0, 1)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    low, high, _ = guessing(4000, 1 - 1e-6)
    assert all(low <= int(sides.sum()) <= high for sides in made)
    runs = (made[0][1:] != made[0][:-1]).sum()  # alternating, or long, runs would tell a reader the next side
    assert low <= int(runs) <= high


def test_images_that_make_no_pairs_are_refused():
    with pytest.raises(GendiffError, match="give one shape"):
        blind(noise(3, 0), noise(4, 1))


@pytest.mark.parametrize("n", [1, 2, 5, 20, 40])
def test_guessing_is_the_exact_binomial_distribution(n):
    def chance(counts, p=0.5):
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts)

    low, high, share = guessing(n)
    assert low + high == n
    assert share == pytest.approx(chance(range(low, high + 1)))
    assert share >= 0.95
    assert low == n // 2 or chance(range(low + 1, high)) < 0.95  # none narrower has it
    outside = [k for k in range(n + 1) if not low <= k <= high]
    assert noticed(n, 0.75) == pytest.approx(chance(outside, 0.75))
    assert noticed(n, 0.5) == pytest.approx(1 - share)


def test_every_radio_button_has_a_name_and_a_group_of_its_own():
    class Parts(HTMLParser):
        def __init__(self):
            super().__init__()
            self.inputs, self.alts, self.legends = [], [], 0

        def handle_starttag(self, tag, attributes):
            if tag == "input":
                self.inputs.append(dict(attributes))
            self.alts += [dict(attributes)["alt"]] if tag == "img" else []
            self.legends += tag == "legend"

    parts = Parts()
    parts.feed(as_html(blind(noise(3, 0), noise(3, 1))))
    assert [(i["type"], i["name"], i["value"]) for i in parts.inputs] == [
        ("radio", f"pair-{n}", side) for n in (1, 2, 3) for side in pairs.SIDES
    ]
    assert parts.legends == 3
    assert parts.alts == [f"Pair {n}: two generated images side by side" for n in (1, 2, 3)]


# ---------------------------------------------------------------- the page


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr(report, "display", lambda thing: texts.append(thing.data))
    return texts


def test_the_page_shows_the_first_of_both_sheets_and_its_key_is_closed(shown, published, monkeypatch, tmp_path):
    asked = Asking(preset="smoke", epochs=1)
    for name in asked.pair:
        publish(asked.train(name, n_train=100))
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))  # the light half of both is enough
    gan, diffusion = (asked.train(name, n_train=100) for name in asked.pair)
    made = results.blind_pairs(asked, gan, diffusion)
    Page(asked, gan, diffusion).source(gan, diffusion, sheets=True)
    asks, (source,), told = made._repr_html_(), shown, closed_key(made, "the GAN", "the diffusion model").html
    sheets = [
        images.cells(images.read_png(next(run.folder.glob("sheets/*.png"))), (32, 32)) for run in (gan, diffusion)
    ]
    assert len(made) == 20
    for two, side, a, b in zip(halves(asks, 32), made.sides, *(s[:20] for s in sheets), strict=True):
        torch.testing.assert_close(two, torch.stack([a, b] if side == "left" else [b, a]))
    assert "data-side" not in asks + source
    assert "<td>recomputed</td>" in source  # of the GAN, and the other's column says none
    assert "<td>ddim</td>" in source
    assert told.startswith("<details")
    assert "open" not in told.partition(">")[0]
    assert told.endswith("</details>")


def test_a_pair_that_is_not_published_is_not_shown_yet(published, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    asked = Asking(preset="overnight")
    with pytest.raises(Unpublished, match="dcgan-32 is not published yet"):
        asked.train(asked.pair[0])
    made = Asking(preset="smoke", epochs=1)
    gan, diffusion = (made.train(name, n_train=100) for name in made.pair)
    next(gan.folder.glob("sheets/*.png")).unlink()
    with pytest.raises(Unpublished, match=rf"{gan.id} is published without \d+\.png"):
        results.blind_pairs(asked, gan, diffusion)
