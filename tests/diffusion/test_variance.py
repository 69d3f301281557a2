"""Learned variances and the bound as a loss: what the paper's hybrid objective is made of."""

import math
from copy import deepcopy

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.data.images import to_model
from gendiff_lib.diffusion import likelihood, vlb
from gendiff_lib.diffusion.estimate import Estimate
from gendiff_lib.diffusion.likelihood import log_prob, step_kl
from gendiff_lib.diffusion.samplers import ddpm, ddpm_large, posterior_std, reverse
from gendiff_lib.diffusion.schedules import SCHEDULES
from gendiff_lib.diffusion.variance import bounds, interpolated
from gendiff_lib.errors import ConfigError
from gendiff_lib.progress import Progress
from gendiff_lib.training.build import make

SHAPE = (3, 8, 8)
LINEAR = SCHEDULES["linear"](10, (0.01, 0.5))
HYBRID = {"variance": "learned", "objective": "hybrid", "vlb_weight": 0.25}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def time(*t):
    return torch.tensor(t[0] if len(t) == 1 else t, dtype=torch.float64)


def pictures(n=6):
    return to_model(torch.randint(0, 256, (n, *SHAPE), generator=rng(9), dtype=torch.uint8))


def drawn(config):
    """A learner of 3x8x8 images whose last layer says something of the variance too."""
    learner = make(config, SHAPE, 10)
    torch.nn.init.normal_(learner.net.leave.weight, 0.0, 0.1, generator=rng(5))
    return learner


def step(learner, x):
    return learner.step(x, torch.zeros(len(x)).long(), Progress(rng(), 1), rng())


def noised(learner, x):
    """t, eps and the states that `step` draws by the same stream."""
    g = rng()
    t = learner.schedule.times(torch.rand(len(x), generator=g, dtype=torch.float64))
    eps = torch.randn(x.shape, generator=g)
    scale, std = (f(t).float()[:, None, None, None] for f in (learner.schedule.scale, learner.schedule.std))
    return t, eps, scale * x + std * eps


# ---------------------------------------------------------------- between beta_tilde and beta


@pytest.mark.parametrize(("t", "s"), [(10, 9), (7, 6), (2, 1), (10, 5), (9, 2)])
def test_at_0_and_1_the_variance_is_beta_tilde_and_beta(t, s):
    t, s, x = time(float(t)), time(float(s)), torch.zeros(2, 3)
    assert_close(interpolated(LINEAR, t, s, x), torch.full_like(x, posterior_std(LINEAR, t, s).item() ** 2))
    assert_close(interpolated(LINEAR, t, s, x + 1), torch.full_like(x, reverse(LINEAR, t, s).beta.item()))
    half = interpolated(LINEAR, t, s, x.double() + 0.5)
    assert_close(
        half, interpolated(LINEAR, t, s, x.double()) ** 0.5 * interpolated(LINEAR, t, s, x.double() + 1) ** 0.5
    )


def test_neighbouring_steps_have_ddpms_variances():
    betas = torch.linspace(0.01, 0.5, 10, dtype=torch.float64)
    alpha_bar = (1 - betas).cumprod(0)
    small, large = bounds(LINEAR, torch.arange(2.0, 11).double(), torch.arange(1.0, 10).double())
    assert_close(large, betas[1:])
    assert_close(small, betas[1:] * (1 - alpha_bar[:-1]) / (1 - alpha_bar[1:]))


def test_to_the_data_the_step_before_stands_for_beta_tilde_and_of_one_step_beta():
    small, large = bounds(LINEAR, time(1.0), time(0.0))
    assert_close(small, posterior_std(LINEAR, time(2.0), time(1.0)) ** 2)
    assert_close(large, time(0.01))
    one = SCHEDULES["linear"](1, (0.97, 0.98))
    assert_close(bounds(one, time(1.0), time(0.0)), (time(0.97), time(0.97)))


def test_each_sample_has_the_variance_of_its_own_time():
    v = torch.rand(3, 2, generator=rng(), dtype=torch.float64)
    t = time(1.0, 4.0, 10.0)
    alone = torch.cat([interpolated(LINEAR, t[i], t[i] - 1, v[i : i + 1]) for i in range(3)])
    assert_close(interpolated(LINEAR, t, t - 1, v), alone)


# ---------------------------------------------------------------- sampling


def states(sampler, v, n_steps=10):
    """States of a sampler where the network says v of every variance, and None where it learns none."""
    target = torch.rand(4, 5, generator=rng(2), dtype=torch.float64)

    def denoise(x, t):
        learned = None if v is None else lambda s: interpolated(LINEAR, t, s, torch.full_like(x, v))
        return Estimate(target, learned)

    start = torch.randn(4, 5, generator=rng(1), dtype=torch.float64)
    return torch.stack([s.x for s in sampler(denoise, LINEAR, start, n_steps=n_steps, rng=rng())])


@pytest.mark.parametrize("n_steps", [10, 4])
def test_ancestral_sampling_takes_the_learned_variance(n_steps):
    assert_close(states(ddpm, 0.0, n_steps), states(ddpm, None, n_steps))
    assert_close(states(ddpm, 1.0, n_steps), states(ddpm_large, None, n_steps))
    assert torch.equal(states(ddpm_large, 0.3, n_steps), states(ddpm_large, None, n_steps))  # asked for by its name
    assert (states(ddpm, 0.5, n_steps) - states(ddpm, None, n_steps)).abs().max() > 0.01


def test_the_learners_estimate_carries_the_variance_of_any_step_back(conv):
    learner = drawn(conv.but(**HYBRID))
    x, t = torch.randn(2, *SHAPE, generator=rng()), time(6.0)
    estimate = learner.denoise(learner.resolve(Sampling(clip_x0=False)))(x, t)
    said, v = learner.net(x, torch.full((2,), 5.0)).detach().chunk(2, 1)
    assert_close(estimate.x0, learner.to_x0(LINEAR, x, said, t))
    for s in (5.0, 2.0):
        assert_close(estimate.variance(time(s)), interpolated(LINEAR, t, time(s), v))
    assert make(conv, SHAPE, 10).denoise(learner.resolve(Sampling()))(x, t).variance is None


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "heun"])
def test_a_learner_of_variances_draws_images(conv, sampler):
    learner = drawn(conv.but(**HYBRID))
    *_, end = learner.sample(3, learner.resolve(Sampling(sampler=sampler, n_steps=4)), rng())
    assert end.x.shape == (3, *SHAPE)
    assert end.x.isfinite().all()


# ---------------------------------------------------------------- the bound


def test_a_steps_divergence_is_that_of_two_normals_of_any_variances():
    x0, estimate, v = torch.rand(3, 4, 7, generator=rng(), dtype=torch.float64)
    t = time(2.0, 5.0, 9.0, 10.0)
    variance = interpolated(LINEAR, t, t - 1, v)
    found = step_kl(LINEAR, t, t - 1, x0, estimate, variance)
    for i in range(4):
        keep, share, _ = reverse(LINEAR, t[i], t[i] - 1)
        q = Normal(keep * 0.7 + share * x0[i], posterior_std(LINEAR, t[i], t[i] - 1))
        p = Normal(keep * 0.7 + share * estimate[i], variance[i].sqrt())
        assert_close(found[i], kl_divergence(q, p), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("learned", [True, False])
def test_the_terms_of_the_loss_sum_to_the_bound_of_the_bits_page(conv, learned):
    fields = HYBRID if learned else {"objective": "vlb"}
    learner, x0 = drawn(conv.but(**fields)), pictures(4)
    denoise = learner.denoise(learner.resolve(Sampling(clip_x0=False)))
    whole, g = likelihood.bound(denoise, learner.schedule, x0, rng(3)), rng(3)
    terms = []
    for t in range(10, 0, -1):
        times = torch.full((4,), t, dtype=torch.float64)
        alpha_bar = learner.schedule.alpha_bar(time(float(t))).item()
        noisy = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * torch.randn(x0.shape, generator=g)
        output, v = learner._parts(learner.net(noisy, times - 1).detach())
        estimate = learner.to_x0(learner.schedule, noisy, output, times)
        variance = interpolated(learner.schedule, times, times - 1, v.double()) if learned else None
        terms.append(vlb.term(learner.schedule, times, x0, estimate, variance))
    assert_close(torch.stack(terms).sum(0), whole.total - whole.prior, rtol=1e-4, atol=1e-5)
    assert_close(terms[-1], whole.decoder, rtol=1e-4, atol=1e-5)
    assert (terms[-1] > 0).all()


def test_the_bits_of_a_learned_variance_are_fewer_where_it_is_the_posteriors():
    x0 = pictures(2).double()
    oracle = {v: likelihood.bound(knowing(x0, v), LINEAR, x0, rng()) for v in (None, 0.0, 1.0)}
    assert oracle[0.0].steps.abs().max() < 1e-9  # nothing is left to be paid
    assert_close(oracle[1.0].total, oracle[None].total)
    assert (oracle[0.0].total < oracle[None].total).all()


def knowing(x0, v):
    """An oracle that says v of the variance."""

    def denoise(x, t):
        return Estimate(x0, None if v is None else lambda s: interpolated(LINEAR, t, s, torch.full_like(x, v)))

    return denoise


# ---------------------------------------------------------------- objectives


def test_hybrid_is_the_simple_loss_and_lambda_times_the_bound(conv):
    learner, x = drawn(conv.but(**HYBRID)), pictures()
    t, eps, noisy = noised(learner, x)
    said, v = deepcopy(learner.net)(noisy, t - 1).detach().chunk(2, 1)
    simple = (said - eps).square().mean()
    bound = 0.0
    for i in range(6):  # Improved DDPM: T times a term, in bits per dimension
        before = (t[i] - 1).clamp(min=0)
        scale, std = learner.schedule.scale(t[i]).float(), learner.schedule.std(t[i]).float()
        estimate = (noisy[i] - std * said[i]) / scale
        small = posterior_std(learner.schedule, t[i].clamp(min=2), t[i].clamp(min=2) - 1) ** 2
        beta = reverse(learner.schedule, t[i], before).beta
        variance = (v[i] * beta.log() + (1 - v[i]) * small.log()).exp()
        if t[i] > 1:
            share = reverse(learner.schedule, t[i], before).share
            p, q = Normal(share * estimate, variance.sqrt()), Normal(share * x[i].double(), small.sqrt())
            nats = kl_divergence(q, p).mean()
        else:
            nats = -log_prob(x[i], estimate, variance.sqrt()).mean()
        bound += 10 * nats / math.log(2) / 6
    told = step(learner, x)
    assert_close(told["loss_vlb"].double(), bound.double(), rtol=1e-4, atol=0)
    assert_close(told["loss"].double(), simple + 0.25 * bound, rtol=1e-4, atol=0)


def test_the_bound_in_hybrid_moves_the_variance_and_not_the_mean(conv):
    learner, x = drawn(conv.but(**HYBRID)), pictures()
    t, _, noisy = noised(learner, x)

    def gradients(objective):
        learner.diffusion = learner.diffusion.but(
            objective=objective, vlb_weight=1.0 if objective == "hybrid" else None
        )
        output = learner.net(noisy, t - 1)
        output.retain_grad()
        learner._bound(x, noisy, t, *learner._parts(output)).backward()
        return output.grad.chunk(2, 1)

    (mean, variance), (free, _) = gradients("hybrid"), gradients("vlb")
    assert mean.abs().max() == 0
    assert variance.abs().amax((1, 2, 3)).min() > 0
    assert free.abs().amax((1, 2, 3)).min() > 0


@pytest.mark.parametrize("fields", [{"objective": "vlb"}, {"objective": "vlb", "variance": "learned"}, HYBRID], ids=str)
def test_training_lowers_the_bound(conv, fields):
    learner, x = make(conv.but(**fields, lr=2e-3), SHAPE, 10), pictures()
    told = [step(learner, x)["loss_vlb"].item() for _ in range(60)]
    assert all(map(math.isfinite, told))
    assert told[-1] < 0.9 * told[0]


def test_at_the_first_step_gradients_are_finite(conv):
    learner, x = drawn(conv.but(objective="vlb", variance="learned")), pictures()
    x[0], x[1] = -1.0, 1.0  # bytes whose bins reach to infinity
    learner.times = lambda n, rng: torch.zeros(n, dtype=torch.float64)
    told = step(learner, x)
    assert told["loss"].isfinite()
    assert told["grad_norm"].isfinite()
    assert told["grad_norm"] > 0


def test_a_network_of_variances_gives_twice_the_channels_and_one_without_is_as_ever(conv, points):
    plain, learned = (make(conv.but(**fields), SHAPE, 10).net for fields in ({}, HYBRID))
    assert learned.leave.weight.shape == (6, *plain.leave.weight.shape[1:])
    assert plain.leave.weight.shape[0] == 3
    fields = {**HYBRID, "schedule": "cosine", "n_timesteps": 10}
    flat = make(points.but(**fields), (2,), 25)
    assert flat.net(torch.zeros(5, 2), torch.ones(5)).shape == (5, 4)
    *_, end = flat.sample(5, Sampling(), rng())
    assert end.x.shape == (5, 2)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"objective": "hybrid", "variance": "learned"},
            "objective=hybrid has a weight, such as Improved DDPM's 0.001",
        ),
        ({"vlb_weight": 0.1}, "vlb_weight=0.1 and objective=simple do not fit"),
        ({"objective": "hybrid", "vlb_weight": 0.1}, "train nothing more: set variance=learned"),
        ({"variance": "learned"}, "variance=learned is not trained by objective=simple: use objective=hybrid or vlb"),
        ({"objective": "vlb", "times": "logit-normal"}, "times=logit-normal does not apply to objective=vlb"),
        ({"objective": "vlb", "weighting": "min-snr"}, "weighting=min-snr does not apply to objective=vlb"),
    ],
)
def test_fields_that_do_not_apply_are_refused(conv, fields, told):
    with pytest.raises(ConfigError, match=told):
        conv.but(**fields)


@pytest.mark.parametrize("schedule", ["flow", "edm"])
def test_the_bound_needs_steps(points, schedule):
    told = f"objective 'vlb' sums over the steps .* '{schedule}' .*: use linear, respaced, cosine or sigmoid"
    with pytest.raises(ConfigError, match=told):
        make(points.but(schedule=schedule, objective="vlb"), (2,), 25)
