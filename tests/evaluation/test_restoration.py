"""Test images given back: an oracle restores them exactly, and a generator's own images are found again."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.data import load
from gendiff_lib.data.dataset import ImageBridge
from gendiff_lib.diffusion.estimate import Estimate
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.errors import ConfigError
from gendiff_lib.evaluation import restoration
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.restoration import LEVELS, denoised, projected, psnr, restored_of
from gendiff_lib.gan.model import GAN
from gendiff_lib.runs.train import train
from gendiff_lib.streams import stream

BRIDGE = ImageBridge(8)
EXTRACTOR = Extractor("pixels", "d", lambda x: (x.float().flatten(1)[:, ::5], x.float().flatten(1)[:, :2]))


def images(n):
    return load("shapes:8", "test").choose(n, "checked").samples


def test_psnr_is_that_of_the_mean_squared_error_of_bytes():
    black = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    other = black + torch.tensor([255, 10, 0], dtype=torch.uint8)[:, None, None, None]
    assert_close(psnr(black, other), torch.tensor([0.0, 28.1308, 58.9227], dtype=torch.float64), atol=1e-3, rtol=0)


@pytest.mark.parametrize("schedule", ["linear", "flow"])
def test_an_oracle_restores_from_every_level(conv, schedule):
    if schedule == "flow":
        conv = conv.but(schedule="flow", n_timesteps=None, beta_minmax=None, prediction="v")
    learner, test = Diffusion(conv, (3, 8, 8)), images(5)
    seen = []

    def denoise(x, t):
        seen.append(t.item())
        return Estimate(BRIDGE.encode(test, None))

    learner.denoise = lambda sampling, y=None: denoise
    back = denoised(learner, learner.resolve(Sampling()), test, BRIDGE)
    assert len(back) == len(LEVELS)
    assert all(torch.equal(test, each) for each in back)
    starts = {seen[0]} | {b for a, b in itertools.pairwise(seen) if b > a}  # a step upwards begins a level
    assert max(starts) == learner.schedule.end
    assert len(starts) == len(LEVELS)


def test_the_noise_hides_more_at_each_level(conv):
    learner, test = Diffusion(conv, (3, 8, 8)), images(6)
    learner.denoise = lambda sampling, y=None: lambda x, t: Estimate(x / learner.schedule.scale(t).float())
    means = [psnr(test, each).mean() for each in denoised(learner, learner.resolve(Sampling()), test, BRIDGE)]
    assert means == sorted(means, reverse=True)


def test_a_generators_own_images_are_found_again(gan, monkeypatch):
    monkeypatch.setattr(restoration, "STARTS", 2)
    monkeypatch.setattr(restoration, "SEARCH_STEPS", 100)
    learner = GAN(gan, (3, 8, 8))
    sampling = learner.resolve(Sampling())
    z = learner.latents(6, stream("samples", 0))
    own = BRIDGE.decode(learner.generate(sampling)(z))
    others = BRIDGE.decode(learner.generate(sampling)(learner.latents(6, stream("samples", 1))))
    found = psnr(own, projected(learner, sampling, own, BRIDGE))
    assert (found > psnr(own, others) + 20).all()


@pytest.mark.parametrize("which", ["gan", "conv"])
def test_what_was_restored_is_kept_and_asked_for_once(which, request, monkeypatch):
    monkeypatch.setattr(restoration, "SEARCH_STEPS", 3)
    run = train(request.getfixturevalue(which).but(epochs=1))
    first = restored_of(run, EXTRACTOR, 6)
    n_levels = 1 if which == "gan" else len(LEVELS)
    assert first.psnr.shape == first.feature.shape == (n_levels, 6)
    assert first.shown.shape == (n_levels + 1, 4, 3, 8, 8)
    assert torch.equal(first.shown[0], images(6)[:4])
    monkeypatch.setattr(restoration, "_restored", lambda *_: pytest.fail("made twice"))
    again = restored_of(run, EXTRACTOR, 6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_what_gives_no_image_back_says_so(points, conv):
    with pytest.raises(ConfigError, match="gives no image back: name a GAN, or a diffusion model of pixels"):
        restored_of(train(points), EXTRACTOR, 4)
    with pytest.raises(ConfigError, match="n=1 images tell no spread"):
        restored_of(train(conv), EXTRACTOR, 1)
