import json
import re
import shlex
import shutil

import pytest

from gendiff_lib import versions
from gendiff_lib.cli import main
from gendiff_lib.errors import Light
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.points import evaluate_points
from gendiff_lib.experiments.extractors import OFFLINE
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.run import find
from gendiff_report import asking, results, tables
from gendiff_report.asking import Asking
from gendiff_report.tables import paper


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
    assert re.search(r"All rows: n 100, over 1 set in \d+ groups, petaFLOP ", table.html)
    assert "Not computed here: fd (test)." in table.html  # not a column that says so in each row
    assert '<th scope="col">fd (test)</th>' not in table.html


def test_several_scores_are_over_sampling_seeds_and_every_training_seed_that_there_is():
    asked = Asking(preset="smoke", epochs=1)
    run, other = asked.train("dcgan", n_train=100), asked.train("dcgan", n_train=100, seed=5)
    scores = results.several(asked, run)
    assert [(s.made["training_seed"], s.made["sampling_seed"]) for s in scores] == [(0, 0), (5, 0), (0, 1), (5, 1)]
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


def test_a_light_sibling_without_these_scores_is_left_out(published):
    asked = Asking(preset="smoke", epochs=1)
    run, other = (asked.train("dcgan", n_train=100, seed=seed) for seed in (0, 1))
    assert len({s.made["run"] for s in results.several(asked, run)}) == 2
    publish(other)
    shutil.rmtree(other.folder)
    fewer = asked.sampling(run, n=60)
    assert {s.made["run"] for s in results.several(asked, run, fewer)} == {run.id}  # the other keeps none of these
    assert len({s.made["run"] for s in results.several(asked, run)}) == 2
    light = find(asked.config("dcgan", n_train=100, seed=1))
    assert light.published
    with pytest.raises(Light, match="--again"):
        results.several(asked, light, fewer)


def test_the_classifier_stands_beside_another_extractor_under_its_name(monkeypatch):
    pixels = Extractor("pixels", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, :3]))
    monkeypatch.setattr(asking, "offline", lambda dataset, preset: pixels)
    monkeypatch.setitem(OFFLINE, "shapes", "pixels")
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    table = tables.scores(asked, {"GAN": run})
    assert table.found["GAN"].extractor == "pixels"
    assert '<th scope="col">cs, classifier</th><th scope="col">classes, classifier</th>' in table.html
    own = results.own_scores(asked, run)
    assert own.extractor == "shapes-classifier"
    assert f"<td>{own.classes_covered} of 10</td>" in table.html
    asked.train("dcgan", n_train=100, seed=1)
    several = results.own_of_several(asked, run)
    assert {s.made["training_seed"] for s in several} == {0, 1}
    assert next(s.made for s in several if s.made["run"] == run.id) == own.made
    least = min(s.classes_covered for s in several)
    assert f"<td>{least} of 10</td>" in tables.seeds(asked, {"GAN": run}).html
