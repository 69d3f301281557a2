import os

import pytest
import torch

from gendiff_lib import paths as paths_module
from gendiff_lib.config import Sampling
from gendiff_lib.errors import GendiffError, Light
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.memorisation import neighbours_of
from gendiff_lib.experiments import get
from gendiff_lib.experiments.extractors import offline
from gendiff_lib.gan.config import DCGANNetwork, GANConfig
from gendiff_lib.runs import files, layout, publish
from gendiff_lib.runs.run import Run, find
from gendiff_lib.runs.samples import sample, sample_sheet, trajectory
from gendiff_lib.runs.train import train

CONFIG = get("dcgan", "smoke", n_train=100, epochs=1)


def other_weights(run):
    """The same run as another processor would have trained it."""
    path = run.folder / layout.weights(run.images)
    files.write_tensors(path, {name: w + 1 for name, w in files.read_tensors(path).items()})
    record = files.read_json(run.folder / layout.RECORD)
    record["snapshots"][str(run.images)]["sha256"] = files.sha256(path)
    files.write_json(run.folder / layout.RECORD, record)
    return Run.read(run.folder)


@pytest.fixture
def published(tmp_path, monkeypatch):
    monkeypatch.setattr(paths_module, "published_dir", lambda: tmp_path / "published")
    return tmp_path / "published"


def test_the_light_half_answers_without_the_run(published, monkeypatch, tmp_path):
    run = train(CONFIG)
    sheet = sample_sheet(run, Sampling(n=8))
    publish.publish(run)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    light = find(CONFIG)
    assert light is not None
    assert light.published
    assert light.history == run.history
    torch.testing.assert_close(sample_sheet(light, Sampling(n=8)), sheet)
    with pytest.raises(GendiffError, match="without the weights"):
        sample(light, Sampling(n=9))
    assert not list(published.rglob("*.pt"))


def test_all_that_pages_show_is_published(published, monkeypatch, tmp_path):
    config = get("ddpm-conv", "smoke", n_train=100, epochs=1)
    run, judge = train(config), offline("shapes", "smoke")
    few = Sampling(n=24, n_steps=3)
    scores, bits = evaluate(run, few, judge, 50), bits_of(run, 10)
    copies, way = neighbours_of(run, few, judge, 10), trajectory(run, few)
    publish.publish(run)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    light = find(config)
    assert evaluate(light, few, judge, 50) == scores
    assert bits_of(light, 10) == bits
    torch.testing.assert_close(neighbours_of(light, few, judge, 10), copies)
    torch.testing.assert_close(trajectory(light, few).x0, way.x0)


def test_half_precision_weights_draw_nearly_the_same(published):
    run = train(CONFIG)
    light = Run.read(publish.publish(run, weights=True))
    mine, theirs = sample(run, Sampling(n=4)).float(), sample(light, Sampling(n=4)).float()
    assert (mine - theirs).abs().mean() < 1
    assert not (light.folder / "samples").exists()  # what is made later never goes into the published folder


def test_a_contact_sheet_that_no_page_shows_is_not_published(published):
    run = train(CONFIG.but(seed=7, epochs=2, snapshots=(1, 2)))
    light = Run.read(publish.publish(run, without=[str(layout.sheet(run.at(1).images))]))
    assert [p.name for p in (light.folder / layout.SHEETS).iterdir()] == [layout.sheet(run.images).name]
    assert ["sheet" in entry for entry in light.record["snapshots"].values()] == [False, True]
    assert [light.at(epochs).keeps_sheet() for epochs in light.epochs] == [False, True]
    with pytest.raises(Light, match=r"is published without the contact sheet of epoch 1: `gendiff train .* --again`"):
        light.at(1).sheet()
    assert light.sheet().shape == run.sheet().shape
    assert len(list((run.folder / layout.SHEETS).iterdir())) == 2  # the run itself keeps both


def test_publishing_twice_or_beyond_the_budget_is_refused(published, monkeypatch):
    run = train(CONFIG)
    publish.publish(run)
    with pytest.raises(GendiffError, match="published already"):
        publish.publish(Run.read(published / run.id))
    monkeypatch.setattr(publish, "BUDGET", 100)
    with pytest.raises(GendiffError, match="MiB"):
        publish.publish(train(CONFIG.but(seed=9)))
    assert [p.name for p in published.iterdir()] == [run.id]


def test_what_is_made_of_a_published_run_is_added_to_it(published, monkeypatch, tmp_path):
    config = get("ddpm-conv", "smoke", n_train=100, epochs=1)
    light = Run.read(publish.publish(train(config), weights=True))
    before = {p: p.read_bytes() for p in light.folder.rglob("*") if p.is_file()}
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    bits_of(light, 10)
    part = layout.bits(light.images, "raw", "test", 10, 0)
    assert not (light.folder / part).exists()
    assert publish.publish(light) == light.folder
    assert (light.folder / part).exists()
    assert all(p.read_bytes() == content for p, content in before.items())
    with pytest.raises(GendiffError, match="published already"):  # nothing more
        publish.publish(light)


def test_what_is_made_of_a_published_run_stays_apart_from_a_training_of_its_own_here(published, monkeypatch, tmp_path):
    config = get("ddpm-conv", "smoke", n_train=100, epochs=1)
    light = Run.read(publish.publish(train(config), weights=True))
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    own = other_weights(train(config, again=True))
    theirs = own.folder / layout.bits(light.images, "raw", "test", 10, 0)
    bits_of(own, 10)
    assert light.place(theirs.relative_to(own.folder)) == (light.made / theirs.relative_to(own.folder), False)
    before = theirs.read_bytes()
    bits_of(light, 10)
    assert theirs.read_bytes() == before
    publish.publish(light)
    assert (light.folder / theirs.relative_to(own.folder)).exists()


@pytest.mark.parametrize("name", ["samples/*/sampling.json", "sheets/*.png", "samples/*/trajectory-21.safetensors"])
def test_what_cannot_be_read_back_is_not_published(published, name):
    run = train(get("ddpm-conv", "smoke", n_train=100, epochs=1))
    few = Sampling(n=24, n_steps=3)
    sample(run, few)
    trajectory(run, few)
    (path,) = run.folder.glob(name)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(GendiffError, match="is damaged"):
        publish.publish(run)
    assert not published.exists() or not list(published.iterdir())


TINY = GANConfig(
    name="tiny", dataset="shapes:8", n_train=32, batch_size=16, nz=4, network=DCGANNetwork(ngf=4, ndf=4), epochs=2
)


@pytest.mark.parametrize("name", ["sheets/*0032.png", "history.csv", "sheets/*0064.png"])
def test_a_run_with_a_hole_is_refused_by_what_it_lacks(published, name):
    run = train(TINY.but(snapshots=(1,)))
    (path,) = run.folder.glob(name)
    path.unlink()
    with pytest.raises(GendiffError, match=rf"{path.name} is damaged \(it is missing\)"):
        publish.publish(run)
    assert not list(published.iterdir())


def test_weights_of_a_run_that_lost_them_are_not_published(published):
    run = train(TINY)
    (run.folder / layout.weights(64)).unlink()
    with pytest.raises(GendiffError, match=r"0000000064\.safetensors is damaged \(it is missing\)"):
        publish.publish(run, weights=True)
    assert not list(published.iterdir())


def test_changed_weights_are_not_published(published):
    run = train(TINY)
    file = run.folder / layout.weights(64)
    weights = files.read_tensors(file)
    files.write_tensors(file, {name: tensor * 2 for name, tensor in weights.items()})
    with pytest.raises(files.StoreError, match=f"{file} is damaged .its SHA-256 is not the one that the record tells"):
        publish.publish(run, weights=True)
    assert not list(published.iterdir())


def test_a_run_that_is_published_again_is_weighed_once(published, monkeypatch):
    run = train(TINY)
    target = publish.publish(run)
    size = sum(p.stat().st_size for p in published.rglob("*") if p.is_file())
    monkeypatch.setattr(publish, "BUDGET", size)
    assert publish.publish(run) == target
    monkeypatch.setattr(publish, "BUDGET", size - 1)
    with pytest.raises(GendiffError, match="publish it without weights, or take an older run out"):
        publish.publish(run)
    assert Run.read(target).history == run.history  # the earlier one is whole


def test_batch_statistics_stay_whole_in_half_precision(published):
    run = train(TINY.but(lrG=2e-2))
    light = Run.read(publish.publish(run, weights=True))
    full, half = (files.read_tensors(r.folder / layout.weights(64)) for r in (run, light))
    assert full.keys() == half.keys()
    statistics = {k for k in full if "running" in k or "num_batches" in k}
    assert len(statistics) == 2 * 2 + 1
    for name in full:
        assert half[name].dtype == (full[name].dtype if name in statistics else torch.float16)
        torch.testing.assert_close(half[name].to(full[name].dtype), full[name], rtol=1e-3, atol=1e-4)
    assert all(torch.equal(half[k], full[k]) for k in statistics)
    for batchnorm in ("recomputed", "running"):
        sampling = Sampling(n=6, batchnorm=batchnorm)
        mine, theirs = (torch.cat([s.x for s in r.learner.sample(6, r.resolve(sampling), rng())]) for r in (run, light))
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0.02)


def rng():
    return torch.Generator().manual_seed(0)


def test_weights_of_earlier_snapshots_that_were_published_stay(published):
    run = train(TINY.but(epochs=1))
    light = Run.read(publish.publish(run, weights=True))
    first = (light.folder / layout.weights(32)).read_bytes()
    longer = train(TINY.but(epochs=2))
    light = Run.read(publish.publish(longer, weights=True))
    assert (light.folder / layout.weights(32)).read_bytes() == first
    assert light.epochs == (1, 2)
    for epochs in (1, 2):
        assert light.at(epochs).learner
    again = Run.read(publish.publish(longer))  # without weights: those that were there are not lost
    assert sorted(p.name for p in (again.folder / "weights").iterdir()) == [layout.weights(n).name for n in (32, 64)]
    assert again.at(1).learner


def test_weights_of_another_training_do_not_stay(published, monkeypatch, tmp_path):
    first = train(TINY)
    publish.publish(first, weights=True)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    light = Run.read(publish.publish(other_weights(train(TINY, again=True))))
    assert not (light.folder / "weights").exists()
    assert "half_sha256" not in light.snapshot


def test_a_changed_published_weight_is_refused(published, monkeypatch, tmp_path):
    target = publish.publish(train(TINY), weights=True)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    file = target / layout.weights(64)
    weights = files.read_tensors(file)
    weights["generator.main.0.weight"] += 0.01
    files.write_tensors(file, weights)
    with pytest.raises(files.StoreError, match="its SHA-256 is not the one that the record tells"):
        sample(find(TINY), Sampling(n=4))


@pytest.mark.parametrize(("umask", "mode", "folder"), [(0o022, 0o644, 0o755), (0o027, 0o640, 0o750)])
def test_what_is_published_can_be_read_by_whom_the_mask_lets(published, umask, mode, folder):
    before = os.umask(umask)
    try:
        run = train(TINY)
        trajectory(run, Sampling(n=2))
        publish.publish(run, weights=True)
    finally:
        os.umask(before)
    for root in (run.folder, published):
        paths = list(root.rglob("*"))
        assert {p.stat().st_mode & 0o777 for p in paths if p.is_file()} == {mode}
        assert {p.stat().st_mode & 0o777 for p in paths if p.is_dir()} == {folder}
