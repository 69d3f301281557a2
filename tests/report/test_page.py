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
from gendiff_report import asking, figures, provenance, results, tables
from gendiff_report import page as report
from gendiff_report.asking import Asking
from gendiff_report.diagrams import drawings
from gendiff_report.page import Page
from gendiff_report.reading import Unpublished
from gendiff_report.tables import paper
from gendiff_report.tables import trust as trust_tables
from tests.evaluation.test_metrics import gaussian, scored


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr(report, "display", lambda thing: texts.append(thing.data))
    return texts


@pytest.mark.parametrize("wrong", [{"preset": "huge"}, {"epochs": "2"}, {"seed": 1.5}, {"dataset": 3}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Asking(**{"preset": "smoke", **wrong})


def test_parameters_reach_the_run_and_defaults_stay_the_presets():
    asked = Asking(preset="smoke", epochs=1, seed=5)
    assert (asked.config("dcgan").epochs, asked.config("dcgan").seed) == (1, 5)
    assert Asking(preset="paper").config("ddpm-conv").seed == 1234
    assert Asking(preset="smoke", dataset="cifar10").config("live-gan").dataset == "shapes"


def test_page_says_data_set_size_and_shrinkage():
    asked = Asking(preset="smoke", epochs=1)
    text = Page(asked, asked.train("dcgan", n_train=100))._repr_html_()
    assert "not CIFAR-10" in text
    assert "no verdict can rest on them" in text
    assert "What smoke changes in dcgan" in text
    assert "palette and texture" in text


def test_a_page_that_only_reads_leaves_out_what_is_not_published_and_trains_nothing(published, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    asked = Asking(preset="overnight")
    assert asked.train_several("dcgan-32", "ddpm-unet") == {}
    text = Page(asked)._repr_html_()
    assert text.endswith('<p class="missing">dcgan-32, ddpm-unet: still in training, so left out of this page.</p>')
    with pytest.raises(Unpublished, match="dcgan-32 is still in training"):
        asked.train("dcgan-32", long=True)
    assert not asked.reads("live-gan-2d")  # seconds of training, wherever it is built
    assert asked.reads("live-gan")
    monkeypatch.setenv("GENDIFF_TRAIN", "1")
    assert not asked.reads("live-gan")
    assert not Asking(preset="laptop").reads("dcgan")


def test_scores_are_named_by_their_extractor_and_inception_has_no_column_where_it_is_not_at_hand():
    asked = Asking(preset="smoke", epochs=1)
    gan, diffusion = asked.train("dcgan"), asked.train("ddpm-conv")
    text = tables.table1(asked, gan, diffusion).html
    assert ", Inception</th>" not in text
    assert paper.MISSING not in text
    assert f"gendiff score {gan.id} --epoch 1 --n 100 --extractor inception" in text
    assert "(2.50)(3)" in text
    assert "<td>fd</td>" in text
    assert "n = 100 each" in text


def test_what_inception_has_judged_of_one_model_alone_is_missing_of_the_other(monkeypatch):
    asked = Asking(preset="smoke", epochs=1)
    gan, diffusion = asked.train("dcgan"), asked.train("ddpm-conv")
    judged = [results.scores(asked, gan)]
    monkeypatch.setattr(results, "kept", lambda asked, run, extractor, n: judged if run.id == gan.id else [])
    text = tables.table1(asked, gan, diffusion).html
    assert '<th scope="col">DCGAN, Inception</th>' in text
    assert text.count(paper.MISSING) == 6


def test_scores_by_the_famous_networks_are_shown_where_they_were_computed():
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    text = tables.famous(asked, {"GAN": run}).html
    assert "Not scored by inception yet" in text
    assert "Not scored by vgg16 yet" in text
    pixels = Extractor("vgg16", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, :3]))
    evaluate(run, asked.sampling(run), pixels, 50)
    assert "Not scored by vgg16 yet" in tables.famous(asked, {"GAN": run}).html  # fifty images: another protocol
    evaluate(run, asked.sampling(run), pixels, 500)
    table = tables.famous(asked, {"GAN": run})
    assert list(table.found) == ["vgg16"]
    assert '<th scope="col">fd (train)</th>' in table.html
    assert '<th scope="col">petaFLOP</th>' in table.html
    assert "not computed" in table.html


def test_several_scores_are_over_sampling_seeds_and_every_training_seed_that_there_is():
    asked = Asking(preset="smoke", epochs=1)
    run, other = asked.train("dcgan", n_train=100), asked.train("dcgan", n_train=100, seed=5)
    scores = results.several(asked, run)
    assert [(s.made["training_seed"], s.made["sampling_seed"]) for s in scores] == [(0, 0), (0, 1), (5, 0), (5, 1)]
    assert {s.made["run"] for s in scores} == {run.id, other.id}
    table = tables.seeds(asked, {"GAN": run})
    assert table.found["GAN"] == scores
    assert "2 training seeds" in table.html


def test_points_in_the_plane_open_to_the_commands_that_score_them_again(capsys):
    asked = Asking(preset="smoke", epochs=1)
    runs_of = [asked.train("live-gan-2d", dataset="moons", seed=seed, n_train=100) for seed in (0, 1)]
    commands = re.findall(r"<code>(gendiff score [^<]+)</code>", tables.points(asked, {"GAN": runs_of}).html)
    assert len(set(commands)) == 2
    assert main(shlex.split(commands[0])[1:]) == 0
    assert (
        json.loads(capsys.readouterr().out)["distance"]
        == evaluate_points(runs_of[0], asked.sampling(runs_of[0])).distance
    )


def test_samples_of_other_samplers_raise_a_banner(monkeypatch):
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    assert "older than the code" not in tables.scores(asked, {"GAN": run}).html
    monkeypatch.setitem(versions.VERSIONS, "sampling", versions.VERSIONS["sampling"] + 1)
    assert "The samples of GAN are older than the code" in tables.scores(asked, {"GAN": run}).html


def test_views_need_only_what_is_published(published, monkeypatch, tmp_path):
    asked = Asking(preset="smoke", epochs=2)
    gan, conv = asked.train("dcgan", n_train=100), asked.train("ddpm-conv", n_train=100)
    few = {k: asked.sampling(conv, n=2, batch_size=2, sampler=k) for k in ("tutorial", "ddpm")}
    for sampling in few.values():
        trajectory(conv, sampling)
    for run in (gan, conv):
        publish(run)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    gan, conv = asked.train("dcgan", n_train=100), asked.train("ddpm-conv", n_train=100)
    assert gan.published
    ways, n_steps = {k: results.trajectory(asked, conv, s) for k, s in few.items()}, conv.resolve(few["ddpm"]).n_steps
    views = (
        figures.denoising(ways["tutorial"], n_steps),
        figures.two_ways(ways, n_steps),
        figures.filmstrip(gan, conv.at(1), beside={"real <images>": asked.reals().few}),
        figures.before_after(gan, (1, 2)),
    )
    shown = [view.html for view in views]
    assert ["view frames" in text for text in shown] == [True, True, True, False]
    assert [text.count('class="track"') for text in shown] == [2, 2, 2, 0]
    assert "t = 20, step 0 of 20" in shown[0]
    assert "t = 19, step 1 of 20" in shown[1]
    assert "--frames:3" in shown[2]
    assert "--start:1" in shown[2]  # the epoch of the first run
    assert ">real &lt;images&gt;<" in shown[2]
    assert 'alt="Samples of dcgan, epoch 2"' in shown[3]


def test_losses_come_with_every_point():
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    text = figures.losses(run).html
    assert 'alt="Loss of discriminator and generator over epochs, to epoch 1"' in text
    data = re.search(r'href="data:text/csv;base64,([^"]+)"', text).group(1)
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(data).decode())))
    assert [float(row["loss_g"]) for row in rows] == run.history["loss_g"]
    assert {"grad_norm_g", "diversity"} <= rows[0].keys()  # in the file, not in the picture
    assert f'download="{run.id}-losses.csv"' in text


def test_one_snapshot_has_no_other_to_be_held_beside():
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    text = figures.before_after(run, (1, 1)).html
    assert "view" not in text
    assert "keeps epoch 1 alone" in text
    other = dataclasses.replace(run, record=run.record | {"snapshots": {"300": {"epochs": 3.0}}})
    with pytest.raises(GendiffError, match="no epoch in common"):
        figures.filmstrip(run, other)


def test_the_collapse_page_begins_at_its_presets_epoch():
    asked = Asking(preset="smoke", epochs=2)
    run = asked.train("dcgan", n_train=100)
    assert asked.early(run) == 1
    later = dataclasses.replace(run, record=run.record | {"snapshots": {"200": {"epochs": 2.0}}})
    assert asked.early(later) == 2


def test_networks_are_drawn_at_the_papers_size_and_the_runs_own_in_a_box():
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    text = drawings.game(run, "Two players.").html + drawings.architecture(asked, run, "generator", "Fig. 15.").html
    own = sum(p.numel() for p in run.method.modules["generator"].parameters())
    assert f"Fig. 15. Input 100 x 1 x 1; 3,576,704 parameters. The one trained in {run.id} has {own:,}." in text
    assert f"The one trained in {run.id}</summary>" in text
    assert text.count("<svg ") == 3
    assert "ConvTranspose2d 4x4, stride 2, padding 1, no bias" in text


def test_a_network_without_a_run_is_drawn_and_nothing_is_trained(tmp_path):
    asked = Asking(preset="smoke")
    drawings.architecture(asked, "ddpm-unet", "net", "A U-Net.")
    text = drawings.architecture(asked, "ddpm-unet", "net.down.0.0", "Its block.").html
    assert "Input 64 x 32 x 32; 90,560 parameters. The one in ddpm-unet of the preset smoke has" in text
    assert not (tmp_path / "runs").exists()


def test_a_process_is_drawn_from_the_runs_own_path():
    asked = Asking(preset="smoke", epochs=1)
    text = drawings.process(asked.train("ddpm-conv", n_train=100), "The process.").html
    assert "t = 20</text>" in text  # smoke's path has 20 steps
    assert "image x 1.00" in text


def test_a_light_sibling_without_these_scores_is_left_out(published):
    asked = Asking(preset="smoke", epochs=1)
    run, other = (asked.train("dcgan", n_train=100, seed=seed) for seed in (0, 1))
    assert len({s.made["run"] for s in results.several(asked, run)}) == 2
    publish(other)
    shutil.rmtree(other.folder)
    fewer = asked.sampling(run, n=60)
    assert {s.made["run"] for s in results.several(asked, run, fewer)} == {run.id}  # the other keeps none of these
    assert len({s.made["run"] for s in results.several(asked, run)}) == 2
    light = asked.train("dcgan", n_train=100, seed=1)
    assert light.published
    with pytest.raises(Light, match="--again"):
        results.several(asked, light, fewer)


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


def test_told_errors_stand_beside_their_spread_a_column_an_extractor(published):
    asked = Asking(preset="smoke")
    none = tables.errors(asked)
    assert none.found == {}
    assert "<code>gendiff calibrate</code> makes one" in none.html
    publish_calibration(calibrated(), "shapes")
    publish_calibration(calibrated("inception", classifier_score=None, classifier_score_std=None), "shapes")
    table = tables.errors(asked)
    ratios, text = table.found, table.html
    assert ratios["pixels"]["frechet_distance"] == pytest.approx(2.0)
    assert "classifier_score" not in ratios["inception"]
    assert '<th scope="col">inception</th><th scope="col">pixels</th>' in text
    assert "IS or cs" in text
    assert "none: no logits" in text
    assert "6 draws of 60 from 1,000,000,000,000 samples of a-run, a spread known to 32%" in text
    assert "gendiff calibrate a-run --epoch 2 --n 60 --pool 1000000000000 --draws 6 --extractor pixels" in text
    assert "The calibrations by inception, pixels are older than the code" in text


def test_the_distance_of_cifar10s_splits_stands_beside_the_printed_ones(published, monkeypatch):
    assert tables.splits().html == ""  # nothing is published here
    monkeypatch.undo()
    text = tables.splits().html
    assert ">3.1508</button>" in text
    assert all(f"<td>{fid}</td>" in text for fid in PRINTED.values())
    assert "10,000 test, 50,000 train" in text


def test_agreement_grows_with_what_is_published(published, monkeypatch):
    asked = Asking(preset="smoke")
    none = tables.agreement(asked)
    assert none.found == []
    assert "scored by two extractors yet" in none.html
    one = scored(gaussian(60), gaussian(50, seed=5))
    sets = {
        str(i): [dataclasses.replace(one, extractor=e, frechet_distance=fd) for e, fd in (("x", i), ("y", i * i))]
        for i in range(4)
    }
    monkeypatch.setattr(trust_tables, "scored_sets", lambda dataset: sets)
    table = tables.agreement(asked)
    assert table.found[0].tau == 1
    assert ">1.00</button>" in table.html
    monkeypatch.setattr(trust_tables, "scored_sets", lambda dataset: {k: sets[k] for k in "01"})
    assert "fewer than 3 sets" in tables.agreement(asked).html


def test_models_that_two_spaces_order_differently_are_named():
    one = scored(gaussian(60), gaussian(50, seed=5))

    def by(extractor, **fds):
        return {k: [dataclasses.replace(one, extractor=extractor, frechet_distance=fd)] for k, fd in fds.items()}

    text = tables.unlike(by("x", a=1.0, b=2.0, c=3.0), by("y", a=1.0, b=3.0, c=2.0, d=0.0)).html
    told = "order these differently: b and c. A lead in one space alone is no verdict"
    assert text == f"<p>By the Fréchet distance x and y {told}.</p>"
    assert "x and y order all 2 alike" in tables.unlike(by("x", a=1.0, b=2.0), by("y", a=10.0, b=30.0)).html
    assert tables.unlike(by("x", a=1.0), by("y", a=1.0)).html == ""


def test_damage_is_told_in_order_or_not():
    asked = Asking(preset="smoke")
    (found,) = results.validations(asked).values()
    table = tables.damage(asked, {"mine": found})
    assert table.found == {"mine": sum(found.ordered("frechet_distance").values())}
    assert table.html.count("</button>") == len(UNITS)
    spoilt = dataclasses.replace(found, rows=tuple(dataclasses.replace(r, level=-r.level) for r in found.rows))
    table = tables.damage(asked, {"mine": spoilt})
    assert table.found == {"mine": 0}
    assert "does not always grow" in table.html


def test_the_classifier_stands_beside_another_extractor_under_its_name(monkeypatch):
    pixels = Extractor("pixels", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, :3]))
    monkeypatch.setattr(asking, "offline", lambda dataset, preset: pixels)
    monkeypatch.setattr(asking.realsheets, "offline_name", lambda dataset: "pixels")
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    table = tables.scores(asked, {"GAN": run})
    assert table.found["GAN"].extractor == "pixels"
    assert '<th scope="col">cs, classifier</th><th scope="col">classes, classifier</th>' in table.html
    own = results.own_scores(asked, run)
    assert own.extractor == "shapes-classifier"
    assert f"<td>{own.classes_covered} of 10</td>" in table.html


def test_a_finding_opens_to_the_pages_runs_unless_a_number_in_it_opens_to_its_own(shown):
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    page = Page(asked, run)
    page.finding("one")
    assert shown[0] == "**Finding.** one"
    assert "How these numbers were made" in shown[1]
    assert run.id in shown[1]
    page.finding(f"two, {provenance.of_run(run, 1.5)}")
    assert len(shown) == 3


def test_an_exhibit_is_its_html_and_each_table_has_files_of_its_own():
    one, other = (tables.of_rows([{"a": 1.5}], "of these") for _ in range(2))
    assert one._repr_html_() == one.html != other.html
    names = [re.search(r'download="(table-\d+)\.csv"', each.html)[1] for each in (one, other)]
    assert names[0] != names[1]
    assert one.found == [{"a": 1.5}]
