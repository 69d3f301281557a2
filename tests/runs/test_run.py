import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gendiff_lib import data, paths, versions
from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.config import Sampling
from gendiff_lib.diffusion import likelihood
from gendiff_lib.errors import ConfigError, GendiffError
from gendiff_lib.evaluation import evaluate as evaluate_module
from gendiff_lib.evaluation import memorisation as memorisation_module
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.memorisation import memorisation, neighbours_of
from gendiff_lib.evaluation.points import evaluate_points
from gendiff_lib.gan.config import GANConfig, ProgressiveNetwork
from gendiff_lib.runs import files, layout
from gendiff_lib.runs import publish as publish_module
from gendiff_lib.runs import record as record_module
from gendiff_lib.runs import samples as samples_module
from gendiff_lib.runs.files import StoreError
from gendiff_lib.runs.run import Run, all_runs, find
from gendiff_lib.runs.samples import sample, sample_sheet, sampling_record, trajectory
from gendiff_lib.runs.train import train
from gendiff_lib.training.build import make

FEW = Sampling(n=12, batch_size=5, n_steps=2)


@pytest.fixture(autouse=True)
def _apart(published):
    """No run of the checkout is seen."""


def pixels(images):
    x = images.float().flatten(1)
    return x[:, :4], x[:, -3:]


def publish(run, published):
    """Move a run to the published ones."""
    published.mkdir(exist_ok=True)
    shutil.move(run.folder, published / run.id)
    return find(run.config)


def fail(*arguments):
    raise AssertionError("this should have been read from disk")


def test_a_run_is_seen_at_its_snapshots(points):
    run = train(points.but(epochs=3, snapshots=(1, 2)))
    assert run.at(2).config == run.config.but(epochs=2)
    assert repr(run.at(2).at(3).history) == repr(run.history)
    assert [len(run.at(e).history["loss"]) for e in (1, 2, 3)] == [8, 16, 24]
    with pytest.raises(GendiffError, match=f"{run.id} keeps no snapshot at epoch 5: it has 1, 2, 3"):
        run.at(5)


def test_a_runs_networks_have_the_snapshots_weights(points):
    run = train(points.but(epochs=2, snapshots=(1,)))
    kept = files.read_tensors(run.folder / layout.weights(256))
    assert_close(run.at(1).learner.weights(), kept, rtol=0, atol=0)
    assert not torch.equal(run.learner.weights()["net.leave.weight"], kept["net.leave.weight"])


def test_samples_are_made_once_and_are_the_same_everywhere(points, monkeypatch):
    run = train(points)
    first = sample(run, FEW)
    assert first.shape == (12, 2)
    with monkeypatch.context() as patch:
        patch.setattr(samples_module, "_states", fail)
        assert torch.equal(sample(find(points), FEW), first)
    shutil.rmtree(run.folder / "samples")
    assert torch.equal(sample(run, FEW), first)


def test_samples_depend_on_all_of_their_sampling(points):
    run = train(points.but(snapshots=(1,)))
    first = sample(run, FEW)
    for other in (FEW.but(seed=1), FEW.but(batch_size=6), FEW.but(n_steps=3), FEW.but(weights="raw"), FEW.but(eta=1.0)):
        assert not torch.equal(sample(run, other), first)
    assert not torch.equal(sample(run.at(1), FEW), first)
    assert torch.equal(sample(run, FEW.but(sampler="ddim", eta=0.0)), first)  # what None stands for here


def test_the_first_batches_of_more_samples_are_the_same(points):
    run = train(points)
    assert torch.equal(sample(run, FEW.but(n=10)), sample(run, FEW)[:10])
    assert not torch.equal(sample(run, FEW)[:5], sample(run, FEW)[5:10])


def test_images_come_as_bytes_at_the_data_sets_side(gan):
    run = train(gan.but(image_size=16))
    images = sample(run, Sampling(n=6))
    assert images.shape == (6, 3, 8, 8)
    assert images.dtype == torch.uint8
    assert sampling_record(run, Sampling(n=6))["sampling"]["sampler"] == "generator"
    assert sample_sheet(run, Sampling(n=6)).dtype == torch.uint8


def test_a_sampling_that_a_run_cannot_honour_is_refused(gan):
    with pytest.raises(ConfigError, match=r"eta=0.5 does not apply to a GAN"):
        sample(train(gan), Sampling(eta=0.5))


def test_a_classifier_makes_no_samples():
    config = ClassifierConfig(name="judge", dataset="shapes:16", n_train=16, batch_size=16, width=1)
    with pytest.raises(GendiffError, match="a classifier makes no samples: name a GAN"):
        sample(train(config), Sampling())


def test_a_trajectory_leads_from_noise_to_the_samples(conv, monkeypatch):
    run, sampling = train(conv), Sampling(n=4, batch_size=4)
    monkeypatch.setattr(layout, "FRAMES", 6)
    way = trajectory(run, sampling)
    assert way.t.tolist() == [10, 8, 6, 4, 2, 0]
    assert way.x.shape == way.x0.shape == (6, 4, 3, 8, 8)
    assert torch.equal(way.x[-1], sample(run, sampling))
    assert way.x[0].float().std() > 50


def test_a_trajectory_is_made_once(conv, monkeypatch):
    run = train(conv)
    first = trajectory(run, Sampling(n=2))
    monkeypatch.setattr(samples_module, "_states", fail)
    assert torch.equal(trajectory(find(conv), Sampling(n=2)).x, first.x)


def test_an_interrupted_drawing_goes_on_after_its_last_whole_batch(conv, monkeypatch):
    run, sampling = train(conv), Sampling(n=14, batch_size=4, n_steps=2)
    whole = sample(run, sampling)
    (place,) = (run.folder / "samples").iterdir()
    assert sorted(p.name for p in place.iterdir()) == ["samples.safetensors", "sampling.json", "sheet.png"]
    shutil.rmtree(place)
    states, drawn = samples_module._states, []

    def interrupted(self, n, sampling, batch):
        drawn.append(batch)
        if batch == 2 and drawn.count(2) == 1:
            raise KeyboardInterrupt
        return states(self, n, sampling, batch)

    monkeypatch.setattr(samples_module, "_states", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample(find(conv), sampling)
    with (place / "drawing").open("ab") as file:
        file.write(b"half a batch")  # killed while it wrote
    assert torch.equal(sample(find(conv), sampling), whole)
    assert drawn == [0, 1, 2, 2, 3]
    assert not (place / "drawing").exists()


def test_what_other_samplers_drew_is_not_gone_on_from(conv, monkeypatch):
    run, sampling, states = train(conv), Sampling(n=8, batch_size=4, n_steps=2), samples_module._states
    seen = []

    def until_the_second(self, n, sampling, batch):
        return fail() if batch else states(self, n, sampling, batch)

    def watched(self, n, sampling, batch):
        seen.append(batch)
        return states(self, n, sampling, batch)

    with monkeypatch.context() as patch:
        patch.setitem(versions.VERSIONS, "sampling", 0)
        patch.setattr(samples_module, "_states", until_the_second)
        with pytest.raises(AssertionError):
            sample(run, sampling)
    monkeypatch.setattr(samples_module, "_states", watched)
    sample(find(conv), sampling)
    assert seen == [0, 1]


def test_scores_are_made_once_and_name_their_reference(gan, monkeypatch):
    run, sampling = train(gan), Sampling(n=24)
    extractor = Extractor("pixels", "d1", pixels)
    scores = evaluate(run, sampling, extractor, n_real=20)
    assert (scores.n_fake, scores.n_real, scores.reference, scores.extractor) == (24, 20, "train", "pixels")
    monkeypatch.setattr(evaluate_module, "score", fail)
    assert evaluate(find(gan), sampling, extractor, n_real=20) == scores


def test_scores_by_other_weights_are_other_scores(gan):
    run, sampling = train(gan), Sampling(n=24)
    a = evaluate(run, sampling, Extractor("pixels", "d1", pixels), n_real=20)
    b = evaluate(run, sampling, Extractor("pixels", "d2", lambda x: pixels(255 - x)), n_real=20)
    assert (a.extractor_digest, b.extractor_digest) == ("d1", "d2")
    assert a.values != b.values


def test_scores_against_the_test_split_are_others_and_carry_how_the_fakes_were_made(conv):
    run, sampling = train(conv), Sampling(n=24, n_steps=3, seed=4)
    extractor = Extractor("pixels", "d1", pixels)
    scores = {split: evaluate(run, sampling, extractor, 20, split) for split in ("train", "test")}
    assert scores["train"].frechet_distance != scores["test"].frechet_distance
    made = scores["test"].made
    assert (made["run"], made["training_seed"], made["sampling_seed"], made["n_steps"]) == (run.id, 0, 4, 3)
    assert made["sampler"] == "ddpm"
    assert made["sampling_seconds"] > 0
    assert made["grid"] is None
    assert evaluate(run, sampling.but(grid="rho"), extractor, 20).made["grid"] == "rho"


def test_evaluations_of_the_network_for_a_sample(conv, gan):
    run = train(conv)
    asked = (Sampling(), Sampling(n_steps=7), Sampling(sampler="heun", n_steps=7), Sampling(sampler="unipc", n_steps=7))
    assert [run.evaluations(sampling) for sampling in asked] == [conv.n_timesteps, 7, 13, 7]
    assert train(gan).evaluations(Sampling()) == 1


def test_bits_per_dimension_are_kept_with_their_terms(conv, monkeypatch):
    run = train(conv)
    bits = bits_of(run, 20)
    assert len(bits.steps) == conv.n_timesteps - 1
    assert bits.total == pytest.approx(bits.prior + sum(bits.steps) + bits.decoder)
    assert bits.total > 5  # an untrained code is near the eight bits that a byte has
    assert (bits.n, bits.split, bits.weights) == (20, "test", "raw")
    monkeypatch.setattr(likelihood, "bound", fail)
    assert bits_of(find(conv), 20) == bits


@pytest.mark.parametrize("which", ["gan", "points"])
def test_what_has_no_bits_per_dimension_says_so(which, request):
    with pytest.raises(ConfigError, match="has no bits per dimension: they are a diffusion model's"):
        bits_of(train(request.getfixturevalue(which)), 20)


def test_a_flow_has_no_bits_per_dimension(conv):
    flow = conv.but(schedule="flow", n_timesteps=None, beta_minmax=None, prediction="v")
    with pytest.raises(ConfigError, match="need a schedule with steps of its own"):
        bits_of(train(flow), 20)


def test_averaged_weights_are_never_called_raw(conv, published, monkeypatch, tmp_path):
    run = train(conv.but(ema=200.0))
    both = {weights: bits_of(run, 20, weights=weights).total for weights in ("raw", "ema")}
    assert both["raw"] != both["ema"]
    light = Run.read(publish_module.publish(run, weights=True))
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    for place in (light, Run.read(published / ".." / published.name / run.id)):  # however it is reached
        assert place.published
        with pytest.raises(GendiffError, match="averaged weights alone: leave out weights=raw"):
            bits_of(place, 21, weights="raw")
        with pytest.raises(GendiffError, match="averaged weights alone: leave out weights=raw"):
            sample(place, Sampling(n=3, n_steps=2, weights="raw"))
    assert bits_of(light, 20).total == both["ema"]


def test_a_published_generator_is_the_averaged_one(gan, published, monkeypatch, tmp_path):
    run = train(gan.but(ema=200.0))
    drawn = sample(run, Sampling(n=3))
    light = Run.read(publish_module.publish(run, weights=True))
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    assert (sample(light, Sampling(n=3)).int() - drawn.int()).abs().max() <= 1  # in half precision
    with pytest.raises(GendiffError, match="averaged weights alone: leave out weights=raw"):
        sample(light, Sampling(n=3, weights="raw"))


def test_a_published_generator_knows_how_far_it_has_grown():
    network = ProgressiveNetwork(ngf=8, ndf=8, fade=70_000)
    config = GANConfig(network=network, dataset="shapes", n_train=64, batch_size=32)
    learner = make(config, (3, 32, 32), 10)
    for net in learner.growing:
        net.grow(140_000)  # more than half precision holds
    half = publish_module.halved(learner.weights())
    other = make(config.but(seed=1), (3, 32, 32), 10)
    other.load_weights({k: v.float() if v.dtype == torch.float16 else v for k, v in half.items()})
    assert other.generator.stage == learner.generator.stage == (1, 1.0)


@pytest.mark.parametrize("n", [-3, 0, 1])
def test_too_few_images_for_bits_are_refused(conv, n):
    with pytest.raises(ConfigError, match=f"n={n} images give no mean with an error"):
        bits_of(train(conv), n)


def test_memorisation_looks_among_the_images_that_the_run_saw(conv, monkeypatch):
    run, extractor = train(conv), Extractor("pixels", "d1", pixels)
    seen = []

    def spy(fake, training, test, judge):
        seen.append((len(fake), len(training), len(test)))
        return memorisation(fake, training, test, judge)

    monkeypatch.setattr(memorisation_module, "memorisation", spy)
    first = neighbours_of(run, Sampling(n=9, n_steps=2), extractor)
    again = neighbours_of(find(conv), Sampling(n=9, n_steps=2), extractor)
    assert seen == [(9, 64, 9)]
    assert torch.equal(first.pixel, again.pixel)


def test_points_are_scored_against_fresh_draws(points):
    scores = evaluate_points(train(points), Sampling(n=200, n_steps=2))
    assert (scores.n, scores.n_modes) == (200, 25)
    assert scores.distance > 0.05


def test_a_local_run_is_found_before_a_published_one(points, published):
    run = train(points)
    shutil.copytree(run.folder, published / run.id)
    assert find(points).folder == run.folder
    shutil.rmtree(run.folder)
    assert find(points).folder == published / run.id
    assert find(points).published
    assert find(points.but(epochs=7)) is None
    assert find(points.but(seed=7)) is None


def test_nothing_is_written_to_a_published_run(points, published):
    run = publish(train(points), published)
    before = sorted(p for p in run.folder.rglob("*"))
    made = sample(run, FEW)
    assert sorted(p for p in run.folder.rglob("*")) == before
    assert (paths.runs_dir() / run.id / "samples").is_dir()
    assert torch.equal(sample(find(points), FEW), made)


def test_weights_published_in_half_precision_are_widened(points, published):
    run = publish(train(points), published)
    file = run.folder / layout.weights(run.images)
    exact = files.read_tensors(file)
    files.write_tensors(file, {k: v.half() for k, v in exact.items()})
    run.record["snapshots"][str(run.images)]["half_sha256"] = files.sha256(file)
    found = run.learner.weights()
    assert {v.dtype for v in found.values()} == {torch.float32}
    assert_close(found, exact, rtol=1e-3, atol=1e-3)


def test_a_run_published_without_weights_says_so(points, published):
    run = publish(train(points), published)
    shutil.rmtree(run.folder / "weights")
    with pytest.raises(GendiffError, match=f"{run.id} is published without the weights of epoch 2: `gendiff train"):
        sample(run, FEW)
    assert run.history["epoch"][-1] == 2


def folder_run(gan, folder):
    for i in range(24):
        (folder / "a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / "a" / f"{i:02}.png")
    return train(gan.but(dataset=f"folder:{folder}", n_train=16))


def test_what_was_published_is_read_without_the_data(gan, published, tmp_path):
    run = folder_run(gan, tmp_path / "data")
    sampling = Sampling(n=24)
    images = sample(run, sampling)
    run = publish(run, published)
    shutil.rmtree(tmp_path / "data")
    data._kept.cache_clear()
    assert torch.equal(sample(find(run.config), sampling), images)


def test_every_run_is_listed_published_ones_first(points, published):
    mine = train(points.but(name="aaa"))
    publish(train(points.but(seed=1, name="zzz", snapshots=(1,))), published)
    assert [r.id for r in all_runs()] == [f"zzz-{points.but(seed=1).digest}", mine.id]
    assert all_runs()[0].config.epochs == 2


def test_a_record_that_is_damaged_is_named_with_the_remedy(points):
    run = train(points)
    file = run.folder / "run.json"
    whole = json.loads(file.read_text())
    for text, why in (("{", "no JSON"), ("[]", "it lacks device"), (json.dumps({**whole, "rows": 30}), None)):
        file.write_text(text)
        if why:
            with pytest.raises(
                StoreError, match=f"{file} is damaged .*{why}.*delete {run.folder}, and the same command"
            ):
                train(points)
        else:
            with pytest.raises(StoreError, match=r"history.csv is damaged .it has 16 rows instead of 30"):
                _ = train(points).history
    shutil.rmtree(run.folder)  # the remedy
    assert repr(train(points).history) == repr(run.history)


def damage(file):
    file.write_bytes(file.read_bytes()[:-20])
    return file


def test_damaged_samples_are_named_and_made_again_by_the_remedy(points):
    run = train(points)
    made = sample(run, FEW)
    (file,) = run.folder.glob("samples/*/samples.safetensors")
    damage(file)
    with pytest.raises(StoreError, match=f"{file} is damaged .*delete {file.parent},"):
        sample(run, FEW)
    shutil.rmtree(file.parent)
    assert torch.equal(sample(run, FEW), made)


def test_damaged_weights_are_named(points):
    run = train(points)
    file = damage(run.folder / layout.weights(512))
    with pytest.raises(StoreError, match=f"{file} is damaged"):
        sample(run, FEW)


def test_the_remedy_for_damaged_weights_is_one(points):
    run = train(points)
    damage(run.folder / layout.weights(512))
    with pytest.raises(StoreError) as told:
        sample(run, FEW)
    shutil.rmtree(str(told.value).partition("delete ")[2].partition(",")[0])
    assert sample(train(points), FEW).shape == (12, 2)


def test_a_damaged_sheet_is_named(gan):
    run = train(gan)
    (run.folder / layout.sheet(64)).write_bytes(b"no picture")
    with pytest.raises(StoreError, match=r"0000000064\.png is damaged"):
        run.sheet()


def test_a_run_is_stale_when_the_version_of_its_kind_has_been_raised(points, gan, monkeypatch):
    run, other = train(points), train(gan)
    assert not run.stale
    for name in set(versions.VERSIONS) - {"diffusion"}:
        monkeypatch.setitem(versions.VERSIONS, name, versions.VERSIONS[name] + 1)
    assert not find(points).stale
    assert other.stale
    monkeypatch.setitem(versions.VERSIONS, "diffusion", versions.VERSIONS["diffusion"] + 1)
    assert find(points).stale


def test_a_classifier_is_an_instrument_whose_weights_alone_count(monkeypatch):
    run = train(ClassifierConfig(name="judge", dataset="shapes:16", n_train=16, batch_size=16, width=1))
    monkeypatch.setitem(versions.VERSIONS, "classifier", versions.VERSIONS["classifier"] + 1)
    assert not run.stale


@pytest.mark.parametrize(
    ("field", "value"), [("snapshots", {}), ("snapshots", {"x": {}}), ("seconds", "a"), ("config", {"lr": "a"})]
)
def test_a_record_of_another_shape_is_named(gan, field, value):
    path = train(gan).folder / "run.json"
    files.write_json(path, json.loads(path.read_text()) | {field: value})
    with pytest.raises(StoreError, match=r"run\.json is damaged"):
        all_runs()


def wrong_in_records():
    """Fields, what is wrong with their value, and the names that are told."""
    yield "config", {}, r"it lacks config\.batch_size"
    yield "config", {"batch_size": "16"}, r"config\.batch_size"
    for epochs in (None, "x", [], -1.0, float("nan")):
        yield "snapshots", {"1198080": {"epochs": epochs}}, r"snapshots\.1198080\.epochs"
    yield "snapshots", {"1198080": {"images": 0, "rows": -1}}, r"snapshots\.1198080\.images, snapshots\.1198080\.rows"
    yield "snapshots", {"0119": {}}, r"snapshots\.0119\.\[key\]"
    for shape, place in (([], ""), (["a", 1, 1], r"\.0"), ([3, 0, 8], r"\.1"), ("abc", "")):
        yield "sample_shape", shape, f"sample_shape{place}"
    for name in ("images", "rows", "operations", "operations_per_image", "seconds"):
        yield name, -1, name
    yield "seconds", 10**400, "seconds"
    yield "first_losses", [1], r"first_losses\.0"
    yield "segments", [1], r"segments\.0"
    yield "segments", [{}], r"it lacks segments\.0\.device"
    yield "classes", [], "classes"
    yield "packages", {}, r"it lacks packages\.torch"
    yield "data", {"name": "shapes:8"}, r"it lacks data\.digest, data\.samples"
    yield "versions", {"gan": "1"}, r"versions\.gan"
    yield "versions", [], "versions"
    yield "classes", [1] * 9, r"classes\.0, classes\.1, classes\.2, classes\.3, classes\.4 and 4 more"


@pytest.fixture(scope="module")
def record():
    """A record as a training writes it, of one snapshot."""
    (path,) = (Path(__file__).parents[2] / "runs").glob("classifier-*/run.json")
    kept = files.read_json(path)
    (snapshot,) = kept["snapshots"].values()
    return kept | {"snapshots": {"1198080": snapshot}}


@pytest.mark.parametrize(("field", "value", "names"), list(wrong_in_records()))
def test_a_field_of_a_record_that_is_wrong_is_named(tmp_path, record, field, value, names):
    if field == "snapshots":
        value = {seen: record["snapshots"]["1198080"] | changed for seen, changed in value.items()}
    files.write_json(tmp_path / "run.json", record)
    assert record_module.read_record(tmp_path) == record
    files.write_json(tmp_path / "run.json", record | {field: value})
    with pytest.raises(StoreError, match=rf"run\.json is damaged \((it lacks )?{names}( of another kind|\)|,)"):
        record_module.read_record(tmp_path)


@pytest.mark.parametrize("changed", [{"images": 128}, {"epochs": 23.0}, {"epochs": 1e9}])
def test_a_snapshot_that_is_not_of_its_images_is_named(tmp_path, record, changed):
    snapshots = {"1198080": record["snapshots"]["1198080"] | changed}
    files.write_json(tmp_path / "run.json", record | {"snapshots": snapshots})
    with pytest.raises(StoreError, match=r"run\.json is damaged \(snapshot 1198080 tells other images or epochs\)"):
        record_module.read_record(tmp_path)


@pytest.mark.parametrize(("epochs", "steps"), [(1e308, 390), (24.0, 10**400)])
def test_numbers_beyond_all_range_in_a_record_are_damage(tmp_path, record, epochs, steps):
    snapshots = {"1198080": record["snapshots"]["1198080"] | {"epochs": epochs}}
    files.write_json(tmp_path / "run.json", record | {"snapshots": snapshots, "steps_per_epoch": steps})
    with pytest.raises(StoreError, match=r"run\.json is damaged \("):
        record_module.read_record(tmp_path)


def test_what_a_later_version_adds_to_a_record_is_kept(tmp_path, record):
    later = record | {"fresh": 1, "data": record["data"] | {"fresh": None}}
    files.write_json(tmp_path / "run.json", later)
    assert record_module.read_record(tmp_path) == later


def test_a_result_that_is_known_no_more_counts_as_outdated(gan):
    path = train(gan).folder / "run.json"
    assert not Run.read(path.parent).stale
    files.write_json(path, files.read_json(path) | {"versions": {"forgotten": 1}})
    assert Run.read(path.parent).stale


def test_scores_of_an_earlier_form_are_computed_again_and_of_another_are_named(gan):
    run, sampling, judge = train(gan), Sampling(n=24), Extractor("pixels", "d1", pixels)
    scores = evaluate(run, sampling, judge, n_real=20)
    (path,) = run.folder.glob("samples/*/scores-*")
    files.write_json(path, {k: v for k, v in json.loads(path.read_text()).items() if k != "density"})
    assert evaluate(run, sampling, judge, n_real=20) == scores
    path.write_text("[1]")
    with pytest.raises(StoreError, match=f"{path.name} is damaged"):
        evaluate(run, sampling, judge, n_real=20)


@pytest.fixture
def kept(gan):
    """A run, with the arguments and the file of its scores."""
    run, asked = train(gan), (Sampling(n=24), Extractor("pixels", "d1", pixels), 20)
    evaluate(run, *asked)
    (path,) = run.folder.glob("samples/*/scores-*")
    return run, asked, path


def test_a_field_of_scores_that_is_of_another_type_is_named(kept):
    run, asked, path = kept
    whole = files.read_json(path)
    wrong = {
        "frechet_distance": ("1.5", None, [1], True),
        "classifier_score": ("a",),
        "errors": ([], {"precision": "a"}, None),
        "made": ([], None, {"versions": [1]}, {"versions": {"metrics": "1"}}),
        "n_fake": (24.5, "24", None, -1),
        "extractor": (3,),
        "shares": ("ab", ["a"], 1),
    }
    for field, value in [(field, value) for field, values in wrong.items() for value in values]:
        files.write_json(path, whole | {field: value})
        with pytest.raises(StoreError, match=rf"damaged \({field}[\w.]* of another kind than scores have\): delete"):
            evaluate(run, *asked)
    files.write_json(path, whole | {"classifier_score": None, "kernel_distance": float("nan")})
    assert evaluate(run, *asked).classifier_score is None


@pytest.mark.parametrize(("n", "n_real"), [(19, 20), (24, 19)])
def test_too_few_images_to_score_are_refused_before_any_is_drawn(gan, monkeypatch, n, n_real):
    run = train(gan)
    monkeypatch.setattr(samples_module, "_states", fail)
    with pytest.raises(GendiffError, match="n=19 images are too few to score: give at least 20"):
        evaluate(run, Sampling(n=n), Extractor("pixels", "d1", pixels), n_real)
    assert not (run.folder / "samples").exists()


def test_a_run_that_lost_its_weights_says_what_to_do_and_leaves_nothing(gan, published):
    run = train(gan)
    shutil.rmtree(run.folder / "weights")
    with pytest.raises(GendiffError, match=f"has lost the weights of epoch 1: restore them, or delete {run.folder}"):
        sample(run, Sampling(n=4))
    assert not (run.folder / "samples").exists()
