import pytest
import torch

from gendiff_lib import publish as publishing
from gendiff_lib import store
from gendiff_lib.config import GendiffError, Sampling
from gendiff_lib.experiments import get
from gendiff_lib.recorder import train
from gendiff_lib.runs import Run, find
from gendiff_lib.scoring import offline

CONFIG = get("dcgan", "smoke", n_train=100, epochs=1)


@pytest.fixture
def published(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "published_dir", lambda: tmp_path / "published")
    return tmp_path / "published"


def test_the_light_half_answers_without_the_run(published, monkeypatch, tmp_path):
    run = train(CONFIG)
    sheet = run.sample_sheet(Sampling(n=8))
    publishing.publish(run)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    light = find(CONFIG)
    assert light is not None
    assert light.published
    assert light.history == run.history
    torch.testing.assert_close(light.sample_sheet(Sampling(n=8)), sheet)
    with pytest.raises(GendiffError, match="without the weights"):
        light.samples(Sampling(n=9))
    assert not list(published.rglob("*.pt"))


def test_all_that_pages_show_is_published(published, monkeypatch, tmp_path):
    config = get("ddpm-conv", "smoke", n_train=100, epochs=1)
    run, judge = train(config), offline("shapes", "smoke")
    few = Sampling(n=24, n_steps=3)
    scores, bits = run.scores(few, judge, 50), run.bits(10)
    copies, way = run.memorisation(few, judge, 10), run.trajectory(few)
    publishing.publish(run)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    light = find(config)
    assert light.scores(few, judge, 50) == scores
    assert light.bits(10) == bits
    torch.testing.assert_close(light.memorisation(few, judge, 10), copies)
    torch.testing.assert_close(light.trajectory(few).x0, way.x0)


def test_half_precision_weights_draw_nearly_the_same(published):
    run = train(CONFIG)
    light = Run.read(publishing.publish(run, weights=True))
    mine, theirs = run.samples(Sampling(n=4)).float(), light.samples(Sampling(n=4)).float()
    assert (mine - theirs).abs().mean() < 1
    assert not (light.folder / "samples").exists()  # what is made later never goes into the published folder


def test_publishing_twice_or_beyond_the_budget_is_refused(published, monkeypatch):
    run = train(CONFIG)
    publishing.publish(run)
    with pytest.raises(GendiffError, match="published already"):
        publishing.publish(Run.read(published / run.id))
    monkeypatch.setattr(publishing, "BUDGET", 100)
    with pytest.raises(GendiffError, match="MiB"):
        publishing.publish(train(CONFIG.but(seed=9)))
    assert [p.name for p in published.iterdir()] == [run.id]


@pytest.mark.parametrize("name", ["samples/*/sampling.json", "sheets/*.png", "samples/*/trajectory-3.safetensors"])
def test_what_cannot_be_read_back_is_not_published(published, name):
    run = train(get("ddpm-conv", "smoke", n_train=100, epochs=1))
    few = Sampling(n=24, n_steps=3)
    run.samples(few)
    run.trajectory(few, frames=3)
    (path,) = run.folder.glob(name)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(GendiffError, match="is damaged"):
        publishing.publish(run)
    assert not published.exists() or not list(published.iterdir())
