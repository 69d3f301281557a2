"""CONTRIBUTING.md: the files and names that it points at are there, and its hooks are what the gate runs."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def rows():
    """Of the table: what is looked for, the files and the names."""
    table = TEXT.partition("## Where is")[2].partition("\n## ")[0]
    for line in table.splitlines():
        if line.startswith("| ") and not line.startswith("| What"):
            what, files, names = line.strip("|").split("|")
            yield what.strip(), re.findall(r"`([^`]+)`", files), re.findall(r"`([^`]+)`", names)


def defined(path):
    """The names that a file defines, those in a class with its name before them."""
    return set(definitions(ast.parse((ROOT / path).read_text(encoding="utf-8")), ""))


def definitions(node, within):
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            yield within + child.name
            if isinstance(child, ast.ClassDef):
                yield from definitions(child, f"{child.name}.")
        elif isinstance(child, (ast.Assign, ast.AnnAssign)):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            yield from (within + t.id for t in targets if isinstance(t, ast.Name))


@pytest.mark.parametrize(("what", "files", "names"), list(rows()), ids=[what for what, _, _ in rows()])
def test_what_the_table_names_is_there(what, files, names):
    assert files
    assert names
    assert [f for f in files if not (ROOT / f).is_file()] == []
    there = [defined(f) for f in files]
    assert [n for n in names if not any(n in found for found in there)] == []
    assert [f for f, found in zip(files, there, strict=True) if not found & set(names)] == []  # each file for a name


def test_the_table_answers_what_newcomers_ask():
    told = " ".join(what for what, _, _ in rows())
    for word in ("U-Net", "losses", "DDIM", "FID", "run is stored", "trains", "Table 1", "streams", "versions",
                 "file names", "order of imports", "queue", "presets"):  # fmt: skip
        assert word in told


def test_every_file_and_folder_that_the_text_names_is_there():
    named = set(re.findall(r"`([\w./-]+(?:/|\.(?:py|yml|md)))`", TEXT))
    assert len(named) > 20
    for name in named:
        places = (ROOT / name, ROOT / "gendiff_lib" / name, ROOT / "gendiff_lib" / "experiments" / name)
        assert any(place.exists() for place in places), name


def test_what_the_text_tells_make_to_do_is_a_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", TEXT)) <= targets


# ---------------------------------------------------------------- the hooks


def hooks():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]  # nothing is fetched
    return config["repos"][0]["hooks"]


def linted():
    """The commands of `make lint`, with the environment that the hooks name."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    lines = [line.strip().removeprefix("@") for line in recipe.splitlines()[1:]]
    return [shlex.split(line.replace("$(PY)", ".venv/bin/python").replace("$(VENV)", ".venv")) for line in lines]


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_a_hook_runs_what_the_gate_runs(hook):
    assert hook["language"] == "system"  # the project's own environment
    words = shlex.split(hook["entry"])
    if words[:3] == [".venv/bin/python", "-m", "pytest"]:  # the gate runs all tests
        assert all((ROOT / w).is_file() and w.startswith("tests/test_") for w in words[3:] if not w.startswith("-"))
    elif hook.get("pass_filenames", True):
        assert [*words, "notebooks/*.ipynb"] in linted()
        assert hook["files"] == r"^notebooks/.*\.ipynb$"
    else:
        assert words in linted()


def test_format_lint_notebooks_and_layers_have_hooks():
    entries = " ".join(hook["entry"] for hook in hooks())
    for part in ("ruff format", "ruff check", "nbstripout", "tests/test_layers.py"):
        assert part in entries


def test_the_gate_lints_and_tests():
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {"beside make imports lint", "joined", "run make test"} <= set(gate.splitlines())


def test_the_readmes_python_runs(monkeypatch):
    """As it stands, but for the size."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    small = block.replace('"laptop", epochs=2', '"smoke", n_train=100, epochs=1')
    assert small != block
    exec(compile(small, "README.md", "exec"), {})
