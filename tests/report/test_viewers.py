import base64
import csv
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from gendiff_lib.data import images
from gendiff_lib.errors import GendiffError
from gendiff_report import viewers


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def pictures(text):
    """The pictures in HTML, as uint8 (3, H, W)."""
    found = [base64.b64decode(data) for data in re.findall(r'src="data:image/(?:png|webp);base64,([^"]+)"', text)]
    return [torch.tensor(np.array(Image.open(io.BytesIO(data)).convert("RGB"))).permute(2, 0, 1) for data in found]


def test_frames_are_one_picture_without_loss_and_its_labels():
    tracks = {"state": noise(3, 4, 3, 8, 8), "estimate": noise(3, 4, 3, 8, 8, seed=1)}
    text = viewers.frames(tracks, ["a", "b", "c"], said=["a, 1 of 3", "b, 2 of 3", "c <3"], name="Step", alt="four <x>")
    (sprite,) = pictures(text)
    side = 2 * (8 + 2) + 2
    assert sprite.shape == (3, 2 * side, 3 * side)
    shown = sprite[:, side:, side : 2 * side]
    torch.testing.assert_close(images.cells(shown, (8, 8)), tracks["estimate"][1])
    assert re.findall(r'<span data-said="([^"]*)">', text) == ["a, 1 of 3", "b, 2 of 3", "c &lt;3"]
    assert re.findall(r'class="track"[^>]*>([^<]*)<', text) == ["state", "estimate"]
    assert 'alt="four &lt;x&gt;"' in text
    assert f"--frames:3;--tracks:2;--width:{side};--height:{side};--start:2" in text


@pytest.mark.parametrize(("n", "columns", "gap"), [(40, 10, 2), (6, 3, 0)])
def test_cells_are_what_a_sheet_was_made_of(n, columns, gap):
    made = noise(n, 3, 5, 7)
    torch.testing.assert_close(images.cells(images.sheet(made, columns, gap), (5, 7), gap), made)


def test_the_static_strip_can_be_reached_and_scrolls_without_the_books_style():
    text = viewers.frames({"": noise(2, 1, 3, 4, 4)}, ["a", "b"], name="Epoch", alt="x", zoom=3)
    box = re.search(r'<div class="static"[^>]*>', text).group()
    assert 'tabindex="0"' in box
    assert 'aria-label="Epoch: all 2 side by side"' in box
    assert "overflow-x:auto" in box
    assert f"{2 * (4 + 4) * 3}px" in text
    assert "image-rendering:pixelated" in text
    assert "http" not in text


@pytest.mark.parametrize("wrong", [{"labels": ["a"]}, {"said": ["a"]}])
def test_frames_need_a_label_each(wrong):
    with pytest.raises(GendiffError, match="'x' has 2 frames"):
        viewers.frames({"x": noise(2, 1, 3, 4, 4)}, **{"labels": ["a", "b"], "name": "n", "alt": "x", **wrong})


def test_tracks_must_be_alike():
    with pytest.raises(GendiffError, match="x, y differ in shape"):
        viewers.frames({"x": noise(1, 1, 3, 4, 4), "y": noise(1, 2, 3, 4, 4)}, ["a"], name="n", alt="x")


def test_compare_holds_both_pictures_with_their_labels():
    before, after = noise(3, 6, 9), noise(3, 6, 9, seed=1)
    text = viewers.compare(before, after, ("epoch 1", "epoch 4"), name="Divider", alt="samples", caption="a & b")
    first, second = pictures(text)
    torch.testing.assert_close(first, before)
    torch.testing.assert_close(second, after)
    assert re.findall(r'alt="([^"]*)"', text) == ["samples, epoch 1", "samples, epoch 4"]
    assert re.findall(r'class="label">([^<]*)<', text) == ["epoch 1", "epoch 4"]
    assert "<figcaption>a &amp; b</figcaption>" in text
    with pytest.raises(GendiffError, match="give one shape"):
        viewers.compare(before, noise(3, 6, 6), ("a", "b"), name="n", alt="x")


def test_a_picture_takes_the_smaller_form_and_the_same_bytes_each_time():
    for picture, forms in ((torch.zeros(3, 64, 64, dtype=torch.uint8), "webp"), (noise(3, 1, 20_000), "png")):
        uri = viewers.picture_uri(picture)
        assert uri == viewers.picture_uri(picture.clone())
        assert uri.startswith(f"data:image/{forms};base64,")


def test_columns_keep_every_digit_and_thin_out_only_beyond_the_limit():
    columns = {"epoch": [0.1, 0.2, 0.30000000000000004], "step": [1.0, 2.0, 3.0]}
    text, every = viewers.columns_csv(columns)
    assert every == 1
    assert text == "epoch,step\n0.1,1\n0.2,2\n0.30000000000000004,3\n"
    many = {"step": [float(i) for i in range(1000)], "loss": [i / 7 for i in range(1000)]}
    text, every = viewers.columns_csv(many, largest=5000)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert every > 1
    assert len(text) <= 5000
    assert [int(row["step"]) for row in rows] == list(range(999 % every, 1000, every))
    assert float(rows[-1]["loss"]) == 999 / 7


def test_a_drawing_comes_with_its_note():
    text = viewers.plot("<svg/>", "a line", "note")
    assert base64.b64decode(re.search(r'data:image/svg\+xml;base64,([^"]+)"', text).group(1)) == b"<svg/>"
    assert 'class="plot" alt="a line"' in text
    assert text.endswith('<p class="data">note</p>')
