import json
from pathlib import Path

import pytest

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
