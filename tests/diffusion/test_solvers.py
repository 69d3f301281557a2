"""Solvers on Gaussian data, whose score is known, and beside diffusers' schedulers on the same denoiser and noise."""

import math

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from torch.testing import assert_close

from gendiff_lib import Sampling, train
from gendiff_lib.diffusion.estimate import Estimate
from gendiff_lib.diffusion.grids import GRIDS, OnGrid
from gendiff_lib.diffusion.samplers import ddim
from gendiff_lib.diffusion.schedules import SCHEDULES
from gendiff_lib.diffusion.solvers import dpmpp_2m, heun, invert, unipc

FINE = SCHEDULES["linear"](1_000_000, (1e-7, 2e-5))  # so many steps that whole ones do not disturb a grid
PAPER = SCHEDULES["linear"](1000, (1e-4, 2e-2))
COSINE = SCHEDULES["cosine"](1000, None)
FLOW = SCHEDULES["flow"](None, None)
MEAN, SD = 0.3, 0.5


def noise(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def end(states):
    *_, last = states
    return last.x


def solve(solver, denoise, schedule, x, n_steps):
    return end(solver(lambda x, t: Estimate(denoise(x, t)), schedule, x, n_steps=n_steps, rng=torch.Generator()))


def gaussian_denoiser(schedule):
    """E[x0 | x] for x0 ~ N(MEAN, SD^2)."""

    def denoise(x, t):
        scale, std = schedule.scale(t), schedule.std(t)
        return MEAN + SD**2 * scale / (scale**2 * SD**2 + std**2) * (x - scale * MEAN)

    return denoise


def width(schedule, t):
    return (schedule.scale(t) ** 2 * SD**2 + schedule.std(t) ** 2).sqrt()


def data_of(schedule, x):
    """Where the probability flow ends: it moves quantile to quantile."""
    t = torch.tensor(schedule.end, dtype=torch.float64)
    return MEAN + SD * (x - schedule.scale(t) * MEAN) / width(schedule, t)


def noise_of(schedule, x0):
    t = torch.tensor(schedule.end, dtype=torch.float64)
    return schedule.scale(t) * MEAN + width(schedule, t) * (x0 - MEAN) / SD


def order(steps, errors):
    """The slope of the line through log(error) over log(1 / steps), by least squares."""
    x, y = (torch.tensor([math.log(v) for v in values], dtype=torch.float64) for values in (steps, errors))
    x, y = x - x.mean(), y - y.mean()
    return -(x * y).sum().item() / (x * x).sum().item()


# ---------------------------------------------------------------- convergence


ORDERS = {ddim: 1, heun: 2, dpmpp_2m: 2, unipc: 3}  # UniPC-p: the corrector raises the predictor's order 2 by one
WALKS = {
    "linear, quadratic": OnGrid(FINE, GRIDS["quadratic"]),
    "linear, rho": OnGrid(FINE, GRIDS["rho"]),
    "flow, rho": OnGrid(FLOW, GRIDS["rho"]),
}


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("solver", ORDERS)
def test_on_gaussian_data_a_solver_converges_at_its_order(solver, walk):
    schedule, x, steps = WALKS[walk], noise(50, 1), (20, 40, 80, 160)
    errors = [
        (solve(solver, gaussian_denoiser(schedule), schedule, x, n) - data_of(schedule, x)).abs().max().item()
        for n in steps
    ]
    assert order(steps, errors) == pytest.approx(ORDERS[solver], abs=0.25)
    assert errors[-1] < errors[0] / 5


@pytest.mark.parametrize("schedule", [FLOW, COSINE], ids=["flow", "cosine"])
@pytest.mark.parametrize("solver", [heun, dpmpp_2m, unipc])
def test_on_an_even_grid_a_few_steps_are_better_than_as_many_evaluations_of_ddim(solver, schedule):
    x = noise(50, 1)
    n = 20 if solver is heun else 40
    mine, plain = (
        (solve(f, gaussian_denoiser(schedule), schedule, x, k) - data_of(schedule, x)).abs().max().item()
        for f, k in ((solver, n), (ddim, 40))
    )
    assert mine < plain / 2


@pytest.mark.parametrize("solver", [heun, dpmpp_2m, unipc])
def test_an_even_grid_ends_a_variance_preserving_schedule_at_first_order(solver):
    """The last step's error goes with the variance there, hence with 1 / n, whatever the solver: why grids matter."""
    x, steps = noise(50, 1), (20_000, 40_000, 80_000)
    schedule = SCHEDULES["linear"](10, (0.01, 0.5))
    errors = []
    for n in (320, 640, 1280):
        errors.append((solve(solver, gaussian_denoiser(schedule), schedule, x, n) - data_of(schedule, x)).abs().max())
    assert order(steps, [e.item() for e in errors]) == pytest.approx(1, abs=0.25)


def test_the_solvers_are_not_each_other():
    x = noise(50, 1)
    ends = [solve(f, gaussian_denoiser(PAPER), PAPER, x, 10) for f in ORDERS]
    assert min((a - b).abs().max() for i, a in enumerate(ends) for b in ends[:i]) > 1e-3
    two = [solve(f, gaussian_denoiser(PAPER), PAPER, x, 1) for f in ORDERS]
    assert all(torch.allclose(a, two[0]) for a in two)  # one step is DDIM's by any of them


# ---------------------------------------------------------------- beside diffusers


BETAS = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 2e-2, "beta_schedule": "linear"}
EVEN = {"timestep_spacing": "trailing", "prediction_type": "sample", **BETAS}


def denoise(x, t):
    """No perfect denoiser: it bends, and changes with t."""
    return 0.8 * torch.tanh(1.3 * x + 0.2 * torch.cos(t / 300).to(x.dtype))


def theirs(scheduler, x, n_steps, scaled=False):
    """The end of diffusers' way from x; `scaled` is for those whose state is x / scale."""
    scheduler.set_timesteps(n_steps)
    if scaled:
        x = x / PAPER.scale(torch.tensor(1000.0)).to(x.dtype)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t) if scaled else x
        x = scheduler.step(denoise(seen, t.double() + 1), t, x).prev_sample
    return x


# Of diffusers' many options these are the definitions that coincide with ours. Theirs are float32 throughout.
#  - timestep_spacing: ours always starts at the schedule's end, where the noise is pure; that is `trailing`.
#  - the last step leads to the data (final_sigmas_type="zero", set_alpha_to_one=True), in which the multistep ones
#    are of first order; ours are so too, but not before (lower_order_final changes no earlier step at order 2).
#  - Euler and Heun hold x / scale, so that their first noise has the deviation sigma; ours hold x on every schedule.
#  - Heun counts the two evaluations of a step as two timesteps.
#  - their times end at 0 where ours end at 1: the data have no index.
RIVALS = {
    "ddim": (ddim, lambda: DDIMScheduler(clip_sample=False, set_alpha_to_one=True, **EVEN), False),
    "euler": (ddim, lambda: EulerDiscreteScheduler(**EVEN), True),
    "heun": (heun, lambda: HeunDiscreteScheduler(**EVEN), True),
    "dpmpp-2m": (dpmpp_2m, lambda: DPMSolverMultistepScheduler(final_sigmas_type="zero", **EVEN), False),
    "unipc": (unipc, lambda: UniPCMultistepScheduler(final_sigmas_type="zero", solver_type="bh2", **EVEN), False),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # theirs, with NumPy 2
@pytest.mark.parametrize("n_steps", [1, 2, 10, 50])
@pytest.mark.parametrize("name", RIVALS)
def test_a_solver_ends_where_diffusers_scheduler_does(name, n_steps):
    ours, scheduler, scaled = RIVALS[name]
    x = noise(4, 3, 2, 2, dtype=torch.float32)
    expected = theirs(scheduler(), x, n_steps, scaled)
    assert_close(solve(ours, denoise, PAPER, x, n_steps), expected, rtol=0, atol=3e-5)
    assert (expected - solve(ours, denoise, PAPER, x, n_steps + 1)).abs().max() > 3e-4


# On a flow theirs begin at sigma = 1 as ours do, and their models say the velocity eps - x0.
FLOW_RIVALS = {"euler": (ddim, FlowMatchEulerDiscreteScheduler), "heun": (heun, FlowMatchHeunDiscreteScheduler)}


@pytest.mark.parametrize("name", FLOW_RIVALS)
def test_on_a_flow_a_solver_ends_where_diffusers_scheduler_does(name):
    ours, kind = FLOW_RIVALS[name]
    scheduler, x = kind(num_train_timesteps=1000), noise(4, 3, 2, 2, dtype=torch.float32)
    scheduler.set_timesteps(8)
    grid = torch.cat([scheduler.timesteps.double().unique().flip(0) / 1000, torch.zeros(1).double()])  # to 1 / 1000
    expected = x
    for t in scheduler.timesteps:
        velocity = (expected - denoise(expected, t.double())) / (t / 1000)
        expected = scheduler.step(velocity, t, expected).prev_sample
    walked = OnGrid(FLOW, lambda schedule, n: grid)
    assert_close(solve(ours, lambda x, t: denoise(x, 1000 * t), walked, x, 8), expected, rtol=0, atol=1e-5)


# ---------------------------------------------------------------- inversion


@pytest.mark.parametrize("schedule", [PAPER, COSINE, FLOW], ids=["linear", "cosine", "flow"])
def test_inversion_finds_the_noise_of_an_image_and_leads_back_to_first_order(schedule):
    x0 = MEAN + SD * noise(50, 1)
    denoise = gaussian_denoiser(schedule)
    there, back = [], []
    steps = (100, 200, 400)
    for n in steps:
        states = list(invert(lambda x, t: Estimate(denoise(x, t)), schedule, x0, n_steps=n))
        assert [s.t for s in states] == schedule.steps(n).flip(0).tolist()
        there.append((states[-1].x - noise_of(schedule, x0)).abs().max().item())
        back.append((solve(ddim, denoise, schedule, states[-1].x, n) - x0).abs().max().item())
    assert order(steps, there) == pytest.approx(1, abs=0.15)
    assert order(steps, back) == pytest.approx(1, abs=0.15)
    assert there[-1] < 0.04
    assert back[-1] < 0.04


@pytest.mark.parametrize("schedule", [PAPER, COSINE, FLOW], ids=["linear", "cosine", "flow"])
def test_with_an_oracle_inversion_leads_back_exactly(schedule):
    target = noise(5, 3, seed=2)
    states = invert(lambda x, t: Estimate(target), schedule, target, n_steps=7)
    assert_close(solve(ddim, lambda x, t: target, schedule, end(states), 7), target)


def test_a_trained_models_images_come_back_from_their_noise(conv):
    learner = train(conv).learner
    how = learner.resolve(Sampling(sampler="ddim", clip_x0=False))
    x0 = noise(4, *learner.shape, dtype=torch.float32).clamp(-1, 1)
    with torch.no_grad():
        few, many = (
            end(
                ddim(
                    learner.denoise(how),
                    learner.schedule,
                    end(invert(learner.denoise(how), learner.schedule, x0, n_steps=n)),
                    n_steps=n,
                    rng=torch.Generator(),
                )
            )
            for n in (10, 100)
        )
    assert (many - x0).square().mean() < (few - x0).square().mean() / 4
