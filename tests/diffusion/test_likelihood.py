import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from gendiff_lib.data.images import to_model
from gendiff_lib.diffusion import likelihood
from gendiff_lib.diffusion.estimate import Estimate
from gendiff_lib.diffusion.likelihood import log_prob, prior_kl, step_kl
from gendiff_lib.diffusion.schedules import SCHEDULES, VariancePreserving
from gendiff_lib.errors import ConfigError, GendiffError

LINEAR = SCHEDULES["linear"](10, (0.01, 0.5))
LONG = SCHEDULES["linear"](1000, (1e-4, 2e-2))
COSINE = SCHEDULES["cosine"](10, None)
BYTES = torch.arange(256, dtype=torch.float64) / 127.5 - 1
S = 0.25  # standard deviation of the Gaussian data


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def bound(denoise, schedule, x0, rng):
    """The bound, where `denoise(x, t)` gives the estimate of x0 itself."""
    return likelihood.bound(lambda x, t: Estimate(denoise(x, t)), schedule, x0, rng)


def time(t):
    return torch.tensor(t, dtype=torch.float64)


def respaced(n_timesteps):
    """The linear schedule's alpha_bar at every 1000/T-th time. To scale its betas instead would pass 1 where T < 20."""
    alpha_bar = LONG.alpha_bar(torch.linspace(0, 1000, n_timesteps + 1, dtype=torch.float64))
    return VariancePreserving(1 - alpha_bar[1:] / alpha_bar[:-1])


def masses(std):
    """Probabilities of the 256 bytes when N(0, std^2) is rounded to them and clipped."""
    edges = torch.cat([time([-math.inf]), (BYTES[1:] + BYTES[:-1]) / 2, time([math.inf])])
    return torch.special.ndtr(edges / std).diff()


def gaussian_bytes(*shape, seed=1):
    draws = S * torch.randn(*shape, generator=rng(seed), dtype=torch.float64)
    return BYTES[((draws + 1) * 127.5).round().clamp(0, 255).long()]


def best(schedule, share=1.0, bias=0.0):
    """E[x0 | x] for x0 ~ N(0, S^2), which a share other than 1 or a bias makes worse."""

    def denoise(x, t):
        scale, std = schedule.scale(t), schedule.std(t)
        return share * (scale * S**2 / (scale**2 * S**2 + std**2)).to(x.dtype) * x + bias

    return denoise


def gap(n_timesteps, x0):
    """The bound less the data's own surprise, in bits: its mean over the batch of images, and the mean's error.

    The draws of eps add nearly shrink^2 beta / std^2 (eps^2 - 1) / 2 nats to a term, where shrink is the share of x0
    in the estimate. That is zero on average, so it is taken away: the mean stays what it is, and at T = 1000 its error
    is five times smaller.
    """
    schedule, luck = respaced(n_timesteps), torch.zeros(len(x0), dtype=torch.float64)

    def denoise(x, t):
        alpha_bar, std2 = schedule.alpha_bar(t), 1 - schedule.alpha_bar(t)
        shrink = alpha_bar * S**2 / (alpha_bar * S**2 + std2)
        share = shrink**2 * (1 - alpha_bar / schedule.alpha_bar(t - 1)) / std2
        eps2 = (x - alpha_bar.sqrt() * x0) ** 2 / std2
        luck.add_(share * (eps2 - 1).flatten(1).mean(1) / 2 / math.log(2))
        return best(schedule)(x, t)

    surprise = -masses(S).log2()[((x0 + 1) * 127.5).round().long()].flatten(1).mean(1)
    gaps = bound(denoise, schedule, x0, rng(n_timesteps)).total - surprise - luck
    return gaps.mean().item(), gaps.std().item() / len(gaps) ** 0.5


def test_the_bound_comes_down_to_the_entropy_of_gaussian_data_as_steps_are_added():
    # By quadrature the gap is 0.552, 0.226, 0.073, 0.025 and 0.0086 bits of an entropy of 7.041: about 7.4 / T for the
    # reverse steps, whose true law is no exact Gaussian of variance beta, and at T = 1000 another 0.001 because the
    # decoder spreads its Gaussian, there 1.3 bins wide, over whole bins. It does not go to zero: 0.0098 at T = 3000,
    # 0.059 at 10000. When beta_1 falls below a bin the data are points, not a density, and beta is too large for the
    # first steps: even a denoiser that knows the bytes pays (0.053 at 10000, 0.30 at 100000; with x0 known to it the
    # limit is half of 1 - Euler's constant in nats, 0.305 bits), and this one more.
    x0 = gaussian_bytes(64, 1, 16, 32)
    expected = {10: 0.5525, 30: 0.2257, 100: 0.0732, 300: 0.0251, 1000: 0.0086}
    found = {n: gap(n, x0) for n in expected}
    for n, (mean, error) in found.items():
        assert mean > 3 * error, n
        assert abs(mean - expected[n]) < 4 * error + 5e-4, n
    for (a, error_a), (b, error_b) in zip(list(found.values())[:-1], list(found.values())[1:], strict=True):
        assert a - b > 3 * math.hypot(error_a, error_b)
    assert found[1000][0] < 0.012


@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_the_terms_have_the_values_that_gaussian_data_must_give(schedule):
    x0 = gaussian_bytes(200, 100)
    terms = bound(best(schedule), schedule, x0, rng())
    energy = (masses(S) * BYTES**2).sum()
    t = torch.arange(1, 11, dtype=torch.float64)
    scale2, std2 = schedule.alpha_bar(t), 1 - schedule.alpha_bar(t)
    shrink = scale2 * S**2 / (scale2 * S**2 + std2)  # estimate = shrink * (x0 + std / scale * eps)
    error = (1 - shrink) ** 2 * energy + shrink**2 * std2 / scale2
    beta = 1 - scale2[1:] / scale2[:-1]
    ratio = std2[:-1] / std2[1:]
    kl = (ratio - 1 - ratio.log() + scale2[:-1] * beta / std2[1:] ** 2 * error[1:]) / 2
    assert_close(terms.steps.mean(0), kl / math.log(2), rtol=0.05, atol=1e-4)
    prior = (std2[-1] - 1 - std2[-1].log() + scale2[-1] * energy) / 2 / math.log(2)
    assert_close(terms.prior.mean(), prior, rtol=0.05, atol=1e-9)
    assert_close(terms.total, terms.prior + terms.steps.sum(1) + terms.decoder)
    assert terms.total.mean() > -(masses(S) * masses(S).log2()).sum()


@pytest.mark.parametrize("std", [1e-4, 1e-3, 0.01, 0.3, 5.0])
@pytest.mark.parametrize("mean", [0.0, 1 / 255, 0.7, -1.0, 1.0, 1.3, -40.0])
def test_the_decoders_256_bytes_share_all_of_the_probability(mean, std):
    found = log_prob(BYTES, torch.full_like(BYTES, mean), std)
    assert found.isfinite().all()
    assert found.max() <= 0
    assert abs(found.exp().sum().item() - 1) < 1e-12
    assert_close(log_prob(-BYTES, torch.full_like(BYTES, -mean), std), found)


def test_the_decoder_is_the_difference_of_cdfs_where_that_can_be_taken():
    x0 = time([-1.0, -127 / 255, 1 / 255, 3 / 255, 1.0])
    mean = time([-0.9, -0.45, 0.1, 0.0, 0.95])
    cdf = Normal(mean, 0.1).cdf
    low, high = cdf(x0 - 1 / 255), cdf(x0 + 1 / 255)
    low[0], high[-1] = 0, 1
    assert_close(log_prob(x0, mean, 0.1), (high - low).log())


def test_a_byte_far_from_the_mean_costs_what_its_near_edge_does():
    # For a Gaussian's far tail, -log P(beyond z) = z^2 / 2 + log(z sqrt(2 pi)) + O(1 / z^2).
    x0 = BYTES[192:193]
    z = (x0.item() - 1 / 255) / 0.001
    tail = z**2 / 2 + math.log(z * math.sqrt(2 * math.pi))
    assert_close(log_prob(x0, time([0.0]), 0.001), time([-tail]), rtol=0, atol=1e-4)
    assert_close(log_prob(x0.float(), torch.zeros(1), 0.001), time([-tail]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("schedule", [LINEAR, COSINE, LONG], ids=["linear", "cosine", "long"])
def test_a_steps_divergence_is_that_of_two_normals(schedule):
    x0, eps = gaussian_bytes(5, 7), torch.randn(5, 7, generator=rng(), dtype=torch.float64)
    for t in (2, 3, 7, int(schedule.end)):
        now, before = schedule.alpha_bar(time(t)), schedule.alpha_bar(time(t - 1))
        beta = 1 - now / before
        x = now.sqrt() * x0 + (1 - now).sqrt() * eps
        estimate = best(schedule)(x, time(t))

        def mean(x0, x=x, now=now, before=before, beta=beta):  # DDPM, eq. 7
            return (before.sqrt() * beta * x0 + (now / before).sqrt() * (1 - before) * x) / (1 - now)

        q = Normal(mean(x0), ((1 - before) / (1 - now) * beta).sqrt())
        p = Normal(mean(estimate), beta.sqrt())
        assert_close(step_kl(schedule, time(t), time(t - 1), x0, estimate), kl_divergence(q, p), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("schedule", [LINEAR, COSINE, LONG], ids=["linear", "cosine", "long"])
def test_the_priors_divergence_is_that_of_two_normals(schedule):
    end = time(schedule.end)
    q = Normal(schedule.scale(end) * BYTES, schedule.std(end))
    assert_close(prior_kl(schedule, BYTES), kl_divergence(q, Normal(time(0.0), time(1.0))), rtol=1e-7, atol=1e-15)


def test_the_papers_schedule_leaves_next_to_nothing_at_its_noise_end():
    x0 = BYTES.reshape(4, 64)
    assert (prior_kl(LONG, BYTES) / math.log(2)).max() < 1e-3
    assert bound(lambda x, t: x0, LONG, x0, rng()).prior.max() < 1e-3


@pytest.mark.parametrize("worse", [{"share": 0.8}, {"share": 1.2}, {"bias": 0.05}, {"bias": -0.05}], ids=str)
def test_a_worse_denoiser_costs_more(worse):
    schedule, x0 = respaced(50), gaussian_bytes(40, 100)
    good, bad = (bound(d, schedule, x0, rng()) for d in (best(schedule), best(schedule, **worse)))
    assert (bad.total > good.total).all()
    assert bad.steps.sum() > good.steps.sum()
    assert bad.decoder.mean() > good.decoder.mean()
    assert_close(bad.prior, good.prior)


def test_an_oracle_pays_for_the_prior_the_chains_own_variance_and_the_decoders_width():
    # 0.49 bits because the variance is beta where an oracle's posterior has less, and 1.7 because the decoder is wider
    # than a byte. Against 8 bits it is little, but it is not nothing.
    grey = to_model(torch.tensor([0, 100, 128, 255], dtype=torch.uint8).reshape(4, 1, 1, 1).expand(4, 3, 2, 2))
    found = bound(lambda x, t: grey, LONG, grey, rng())
    alpha_bar = LONG.alpha_bar(torch.arange(1001, dtype=torch.float64))
    ratio = (1 - alpha_bar[1:-1]) / (1 - alpha_bar[2:])
    assert_close(found.steps, ((ratio - 1 - ratio.log()) / 2 / math.log(2)).expand(4, 999), rtol=1e-6, atol=1e-12)
    half = Normal(time(0.0), time(1.0)).cdf(time(1 / 255 / 0.01))
    inner, outer = -(2 * half - 1).log2(), -half.log2()  # the end bins are open on one side
    assert_close(found.decoder, torch.stack([outer, inner, inner, outer]), rtol=1e-5, atol=0)
    assert found.total.max() < 2.3


def test_a_schedule_of_one_step_is_a_prior_and_a_decoder():
    schedule, x0 = respaced(1), gaussian_bytes(3, 10)
    found = bound(best(schedule), schedule, x0, rng())
    assert found.steps.shape == (3, 0)
    assert_close(found.total, found.prior + found.decoder)


def test_every_time_is_asked_for_once_at_the_noise_of_its_own():
    x0, seen = gaussian_bytes(50, 100), {}

    def denoise(x, t):
        seen[int(t)] = (x - LINEAR.scale(t) * x0) / LINEAR.std(t)
        return best(LINEAR)(x, t)

    bound(denoise, LINEAR, x0, rng())
    assert sorted(seen) == list(range(1, 11))
    noises = torch.stack(list(seen.values())).flatten(1)
    assert_close(noises.mean(1), torch.zeros_like(noises[:, 0]), rtol=0, atol=0.06)
    assert_close(noises.cov(), torch.eye(10, dtype=torch.float64), rtol=0, atol=0.1)


def test_same_seed_same_bits_and_no_image_knows_of_another():
    x0, other = gaussian_bytes(4, 3, 2, 2), gaussian_bytes(4, 3, 2, 2, seed=2)
    other[1:3] = x0[1:3]
    a, again, b = (bound(best(LINEAR), LINEAR, x, rng()) for x in (x0, x0, other))
    for one, two, three in zip(a, again, b, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one[1:3], three[1:3])
    assert (a.total != b.total).tolist() == [True, False, False, True]
    assert not torch.equal(a.total, bound(best(LINEAR), LINEAR, x0, rng(1)).total)


def test_a_float32_network_has_terms_in_float64():
    x0 = gaussian_bytes(4, 3, 8, 8).float()
    states = []

    def denoise(x, t):
        states.append(x)
        return best(LINEAR)(x, t)

    found = bound(denoise, LINEAR, x0, rng())
    assert {x.dtype for x in states} == {torch.float32}
    assert {term.dtype for term in found} == {torch.float64}
    replay = iter(states)
    exact = bound(lambda x, t: best(LINEAR)(next(replay).double(), t), LINEAR, x0.double(), rng())
    assert_close(found.total, exact.total, rtol=0, atol=1e-5)


def test_nothing_is_kept_for_a_gradient():
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    assert not bound(lambda x, t: weight * x, LINEAR, gaussian_bytes(2, 4), rng()).total.requires_grad


def test_a_schedule_without_steps_of_its_own_is_refused():
    with pytest.raises(ConfigError, match=r"steps of its own, as linear has"):
        bound(lambda x, t: x, SCHEDULES["flow"](None, None), gaussian_bytes(2, 4), rng())


@pytest.mark.parametrize("value", [0.0, 1.1, math.nan])
def test_values_that_are_no_bytes_are_refused(value):
    x0 = gaussian_bytes(2, 4)
    x0[1, 2] = value
    with pytest.raises(GendiffError, match=r"no bytes .* images\.to_model"):
        bound(lambda x, t: x, LINEAR, x0, rng())
