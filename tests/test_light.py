import json
from pathlib import Path

import pytest

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


def test_a_notebook_to_download_has_numbers_without_their_cards(light):
    number = Number("1 ± 2", 1.0, {"run": "a-b", "train": "gendiff train a-b"}, 2.0)
    table = f"<table><tr><td>one</td><td>{number.html}</td><td>{number.html}</td></tr></table>"
    plain = "<table><tr><td>one</td><td>1\u00a0±\u00a02</td><td>1\u00a0±\u00a02</td></tr></table>"
    cells = [{"source": "1 + 1", "outputs": [{"data": {"text/html": t}}, {"text": "said"}]} for t in (table, [table])]
    cells += [{"source": ["**Finding.** ", f"It is {number.html}."]}]
    lighter = json.loads(light.lighter(json.dumps({"cells": cells})))["cells"]
    assert [cell["outputs"][0]["data"]["text/html"] for cell in lighter[:2]] == [plain, plain]
    assert [cell["source"] for cell in lighter] == ["1 + 1", "1 + 1", "**Finding.** It is 1\u00a0±\u00a02."]
    assert lighter[0]["outputs"][1] == {"text": "said"}
