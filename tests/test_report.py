import dataclasses

import pytest

from gendiff_lib import report, store
from gendiff_lib.config import ConfigError
from gendiff_lib.experiments import EXPERIMENTS, get
from gendiff_lib.report import Page


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr(report, "display", lambda thing: texts.append(thing.data))
    return texts


@pytest.mark.parametrize("wrong", [{"preset": "huge"}, {"epochs": "2"}, {"seed": 1.5}, {"dataset": 3}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Page(**{"preset": "smoke", **wrong})


def test_parameters_reach_the_run_and_defaults_stay_the_presets():
    page = Page(preset="smoke", epochs=1, seed=5)
    assert (page.config("dcgan").epochs, page.config("dcgan").seed) == (1, 5)
    assert Page(preset="smoke").config("ddpm-conv").seed == 1234
    assert Page(preset="smoke", dataset="cifar10").config("live-gan").dataset == "shapes"


def test_page_says_data_set_size_and_shrinkage(shown):
    page = Page(preset="smoke", epochs=1)
    page.show(page.run("dcgan", n_train=100))
    text = " ".join(shown)
    assert "not CIFAR-10" in text
    assert "no verdict can rest on them" in text
    assert "What smoke shrinks in dcgan" in text
    assert "palette and texture" in text


def test_without_a_published_run_a_paper_page_falls_back_and_says_so(shown, monkeypatch, tmp_path):
    smoke = dataclasses.replace(
        EXPERIMENTS["dcgan"], presets=EXPERIMENTS["dcgan"].presets | {"laptop": get("dcgan", "smoke")}
    )
    monkeypatch.setitem(EXPERIMENTS, "dcgan", smoke)
    monkeypatch.setattr(store, "published_dir", lambda: tmp_path / "none")
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    page = Page(preset="paper", epochs=1)
    run = page.run("dcgan")
    page.show(run)
    assert page.preset_of(run) == "laptop"
    assert "No paper-size run of dcgan is published yet" in " ".join(shown)


def test_scores_are_named_by_their_extractor_and_inception_cells_are_empty(shown):
    page = Page(preset="smoke", epochs=1)
    gan, diffusion = page.run("dcgan"), page.run("ddpm-conv")
    page.table1(gan, diffusion)
    text = " ".join(shown)
    assert text.count(report.MISSING) == 4
    assert f"gendiff score {gan.id} --epoch 1 --extractor inception" in text
    assert "(2.50)(3)" in text
    assert "<td>fd</td>" in text
