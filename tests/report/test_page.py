import base64
import csv
import dataclasses
import io
import json
import re
import shlex
import shutil

import pytest

from gendiff_lib import versions
from gendiff_lib import versions
from gendiff_lib.cli import main
from gendiff_lib.errors import ConfigError, GendiffError
from gendiff_lib.evaluation.calibration import Calibration, publish_calibration
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.points import evaluate_points
from gendiff_lib.evaluation.statistics import PRINTED
from gendiff_lib.evaluation.validation import UNITS
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.run import Light
from gendiff_lib.runs.samples import trajectory
from gendiff_report import asking, showing, trust
from gendiff_report import page as report
from gendiff_report.asking import Unpublished
from gendiff_report.page import Page
from tests.evaluation.test_metrics import gaussian, scored


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr(showing, "display", lambda thing: texts.append(thing.data))
    return texts


@pytest.mark.parametrize("wrong", [{"preset": "huge"}, {"epochs": "2"}, {"seed": 1.5}, {"dataset": 3}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Page(**{"preset": "smoke", **wrong})


def test_parameters_reach_the_run_and_defaults_stay_the_presets():
    page = Page(preset="smoke", epochs=1, seed=5)
    assert (page.config("dcgan").epochs, page.config("dcgan").seed) == (1, 5)
    assert Page(preset="paper").config("ddpm-conv").seed == 1234
    assert Page(preset="smoke", dataset="cifar10").config("live-gan").dataset == "shapes"


def test_page_says_data_set_size_and_shrinkage(shown):
    page = Page(preset="smoke", epochs=1)
    page.show(page.run("dcgan", n_train=100))
    text = " ".join(shown)
    assert "not CIFAR-10" in text
    assert "no verdict can rest on them" in text
    assert "What smoke changes in dcgan" in text
    assert "palette and texture" in text


def test_a_page_that_only_reads_leaves_out_what_is_not_published_and_trains_nothing(shown, published, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    page = Page(preset="overnight")
    assert page.runs("dcgan-32", "ddpm-unet") == {}
    page.show()
    assert "dcgan-32, ddpm-unet: still in training, so left out of this page." in shown[-1]
    with pytest.raises(Unpublished, match="dcgan-32 is still in training"):
        page.run("dcgan-32", long=True)
    assert not page.reads("live-gan-2d")  # seconds of training, wherever it is built
    assert page.reads("live-gan")
    monkeypatch.setenv("GENDIFF_TRAIN", "1")
    assert not page.reads("live-gan")
    assert not Page(preset="laptop").reads("dcgan")


def test_scores_are_named_by_their_extractor_and_inception_has_no_column_where_it_is_not_at_hand(shown):
    page = Page(preset="smoke", epochs=1)
    gan, diffusion = page.run("dcgan"), page.run("ddpm-conv")
    page.table1(gan, diffusion)
    text = " ".join(shown)
    assert ", Inception</th>" not in text
    assert report.MISSING not in text
    assert f"gendiff score {gan.id} --epoch 1 --n 100 --extractor inception" in text
    assert "(2.50)(3)" in text
    assert "<td>fd</td>" in text
    assert "n = 100 each" in text


def test_what_inception_has_judged_of_one_model_alone_is_missing_of_the_other(shown, monkeypatch):
    page = Page(preset="smoke", epochs=1)
    gan, diffusion = page.run("dcgan"), page.run("ddpm-conv")
    judged = [page.scores(gan)]
    monkeypatch.setattr(page, "kept", lambda run, extractor, n: judged if run.id == gan.id else [])
    page.table1(gan, diffusion)
    text = " ".join(shown)
    assert '<th scope="col">DCGAN, Inception</th>' in text
    assert text.count(report.MISSING) == 6


def test_scores_by_the_famous_networks_are_shown_where_they_were_computed(shown):
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    page.kept_table({"GAN": run})
    assert "Not scored by inception yet" in shown[0]
    assert "Not scored by vgg16 yet" in shown[2]
    shown.clear()
    pixels = Extractor("vgg16", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, :3]))
    evaluate(run, page.sampling(run), pixels, 50)
    page.kept_table({"GAN": run})
    assert "Not scored by vgg16 yet" in shown[2]  # against fifty images is another protocol
    shown.clear()
    evaluate(run, page.sampling(run), pixels, 500)
    page.kept_table({"GAN": run})
    assert '<th scope="col">fd (train)</th>' in shown[2]
    assert '<th scope="col">petaFLOP</th>' in shown[2]
    assert "not computed" in shown[2]


def test_several_scores_are_over_sampling_seeds_and_every_training_seed_that_there_is(shown):
    page = Page(preset="smoke", epochs=1)
    run, other = page.run("dcgan", n_train=100), page.run("dcgan", n_train=100, seed=5)
    scores = page.several(run)
    assert [(s.made["training_seed"], s.made["sampling_seed"]) for s in scores] == [(0, 0), (0, 1), (5, 0), (5, 1)]
    assert {s.made["run"] for s in scores} == {run.id, other.id}
    found = page.seeds_table({"GAN": (run, None)})
    assert found["GAN"] == scores
    assert "2 training seeds" in " ".join(shown)


def test_points_in_the_plane_open_to_the_commands_that_score_them_again(shown, capsys):
    page = Page(preset="smoke", epochs=1)
    runs_of = [page.run("live-gan-2d", dataset="moons", seed=seed, n_train=100) for seed in (0, 1)]
    page.point_table({"GAN": runs_of})
    commands = re.findall(r"<code>(gendiff score [^<]+)</code>", shown[0])
    assert len(set(commands)) == 2
    assert main(shlex.split(commands[0])[1:]) == 0
    assert (
        json.loads(capsys.readouterr().out)["distance"]
        == evaluate_points(runs_of[0], page.sampling(runs_of[0])).distance
    )


def test_samples_of_other_samplers_raise_a_banner(shown, monkeypatch):
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    page.score_table({"GAN": (run, None)})
    assert "older than the code" not in " ".join(shown)
    monkeypatch.setitem(versions.VERSIONS, "sampling", versions.VERSIONS["sampling"] + 1)
    page.score_table({"GAN": (run, None)})
    assert "The samples of GAN are older than the code" in " ".join(shown)


def test_views_need_only_what_is_published(shown, published, monkeypatch, tmp_path):
    page = Page(preset="smoke", epochs=2)
    gan, conv = page.run("dcgan", n_train=100), page.run("ddpm-conv", n_train=100)
    few = {k: page.sampling(conv, n=2, batch_size=2, sampler=k) for k in ("tutorial", "ddpm")}
    for sampling in few.values():
        trajectory(conv, sampling)
    for run in (gan, conv):
        publish(run)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    gan, conv = page.run("dcgan", n_train=100), page.run("ddpm-conv", n_train=100)
    assert gan.published
    page.denoising(conv, few["tutorial"])
    page.two_ways(conv, few)
    page.filmstrip(gan, conv.at(1), beside={"real <images>": page.reals().few})
    page.before_after(gan, (1, 2))
    assert ["view frames" in text for text in shown] == [True, True, True, False]
    assert [text.count('class="track"') for text in shown] == [2, 2, 2, 0]
    assert "t = 20, step 0 of 20" in shown[0]
    assert "t = 19, step 1 of 20" in shown[1]
    assert "--frames:3" in shown[2]
    assert "--start:1" in shown[2]  # the epoch of the first run
    assert ">real &lt;images&gt;<" in shown[2]
    assert 'alt="Samples of dcgan, epoch 2"' in shown[3]


def test_losses_come_with_every_point(shown):
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    page.losses(run)
    assert 'alt="Loss of discriminator and generator over epochs, to epoch 1"' in shown[0]
    data = re.search(r'href="data:text/csv;base64,([^"]+)"', shown[0]).group(1)
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(data).decode())))
    assert [float(row["loss_g"]) for row in rows] == run.history["loss_g"]
    assert {"grad_norm_g", "diversity"} <= rows[0].keys()  # in the file, not in the picture
    assert f'download="{run.id}-losses.csv"' in shown[0]


def test_one_snapshot_has_no_other_to_be_held_beside(shown):
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    page.before_after(run, (1, 1))
    assert "view" not in shown[0]
    assert "keeps epoch 1 alone" in shown[0]
    other = dataclasses.replace(run, record=run.record | {"snapshots": {"300": {"epochs": 3.0}}})
    with pytest.raises(GendiffError, match="no epoch in common"):
        page.filmstrip(run, other)


def test_the_collapse_page_begins_at_its_presets_epoch():
    page = Page(preset="smoke", epochs=2)
    run = page.run("dcgan", n_train=100)
    assert page.early(run) == 1
    later = dataclasses.replace(run, record=run.record | {"snapshots": {"200": {"epochs": 2.0}}})
    assert page.early(later) == 2


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


def test_a_light_sibling_without_these_scores_is_left_out(published):
    page = Page(preset="smoke", epochs=1)
    run, other = (page.run("dcgan", n_train=100, seed=seed) for seed in (0, 1))
    assert len({s.made["run"] for s in page.several(run)}) == 2
    publish(other)
    shutil.rmtree(other.folder)
    fewer = page.sampling(run, n=60)
    assert {s.made["run"] for s in page.several(run, fewer)} == {run.id}  # the other keeps none of these
    assert len({s.made["run"] for s in page.several(run)}) == 2
    with pytest.raises(Light, match="--again"):
        page.several(other, fewer)


def calibrated(extractor="pixels", **changes):
    """A calibration of six draws whose fd spreads by as much as they tell, over a large pool."""
    one = scored(gaussian(60), gaussian(50, seed=5))
    values = (9.0, 11.0, 9.0, 11.0, 9.0, 11.0)
    errors = dict.fromkeys(one.errors, 2.0 * 1.2**0.5)
    draws = tuple(
        dataclasses.replace(one, extractor=extractor, frechet_distance=v, errors=errors, **changes) for v in values
    )
    made = {"run": "a-run", "epochs": 2.0, "seconds": 3.0, "device": "a machine", "commit": "c", "versions": {}}
    return Calibration(60, 10**12, draws, made)


def test_told_errors_stand_beside_their_spread_a_column_an_extractor(shown, published):
    page = Page(preset="smoke")
    assert page.errors_table() == {}
    assert "<code>gendiff calibrate</code> makes one" in shown[-1]
    publish_calibration(calibrated(), "shapes")
    publish_calibration(calibrated("inception", classifier_score=None, classifier_score_std=None), "shapes")
    ratios = page.errors_table()
    assert ratios["pixels"]["frechet_distance"] == pytest.approx(2.0)
    assert "classifier_score" not in ratios["inception"]
    text = shown[-1]
    assert '<th scope="col">inception</th><th scope="col">pixels</th>' in text
    assert "IS or cs" in text
    assert "none: no logits" in text
    assert "6 draws of 60 from 1,000,000,000,000 samples of a-run, a spread known to 32%" in text
    assert "gendiff calibrate a-run --epoch 2 --n 60 --pool 1000000000000 --draws 6 --extractor pixels" in text
    assert "The calibrations by inception, pixels are older than the code" in shown[-2]


def test_the_distance_of_cifar10s_splits_stands_beside_the_printed_ones(shown, published, monkeypatch):
    page = Page(preset="smoke")
    page.reference_table()
    assert shown == []  # nothing is published here
    monkeypatch.undo()
    monkeypatch.setattr(showing, "display", lambda thing: shown.append(thing.data))
    page.reference_table()
    assert ">3.1508</button>" in shown[0]
    assert all(f"<td>{fid}</td>" in shown[0] for fid in PRINTED.values())
    assert "10,000 test, 50,000 train" in shown[0]


def test_agreement_grows_with_what_is_published(shown, published, monkeypatch):
    page = Page(preset="smoke")
    assert page.agreement_table() == []
    assert "scored by two extractors yet" in shown[-1]
    one = scored(gaussian(60), gaussian(50, seed=5))
    sets = {
        str(i): [dataclasses.replace(one, extractor=e, frechet_distance=fd) for e, fd in (("x", i), ("y", i * i))]
        for i in range(4)
    }
    monkeypatch.setattr(trust, "scored_sets", lambda dataset: sets)
    assert page.agreement_table()[0].tau == 1
    assert ">1.00</button>" in shown[-1]
    monkeypatch.setattr(trust, "scored_sets", lambda dataset: {k: sets[k] for k in "01"})
    page.agreement_table()
    assert "fewer than 3 sets" in shown[-1]


def test_models_that_two_spaces_order_differently_are_named(shown):
    page, one = Page(preset="smoke"), scored(gaussian(60), gaussian(50, seed=5))

    def by(extractor, **fds):
        return {k: [dataclasses.replace(one, extractor=extractor, frechet_distance=fd)] for k, fd in fds.items()}

    page.unlike(by("x", a=1.0, b=2.0, c=3.0), by("y", a=1.0, b=3.0, c=2.0, d=0.0))
    told = "order these differently: b and c. A lead in one space alone is no verdict"
    assert shown == [f"<p>By the Fréchet distance x and y {told}.</p>"]
    page.unlike(by("x", a=1.0, b=2.0), by("y", a=10.0, b=30.0))
    assert "x and y order all 2 alike" in shown[-1]
    page.unlike(by("x", a=1.0), by("y", a=1.0))
    assert len(shown) == 2


def test_damage_is_told_in_order_or_not(shown):
    page = Page(preset="smoke")
    (found,) = page.validations().values()
    assert page.damage_table({"mine": found}) == {"mine": sum(found.ordered("frechet_distance").values())}
    assert shown[-1].count("</button>") == len(UNITS)
    spoilt = dataclasses.replace(found, rows=tuple(dataclasses.replace(r, level=-r.level) for r in found.rows))
    assert page.damage_table({"mine": spoilt}) == {"mine": 0}
    assert "does not always grow" in shown[-1]


def test_the_classifier_stands_beside_another_extractor_under_its_name(shown, monkeypatch):
    pixels = Extractor("pixels", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, :3]))
    monkeypatch.setattr(asking, "offline", lambda dataset, preset: pixels)
    monkeypatch.setattr(asking.realsheets, "offline_name", lambda dataset: "pixels")
    page = Page(preset="smoke", epochs=1)
    run = page.run("dcgan", n_train=100)
    assert page.score_table({"GAN": (run, None)})["GAN"].extractor == "pixels"
    assert '<th scope="col">cs, classifier</th><th scope="col">classes, classifier</th>' in shown[-2]
    own = page.own_scores(run)
    assert own.extractor == "shapes-classifier"
    assert f"<td>{own.classes_covered} of 10</td>" in shown[-2]
