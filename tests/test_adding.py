"""A new part is one function and one line: added for a test, and used by every public way."""

import json

import pytest
import torch

from gendiff_lib import Sampling, train
from gendiff_lib.cli import main
from gendiff_lib.data import DATASETS
from gendiff_lib.data.dataset import Dataset, PointBridge
from gendiff_lib.diffusion.samplers import SAMPLERS, Sampler
from gendiff_lib.errors import ConfigError
from gendiff_lib.learner import Step
from gendiff_lib.runs.samples import sample


def one_jump(denoise, schedule, x, *, n_steps, rng):
    """From noise to its estimate of the data in one step, whatever n_steps asks for."""
    yield Step(schedule.end, x, x)
    x0 = denoise(x, schedule.steps(1)[0]).x0
    yield Step(0.0, x0, x0)


@pytest.fixture
def jump(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "one-jump", Sampler(one_jump))


def test_a_sampler_is_one_function_and_one_line(points, jump):
    run = train(points)
    by_it, by_ddim = (sample(run, Sampling(n=64, sampler=name, n_steps=1)) for name in ("one-jump", "ddim"))
    assert by_it.shape == (64, 2)
    assert by_it.isfinite().all()
    torch.testing.assert_close(by_it, by_ddim)  # which does the same in one step
    many = sample(run, Sampling(n=64, sampler="ddim", n_steps=10))
    assert (many - by_it).abs().max() > 1e-3  # and something else in ten
    assert run.resolve(Sampling(sampler="one-jump")).sampler == "one-jump"


def test_without_its_line_it_is_unknown_and_the_others_are_named(points):
    run = train(points)
    with pytest.raises(ConfigError, match="sampler 'one-jump' is unknown: there are ddpm, "):
        sample(run, Sampling(n=4, sampler="one-jump"))


def test_the_command_line_offers_it(points, jump, capsys):
    run = train(points)
    assert main(["list"]) == 0
    assert any("samplers" in line and "one-jump" in line for line in capsys.readouterr().out.splitlines())
    assert main(["score", run.id, "--sampler", "one-jump", "--n", "64"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 64
    assert main(["score", run.id, "--sampler", "two-jumps"]) == 2
    assert "one-jump" in capsys.readouterr().err


def test_what_it_cannot_honour_is_refused_by_the_same_line(points, jump):
    with pytest.raises(ConfigError, match=r"eta=0\.5 does not apply to sampler 'one-jump'"):
        train(points).resolve(Sampling(sampler="one-jump", eta=0.5))


def test_a_data_set_is_one_function_and_one_line(points, monkeypatch):
    def ring(split, argument):
        """Points on a circle."""
        angle = torch.linspace(0, 6.28, 512)
        made = torch.stack([angle.cos(), angle.sin()], 1)
        return Dataset("ring", split, made, torch.zeros(512, dtype=torch.long), ("ring",), PointBridge(0.7))

    monkeypatch.setitem(DATASETS, "ring", ring)
    run = train(points.but(dataset="ring"))
    assert run.dataset.name == "ring"
    assert sample(run, Sampling(n=8)).shape == (8, 2)
