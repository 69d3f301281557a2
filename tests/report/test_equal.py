import dataclasses
import re

import pytest

from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.gan.collapse import Collapse
from gendiff_lib.runs.train import train
from gendiff_report import equal, figures, tables
from gendiff_report.asking import Asking
from gendiff_report.equal import at_equal_operations, tried
from gendiff_report.figures import plots
from gendiff_report.verdict import said
from tests.evaluation.test_metrics import gaussian, scored


@pytest.fixture
def runs(gan):
    narrow = train(gan.but(name="narrow", epochs=2.0, snapshots=(0.5, 1.0)))
    wide = train(gan.but(name="wide", epochs=2.0, snapshots=(0.25, 0.5, 1.0), **{"network.ngf": 8, "network.ndf": 8}))
    return {"narrow": narrow, "wide": wide}


def test_runs_are_held_at_the_snapshots_nearest_to_the_fewest_operations(runs):
    narrow, wide = at_equal_operations(runs).values()
    assert narrow.config.epochs == 2
    least, ratios = runs["narrow"].training_operations, {}
    for epochs in runs["wide"].epochs:
        ratio = runs["wide"].at(epochs).training_operations / least
        ratios[epochs] = max(ratio, 1 / ratio)
    assert wide.config.epochs == min(ratios, key=ratios.get) < 2
    assert at_equal_operations({}) == {}


def test_a_trial_is_looked_at_by_its_own_operations(runs, monkeypatch):
    monkeypatch.setattr(equal, "PETA", runs["wide"].at(0.5).training_operations / equal.TRIAL)
    assert equal.at_a_trials(Asking(preset="overnight"), runs)["wide"].config.epochs == 0.5
    assert equal.at_a_trials(Asking(preset="smoke"), runs)["narrow"].config.epochs == 2


def test_a_run_is_not_looked_at_beyond_the_epoch_that_is_shown(runs):
    early = {"narrow": runs["narrow"], "wide": runs["wide"].at(0.25)}
    assert at_equal_operations(early)["wide"].config.epochs == 0.25
    assert at_equal_operations(early)["narrow"].config.epochs in (0.5, 1.0)


def test_a_preset_without_trials_shows_the_papers_own():
    sides = tried(Asking(preset="smoke"))
    assert {side: list(some) for side, some in sides.items()} == {"GAN": ["dcgan"], "diffusion": ["ddpm-conv"]}


def test_verdicts_are_told_in_words(runs):
    run = runs["narrow"]
    assert said(None, run) == "too short a training to tell"
    assert (
        said(Collapse(31.26, "the generator ignores z"), run)
        == "collapsed by epoch 31.3, since the generator ignores z"
    )
    table = tables.collapse(runs)
    assert table.found == {"narrow": None, "wide": None}
    assert table.html.count("too short a training to tell") == 2
    assert "too short a training to tell" in figures.losses(run).html


def test_a_collapse_is_shaded_from_where_it_began():
    history = {"epoch": [0.0, 1.0, 2.0, 3.0], "loss_d": [1.0, 1, 1, 1], "loss_g": [1.0, 2, 3, 4]}
    (axes,) = plots.loss_curves(history, collapse=2.0).axes
    (shaded,) = [p for p in axes.patches if p.get_label() == "collapsed"]
    assert (shaded.get_x(), shaded.get_width()) == (2.0, 1.0)
    assert not plots.loss_curves(history).axes[0].patches
    below = plots.loss_curves({**history, "loss_g": [-1.0, -2, -3, -4]}).axes[0]
    assert below.get_ylim()[0] < -4  # a critic's loss may be negative


def test_lines_have_their_own_x_and_sheets_their_names(runs):
    (axes,) = figures.traces({"a": ([1, 2], [3, 4]), "b": ([1, 5], [6, 7])}, xlabel="x", ylabel="y", log="x").axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2], [1, 5]]
    assert axes.get_xscale() == "log"
    (many,) = figures.traces({str(i): ([1, 2], [i, i]) for i in range(12)}, xlabel="x", ylabel="y").axes
    assert len({(line.get_color(), line.get_linestyle()) for line in many.lines}) == 12
    shown = figures.sheets(runs)
    assert [ax.get_title() for ax in shown.axes] == ["narrow", "wide"]


def test_a_setting_is_told_by_rates_and_batch(runs):
    assert tables.gan_setting(runs["narrow"]) == "G 0.0002, D 0.0002, batch 16"


def test_ranks_are_told_with_their_noise():
    asked = Asking(preset="smoke")
    many = asked.train_several("dcgan", "dcgan-32", "dcgan-plain")
    found = tables.scores(asked, many).found
    order = sorted(found, key=lambda name: found[name].frechet_distance)
    sentence = tables.ranked(found, "frechet_distance")
    assert [sentence.index(f"of {name}") for name in order] == sorted(sentence.index(f"of {name}") for name in order)
    assert re.search(
        r"which is (beyond|inside) the noise \([\d.e+]+ apart, where chance may give [\d.e+]+\)\. The", sentence
    )
    alone = {order[0]: found[order[0]]}
    assert tables.ranked(alone, "frechet_distance").startswith("Nothing can be compared yet: there is one fd, ")
    assert tables.drawing_alone(alone, {}) == ""
    assert "a difference may be a seed's" in tables.drawing_alone(alone, found)
    assert "The highest" not in tables.ranked({name: found[name] for name in order[:2]}, "frechet_distance")


def test_a_model_on_its_way_is_told_by_all_its_training_seeds():
    asked = Asking(preset="smoke")
    many = asked.train_several("dcgan", "dcgan-32")
    train(many["dcgan"].config.but(seed=7))
    table = tables.trained(asked, many)
    assert [s.made["training_seed"] for s in table.found["dcgan"]] == [0, 7]
    assert len(table.found["dcgan-32"]) == 1
    assert "2 training seeds" in table.html
    told = estimate(table.found["dcgan"], "frechet_distance")
    assert told.source == "training seeds"
    assert f"How {told} was made" in tables.ranked(table.found, "frechet_distance").replace("\xa0", " ")
    assert "Of what has one training seed the noise is" in tables.drawing_alone(table.found)
    assert tables.drawing_alone(dict.fromkeys("ab", table.found["dcgan"])) == ""


def test_ranks_of_diffusion_models_tell_where_samplers_are_unlike():
    """As where one learned its variance, and is drawn by its own chain."""
    one = scored(gaussian(60), gaussian(50, seed=5))
    short, long = (dataclasses.replace(one, made={**one.made, "sampler": "ddim", "n_steps": n}) for n in (50, 100))
    of_gan = dataclasses.replace(one, made={**one.made, "sampler": "generator", "n_steps": 1})
    assert ", by unlike samplers: ddim in 50 and ddim in 100." in tables.ranked({"a": short, "b": long}, "precision")
    for alike in ({"a": short, "b": short}, {"a": short, "b": of_gan}):
        assert "unlike" not in tables.ranked(alike, "precision")
    assert tables.ranked({}, "precision") == "There is nothing to compare yet."
