import csv
import json
import statistics

import pytest

from gendiff_lib.config import Sampling
from gendiff_lib.errors import ConfigError
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.experiments.sweep import expand, means, rows, values_of, write
from gendiff_lib.runs.train import train

pytestmark = pytest.mark.usefixtures("published")
FEW = Sampling(n=40, batch_size=20)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-4,2e-4", ["1e-4", "2e-4"]),
        ("3", ["3"]),
        ("(1,2),(3,4)", ["(1,2)", "(3,4)"]),
        ("[8, 16],none", ["[8, 16]", "none"]),
        ("1,", ["1", ""]),
        ("a,,b", ["a", "", "b"]),
        ("", [""]),
    ],
)
def test_values_are_parted_by_commas_that_stand_in_no_brackets(text, values):
    assert values_of(text) == values


def test_every_combination_with_every_seed_is_the_run_that_its_words_make(points):
    made = expand(points, {"lr": ["1e-4", "2e-4"], "network.hidden_dim": ["8", "16"]}, 3)
    assert len(made) == 12
    assert [p.seed for p in made[:3]] == [0, 1, 2]
    for point in made:
        assert point.config == points.told({**point.words, "seed": str(point.seed)})
    assert made[-1].words == {"lr": "2e-4", "network.hidden_dim": "16"}
    assert made[-1].label == "lr=2e-4, network.hidden_dim=16"


def test_without_settings_a_sweep_is_over_seeds(points):
    assert [p.config for p in expand(points, {}, 2)] == [points.but(seed=0), points.but(seed=1)]


def test_a_setting_may_be_a_list_or_a_part(conv):
    made = expand(conv, {"network": ["mlp", "conv"]}, 1)
    assert [p.config.network.type for p in made] == ["mlp", "conv"]
    made = expand(conv, {"beta_minmax": ["(0.01,0.5)", "(0.02,0.4)"]}, 1)
    assert made[1].config.beta_minmax == (0.02, 0.4)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lr": ["1e-4", "0.0001"]}, r"^lr=1e-4 and lr=0\.0001 are one run: leave one out$"),
        ({"rate": ["1"]}, "rate"),
        ({"lr": ["1e-4", "fast"]}, "'fast'"),
        ({"lr": ["1e-4", ""]}, "lr must be a number"),
    ],
)
def test_what_cannot_be_swept_over_is_refused(points, settings, named):
    with pytest.raises(ConfigError, match=named):
        expand(points, settings, 2)


def pixels(images):
    x = images.float().flatten(1)
    return x[:, :4], x[:, -3:]


def test_a_row_tells_setting_losses_scores_and_cost_and_what_is_missing_is_named(conv, tmp_path):
    made = expand(conv, {"lr": ["1e-3", "2e-3"]}, 2)
    runs = [train(point.config) for point in made[:3]]
    scores = evaluate(runs[0], FEW, Extractor("pixels", "d1", pixels))
    found = rows(made, FEW)
    assert len(found) == 3
    assert found[1]["lr"] == "1e-3"
    assert found[1]["seed"] == 1
    assert found[1]["loss"] == runs[1].history["loss"][-1]
    assert found[0]["fd (pixels)"] == scores.frechet_distance
    assert found[1]["fd (pixels)"] is None
    assert found[2]["operations"] == runs[2].training_operations
    assert found[2]["seconds"] == runs[2].snapshot["seconds"]

    averaged = write(tmp_path, "gendiff sweep conv", made, FEW)
    told = json.loads((tmp_path / "sweep.json").read_text())
    assert told["missing"] == [f"conv-{made[3].config.digest}"]
    assert told["runs"] == found
    assert told["settings"] == averaged
    assert list(told["runs"][0]) == list(found[0])  # columns in their order
    with (tmp_path / "runs.csv").open() as file:
        assert [row["run"] for row in csv.DictReader(file)] == [run.id for run in runs]
    with (tmp_path / "settings.csv").open() as file:
        one, two = csv.DictReader(file)
    losses = [run.history["loss"][-1] for run in runs]
    assert float(one["loss"]) == pytest.approx(statistics.fmean(losses[:2]))
    assert float(one["loss sd"]) == pytest.approx(statistics.stdev(losses[:2]))
    assert (two["seeds"], two["loss sd"]) == ("1", "")


def test_a_mean_is_over_the_seeds_that_have_a_value():
    found = [{"lr": "1", "seed": s, "fd (a)": v} for s, v in enumerate((1.0, None, 3.0))]
    assert means(found, ["lr"]) == [{"lr": "1", "seeds": 3, "fd (a)": 2.0, "fd (a) sd": pytest.approx(2**0.5)}]


def test_of_runs_none_of_which_is_there_tables_are_empty(points, tmp_path):
    assert write(tmp_path, "gendiff sweep points", expand(points, {}, 1), None) == []
    assert (tmp_path / "runs.csv").read_text() == "\n"
