import itertools
import types

import pytest

from gendiff_lib.config import Sampling
from gendiff_lib.experiments import get, protocol
from gendiff_lib.runs.train import train
from gendiff_lib.training.operations import drawing_operations, operations_per_image
from gendiff_report import compute
from gendiff_report.asking import Asking
from gendiff_report.figures.against import _apart, against
from tests.report.test_claims import scores


def point(name, kind, petaflop, fd):
    run = types.SimpleNamespace(config=types.SimpleNamespace(kind=kind), training_operations=petaflop * 1e15)
    return compute.Point(name, run, Sampling(), scores(fd))


def curve(name, kind, *points):
    return {name: [point(name, kind, *p) for p in points]}


def test_curves_cross_where_the_drawn_lines_do():
    """Half-way between 1 and 4 petaFLOP on the logarithmic axis is 2."""
    several = curve("g", "gan", (1, 30), (4, 10)) | curve("d", "diffusion", (1, 20), (4, 20))
    (start, first), (place, second) = compute.crossings(several)
    assert (start, first, second) == (1, "diffusion", "GAN")
    assert place == pytest.approx(2, rel=0.03)


def test_a_side_keeps_what_it_has_reached_though_its_training_ended():
    several = curve("g", "gan", (1, 30), (16, 10)) | curve("d", "diffusion", (1, 20), (2, 18))
    assert [leader for _, leader in compute.crossings(several)] == ["diffusion", "GAN"]
    assert compute.crossings(several)[1][0] > 4
    worse = curve("g", "gan", (1, 10), (16, 40)) | curve("d", "diffusion", (1, 20), (16, 15))
    assert [leader for _, leader in compute.crossings(worse)] == ["GAN"]  # its best snapshot is kept


def test_snapshots_of_equal_operations_are_there_together_though_batches_differ():
    first = curve("g", "gan", (1, 15), (4, 15)) | curve("d", "diffusion", (0.999, 20), (4, 20))
    assert compute.crossings(first | curve("e", "diffusion", (1.001, 10), (4, 10))) == [(1.001, "diffusion")]
    assert compute.crossings(first | curve("e", "diffusion", (2, 10), (4, 10))) == [(1, "GAN"), (2, "diffusion")]


def test_one_side_alone_leads_nobody():
    assert compute.crossings(curve("g", "gan", (1, 30))) == []
    assert compute.led(curve("g", "gan", (1, 30))) == "One side alone is here, so nobody leads."


def test_what_leads_is_told_with_its_operations():
    several = curve("g", "gan", (1, 30), (4, 10)) | curve("d", "diffusion", (1, 20), (4, 20))
    assert compute.led(several).startswith("Noise not counted, the best diffusion model is ahead from 1 petaFLOP on, ")
    assert "where snapshots begin, the best GAN one from 2" in compute.led(several)
    assert " on, up to 4 (" in compute.led(several)
    assert "cannot answer" not in compute.led(several)


def test_a_line_has_its_side_and_the_spread_of_its_seeds():
    (side, x, y) = compute.lines(curve("g", "gan", (1, 30), (4, 10)))["g"]
    assert (side, x) == ("GAN", [1, 4])
    assert [band[1] < band[0] < band[2] for band in y] == [True, True]
    drawn = compute.lines(curve("g", "gan", (1, 30), (4, 10)))
    for marks, side in ((None, "left"), ({"larger": ("GAN", [(90, 2)])}, "right")):
        (axes,) = against(drawn, xlabel="x", ylabel="y", marks=marks).axes
        assert next(text for text in axes.texts if text.get_text() == "g").get_ha() == side  # right of it, or left


def test_labels_at_one_place_are_moved_apart():
    assert _apart([0.1, 0.1, 0.5], least=0.04) == pytest.approx([0.08, 0.12, 0.5])
    many = _apart([0.5] * 9, least=0.04)
    assert [b - a for a, b in itertools.pairwise(many)] == pytest.approx([0.04] * 8)
    assert sum(many) / 9 == pytest.approx(0.5)
    assert _apart([0.1, 0.9], least=0.04) == [0.1, 0.9]


def test_a_leader_whose_training_ended_before_is_named():
    several = curve("short", "gan", (1, 4), (2, 3)) | curve("long", "diffusion", (1, 9), (4, 7))
    assert "; short, the best GAN model, was trained for no more than 2, so beyond that it" in compute.led(several)
    assert "one training" not in compute.led(several)  # three seeds of each


@pytest.mark.parametrize("name", ["dcgan-32", "ddpm-unet", "flow-cond", "r3gan", "meanflow"])
def test_drawing_costs_the_forward_pass_of_each_evaluation(name):
    """A training step of a denoiser is forward and twice that backward, less the gradient by its input."""
    config = get(name, "smoke")
    once, twice = (drawing_operations(config, (3, 32, 32), 10, n) for n in (1, 2))
    assert twice == 2 * once > 0
    if config.kind == "diffusion" and name != "meanflow":
        from gendiff_lib.data import load

        assert once == pytest.approx(operations_per_image(config, load("shapes")) / 3, rel=0.12)


def test_a_latents_sample_costs_its_decoding_too():
    config = get("ddpm-latent", "smoke")
    one, two = (drawing_operations(config, (3, 32, 32), 10, n) for n in (1, 2))
    assert 0 < two - one < one


def test_snapshots_of_runs_become_points_and_a_table_of_them():
    asked = Asking(preset="smoke")
    run = train(get("dcgan-32", "smoke"))
    curves = compute.curves(asked, {"dcgan-32": run})
    assert [p.run.images for p in curves["dcgan-32"]] == [400, 800]
    shown = compute.table(curves)
    assert shown.html.count("<tr>") == 3
    assert "GFLOP a sample" in shown.html
    assert compute.ends(asked, {"dcgan-32": run}, "inception") == {}
    assert curves["dcgan-32"][0].sampling.n == protocol("dcgan-32", "smoke").sampling.n
