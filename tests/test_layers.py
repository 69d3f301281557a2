import ast
from pathlib import Path

import pytest

import gendiff_lib

SOURCES = {p.stem: p for p in Path(gendiff_lib.__file__).parent.glob("*.py") if p.stem != "__init__"}
LAYERS = (
    ("config", "images", "machine", "anatomy", "svg"),
    ("data", "paths", "denoisers", "features", "experiments", "store", "weights_files"),
    ("samplers", "likelihood", "metrics", "objectives", "statistics", "inception", "vgg16", "efficientnet"),
    ("learner", "plots", "column", "drawings", "processes", "memorisation", "cards", "tables", "views", "engine"),
    ("gan", "diffusion", "classifier"),
    ("training",),
    (
        "runs",
        "recorder",
        "budget",
        "scoring",
        "validation",
        "publish",
        "claims",
        "front",
        "asking",
        "showing",
        "exhibits",
        "report",
        "preparing",
    ),
    ("__main__",),
)
LAYER = {name: i for i, names in enumerate(LAYERS) for name in names}
BESIDE = {
    ("images", "config"),
    ("machine", "config"),
    ("features", "data"),
    ("store", "data"),
    ("weights_files", "data"),
}
BESIDE |= {("likelihood", "samplers"), ("engine", "learner"), ("tables", "cards"), ("drawings", "column")}
BESIDE |= {(b, a) for i, a in enumerate(LAYERS[6]) for b in LAYERS[6][i + 1 :]}  # a chain
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
