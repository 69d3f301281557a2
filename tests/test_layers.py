"""The order of imports: each folder and file of the library imports those below it, and the report stands above."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = (
    "errors", "ranks", "versions", "parsing", "paths", "config", "device", "streams", "progress", "data", "graphs",
    "ema", "learner", "networks", "autoencoder", "gan", "diffusion", "classifier", "training", "runs", "evaluation",
    "experiments", "cluster", "cli", "__main__",
)  # fmt: skip
BESIDE = {"gan", "diffusion", "classifier"}  # none of these knows another
SOURCES = sorted(p for p in (ROOT / "gendiff_lib").rglob("*.py") if p != ROOT / "gendiff_lib" / "__init__.py")


@pytest.fixture(scope="module")
def imported():
    """What gives the dotted names of all that a file imports: the pages about the code read the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        sources = importlib.import_module("sources")
        sys.modules.pop("sources")
    return lambda path: sources.read(ROOT, path.relative_to(ROOT)).imports


def name_of(path):
    return ".".join(path.relative_to(ROOT / "gendiff_lib").with_suffix("").parts)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_go_down_only(path, imported):
    mine = path.relative_to(ROOT).with_suffix("").parts[1]
    theirs = {name.split(".")[1] for name in imported(path) if name.startswith("gendiff_lib.")}
    assert theirs & set(ORDER) <= set(ORDER[: ORDER.index(mine) + 1])
    assert mine not in BESIDE or not theirs & (BESIDE - {mine})
    assert not [name for name in imported(path) if name.split(".")[0] in ("gendiff_report", "benchmarks", "IPython")]


def test_every_file_and_folder_has_its_place():
    assert {p.relative_to(ROOT).with_suffix("").parts[1] for p in SOURCES} == set(ORDER)


def test_the_imports_are_seen(imported):
    assert "gendiff_lib.learner.Method" in set(imported(ROOT / "gendiff_lib" / "gan" / "model.py"))
    assert "gendiff_lib.data.dataset.Dataset" in set(imported(ROOT / "gendiff_lib" / "training" / "loop.py"))


@pytest.fixture
def modules(imported):
    """Every module of library and report, and the modules of both that it imports."""
    found = {}
    for package in ("gendiff_lib", "gendiff_report"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = set(imported(path))
    return {
        name: {i if i in found else i.rpartition(".")[0] for i in theirs} & found.keys() - {name}
        for name, theirs in found.items()
    }


def test_no_import_goes_round_in_a_circle(modules):
    left = modules
    assert "gendiff_lib.learner" in left["gendiff_lib.gan.model"]
    while free := {name for name, theirs in left.items() if not theirs & left.keys()}:
        left = {name: theirs for name, theirs in left.items() if name not in free}
    assert not left


@pytest.mark.parametrize("package", ["gendiff_lib", "gendiff_report"])
def test_files_and_functions_stay_short(package):
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 250, path
        functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
        assert [f.name for f in functions if f.end_lineno - f.lineno >= 45] == [], path
