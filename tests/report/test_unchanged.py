import json

import pytest

from gendiff_lib import paths
from gendiff_report.unchanged import NAME, MadeOf


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
    MadeOf(executed, asked(root), PARAMETERS).remember()
    return root


PARAMETERS = {"preset": "overnight", "epochs": None}


def asked(root):
    return sorted((root / "notebooks").glob("*.ipynb"))


def again(root, parameters=PARAMETERS):
    return [n.stem for n in MadeOf(root / "book" / "executed", asked(root), parameters).changed()]


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


def test_a_notebook_that_changed_or_whose_result_did_is_executed_alone(tree):
    (tree / "notebooks" / "02_b.ipynb").write_text("changed")
    assert again(tree) == ["02_b"]
    (tree / "book" / "executed" / "01_a.ipynb").write_text("by hand")
    assert again(tree) == ["01_a", "02_b"]


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"all": "x"})])
def test_a_record_that_is_none_keeps_nothing(text, tree):
    (tree / "book" / "executed" / NAME).write_text(text)
    assert again(tree) == ["01_a", "02_b"]


def test_forgotten_nothing_is_kept(tree):
    made_of = MadeOf(tree / "book" / "executed", asked(tree), PARAMETERS)
    made_of.forget()
    made_of.forget()
    assert again(tree) == ["01_a", "02_b"]


def test_what_changes_while_notebooks_are_executed_is_not_taken_for_what_they_were_made_of(tree):
    made_of = MadeOf(tree / "book" / "executed", asked(tree), PARAMETERS)
    (tree / "gendiff_lib" / "x.py").write_text("changed")
    made_of.remember()
    assert again(tree) == ["01_a", "02_b"]
    made_of = MadeOf(tree / "book" / "executed", asked(tree), PARAMETERS)
    (tree / "notebooks" / "01_a.ipynb").write_text("changed")
    made_of.remember()
    assert again(tree) == ["01_a"]


def test_samples_that_pages_add_are_remembered_and_a_training_beside_them_is_not(tree):
    made_of = MadeOf(tree / "book" / "executed", asked(tree), PARAMETERS)
    (tree / ".runs" / "mine" / "scores.json").touch()
    made_of.remember()
    assert again(tree) == []
    made_of = MadeOf(tree / "book" / "executed", asked(tree), PARAMETERS)
    made_of.forget()
    (tree / ".runs" / "mine" / "run.json").write_text("went on")
    made_of.remember()
    assert again(tree) == ["01_a", "02_b"]


def test_a_folder_of_images_and_named_weights_are_looked_at(tree, monkeypatch, tmp_path):
    pictures, weights = tmp_path / "pictures", tmp_path / "inception.pth"
    monkeypatch.setenv("GENDIFF_INCEPTION", str(weights))
    given = PARAMETERS | {"dataset": f"folder:{pictures}"}
    for changed in (pictures / "train" / "a" / "1.png", weights):
        MadeOf(tree / "book" / "executed", asked(tree), given).remember()
        assert again(tree, given) == []
        changed.parent.mkdir(parents=True, exist_ok=True)
        changed.touch()
        assert again(tree, given) == ["01_a", "02_b"]
