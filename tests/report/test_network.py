import hashlib
import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from gendiff_report.diagrams import network, process
from gendiff_report.diagrams.plan import plan
from gendiff_report.diagrams.svg import SIZE, Canvas, width
from gendiff_report.diagrams.trace import entering
from tests.report.test_trace import NETWORKS

SVG = "{http://www.w3.org/2000/svg}"


def block(part):
    net, given = NETWORKS["unet"]
    return plan(net.get_submodule(part), *entering(net, part, *given))


DRAWN = {name: network.diagram(plan(net, *given), name) for name, (net, given) in NETWORKS.items()}
DRAWN |= {part: network.diagram(block(part), part) for part in ("down.0.0", "up.0.0", "middle.1")}
DRAWN["game"] = process.game((100, 1, 1), (3, 64, 64), 3_576_704, 2_765_568)
DRAWN["process"] = process.process([0, 500, 1000], [1.0, 0.5, 0.0], [0.0, 0.9, 1.0], "the network")


def words(root):
    """Every text with the room that it may need: left, top, right, bottom."""
    for text in root.iter(f"{SVG}text"):
        x, y = float(text.get("x")), float(text.get("y")) - 0.35 * SIZE
        left = x - {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")] * width(text.text)
        yield text.text, (left, y - 0.55 * SIZE, left + width(text.text), y + 0.55 * SIZE)


@pytest.mark.parametrize("name", DRAWN)
def test_no_words_overlap_or_are_cut(name):
    root = ET.fromstring(DRAWN[name])
    left, top, wide, high = map(float, root.get("viewBox").split())
    found = list(words(root))
    assert found
    for text, (x0, y0, x1, y1) in found:
        assert left <= x0 <= x1 <= left + wide, text
        assert top <= y0 <= y1 <= top + high, text
    for (a, p), (b, q) in itertools.combinations(found, 2):
        assert p[2] <= q[0] or q[2] <= p[0] or p[3] <= q[1] or q[3] <= p[1], (a, b)


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_is_whole_in_itself_and_names_itself(name):
    root = ET.fromstring(DRAWN[name])
    assert root.get("role") == "img"
    ids = root.get("aria-labelledby").split()
    named = {e.get("id"): e.text for e in root if e.get("id")}
    assert list(named) == ids
    assert all(named.values())
    assert len(named[ids[1]]) > 60
    assert re.findall(r"url\(|href|<style|<script|http(?!://www.w3.org/2000/svg)", DRAWN[name]) == []


def test_ids_differ_between_drawings_on_a_page():
    ids = [i for drawing in DRAWN.values() for i in re.findall(r'id="([^"]+)"', drawing)]
    assert len(set(ids)) == len(ids) == 2 * len(DRAWN)


def test_lines_and_words_take_the_pages_colour():
    for drawing in DRAWN.values():
        assert '" stroke="currentColor"' in drawing
        assert {*re.findall(r'<text fill="([^"]+)"', drawing)} == {"currentColor"}


def test_another_process_draws_the_same_bytes():
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}; from tests.report import test_network; print(test_network.digest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == digest(), done.stderr


def digest():
    return hashlib.sha256(repr(DRAWN).encode()).hexdigest()


def test_slabs_are_as_high_as_their_side_and_as_thick_as_their_channels():
    fronts = [m for m in ET.fromstring(DRAWN["generator"]).iter(f"{SVG}polygon") if m.get("fill-opacity") == "0.3"]
    corners = [[tuple(map(float, c.split(","))) for c in m.get("points").split()] for m in fronts]
    sizes = [(c[1][0] - c[0][0], c[2][1] - c[1][1]) for c in corners]
    shapes = [(5, 1), (8, 4), (4, 8), (3, 16)]
    for i, j in itertools.permutations(range(4), 2):
        assert (sizes[i][0] > sizes[j][0]) == (shapes[i][0] > shapes[j][0])
        assert (sizes[i][1] > sizes[j][1]) == (shapes[i][1] > shapes[j][1])
    assert len(fronts) == 4


def test_a_u_has_a_line_for_each_skip_and_a_row_for_each_size():
    drawing = DRAWN["unet"]
    assert "4 skip connections" in drawing
    assert [w for w, _ in words(ET.fromstring(drawing)) if re.fullmatch(r"\d+ x \d+", w)] == ["16 x 16", "8 x 8"]
    assert "TimeEmbedding, SiLU: into 8 x ResBlock" in drawing


def test_a_column_shows_dilations_sums_and_time_into_every_block():
    net, _ = NETWORKS["conv"]
    root = ET.fromstring(DRAWN["conv"])
    assert len(list(root.iter(f"{SVG}circle"))) == 6  # time and shortcut, for each of three blocks
    spread = DRAWN["conv"].count("dilation")
    assert spread == sum(conv.dilation != (1, 1) for conv in net.convs)
    from_left = [p.get("d") for p in root.iter(f"{SVG}path") if re.fullmatch(r"M-[\d.]+ ([\d.]+)L-6 \1", p.get("d"))]
    assert len(from_left) == 3


def test_a_shortcut_with_a_layer_of_its_own_goes_round():
    with_skip, without = ([w for w, _ in words(ET.fromstring(DRAWN[p]))] for p in ("up.0.0", "down.0.0"))
    assert "Conv2d 1x1" in with_skip
    assert "Conv2d 1x1" not in without


def test_the_table_has_a_row_a_part_that_adds_up():
    net, given = NETWORKS["unet"]
    found = plan(net, *given)
    rows = network.rows(found)
    assert sum(int(r["parameters"].replace(",", "")) for r in rows) == found.parameters
    assert rows[2]["works on"] == "x"


def test_a_figure_escapes_its_caption_and_scrolls_by_keyboard():
    found = network.figure("<svg/>", "a < b")
    assert "<figcaption>a &lt; b</figcaption>" in found
    assert '<div class="wide" tabindex="0"' in found


def test_the_process_tells_the_paths_numbers():
    shown = [w for w, _ in words(ET.fromstring(DRAWN["process"]))]
    assert {"t = 500", "image x 0.50", "noise x 0.90"} <= set(shown)


def test_a_canvas_holds_all_that_is_drawn():
    canvas = Canvas()
    canvas.text(-100, 7, "words", anchor="end")
    canvas.line((0, 0), (50, 0), (50, 90))
    left, top, wide, high = map(float, re.search(r'viewBox="([^"]+)"', canvas.svg("t", "d"))[1].split())
    assert left < -100 - width("words")
    assert top < 0
    assert (left + wide, top + high) > (50, 90)
