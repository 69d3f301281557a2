"""The pages about the code: what is read from the source, who imports whom, and what the pages show of it."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from .test_layers import ORDER

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def modules():
    """The extension's three files, as Sphinx loads them: from their own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        yield {name: importlib.import_module(name) for name in ("sources", "dependencies", "code_pages")}
        for name in ("sources", "dependencies", "code_pages"):
            sys.modules.pop(name)


@pytest.fixture
def sources(modules):
    return modules["sources"]


@pytest.fixture
def dependencies(modules):
    return modules["dependencies"]


@pytest.fixture
def pages(modules):
    return modules["code_pages"]


SOURCE = '''"""What it is.

More.
"""

from ..a import b
from . import c

VERSION = 1  # of something
# Told above,
# in two lines.
LONG = {"one": "a string that is so long that nobody would want to read it whole", "two": "and another one, as long"}
_HIDDEN = 2
BROKEN = register(
    "it", 1
)  # of something else


def f(x: int, *rest: str, n: int = 3, **more: Any) -> str:
    """Uses `x` < 1."""


def _g(): ...


class C(Base):
    """Of fields."""

    size: int = setting(4, "how many", absent=None)
    other: str = "a"  # said beside

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Made so."""

    def go(self, n: int) -> None:
        """Goes."""

    @property
    def side(self) -> int:
        """One of them."""

    def _inner(self): ...
'''


@pytest.fixture
def source(sources):
    return sources.Source(Path("pack/part/file.py"), SOURCE)


def test_public_names_are_read_with_signature_and_docstring(source):
    told = {n.name: (n.kind, n.signature, n.doc) for n in source.names}
    assert told == {
        "VERSION": ("value", " = 1", "of something"),
        "LONG": ("value", " of one, two", "Told above, in two lines."),
        "BROKEN": ("value", " = register('it', 1)", "of something else"),
        "f": ("function", "(x: int, *rest: str, n: int = 3, **more: Any) -> str", "Uses `x` < 1."),
        "C": ("class", "(Base)", "Of fields."),
    }


def test_a_class_shows_constructor_fields_and_methods(source):
    assert [(m.name, m.kind, m.signature, m.doc) for m in source.names[-1].members] == [
        ("C", "constructor", "(shape: tuple[int, ...])", "Made so."),
        ("size", "field", ": int = 4", "how many"),
        ("other", "field", ": str = 'a'", "said beside"),
        ("go", "method", "(n: int) -> None", "Goes."),
        ("side", "property", " -> int", "One of them."),
    ]


def test_relative_imports_are_made_whole(source):
    assert set(source.imports) == {"pack.a.b", "pack.part.c"}


def test_text_is_escaped_and_code_is_code(pages, source):
    shown = pages.entry(source.names[3], "place")
    assert '<dt id="place"><code><b>f</b>(x: int' in shown
    assert "<p>Uses <code>x</code> &lt; 1.</p>" in shown
    assert list(pages.paragraphs("a\nb\n\nc")) == ["<p>a b</p>", "<p>c</p>"]


# ---------------------------------------------------------------- the checkout itself


def test_every_file_of_the_packages_is_read_and_says_what_it_is(sources):
    found = sources.folders(ROOT)
    paths = {source.path for folder in found for source in folder.sources}
    there = {p.relative_to(ROOT) for package in sources.PACKAGES for p in (ROOT / package).rglob("*.py")}
    assert paths == there
    assert [s.path for folder in found for s in folder.sources if not s.doc] == []


def test_anchors_are_unique(sources, pages):
    places = [
        pages.place_of(s, name)
        for folder in sources.folders(ROOT)
        for s in folder.sources
        for name in ("", *(n.name for n in s.names))
    ]
    assert [p for p in places if places.count(p) > 1] == []
    assert all(re.fullmatch(r"[\w-]+", p) for p in places)


def test_each_box_stands_above_all_that_it_imports(dependencies):
    found = dependencies.boxes(ROOT)
    names = [box.name for box in found]
    assert all(names.index(n) > names.index(box.name) for box in found for n in box.imports)
    imports = {box.name: box.imports for box in found}
    assert "gan" not in imports["diffusion"]
    assert "diffusion" not in imports["gan"]
    assert {"learner", "networks"} <= imports["gan"]
    assert "experiments" in imports["notebooks"]  # `from gendiff_lib import get` is an import of what is passed on
    parts = {part for box in found for part in box.parts}
    assert set(ORDER) - {"__main__"} <= parts


def test_a_circle_is_named(dependencies):
    boxes = [dependencies.Box(a, (a,), frozenset([b])) for a, b in (("one", "two"), ("two", "one"))]
    with pytest.raises(ValueError, match="one, two import each other in a circle"):
        dependencies.in_order(boxes)


def test_the_drawing_has_a_dot_for_each_import_and_tells_all_of_them_in_words(dependencies):
    boxes = [
        dependencies.Box("top", ("top",), frozenset(["middle", "low"])),
        dependencies.Box("middle", ("middle",), frozenset(["low"])),
        dependencies.Box("low", ("low", "lower"), frozenset()),
    ]
    svg = dependencies.drawing(boxes)
    arrows = 2  # one into each box that is imported
    assert svg.count("<polygon") == len(boxes) + 3 + arrows
    assert "top imports low, middle. middle imports low. low imports nothing." in svg
    assert "currentColor" in svg


def test_a_page_is_written_for_each_folder_and_those_of_others_are_removed(pages, tmp_path):
    class App:
        srcdir = tmp_path / "book"

    for folder, doc in (("gendiff_lib", "All."), ("gendiff_lib/parts", "Some.")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(f'"""{doc}"""\n')
    (App.srcdir / "code").mkdir(parents=True)
    (App.srcdir / "code" / "gone.md").write_text("of a folder that is no more")
    pages.write_pages(App, None)
    written = {p.name: p.read_text() for p in (App.srcdir / "code").iterdir()}
    assert set(written) == {"gendiff_lib.md", "gendiff_lib-parts.md"}
    assert written["gendiff_lib-parts.md"].startswith("# gendiff_lib/parts\n")
