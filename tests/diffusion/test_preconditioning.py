"""EDM's preconditioning, its process, and Gaussian data in it, whose score is known."""

import math
from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.diffusion.edm import SIGMA_DATA
from gendiff_lib.diffusion.estimate import Estimate
from gendiff_lib.diffusion.preconditioning import PRECONDITIONINGS, coefficients, edm
from gendiff_lib.diffusion.samplers import SAMPLERS
from gendiff_lib.diffusion.schedules import SCHEDULES, like, start_std
from gendiff_lib.errors import ConfigError
from gendiff_lib.progress import Progress
from gendiff_lib.training.build import make

EDM = SCHEDULES["edm"](None, None)
LINEAR = SCHEDULES["linear"](1000, (1e-4, 2e-2))
FIELDS = {
    "schedule": "edm",
    "prediction": "x0",
    "preconditioning": "edm",
    "weighting": "edm",
    "times": "log-normal",
}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def time_of(*sigma):
    return (torch.tensor(sigma, dtype=torch.float64) / 80) ** (1 / 7)


def test_the_coefficients_are_edms_table():
    c, variance = coefficients(EDM, time_of(0.002, 0.7, 80.0)), [s**2 + 0.5**2 for s in (0.002, 0.7, 80.0)]
    sigma = [0.002, 0.7, 80.0]
    assert c.skip.tolist() == pytest.approx([0.25 / v for v in variance])
    assert c.out.tolist() == pytest.approx([s * 0.5 / v**0.5 for s, v in zip(sigma, variance, strict=True)])
    assert c.into.tolist() == pytest.approx([1 / v**0.5 for v in variance])
    assert c.noise.tolist() == pytest.approx([math.log(s) / 4 for s in sigma])


def test_a_scaled_state_is_treated_as_its_unscaled_one():
    t = torch.tensor([3.0, 400.0], dtype=torch.float64)
    scale, sigma = LINEAR.scale(t), LINEAR.std(t) / LINEAR.scale(t)
    x = normal(2, 5)

    def net(x, s):
        return (x + s[:, None]).sin()

    assert_close(edm(net, LINEAR, x, t), edm(net, EDM, x / scale[:, None], time_of(*sigma.tolist())))


@pytest.mark.parametrize("schedule", [EDM, LINEAR], ids=["edm", "linear"])
def test_the_network_sees_and_is_asked_for_values_of_variance_1(schedule):
    t = torch.full((20_000,), 0.4 * schedule.end, dtype=torch.float64)
    x0, eps, seen = SIGMA_DATA * normal(20_000, 1), normal(20_000, 1, seed=2), []
    x = like(schedule.scale(t), x0) * x0 + like(schedule.std(t), x0) * eps

    def net(x, s):
        seen.append(x)
        return torch.zeros_like(x)

    left = x0 - edm(net, schedule, x, t)  # what the network has to give, times c_out
    assert seen[0].var().item() == pytest.approx(1, rel=0.05)
    assert (left / coefficients(schedule, t).out[:, None]).var().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("schedule", [EDM, LINEAR, SCHEDULES["cosine"](1000, None)], ids=["edm", "linear", "cosine"])
def test_as_noise_tends_to_nothing_the_estimate_tends_to_the_state(schedule):
    x, off = normal(3, 4), []
    for share in (0.3, 0.01, 1e-4, 0.0):
        t = torch.full((3,), share * schedule.end, dtype=torch.float64)
        off.append((edm(lambda x, s: torch.full_like(x, 5.0), schedule, x, t) - x).abs().max().item())
    assert off == sorted(off, reverse=True)
    assert off[0] > 1e-3
    assert off[-1] == 0
    assert PRECONDITIONINGS["none"](lambda x, s: 5 * x, schedule, x, t).equal(5 * x)


def test_the_loss_is_edms(points):
    learner = make(points.but(**FIELDS), (2,), 25)
    net, g, x = deepcopy(learner.net), rng(), torch.rand(6, 2, generator=rng(9))
    log_sigma = -1.2 + 1.2 * torch.randn(6, generator=g, dtype=torch.float64)
    sigma = log_sigma.exp().float()[:, None]
    noisy = x + sigma * torch.randn(6, 2, generator=g)
    variance = sigma**2 + 0.25
    denoised = 0.25 / variance * noisy + sigma * 0.5 / variance.sqrt() * net(noisy / variance.sqrt(), log_sigma / 4)
    expected = (variance / (sigma * 0.5) ** 2 * (denoised - x) ** 2).mean()
    found = learner.step(x, torch.zeros(6).long(), Progress(rng(), 1), rng())["loss"]
    assert_close(found, expected.detach(), rtol=1e-4, atol=0)


def test_samples_begin_at_edms_largest_noise_and_the_sampler_is_given_the_preconditioned_network(points):
    learner = make(points.but(**FIELDS), (2,), 25)
    first, *_ = learner.sample(4000, learner.resolve(Sampling(sampler="heun", n_steps=3, weights="raw")), rng())
    assert first.x.std().item() == pytest.approx(80, rel=0.03)
    x, t = torch.randn(3, 2, generator=rng()), time_of(0.5)[0]
    found = learner.denoise(learner.resolve(Sampling(weights="raw")))(x, t).x0
    assert_close(found, edm(learner.net, EDM, x, t.expand(3)).detach())


@pytest.mark.parametrize("fields", [{"prediction": "v"}, {"prediction": "eps"}])
def test_what_is_no_estimate_of_x0_is_refused(points, fields):
    with pytest.raises(ConfigError, match=r"preconditioning=edm makes an estimate of x0 .*: use prediction=x0"):
        points.but(**{**FIELDS, **fields})


def test_a_schedule_without_a_largest_sigma_is_refused(points):
    with pytest.raises(ConfigError, match="has no end on schedule 'flow': use schedule=edm, or preconditioning=none"):
        make(points.but(prediction="x0", preconditioning="edm"), (2,), 25)


# ---------------------------------------------------------------- Gaussian data

MEAN, SD = 0.3, 0.5


def exact(t):
    """E[x0 | x] of data N(MEAN, SD^2), as a network would have to give it under EDM's preconditioning."""

    def net(scaled, s):
        c = coefficients(EDM, t.expand(len(scaled)))
        x, sigma2 = scaled / like(c.into, scaled), like(EDM.std(t), scaled) ** 2
        best = (SD**2 * x + sigma2 * MEAN) / (SD**2 + sigma2)
        return (best - like(c.skip, x) * x) / like(c.out, x)

    return net


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("heun", 2), ("dpmpp-2m", 2), ("unipc", 3)])
def test_solvers_bring_gaussian_data_under_edm_quantile_by_quantile_at_their_order(name, order):
    x, errors = start_std(EDM) * normal(500, 1), []
    truth = MEAN + SD * (x - MEAN) / (SD**2 + 80.0**2) ** 0.5
    for n_steps in (100, 200):
        *_, end = SAMPLERS[name].run(estimate, EDM, x, n_steps=n_steps, rng=rng())
        errors.append((end.x - truth).abs().max().item())
    assert errors[0] > 0.95 * 2**order * errors[1]
    assert errors[1] < {1: 0.03, 2: 1e-3, 3: 1e-4}[order]


def estimate(x, t):
    return Estimate(edm(exact(t), EDM, x, t.expand(len(x))))


@pytest.mark.parametrize("name", ["ddpm", "ddpm-large"])
def test_ancestral_sampling_has_mean_and_deviation_of_gaussian_data_under_edm(name):
    *_, end = SAMPLERS[name].run(estimate, EDM, start_std(EDM) * normal(20_000, 1), n_steps=300, rng=rng())
    assert end.x.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert end.x.std().item() == pytest.approx(SD, abs=0.02)
