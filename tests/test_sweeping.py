"""`gendiff sweep`: from words to runs, tables and a page."""

import importlib.util
import json
import os

import nbformat
import pytest

from gendiff_lib import paths
from gendiff_lib.cli import main, sweeping
from gendiff_lib.cli import words as cli_words
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.experiments import budget, get
from gendiff_lib.progress import TrainingError
from gendiff_lib.runs.run import find

pytestmark = pytest.mark.usefixtures("published")
POINTS = ["sweep", "live-gan-2d", "--preset", "smoke", "--epochs", "1"]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def no_page(monkeypatch):
    """A kernel takes seconds to start."""
    monkeypatch.setattr(sweeping, "_page", lambda folder: None)


def refusal(capsys, *words):
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_sweep_trains_its_runs_once_and_writes_tables_and_a_page(out, capsys):
    words = [*POINTS, "--set", "lrG=1e-3,2e-3", "--seeds", "2", "--out", str(out)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert told.startswith("4 runs, of training seeds 0, 1: 4 to train\n")
    assert told.count(": trained in ") == 4
    for lr in (1e-3, 2e-3):
        for seed in (0, 1):
            assert find(get("live-gan-2d", "smoke", epochs=1.0, lrG=lr, seed=seed))  # as `gendiff train` would name it
    assert sorted(os.listdir(out)) == ["runs.csv", "settings.csv", "sweep.ipynb", "sweep.json"]
    cells = nbformat.read(out / "sweep.ipynb", as_version=4).cells
    shown = str([c.get("outputs") for c in cells])
    assert "lrG=1e-3,2e-3 --seeds 2 --epochs 1" in shown
    assert "image/png" in shown or "image/svg" in shown
    assert not [o for c in cells for o in c.get("outputs", []) if o.output_type == "error"]


def pixels(images):
    x = images.float().flatten(1)
    return x[:, :4], x[:, -3:]


def test_what_is_there_is_not_trained_again_and_scores_join_the_table(out, capsys, no_page, monkeypatch):
    monkeypatch.setattr(sweeping, "extractor_of", lambda *_: Extractor("pixels", "d1", pixels))
    words = ["sweep", "dcgan-32", "--preset", "smoke", "--epochs", "1", "--out", str(out)]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--seeds", "2", "--extractor", "inception"]) == 0
    told = capsys.readouterr().out
    assert "2 runs, of training seeds 0, 1: 1 to train\n" in told
    assert told.count(": is there") == 1
    rows = json.loads((out / "sweep.json").read_text())["runs"]
    assert all(row["fd (pixels)"] > 0 for row in rows)


def test_one_that_diverges_costs_no_other_its_place(out, capsys, no_page, monkeypatch):
    train = sweeping.train

    def failing(config):
        if config.seed == 0:
            raise TrainingError("loss became nan: the likely cause is too high a learning rate")
        return train(config)

    monkeypatch.setattr(sweeping, "train", failing)
    assert main([*POINTS, "--seeds", "2", "--out", str(out)]) == 2
    told, error = capsys.readouterr()
    assert error.splitlines()[-1].startswith("gendiff: 1 of 2 trainings failed: loss became nan")
    assert "1 runs are not there yet" in told
    assert len(json.loads((out / "sweep.json").read_text())["runs"]) == 1


def test_on_a_cluster_it_submits_what_is_missing_and_writes_what_is_there(out, capsys, no_page, monkeypatch):
    asked = []

    def submit(configs, cluster, **how):
        asked.append((len(configs), cluster, how))
        yield "submitted"

    monkeypatch.setattr(cli_words, "submit", submit)
    assert main([*POINTS, "--seeds", "2", "--cluster", "slurm", "--out", str(out)]) == 0
    assert asked == [(2, "slurm", {"gpus": 1, "at_once": None})]
    assert "2 runs are not there yet: give the same command again" in capsys.readouterr().out
    assert not list(paths.runs_dir().glob("[!.]*"))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--set", "lrG"], "--set lrG is incomplete"),
        (["--set", "seed=1,2"], "--set seed is what --seeds is for"),
        (["--set", "epochs=1,2"], "epochs is given twice, as 1 and as 1,2: leave one out"),
        (["--set", "lrG=1e-3", "--set", "lrG=2e-3"], "lrG is given twice"),
        (["--set", "lrG=1e-3,0.001"], "lrG=1e-3 and lrG=0.001 are one run"),
        (["--set", "rate=1"], "'rate' is no field"),
        (["--seeds", "0"], "it must be a whole number from 1 to 100"),
        (["--at-once", "2"], "--at-once goes with --cluster"),
    ],
)
def test_what_cannot_be_swept_over_is_one_sentence_and_leaves_nothing(more, named, out, capsys):
    assert named in refusal(capsys, *POINTS, *more, "--out", str(out))
    assert not list(paths.runs_dir().glob("[!.]*"))


def test_an_unknown_experiment_is_named(capsys):
    assert "experiment 'nothing' is unknown" in refusal(capsys, "sweep", "nothing")


def test_a_long_sweep_wants_yes_and_its_seeds_are_measured_once(out, capsys, no_page, monkeypatch):
    measured = []

    def slow(config):
        measured.append(config)
        return 1.0

    monkeypatch.setattr(budget, "seconds_of_image", slow)
    monkeypatch.setattr(budget, "SLOWEST", 1.0)
    words = [*POINTS, "--seeds", "3", "--out", str(out)]
    told = refusal(capsys, *words)
    assert "the sweep takes about" in told
    assert "add --yes, or lower --epochs or --seeds" in told
    assert len(measured) == 1
    assert main([*words, "--yes"]) == 0


def test_without_papermill_one_sentence_says_so_before_anything_is_trained(capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "the page of a sweep needs papermill: pip install 'gendiff[book]'" in refusal(capsys, *POINTS)
    assert not paths.runs_dir().exists()
