import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.diffusion.estimate import Estimate
from gendiff_lib.diffusion.grids import GRIDS, OnGrid
from gendiff_lib.diffusion.samplers import SAMPLERS, ddim, ddpm, ddpm_large, evaluations, resolve, tutorial
from gendiff_lib.diffusion.schedules import SCHEDULES, start_std
from gendiff_lib.diffusion.solvers import dpmpp_2m, heun, meanflow, unipc
from gendiff_lib.errors import ConfigError

LINEAR = SCHEDULES["linear"](10, (0.01, 0.5))
LONG = SCHEDULES["linear"](1000, (1e-4, 2e-2))
COSINE = SCHEDULES["cosine"](10, None)
FLOW = SCHEDULES["flow"](None, None)
SIGMOID = SCHEDULES["sigmoid"](10, None)
EDM = SCHEDULES["edm"](None, None)
WALKED = {"linear": LINEAR, "cosine": COSINE, "sigmoid": SIGMOID, "flow": FLOW, "edm": EDM}
ALL_SCHEDULES = pytest.mark.parametrize("schedule", WALKED.values(), ids=WALKED)
CLEAN = {
    "ddpm": (ddpm, {}),
    "ddpm-large": (ddpm_large, {}),
    "ddim": (ddim, {}),
    "ddim-half": (ddim, {"eta": 0.5}),
    "ddim-1": (ddim, {"eta": 1.0}),
    "heun": (heun, {}),
    "dpmpp-2m": (dpmpp_2m, {}),
    "unipc": (unipc, {}),
    "meanflow": (meanflow, {}),
}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, generator=rng(seed), dtype=dtype)


def last(sampler, denoise, schedule, x, n_steps, seed=0, **more):
    """The samples, where `denoise(x, t)` gives the estimate of x0 itself."""
    *_, end = sampler(estimating(denoise), schedule, x, n_steps=n_steps, rng=rng(seed), **more)
    return end.x


def estimating(denoise):
    return lambda x, t, *_: Estimate(denoise(x, t))  # what is estimated here is not of an interval


def test_every_clean_sampler_is_in_the_table():
    clean = {s: kind.run for s, kind in SAMPLERS.items() if not kind.own_steps_only}
    assert clean == {name: run for name, (run, more) in CLEAN.items() if not more}
    assert SAMPLERS["tutorial"].run is tutorial


@ALL_SCHEDULES
@pytest.mark.parametrize("n_steps", [1, 2, 7, 10, 25])
@pytest.mark.parametrize("name", CLEAN)
def test_with_an_oracle_every_clean_sampler_ends_on_the_target(schedule, n_steps, name):
    target = noise(4, 3, dtype=torch.float32, seed=2).clamp(-1, 1)
    run, more = CLEAN[name]
    start = noise(4, 3, dtype=torch.float32)
    states = list(run(estimating(lambda x, t: target), schedule, start, n_steps=n_steps, rng=rng(), **more))
    assert_close(states[-1].x, target, rtol=0, atol=1e-6)
    assert len(states) == n_steps + 1
    assert [s.t for s in states] == schedule.steps(n_steps).tolist()
    assert_close(states[0].x, start)
    assert states[-1].x.dtype == torch.float32


@ALL_SCHEDULES
@pytest.mark.parametrize("name", CLEAN)
def test_the_exact_minimiser_for_a_small_data_set_reproduces_its_points(schedule, name):
    data = torch.tensor([[-1.0, 0.0], [1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)

    def denoise(x, t):  # E[x0 | x] over the three points
        distance = torch.cdist(x, schedule.scale(t) * data) ** 2
        return (-distance / (2 * schedule.std(t) ** 2)).softmax(1) @ data

    run, more = CLEAN[name]
    end = last(run, denoise, schedule, start_std(schedule) * noise(90, 2), 40, **more)
    nearest = torch.cdist(end, data).min(1)
    assert nearest.values.max() < 1e-3
    assert torch.bincount(nearest.indices, minlength=3).min() > 10


@ALL_SCHEDULES
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", CLEAN)
def test_a_grid_is_walked_from_the_end_to_the_data(schedule, grid, name):
    target = noise(4, 3, seed=2)
    walked = OnGrid(schedule, GRIDS[grid])
    run, more = CLEAN[name]
    states = list(run(estimating(lambda x, t: target), walked, noise(4, 3), n_steps=7, rng=rng(), **more))
    assert [s.t for s in states] == walked.steps(7).tolist()
    assert_close(states[-1].x, target)


@ALL_SCHEDULES
@pytest.mark.parametrize("n_steps", [1, 2, 9])
@pytest.mark.parametrize("name", [name for name, sampler in SAMPLERS.items() if not sampler.own_steps_only])
def test_evaluations_of_the_network_are_counted_as_they_are_done(schedule, n_steps, name):
    seen = []

    def denoise(x, t):
        seen.append(t.item())
        return x

    last(SAMPLERS[name].run, denoise, schedule, noise(2, 3), n_steps)
    assert len(seen) == evaluations(resolved(Sampling(sampler=name, n_steps=n_steps), schedule))
    assert len(seen) == (2 * n_steps - 1 if name == "heun" else n_steps)
    assert min(seen) > 0  # at the data there is nothing to be told


def test_ddim_with_all_its_noise_is_ancestral_sampling():
    def denoise(x, t):
        return (x * LONG.scale(t).float()).tanh().clamp(-0.9, 0.9)

    a = last(ddim, denoise, LONG, noise(8, 3, 4, 4, dtype=torch.float32), 1000, eta=1.0)
    b = last(ddpm, denoise, LONG, noise(8, 3, 4, 4, dtype=torch.float32), 1000)
    other = last(ddpm, denoise, LONG, noise(8, 3, 4, 4, dtype=torch.float32), 1000, seed=5)
    assert_close(a, b, rtol=0, atol=2e-5)
    assert (b - other).abs().max() > 0.1


def test_ddim_on_a_flow_is_eulers_method():
    def denoise(x, t):
        return torch.sin(x + t)

    x, h = noise(5, 2), 1 / 8
    for i in range(8, 0, -1):
        t = torch.tensor(i * h, dtype=torch.float64)
        x = x - h * (x - denoise(x, t)) / t  # dx/dt = eps - x0 = (x - x0) / t
    assert_close(last(ddim, denoise, FLOW, noise(5, 2), 8), x)


def tutorial_again(net, x, betas, rng):
    """The tutorial's recipe as it is told: steps counted from T-1 to 0, the clamped state, no noise in the last two."""
    alphas = 1 - betas
    alpha_bars = torch.cumprod(alphas, 0)
    for step in range(len(betas) - 1, -1, -1):
        z = torch.randn(x.shape, generator=rng, dtype=x.dtype) if step > 1 else torch.zeros_like(x)
        mean = (x - (1 - alphas[step]) / (1 - alpha_bars[step]).sqrt() * net(x, step)) / alphas[step].sqrt()
        x = (mean + betas[step].sqrt() * z).clamp(-1, 1)
    return x


def test_the_tutorials_sampler_is_the_tutorials_recipe():
    def net(x, step):
        return 0.7 * x + torch.cos(3 * x + step)

    def denoise(x, t):
        return (x - LINEAR.std(t) * net(x, t - 1)) / LINEAR.scale(t)

    betas = torch.linspace(0.01, 0.5, 10, dtype=torch.float64)
    expected = tutorial_again(net, noise(6, 3), betas, rng())
    assert_close(last(tutorial, denoise, LINEAR, noise(6, 3), 10), expected)
    assert expected.abs().min() < 0.9
    assert not torch.allclose(last(ddpm_large, denoise, LINEAR, noise(6, 3), 10), expected, atol=0.01)


def test_the_tutorials_sampler_runs_at_its_own_step_count_only():
    with pytest.raises(ConfigError, match=r"n_steps=5 does not fit sampler 'tutorial'.*10"):
        resolve(Sampling(sampler="tutorial", n_steps=5), LINEAR, is_image=True, has_ema=False)
    with pytest.raises(ConfigError, match="sampler 'tutorial'"):
        resolve(Sampling(sampler="tutorial"), FLOW, is_image=True, has_ema=False)
    assert resolve(Sampling(sampler="tutorial"), LINEAR, is_image=True, has_ema=False).n_steps == 10


MEAN, SD = 0.3, 0.5


def gaussian_denoiser(schedule):
    """E[x0 | x] for x0 ~ N(MEAN, SD^2)."""

    def denoise(x, t):
        scale, std = schedule.scale(t), schedule.std(t)
        return MEAN + SD**2 * scale / (scale**2 * SD**2 + std**2) * (x - scale * MEAN)

    return denoise


@pytest.mark.parametrize("schedule", [LONG, SCHEDULES["cosine"](1000, None), FLOW], ids=["linear", "cosine", "flow"])
def test_on_gaussian_data_ddim_converges_at_first_order(schedule):
    x = noise(50, 1)
    t = torch.tensor(schedule.end, dtype=torch.float64)
    width = (schedule.scale(t) ** 2 * SD**2 + schedule.std(t) ** 2).sqrt()
    exact = MEAN + SD * (x - schedule.scale(t) * MEAN) / width  # the probability flow moves quantile to quantile
    errors = [
        (last(ddim, gaussian_denoiser(schedule), schedule, x, n) - exact).abs().max().item()
        for n in (100, 200, 500, 1000)
    ]
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.2)
    assert errors[2] / errors[3] == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("name", ["ddpm", "ddpm-large", "ddim-1"])
def test_on_gaussian_data_ancestral_sampling_reaches_mean_and_variance(name):
    run, more = CLEAN[name]
    few, many = (last(run, gaussian_denoiser(LONG), LONG, noise(20_000, 1), n, **more) for n in (5, 1000))
    assert many.mean().item() == pytest.approx(MEAN, abs=0.012)
    assert many.std().item() == pytest.approx(SD, abs=0.012)
    assert abs(few.std().item() - SD) > 0.03


def resolved(sampling, schedule=LINEAR, is_image=True, has_ema=False):
    return resolve(sampling, schedule, is_image=is_image, has_ema=has_ema)


def test_what_is_left_open_is_resolved():
    own = resolved(Sampling())
    assert (own.sampler, own.n_steps, own.eta, own.clip_x0, own.weights) == ("ddpm", 10, None, True, "raw")
    flow = resolved(Sampling(), FLOW, is_image=False, has_ema=True)
    assert (flow.sampler, flow.n_steps, flow.eta, flow.clip_x0, flow.weights) == ("ddim", 50, 0.0, False, "ema")
    assert resolved(own) == own
    assert resolved(Sampling(clip_x0=False)).clip_x0 is False
    assert resolved(Sampling(weights="raw"), has_ema=True).weights == "raw"
    assert [resolved(Sampling(sampler=s)).n_steps for s in ("ddim", "heun", "dpmpp-2m", "unipc")] == [10, 18, 20, 20]


def test_an_even_grid_is_what_was_drawn_by_before_there_were_others():
    plain, even, other = (resolved(Sampling(sampler="ddim", grid=g)) for g in (None, "trailing", "rho"))
    assert plain.grid is None
    assert even == plain
    assert even.digest == plain.digest != other.digest
    assert "grid" not in plain.identity()


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(sampler="euler"), "'euler' is unknown: there are ddpm"),
        (Sampling(sampler="ddpm", eta=0.5), "eta=0.5 does not apply"),
        (Sampling(sampler="tutorial", clip_x0=True), "clip_x0=true does not apply"),
        (Sampling(weights="ema"), "averaged weights"),
        (Sampling(sampler="heun", eta=0.5), "eta=0.5 does not apply to sampler 'heun'"),
        (Sampling(grid="leading"), "grid 'leading' is unknown: there are trailing, quadratic, rho"),
        (Sampling(sampler="tutorial", grid="rho"), "grid=rho does not apply to sampler 'tutorial'"),
    ],
)
def test_what_a_sampler_cannot_honour_is_refused(sampling, words):
    with pytest.raises(ConfigError, match=words):
        resolved(sampling)
