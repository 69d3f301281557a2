"""The four questions: what pictures tell, the rules on made-up models, and that every answer shows its two numbers."""

import dataclasses
import math
import types

import pytest
import torch

from gendiff_lib.data import load
from gendiff_lib.evaluation import restoration
from gendiff_lib.evaluation.restoration import LEVELS, Restored
from gendiff_lib.evaluation.spectrum import radial_power
from gendiff_lib.experiments import get
from gendiff_lib.gan import model as gan_model
from gendiff_lib.runs.train import train
from gendiff_report.asking import Asking
from gendiff_report.claims.evidence import Missing
from gendiff_report.claims.ruling import INCONCLUSIVE, NOT_REACHED, NOT_REPLICATED, REPLICATED, VERDICTS
from gendiff_report.questions import insights, noise, rules, shown, tabled
from gendiff_report.questions.models import Models
from gendiff_report.questions.pictures import Measured, detail, likeness, sharpness
from gendiff_report.questions.stated import ANSWERS, QUESTIONS, Part
from tests.report.test_claims import scores

SHAPES = load("shapes", "test").samples[:60]
POWER = radial_power(SHAPES).mean(0)


def blurred(images):
    return torch.nn.functional.avg_pool2d(images.double(), 3, 1, 1).round().byte()


def noisy(images):
    added = 25 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + added).clamp(0, 255).round().byte()


@pytest.mark.parametrize("of", [sharpness, detail])
def test_blur_and_noise_are_both_off_and_real_images_are_not(of):
    real, blur, added = (of(images, POWER) for images in (SHAPES, blurred(SHAPES), noisy(SHAPES)))
    assert real.value < 1e-9
    assert blur.apart(real) == added.apart(real) == 1


def test_an_error_is_that_of_other_draws():
    """The jackknife of 30 images is the spread over disjoint sets of 30, within what so few sets can tell."""
    images = load("shapes", "train").samples[:1200]
    several = [detail(images[i : i + 30], POWER) for i in range(0, 1200, 30)]
    values = torch.tensor([m.value for m in several])
    assert 0.5 < torch.tensor([m.error for m in several]).mean() / values.std() < 2


def test_values_are_apart_beyond_three_errors():
    assert Measured(1.0, 0.1).apart(Measured(1.4, 0.1)) == 0
    assert Measured(1.0, 0.1).apart(Measured(1.5, 0.1)) == -1
    assert Measured(1.5, 0.1).apart(Measured(1.0, 0.1)) == 1


def test_images_are_as_alike_as_they_are():
    found = likeness(SHAPES, SHAPES)
    assert found.same == pytest.approx(1)
    assert likeness(SHAPES, 255 - SHAPES).same == pytest.approx(-1)
    assert abs(found.other) < 0.2
    assert likeness(SHAPES, SHAPES.roll(1, 0)).same == pytest.approx(found.other, abs=0.1)


# ---------------------------------------------------------------- rules, on models that are made up


def run(kind, name="", images=100, **config):
    known = types.SimpleNamespace(kind=kind, name=name or kind, seed=0, **config)
    return types.SimpleNamespace(config=known, id=name or kind, images=images, shape=(3, 32, 32))


class Made:
    """Models whose every answer is given."""

    def __init__(self, **given):
        self.pair = {"GAN": run("gan"), "diffusion": run("diffusion")}
        self.spaces, self.given = ("efficientnet",), given

    def restored(self, side):
        return self.given["restored"][side]

    def images(self, run):
        return self.given["images"][run.config.name]

    def real_power(self):
        return POWER

    def everyone(self, kind):
        return [r for r in self.given["runs"] if r.config.kind == kind]

    @property
    def sized(self):
        return self.given["sized"]

    @property
    def scaled(self):
        return self.given["scaled"]


@pytest.fixture(autouse=True)
def _without_protocols(monkeypatch):
    monkeypatch.setattr("gendiff_report.questions.models.training_protocol", lambda run: {"run": run.id})
    monkeypatch.setattr(noise, "training_protocol", lambda run: {"run": run.id})


def given_back(psnr, feature, n=20):
    spread = torch.linspace(-0.1, 0.1, n, dtype=torch.float64)
    rows = len(psnr)
    values = [torch.tensor(v, dtype=torch.float64)[:, None] + spread for v in (psnr, feature)]
    level = torch.tensor(LEVELS if rows > 1 else (0.0,))
    return Restored(level, *values, torch.zeros(rows + 1, 4, 3, 8, 8).byte(), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("psnr", "feature", "verdict"),
    [(25.0, 0.2, REPLICATED), (15.0, 0.9, NOT_REPLICATED), (25.0, 0.9, INCONCLUSIVE), (20.0, 0.2, INCONCLUSIVE)],
)
def test_what_is_given_back_from_half_way_is_held_against_the_nearest_image(psnr, feature, verdict):
    elsewhere = [(0.0, 9.0) if level != 0.5 else (psnr, feature) for level in LEVELS]
    diffusion = given_back(*zip(*elsewhere, strict=True))
    made = Made(restored={"GAN": given_back([20.0], [0.5]), "diffusion": diffusion})
    ruling = noise.restores(made)
    assert ruling.verdict == verdict
    assert len(ruling.ours) == 4  # two numbers in either space


def test_the_sharper_side_is_the_nearer_to_real_images_not_the_one_with_more_power():
    assert noise.sharper(Made(images={"gan": blurred(SHAPES), "diffusion": SHAPES})).verdict == REPLICATED
    assert noise.sharper(Made(images={"gan": SHAPES, "diffusion": noisy(SHAPES)})).verdict == NOT_REPLICATED
    assert noise.more_detailed(Made(images={"gan": SHAPES, "diffusion": SHAPES})).verdict == INCONCLUSIVE


@pytest.mark.parametrize("alike", [True, False])
def test_the_same_noise_is_asked_of_each_two_models_that_share_it(alike):
    runs = [run("diffusion", n) for n in ("a", "b")]
    runs += [run("gan", "g"), run("gan", "h"), run("gan", "classes", conditional=True)]
    other = SHAPES if alike else SHAPES.roll(1, 0)
    made = Made(runs=runs, images={"a": SHAPES, "b": other, "g": SHAPES, "h": SHAPES.roll(1, 0)})
    ruling = noise.same_noise(made)
    assert ruling.verdict == (REPLICATED if alike else NOT_REPLICATED)
    assert dict(ruling.ours)["correlation, GAN"].protocol["pairs"] == "g and h"
    with pytest.raises(Missing, match="It takes two GAN models"):
        noise.same_noise(Made(runs=runs[:2], images=made.given["images"]))


def entry(kind, fd):
    return run(kind), scores(fd)


@pytest.mark.parametrize(("grown", "verdict"), [(20, REPLICATED), (90, NOT_REPLICATED), (40, INCONCLUSIVE)])
def test_what_grows_by_the_smaller_factor_scales(grown, verdict):
    """The DCGAN's distance grows from 20 to 80, four times; the U-Net's begins at 10."""
    small, large = ({"GAN": entry("gan", a), "diffusion": entry("diffusion", b)} for a, b in ((20, 10), (80, grown)))
    assert rules.holds_at_64(Made(sized={"32": small, "64": large})).verdict == verdict
    scaled = {"one": small, "three": large, "ten": large, "shapes:64": small}
    ruling = rules.holds_for_more_classes(Made(scaled=scaled))
    assert ruling.verdict == verdict
    assert ruling.ours[0][0] == "distance on ten over that on one, GAN"
    assert rules.draws_shapes(Made(scaled=scaled)).verdict == REPLICATED


def of_seeds(*distances):
    return [dataclasses.replace(one, frechet_distance=float(fd)) for one, fd in zip(scores(), distances, strict=True)]


FALLS, RISES, STAYS = (50, 45, 40), (40, 45, 50), (40, 40, 40)


@pytest.mark.parametrize(
    ("gan", "diffusion", "verdict"),
    [
        (RISES, STAYS, REPLICATED),
        (RISES, FALLS, REPLICATED),
        (FALLS, RISES, NOT_REPLICATED),
        (FALLS, STAYS, INCONCLUSIVE),  # who still gets better is not unsteady
        (RISES, RISES, INCONCLUSIVE),
        (RISES, (40,), INCONCLUSIVE),  # one snapshot tells nothing
    ],
)
def test_unsteady_is_what_gets_worse_beyond_the_noise(gan, diffusion, verdict, monkeypatch):
    late = {"GAN": [scores(fd) for fd in gan], "diffusion": [scores(fd) for fd in diffusion]}
    models = Made()
    monkeypatch.setattr(noise, "_late", lambda _, run: late["GAN" if run is models.pair["GAN"] else "diffusion"])
    ruling = noise.steadier(models)
    assert ruling.verdict == verdict
    if verdict != INCONCLUSIVE:
        assert max(number.value for _, number in ruling.ours) == pytest.approx(10, rel=0.01)


def test_a_snapshot_between_gives_neither_side_another_chance_to_rise(monkeypatch):
    late = {"gan": [scores(fd) for fd in (45, 40, 50, 45)], "diffusion": [scores(fd) for fd in (40, 40)]}
    monkeypatch.setattr(noise, "_late", lambda _, run: late[run.config.name])
    ruling = noise.steadier(Made())
    assert ruling.verdict == INCONCLUSIVE
    assert ruling.why.count("does not rise beyond the noise") == 2


@pytest.mark.parametrize(
    ("gan", "diffusion", "verdict"),
    [
        ((10, 20, 30), (19.9, 20, 20.1), REPLICATED),  # shares of 0.5 and 0.005: 100 times
        ((19.9, 20, 20.1), (10, 20, 30), NOT_REPLICATED),
        ((18, 20, 22), (19.5, 20, 20.5), INCONCLUSIVE),  # four times, where three seeds each may give 27
        ((20, 20, 20), (19, 20, 21), INCONCLUSIVE),
    ],
)
def test_a_spread_is_less_where_so_few_seeds_can_tell(gan, diffusion, verdict, monkeypatch):
    seeds = {"gan": gan, "diffusion": diffusion}
    made = Made()
    monkeypatch.setattr(made, "scores", lambda run, _: of_seeds(*seeds[run.config.name]), raising=False)
    ruling = noise.alike_over_seeds(made)
    assert ruling.verdict == verdict
    if verdict == INCONCLUSIVE and len(set(gan)) > 1:
        assert "the DCGAN's spread is 4 times the diffusion model's, where chance may give 27.2 times" in ruling.why


def test_the_noise_of_a_factor_counts_how_few_seeds_it_is_known_from():
    one = rules._factor(of_seeds(39, 40, 41), of_seeds(19.5, 20, 20.5))
    assert one.mean == pytest.approx(2)
    assert one.error == pytest.approx(2 * math.sqrt(2) * 0.025 / math.sqrt(3))
    assert one.freedom == pytest.approx(4)


def test_what_is_not_there_is_named():
    with pytest.raises(Missing, match="not there yet: diffusion at 64"):
        rules.holds_at_64(Made(sized={"at 32": {"GAN": 1, "diffusion": 1}, "at 64": {"GAN": 1}}))
    with pytest.raises(Missing, match="on fewer classes"):
        rules.holds_for_more_classes(Made(scaled={"cifar10": {}}))
    with pytest.raises(Missing, match="shapes:64"):
        rules.draws_shapes(Made(scaled={}))


def test_a_part_that_lacks_something_says_what_it_takes():
    def lacking(models):
        raise Missing("It takes a model.")

    ruling = Part("name", "Is it?", "The rule.", lacking).answer(None)
    assert (ruling.verdict, ruling.why) == (NOT_REACHED, "It takes a model.")
    assert set(ANSWERS) == set(VERDICTS)


# ---------------------------------------------------------------- on runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the pair of the preset `smoke`, which page and rules find by themselves."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(folder))
        for name in ("dcgan", "ddpm-conv"):
            train(get(name, "smoke", epochs=1))
    return folder


def test_every_part_is_answered_with_its_numbers_or_says_why_not(trained, monkeypatch):
    monkeypatch.setenv("GENDIFF_RUNS", str(trained))
    monkeypatch.setattr(restoration, "SEARCH_STEPS", 3)  # of a latent: what is found is another test's
    monkeypatch.setattr(gan_model, "STATISTICS_BATCHES", 2)
    asked = Asking(preset="smoke", epochs=1)
    models = Models(asked, asked.train_several("dcgan", "ddpm-conv"))
    monkeypatch.setattr(Models, "scaled", {})
    monkeypatch.setattr(Models, "sized", {"at 32 pixels": {}, "at 64 pixels": {}})
    found = {name: shown.answers(models, name) for name in QUESTIONS}
    for name, exhibit in found.items():
        assert exhibit.html.count('<section class="claim">') == len(QUESTIONS[name].parts)
        for ruling in exhibit.found.values():
            assert ruling.verdict in VERDICTS
            assert len(ruling.ours) >= 2 or ruling.verdict in (NOT_REACHED, INCONCLUSIVE)
    told = shown.said(*((name, exhibit.found) for name, exhibit in found.items()))
    assert told.startswith("Of 15 parts: ")
    assert "Where a model has one training alone" in found["noise"].html
    rows = tabled.side_by_side(models).found
    assert {row["model"] for row in rows} == {"dcgan", "ddpm-conv"}
    assert all(float(str(row["MiB an image"])) > 0 for row in rows)
    assert any("draws in one pass" in sentence for sentence in insights.listed(models).found)
