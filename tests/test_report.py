import dataclasses

import pytest

from gendiff_lib import report, store
from gendiff_lib.config import ConfigError
from gendiff_lib.experiments import EXPERIMENTS, get
from gendiff_lib.features import Extractor
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
    assert text.count(report.MISSING) == 2 * 6
    assert f"gendiff score {gan.id} --epoch 1 --n 100 --extractor inception" in text
    assert "(2.50)(3)" in text
    assert "<td>fd " in text
    assert "n = 100 each" in text


def test_scores_by_the_famous_networks_are_shown_where_they_were_computed(shown):
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    page.kept_table({"GAN": run})
    assert "Not scored by inception yet" in shown[0]
    assert "Not scored by vgg16 yet" in shown[1]
    shown.clear()
    pixels = Extractor("vgg16", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, :3]))
    run.scores(page.sampling(run), pixels, 50)
    page.kept_table({"GAN": run})
    assert "Not scored by vgg16 yet" in shown[1]  # against fifty images is another protocol
    shown.clear()
    run.scores(page.sampling(run), pixels, 500)
    page.kept_table({"GAN": run})
    assert "<th>fd (train)</th>" in shown[1]
    assert "not computed" in shown[1]


def test_several_scores_are_over_sampling_seeds_and_every_training_seed_that_there_is(shown):
    page = Page(preset="smoke", epochs=1)
    run, other = page.run("dcgan", n_train=100), page.run("dcgan", n_train=100, seed=5)
    scores = page.several(run)
    assert [(s.made["training_seed"], s.made["sampling_seed"]) for s in scores] == [(0, 0), (0, 1), (5, 0), (5, 1)]
    assert {s.made["run"] for s in scores} == {run.id, other.id}
    found = page.seeds_table({"GAN": (run, None)})
    assert found["GAN"] == scores
    assert "2 training seeds" in " ".join(shown)


def test_samples_of_other_samplers_raise_a_banner(shown, monkeypatch):
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    page.score_table({"GAN": (run, None)})
    assert "older than the code" not in " ".join(shown)
    monkeypatch.setattr(report, "sampler_digest", lambda: "another")
    page.score_table({"GAN": (run, None)})
    assert "The samples of GAN are older than the code" in " ".join(shown)


def test_networks_are_drawn_at_the_papers_size_and_the_runs_own_in_a_box(shown):
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    page.game(run, "Two players.")
    page.architecture(run, "generator", "Fig. 15.")
    own = sum(p.numel() for p in run.method.modules["generator"].parameters())
    text = " ".join(shown)
    assert f"Fig. 15. Input 100 x 1 x 1; 3,576,704 parameters. The one trained in {run.id} has {own:,}." in text
    assert f"The one trained in {run.id}</summary>" in text
    assert text.count("<svg ") == 3
    assert "ConvTranspose2d 4x4, stride 2, padding 1, no bias" in text


def test_a_network_without_a_run_is_drawn_and_nothing_is_trained(shown, tmp_path):
    page = Page(preset="smoke")
    page.architecture("ddpm-unet", "net", "A U-Net.")
    page.architecture("ddpm-unet", "net.down.0.0", "Its block.")
    text = " ".join(shown)
    assert "Input 64 x 32 x 32; 90,560 parameters. The one in ddpm-unet of the preset smoke has" in text
    assert not (tmp_path / "runs").exists()


def test_a_process_is_drawn_from_the_runs_own_path(shown):
    page = Page(preset="smoke", epochs=1)
    page.process(page.run("ddpm-conv", n_train=100), "The process.")
    assert "t = 20</text>" in shown[-1]  # smoke's path has 20 steps
    assert "image x 1.00" in shown[-1]
