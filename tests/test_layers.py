import ast
from pathlib import Path

import pytest

import gendiff_lib

SOURCES = {p.stem: p for p in Path(gendiff_lib.__file__).parent.glob("*.py") if p.stem != "__init__"}
LAYERS = (
    ("parsing",),
    ("config", "layout", "anatomy", "svg", "plots"),
    ("images", "machine", "folders", "streams", "progress", "schedules", "denoisers", "scores", "column", "processes"),
    ("data", "samplers", "objectives", "uncertainty", "corruptions", "drawings", "views"),
    ("learner", "likelihood", "features", "store", "distances", "neighbours", "points", "pairs"),
    ("weights_files",),
    ("engine", "metrics", "statistics", "inception", "vgg16", "efficientnet", "prune"),
    ("gan", "diffusion", "classifier", "memorisation", "cards"),
    ("training", "versions", "tables"),
    ("experiments",),
    ("runs",),
    ("recorder", "publish"),
    (
        "budget",
        "scoring",
        "replay",
        "study",
        "validation",
        "calibration",
        "agreement",
        "realsheets",
        "claims",
        "asking",
        "front",
        "showing",
        "exhibits",
        "trust",
        "report",
        "preparing",
    ),
    ("__main__",),
)
LAYER = {name: i for i, names in enumerate(LAYERS) for name in names}
CHAIN = LAYERS[-2]  # each may import those before it
BESIDE = {(b, a) for i, a in enumerate(CHAIN) for b in CHAIN[i + 1 :]}
DRAWERS = {"plots", "svg", "anatomy", "column", "drawings", "processes"}
MODELS = {"denoisers", "learner", "gan", "diffusion", "classifier", "training"}


def imports(name):
    for node in ast.walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("gendiff_lib")):
            inner = (node.module or "").removeprefix("gendiff_lib").lstrip(".")
            yield from [inner.split(".")[0]] if inner else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [a.name.split(".")[1] for a in node.names if a.name.startswith("gendiff_lib.")]


@pytest.mark.parametrize("name", SOURCES)
def test_imports_go_down_only(name):
    assert name in LAYER, f"{name}.py has no layer yet"
    found = set(imports(name)) & SOURCES.keys()
    assert [n for n in found if LAYER[n] >= LAYER[name] and (name, n) not in BESIDE] == []
    assert name not in DRAWERS or not found & MODELS


def test_the_sources_are_seen():
    assert {"gan", "diffusion", "config"} <= SOURCES.keys()
    assert {"gan", "diffusion"} <= set(imports("training"))
    assert "store" in set(imports("runs"))
    assert LAYER.keys() == SOURCES.keys()


def test_the_two_methods_do_not_know_each_other():
    assert "diffusion" not in set(imports("gan"))
    assert "gan" not in set(imports("diffusion"))
