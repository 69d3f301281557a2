import re

import pytest

from gendiff_lib import asking, budget, realsheets, showing
from gendiff_lib.asking import Unpublished
from gendiff_lib.budget import TooLong
from gendiff_lib.config import ConfigError
from gendiff_lib.report import Page
from gendiff_lib.runs import Light, find
from gendiff_lib.study import EARLY_N


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr(showing, "display", lambda thing: texts.append(thing.data))
    return texts


@pytest.fixture
def slow(monkeypatch):
    """Names of experiments, or none for all: those that are not done take 5,000 seconds on this machine."""
    names = []

    def seconds(config):
        return 5000.0 if find(config) is None and config.name in (names or [config.name]) else 0.0

    monkeypatch.setattr(budget, "seconds_left", seconds)
    return names


@pytest.fixture
def fresh_clone(tmp_path, monkeypatch):
    """The tracked runs, and nothing else: no CIFAR-10, no run of one's own."""
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path / "nothing"))
    return tmp_path / "runs"


@pytest.mark.parametrize("wrong", [0, -1.0, "2", True, float("nan"), [1]])
def test_a_patience_that_is_no_number_of_hours_is_refused(wrong):
    with pytest.raises(ConfigError, match="patience must be a number of hours, more than 0, or None, not"):
        Page(preset="smoke", patience=wrong)


def test_a_long_training_is_refused_with_a_patience_that_is_enough(slow, capsys, tmp_path):
    with pytest.raises(TooLong, match="dcgan to 1 epochs takes about 83 minutes here: set patience = ") as refused:
        Page(preset="smoke", epochs=1).run("dcgan", n_train=100)
    assert not list((tmp_path / "runs").glob("dcgan-*"))
    hours = re.search(
        r"patience = (\d+) in the parameters cell \(papermill: -p patience (\d+)\), or lower epochs", str(refused.value)
    )
    assert hours[1] == hours[2] == "2"
    run = Page(preset="smoke", epochs=1, patience=int(hours[1])).run("dcgan", n_train=100)
    assert run.config.epochs == 1
    assert capsys.readouterr().err.startswith("dcgan to 1 epochs takes about 83 minutes here\n")
    assert Page(preset="smoke", epochs=1).run("dcgan", n_train=100).id == run.id  # what is there is not waited for


def test_patience_is_of_each_training_and_the_classifier_is_one(slow):
    slow.append("classifier")
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    with pytest.raises(TooLong, match=r"classifier to 2 epochs .* -p patience 2\)$"):
        page.judge(run)


def test_of_several_models_those_that_take_too_long_are_left_out_and_the_page_says_how_to_have_them(slow, shown):
    slow.append("ddpm-conv")
    page = Page(preset="smoke", epochs=1)
    assert list(page.runs("dcgan", "ddpm-conv")) == ["dcgan"]
    page.show()
    assert "ddpm-conv: left out of this page, since ddpm-conv to 1 epochs takes about 83 minutes here: set" in shown[-1]
    with pytest.raises(TooLong, match="ddpm-conv"):
        page.runs("ddpm-conv")


def test_a_page_says_how_long_it_waits(shown):
    Page(preset="smoke").show()
    Page(preset="smoke", patience=1.5).show()
    assert "<td>20 minutes</td>" in shown[0]
    assert "<td>1.5 hours</td>" in shown[1]


def test_a_published_run_is_answered_by_its_snapshot_without_data_or_training(fresh_clone, shown):
    page = Page(preset="overnight", epochs=20)
    run = page.run("dcgan-32")
    assert (run.published, run.config.epochs, run.images) == (True, 20, 998_400)
    assert page.sampling(run).n == EARLY_N  # what snapshots on the way are scored with
    assert page.scores(run).made["epochs"] == 20
    assert {s.n_fake for s in page.floors(run).values()} == {EARLY_N}
    assert page.reals().sizes == {"train": 50_000, "test": 10_000}
    assert {found.dataset for found in page.validations().values()} == {"cifar10"}
    assert list(page.runs("dcgan", "dcgan-32")) == ["dcgan-32"]
    page.show()
    assert re.search(r"dcgan: (still in training|there at epochs .*), so left out of this page\.", shown[-1])
    assert not list(fresh_clone.glob("[!.]*"))


def test_an_extractor_without_a_published_validation_is_left_out_by_name(fresh_clone, shown, monkeypatch):
    there = {"cifar10-classifier": "its validation"}
    monkeypatch.setattr(asking, "_published_validation", lambda judge: there.get(judge.name))
    page = Page(preset="overnight")
    assert page.validations() == there
    page.show()
    assert "efficientnet: no validation of it is published, so left out of this page." in shown[-1]
    there.clear()
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    with pytest.raises(Unpublished, match="no validation of an extractor of cifar10 is published"):
        page.validations()


def test_what_is_published_to_the_end_is_sampled_by_its_own_protocol(fresh_clone):
    page = Page(preset="overnight")
    run = page.run("dcgan-32")
    assert page.sampling(run).n == page.protocol(run).sampling.n > EARLY_N
    assert page.of_snapshots(run).n == EARLY_N


def test_without_weights_a_snapshot_names_the_command_that_makes_them_before_any_data_are_asked_for(fresh_clone):
    page = Page(preset="overnight", epochs=20)
    run = page.run("dcgan-32")
    asks = (
        lambda: run.scores(page.sampling(run, n=50), page.judge(run)),
        lambda: run.memorisation(page.sampling(run, n=50), page.judge(run), 10),
        lambda: run.trajectory(page.sampling(run, n=2)),
    )
    for ask in asks:
        with pytest.raises(Light, match="`gendiff train dcgan-32 --preset overnight --epochs 20 --again` makes them"):
            ask()


def test_epochs_that_a_published_run_lacks_are_told_with_those_it_has_and_what_trains_them(fresh_clone, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    told = r"dcgan-32 is there at epochs 6\.24615, .*20, .*, not at 21 "
    for long in (False, True):
        with pytest.raises(
            Unpublished, match=told + r"\(`make book PRESET=overnight EPOCHS=21 TRAIN=1` trains it here"
        ):
            Page(preset="overnight", epochs=21).run("dcgan-32", long=long)
    with pytest.raises(Unpublished, match=told + r"\(`gendiff train dcgan-32 --preset overnight --epochs 21` trains"):
        Page(preset="overnight", epochs=21, seed=0).run("dcgan-32")


@pytest.mark.parametrize("train", ["0", "1"])
def test_the_collapse_page_shows_the_last_epoch_that_is_there_where_none_is_asked_for(train, fresh_clone, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", train)
    run = Page(preset="overnight").run("dcgan-32", long=True)
    assert run.config.epochs == run.epochs[-1] <= 100


def test_nothing_is_downloaded_for_one_model_of_several(fresh_clone, monkeypatch, slow):
    asked = []
    monkeypatch.setattr(realsheets, "load", lambda *words: asked.append(words))
    assert list(Page(preset="overnight", epochs=20).runs("dcgan", "ddpm-unet", "dcgan-32")) == ["dcgan-32"]
    assert asked == []
