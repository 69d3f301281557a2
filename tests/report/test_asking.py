import dataclasses
import re
import shutil

import pytest

from gendiff_lib import data, paths
from gendiff_lib.errors import ConfigError, Light
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.memorisation import neighbours_of
from gendiff_lib.experiments import budget
from gendiff_lib.experiments.budget import TooLong
from gendiff_lib.experiments.claimed import EARLY_N, FRESH
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.run import find
from gendiff_lib.runs.samples import sample, trajectory
from gendiff_lib.runs.train import train
from gendiff_report import asking, results
from gendiff_report.asking import Asking
from gendiff_report.page import Page
from gendiff_report.reading import Unpublished, longest


@pytest.fixture
def slow(monkeypatch):
    """Names of experiments, or none for all: those that are not done take 5,000 seconds on this machine."""
    names = []

    def seconds(config, _again):
        return 5000.0 if find(config) is None and config.name in (names or [config.name]) else 0.0

    monkeypatch.setattr(budget, "seconds_left", seconds)
    return names


@pytest.fixture
def fresh_clone(tmp_path, monkeypatch):
    """The tracked runs, and nothing else: no CIFAR-10, no run of one's own."""
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path / "nothing"))
    return tmp_path / "runs"


@pytest.mark.parametrize("wrong", [{"preset": "huge"}, {"epochs": "2"}, {"seed": 1.5}, {"dataset": 3}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Asking(**{"preset": "smoke", **wrong})


def test_parameters_reach_the_run_and_defaults_stay_the_presets():
    asked = Asking(preset="smoke", epochs=1, seed=5)
    assert (asked.config("dcgan").epochs, asked.config("dcgan").seed) == (1, 5)
    assert Asking(preset="paper").config("ddpm-conv").seed == 1234
    assert Asking(preset="smoke", dataset="cifar10").config("live-gan").dataset == "shapes"


def test_the_collapse_page_begins_at_its_presets_epoch():
    asked = Asking(preset="smoke", epochs=2)
    run = asked.train("dcgan", n_train=100)
    assert asked.early(run) == 1
    later = dataclasses.replace(run, record=run.record | {"snapshots": {"200": {"epochs": 2.0}}})
    assert asked.early(later) == 2


@pytest.mark.parametrize("wrong", [0, -1.0, "2", True, float("nan"), [1]])
def test_a_patience_that_is_no_number_of_hours_is_refused(wrong):
    with pytest.raises(ConfigError, match="patience must be a number of hours, more than 0, or None, not"):
        Asking(preset="smoke", patience=wrong)


def test_a_long_training_is_refused_with_a_patience_that_is_enough(slow, capsys, tmp_path):
    with pytest.raises(TooLong, match="dcgan to 1 epochs takes about 83 minutes here: set patience = ") as refused:
        Asking(preset="smoke", epochs=1).train("dcgan", n_train=100)
    assert not list((tmp_path / "runs").glob("dcgan-*"))
    hours = re.search(
        r"patience = (\d+) in the parameters cell \(papermill: -p patience (\d+)\), or lower epochs", str(refused.value)
    )
    assert hours[1] == hours[2] == "2"
    run = Asking(preset="smoke", epochs=1, patience=int(hours[1])).train("dcgan", n_train=100)
    assert run.config.epochs == 1
    assert capsys.readouterr().err.startswith("dcgan to 1 epochs takes about 83 minutes here\n")
    assert Asking(preset="smoke", epochs=1).train("dcgan", n_train=100).id == run.id  # what is there is not waited for


def test_patience_is_of_each_training_and_the_classifier_is_one(slow):
    slow.append("classifier")
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    with pytest.raises(TooLong, match=r"classifier to 2 epochs .* -p patience 2\)$"):
        asked.judge(run)


def test_of_several_models_those_that_take_too_long_are_left_out_and_the_page_says_how_to_have_them(slow):
    slow.append("ddpm-conv")
    asked = Asking(preset="smoke", epochs=1)
    assert list(asked.train_several("dcgan", "ddpm-conv")) == ["dcgan"]
    text = Page(asked)._repr_html_()
    assert "ddpm-conv: left out of this page, since ddpm-conv to 1 epochs takes about 83 minutes here: set" in text
    with pytest.raises(TooLong, match="ddpm-conv"):
        asked.train_several("ddpm-conv")


def test_a_page_says_how_long_it_waits():
    assert "<td>20 minutes</td>" in Page(Asking(preset="smoke"))._repr_html_()
    assert "<td>1.5 hours</td>" in Page(Asking(preset="smoke", patience=1.5))._repr_html_()


def test_a_published_run_is_answered_by_its_snapshot_without_data_or_training(fresh_clone):
    asked = Asking(preset="overnight", epochs=20)
    run = asked.train("dcgan-32")
    assert (run.published, run.config.epochs, run.images) == (True, 20, 998_400)
    assert asked.sampling(run).n == EARLY_N  # what snapshots on the way are scored with
    assert results.scores(asked, run).made["epochs"] == 20
    assert {s.n_fake for s in results.floors(asked, run).values()} == {EARLY_N}
    assert asked.reals().sizes == {"train": 50_000, "test": 10_000}
    assert {found.dataset for found in results.validations(asked).values()} == {"cifar10"}
    assert list(asked.train_several("dcgan", "dcgan-32")) == ["dcgan-32"]
    text = Page(asked)._repr_html_()
    assert re.search(r"dcgan: (not published yet|there at epochs .*), so left out of this page\.", text)
    assert not list(fresh_clone.glob("[!.]*"))


def test_a_run_published_without_its_weights_is_trained_here_by_a_page_that_draws_from_it(published, monkeypatch):
    asked = Asking(preset="smoke", epochs=1)
    publish(asked.train("live-gan"))
    shutil.rmtree(paths.runs_dir())
    there = find(asked.config("live-gan"))
    assert there.published
    assert asked.answered(there.config) is None
    made = asked.train("live-gan")
    assert not made.published
    assert len(sample(made, asked.sampling(made, n=10, batch_size=10))) == 10
    assert asked.answered(there.config) == made
    monkeypatch.setattr(asking, "READ", ("smoke",))
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    assert asked.train("live-gan").published  # with the scores that are published of it, though another is here too


def test_of_a_run_here_and_a_published_one_the_longer_answers_and_of_equal_ones_the_published(published):
    config = Asking(preset="smoke").config("dcgan", n_train=100, snapshots=(1, 2))
    publish(train(config.but(epochs=1.0)))
    assert longest(config.but(epochs=2.0)).published
    train(config.but(epochs=2.0))
    here, there = (longest(config.but(epochs=epochs)) for epochs in (2.0, 1.0))
    assert (here.published, here.config.epochs) == (False, 2.0)
    assert (there.published, there.config.epochs) == (True, 1.0)


def test_an_extractor_without_a_published_validation_is_left_out_by_name(fresh_clone, monkeypatch):
    there = {"cifar10-classifier": "its validation"}
    monkeypatch.setattr(results, "_published_validation", lambda judge: there.get(judge.name))
    asked = Asking(preset="overnight")
    assert results.validations(asked) == there
    text = Page(asked)._repr_html_()
    assert "efficientnet: no validation of it is published, so left out of this page." in text
    there.clear()
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    with pytest.raises(Unpublished, match="no validation of an extractor of cifar10 is published"):
        results.validations(asked)


def test_what_is_published_to_the_end_is_sampled_by_its_own_protocol(fresh_clone):
    asked = Asking(preset="overnight")
    run = asked.train("dcgan-32")
    assert asked.sampling(run).n == asked.protocol(run).sampling.n > EARLY_N
    assert asked.of_snapshots(run).n == EARLY_N


def test_without_weights_a_snapshot_names_the_command_that_makes_them_before_any_data_are_asked_for(fresh_clone):
    asked = Asking(preset="overnight", epochs=20)
    run = asked.train("dcgan-32")
    asks = (
        lambda: evaluate(run, asked.sampling(run, n=50), asked.judge(run)),
        lambda: neighbours_of(run, asked.sampling(run, n=50), asked.judge(run), 10),
        lambda: trajectory(run, asked.sampling(run, n=2)),
    )
    for ask in asks:
        with pytest.raises(Light, match=r"`gendiff train dcgan-32-\w+ --epochs 20 --again` makes them"):
            ask()


def test_epochs_that_a_published_run_lacks_are_told_with_those_it_has_and_what_trains_them(fresh_clone, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    told = r"dcgan-32 is there at epochs 6\.24615, .*20, .*, not at 21 "
    for long in (False, True):
        with pytest.raises(
            Unpublished, match=told + r"\(`make book PRESET=overnight EPOCHS=21 TRAIN=1` trains it here"
        ):
            Asking(preset="overnight", epochs=21).train("dcgan-32", long=long)
    with pytest.raises(Unpublished, match=told + r"\(`gendiff train dcgan-32 --preset overnight --epochs 21` trains"):
        Asking(preset="overnight", epochs=21, seed=0).train("dcgan-32")


@pytest.mark.parametrize("train", ["0", "1"])
def test_the_collapse_page_shows_the_last_epoch_that_is_there_where_none_is_asked_for(train, fresh_clone, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", train)
    run = Asking(preset="overnight").train("dcgan-32", long=True)
    assert run.config.epochs == run.epochs[-1] <= 100


def test_nothing_is_downloaded_for_one_model_of_several(fresh_clone, monkeypatch, slow):
    asked = []
    monkeypatch.setattr(data, "_kept", lambda *words: asked.append(words))
    assert list(Asking(preset="overnight", epochs=20).train_several("dcgan", "ddpm-unet", "dcgan-32")) == ["dcgan-32"]
    assert asked == []


def test_a_model_of_fresh_seeds_alone_is_read_by_one_of_them_unless_a_seed_is_asked_for(fresh_clone, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    run = Asking(preset="overnight").train("ddpm-unet-64")
    assert run.published
    assert run.config.seed in (0, *FRESH)
    with pytest.raises(Unpublished):
        Asking(preset="overnight", seed=7).train("ddpm-unet-64")
