import base64
import csv
import dataclasses
import io
import re

import pytest

from gendiff_lib.errors import GendiffError
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.run import find
from gendiff_lib.runs.samples import trajectory
from gendiff_report import figures, results
from gendiff_report.asking import Asking


def test_views_need_only_what_is_published(published, monkeypatch, tmp_path):
    asked = Asking(preset="smoke", epochs=2)
    gan, conv = asked.train("dcgan", n_train=100), asked.train("ddpm-conv", n_train=100)
    few = {k: asked.sampling(conv, n=2, batch_size=2, sampler=k) for k in ("tutorial", "ddpm")}
    for sampling in few.values():
        trajectory(conv, sampling)
    for run in (gan, conv):
        publish(run)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    gan, conv = (find(asked.config(name, n_train=100)) for name in ("dcgan", "ddpm-conv"))
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
