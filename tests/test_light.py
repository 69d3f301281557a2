import base64
import io
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from gendiff_report.downloads import data_links
from gendiff_report.number import Number

EXTENSIONS = Path(__file__).parent.parent / "book" / "_ext"


@pytest.fixture
def light(monkeypatch):
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    import light

    return light


def test_only_icons_that_are_used_keep_their_outlines(light):
    icons = '{sun:[512,512,[9728],"f185","M361"],"file-pdf":[576,512,[],"f1c1",["M0","M1"]],moon:[3,4,[],"f186","M2"]}'
    trimmed = light.trim_icons(icons, {"sun", "file-pdf"})
    assert trimmed == icons.replace('"M2"', '""')
    assert json.loads(light.trim_icons('{"a-b":[1,2,[],"f0",["M0","M1"]]}', set())) == {"a-b": [1, 2, [], "f0", ""]}


def test_a_notebook_to_download_has_numbers_without_their_cards_and_tables_without_their_files(light):
    number = Number("1 ± 2", 1.0, {"run": "a-b", "train": "gendiff train a-b"}, 2.0)
    table = f"<table><tr><td>one</td><td>{number.html}</td><td>{number.html}</td></tr></table>"
    plain = "<table><tr><td>one</td><td>1\u00a0±\u00a02</td><td>1\u00a0±\u00a02</td></tr></table>"
    files = data_links("table-1", [{"one": 1}], None)
    shown = (table + files, [table, files])
    cells = [{"source": "1 + 1", "outputs": [{"data": {"text/html": t}}, {"text": "said"}]} for t in shown]
    cells += [{"source": ["**Finding.** ", f"It is {number.html}."]}]
    lighter = json.loads(light.lighter(json.dumps({"cells": cells})))["cells"]
    assert [cell["outputs"][0]["data"]["text/html"] for cell in lighter[:2]] == [plain, plain]
    assert [cell["source"] for cell in lighter] == ["1 + 1", "1 + 1", "**Finding.** It is 1\u00a0±\u00a02."]
    assert lighter[0]["outputs"][1] == {"text": "said"}


@pytest.mark.parametrize(("opaque", "mode"), [(True, "RGB"), (False, "RGBA")])
def test_pictures_in_a_drawing_keep_their_pixels_in_fewer_bytes(light, opaque, mode):
    ramp = np.linspace(0, 1, 64 * 64 * 4).reshape(64, 64, 4)
    ramp[..., 3] = 1.0 if opaque else ramp[..., 3]
    figure, drawn = plt.figure(layout="none"), io.StringIO()  # whatever style another test has imported
    figure.add_axes((0, 0, 1, 1)).imshow(ramp, interpolation="none")
    figure.savefig(drawn, format="svg")
    plt.close(figure)
    denser = light.denser(drawn.getvalue())
    before, after = (pictures(text) for text in (drawn.getvalue(), denser))
    assert [image.mode for image in after] == [mode]
    assert [image.convert("RGBA").tobytes() for image in after] == [image.tobytes() for image in before]
    assert len(denser) < len(drawn.getvalue())
    assert light.PICTURE.sub("", denser) == light.PICTURE.sub("", drawn.getvalue())
    lines = drawn.getvalue().splitlines(keepends=True)
    notebook = json.dumps({"cells": [{"source": "", "outputs": [{"data": {"image/svg+xml": lines}}]}]})
    assert json.loads(light.lighter(notebook))["cells"][0]["outputs"][0]["data"]["image/svg+xml"] == denser


def pictures(drawing):
    return [Image.open(io.BytesIO(base64.b64decode(f))) for f in re.findall(r"image/png;base64,([^\"]*)", drawing)]
