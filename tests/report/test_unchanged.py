import json

import pytest

from gendiff_lib import paths
from gendiff_report import unchanged


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small source tree with two notebooks that are executed, and what they were made of remembered."""
    root = tmp_path / "tree"
    for name in ("notebooks/01_a.ipynb", "notebooks/02_b.ipynb", "gendiff_lib/x.py", "benchmarks/results/speed.json",
                 "runs/dcgan/run.json", ".runs/mine/run.json", ".runs/.locks/held"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    monkeypatch.setattr(paths, "published_dir", lambda: root / "runs")
    monkeypatch.setattr(paths, "runs_dir", lambda: root / ".runs")
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(root / "data"))
    executed = root / "book" / "executed"
    executed.mkdir(parents=True)
    for notebook in asked(root):
        (executed / notebook.name).write_text("{}")
    unchanged.remember(executed, asked(root), PARAMETERS)
    return root


PARAMETERS = {"preset": "overnight", "epochs": None}


def asked(root):
    return sorted((root / "notebooks").glob("*.ipynb"))


def again(root, parameters=PARAMETERS):
    return [n.stem for n in unchanged.changed(root / "book" / "executed", asked(root), parameters)]


def test_what_has_not_changed_is_not_executed_again(tree):
    assert again(tree) == []
    (tree / ".runs" / ".locks" / "another").touch()
    assert again(tree) == []


@pytest.mark.parametrize(
    "name",
    ["gendiff_lib/x.py", "gendiff_report/new.py", "runs/dcgan/run.json", ".runs/new/run.json", "data/batch",
     "benchmarks/results/speed.json"],
)  # fmt: skip
def test_whatever_all_depend_on_has_all_executed_again(name, tree):
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text("more")
    assert again(tree) == ["01_a", "02_b"]


def test_so_do_parameters_and_settings(tree, monkeypatch):
    assert again(tree, PARAMETERS | {"epochs": 3.0}) == ["01_a", "02_b"]
    monkeypatch.setenv("GENDIFF_TRAIN", "1")
    assert again(tree) == ["01_a", "02_b"]


def test_a_notebook_that_changed_or_is_lost_is_executed_alone(tree):
    (tree / "notebooks" / "02_b.ipynb").write_text("changed")
    assert again(tree) == ["02_b"]
    (tree / "book" / "executed" / "01_a.ipynb").unlink()
    assert again(tree) == ["01_a", "02_b"]


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"all": "x"})])
def test_a_record_that_is_none_keeps_nothing(text, tree):
    (tree / "book" / "executed" / unchanged.NAME).write_text(text)
    assert again(tree) == ["01_a", "02_b"]


def test_forgotten_nothing_is_kept(tree):
    unchanged.forget(tree / "book" / "executed")
    unchanged.forget(tree / "book" / "executed")
    assert again(tree) == ["01_a", "02_b"]
