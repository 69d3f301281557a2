import math

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.diffusion.edm import EDM
from gendiff_lib.diffusion.grids import GRIDS, OnGrid, time_at
from gendiff_lib.diffusion.schedules import SCHEDULES, VariancePreserving, like, start_std
from gendiff_lib.errors import ConfigError

ARGUMENTS = {
    "linear": (10, (0.01, 0.5)),
    "respaced": (10, (1e-4, 2e-2)),
    "cosine": (10, None),
    "sigmoid": (10, None),
    "flow": (None, None),
    "edm": (None, None),
}


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return SCHEDULES[request.param](*ARGUMENTS[request.param])


def inside(schedule, n=9):
    """Times between the ends, whole ones and others."""
    return torch.linspace(0, schedule.end, n + 2, dtype=torch.float64)[1:-1]


def test_noising_and_taking_the_noise_away_gives_the_sample_back(schedule):
    rng = torch.Generator().manual_seed(0)
    t = inside(schedule)
    x0, eps = torch.randn(2, len(t), 3, generator=rng, dtype=torch.float64)
    x = like(schedule.scale(t), x0) * x0 + like(schedule.std(t), x0) * eps
    assert_close((x - like(schedule.std(t), x) * eps) / like(schedule.scale(t), x), x0)
    assert ((x - x0).abs().amax(1) > 0.01 * schedule.std(t)).all()


def test_at_zero_there_is_no_noise_and_at_the_end_little_else(schedule):
    ends = torch.tensor([0.0, schedule.end], dtype=torch.float64)
    assert schedule.scale(ends)[0] == 1
    assert schedule.std(ends)[0] == 0
    assert schedule.std(ends)[1] > 0.97
    assert schedule.scale(ends)[1] < 0.25 * schedule.std(ends)[1]


def test_noise_only_grows(schedule):
    t = torch.linspace(0, schedule.end, 101, dtype=torch.float64)
    assert (schedule.std(t).diff() > 0).all()
    assert (schedule.scale(t).diff() <= 0).all()
    assert ((schedule.std(t) / schedule.scale(t)).diff() > 0).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 25])
def test_both_ends_are_in_the_grid(schedule, n):
    grid = schedule.steps(n)
    assert len(grid) == n + 1
    assert grid[0] == schedule.end
    assert grid[-1] == 0
    assert (grid.diff() < 0).all()
    if schedule.n_timesteps and n <= schedule.n_timesteps:
        assert (grid == grid.round()).all()


def test_a_long_grid_visits_every_step_and_a_short_one_no_step_twice():
    schedule = VariancePreserving(torch.full((1000,), 0.01, dtype=torch.float64))
    assert schedule.steps(1000).tolist() == list(range(1000, -1, -1))
    for n in range(1, 1000, 13):
        assert len(schedule.steps(n).unique()) == n + 1


def test_the_velocity_is_conjugate_to_the_schedule(schedule):
    t = torch.cat([torch.tensor([0.0, schedule.end]), inside(schedule)]).double()
    a, b = schedule.velocity(t)
    assert_close(b * schedule.scale(t) - a * schedule.std(t), torch.ones_like(t))


def test_a_variance_preserving_schedule_preserves_variance():
    for name in ("linear", "respaced", "cosine", "sigmoid"):
        schedule = SCHEDULES[name](*ARGUMENTS[name])
        t = inside(schedule, 50)
        assert_close(schedule.scale(t) ** 2 + schedule.std(t) ** 2, torch.ones_like(t))


def test_linear_multiplies_evenly_spaced_betas():
    schedule = SCHEDULES["linear"](1000, (1e-4, 2e-2))
    alpha_bar = 1.0
    for i in range(1000):
        alpha_bar *= 1 - (1e-4 + (2e-2 - 1e-4) * i / 999)
        if i in (0, 1, 499, 999):
            assert schedule.alpha_bar(torch.tensor(i + 1.0)).item() == pytest.approx(alpha_bar, rel=1e-9)


def test_between_two_steps_alpha_bar_is_log_linear():
    schedule = SCHEDULES["linear"](10, (0.01, 0.5))
    a, half, b = schedule.alpha_bar(torch.tensor([3.0, 3.5, 4.0], dtype=torch.float64))
    assert_close(half, (a * b).sqrt())


def test_cosine_is_the_papers_formula_with_beta_clipped():
    schedule = SCHEDULES["cosine"](50, None)
    f = [math.cos((t / 50 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(51)]
    t = torch.arange(50, dtype=torch.float64)
    assert_close(schedule.alpha_bar(t), torch.tensor(f[:50], dtype=torch.float64) / f[0])
    last = schedule.alpha_bar(torch.tensor([49.0, 50.0], dtype=torch.float64))
    assert (last[1] / last[0]).item() == pytest.approx(0.001)  # 1 - 0.999
    assert f[50] / f[49] < 0.001


def test_networks_of_stepped_schedules_see_0_to_t_minus_1():
    schedule = SCHEDULES["linear"](10, (0.01, 0.5))
    t = schedule.times(torch.tensor([0.0, 0.05, 0.1, 0.95, 0.99999999], dtype=torch.float64))
    assert t.tolist() == [1, 1, 2, 10, 10]
    assert schedule.time_input(t).tolist() == [0, 0, 1, 9, 9]


def test_networks_of_the_flow_see_0_to_1000():
    schedule = SCHEDULES["flow"](None, None)
    t = schedule.times(torch.tensor([0.0, 0.25, 1.0]))
    assert schedule.time_input(t).tolist() == [0, 250, 1000]


@pytest.mark.parametrize(
    ("name", "n_timesteps", "beta_minmax"),
    [
        ("linear", None, (0.1, 0.2)),
        ("linear", 10, None),
        ("respaced", None, (0.1, 0.2)),
        ("respaced", 10, None),
        ("cosine", None, None),
        ("cosine", 10, (0.1, 0.2)),
        ("sigmoid", None, None),
        ("sigmoid", 10, (0.1, 0.2)),
        ("edm", 10, None),
        ("edm", None, (0.1, 0.2)),
        ("flow", 10, None),
        ("flow", None, (0.1, 0.2)),
    ],
)
def test_a_schedule_refuses_what_it_does_not_use(name, n_timesteps, beta_minmax):
    with pytest.raises(ConfigError, match=f"schedule '{name}'"):
        SCHEDULES[name](n_timesteps, beta_minmax)


def test_a_coefficient_takes_the_type_and_dimensions_of_the_state():
    x = torch.zeros(2, 3, 4, 4)
    many = like(torch.tensor([1.0, 2.0], dtype=torch.float64), x)
    assert many.shape == (2, 1, 1, 1)
    assert many.dtype == torch.float32
    assert like(torch.tensor(1.0, dtype=torch.float64), x).shape == ()


def test_a_linear_schedule_that_does_not_end_in_noise_is_refused_with_remedies_that_work():
    with pytest.raises(ConfigError) as told:
        SCHEDULES["linear"](100, (1e-4, 2e-2))
    sentence = str(told.value)
    assert "beta_minmax=(0.0001, 0.02) in n_timesteps=100 do not end in noise (alpha_bar_T = 0.36" in sentence
    assert "give larger betas, more steps, or schedule=respaced, which" in sentence
    for name, n_timesteps, beta_minmax in (
        ("linear", 100, (1e-3, 2e-1)),
        ("linear", 1000, (1e-4, 2e-2)),
        ("respaced", 100, (1e-4, 2e-2)),
    ):
        schedule = SCHEDULES[name](n_timesteps, beta_minmax)
        assert schedule.alpha_bar(torch.tensor(schedule.end)) < 0.05


def test_a_respaced_schedule_that_does_not_end_in_noise_is_refused_with_a_remedy_that_works():
    with pytest.raises(
        ConfigError, match=r"n_timesteps=1000 do not end in noise .*: give larger betas, which are those"
    ):
        SCHEDULES["respaced"](10, (1e-5, 2e-3))
    assert SCHEDULES["respaced"](10, (1e-4, 2e-2))


@pytest.mark.parametrize("depth", [1, 10, 100, 1000, 4000])
def test_at_any_depth_the_respaced_schedule_is_the_linear_one_of_1000_steps(depth):
    whole, schedule = (SCHEDULES[n](d, (1e-4, 2e-2)) for n, d in (("linear", 1000), ("respaced", depth)))
    assert (schedule.n_timesteps, schedule.end) == (depth, depth)
    t = torch.arange(depth + 1, dtype=torch.float64)
    assert_close(schedule.alpha_bar(t), whole.alpha_bar(t * 1000 / depth))
    assert schedule.steps(depth).tolist() == list(range(depth, -1, -1))


@pytest.mark.parametrize("name", ["cosine", "sigmoid", "respaced"])
@pytest.mark.parametrize("depth", [10, 100, 4000])
def test_every_depth_ends_in_noise_by_betas_below_1(name, depth):
    schedule = SCHEDULES[name](depth, (1e-4, 2e-2) if name == "respaced" else None)
    alpha_bar = schedule.alpha_bar(torch.arange(depth + 1, dtype=torch.float64))
    assert alpha_bar[-1] < 1e-3
    assert ((alpha_bar[1:] / alpha_bar[:-1]) >= 0.001 - 1e-9).all()


def test_sigmoid_is_the_papers_formula_with_beta_clipped():
    schedule, n = SCHEDULES["sigmoid"](50, None), 50

    def gamma(t, start=-3.0, end=3.0):  # Jabri et al. 2022 and Chen 2023, algorithm 1, at temperature 1
        first, last = (1 / (1 + math.exp(-v)) for v in (start, end))
        return (last - 1 / (1 + math.exp(-(t * (end - start) + start)))) / (last - first)

    t = torch.arange(n, dtype=torch.float64)
    assert_close(schedule.alpha_bar(t), torch.tensor([gamma(i / n) for i in range(n)], dtype=torch.float64))
    last = schedule.alpha_bar(torch.tensor([n - 1.0, n], dtype=torch.float64))
    assert (last[1] / last[0]).item() == pytest.approx(0.001)


def test_edms_steps_are_its_sigmas_and_networks_see_a_quarter_of_their_logarithm():
    schedule, n = SCHEDULES["edm"](None, None), 18
    powers = [80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7)) for i in range(n)]
    sigma = schedule.std(schedule.steps(n))
    assert_close(sigma, torch.tensor([p**7 for p in powers] + [0.0], dtype=torch.float64))
    assert_close(schedule.time_input(schedule.steps(n)[:-1]), sigma[:-1].log() / 4)
    assert_close(GRIDS["rho"](schedule, n), schedule.steps(n))
    ends = schedule.std(schedule.times(torch.tensor([0.0, 1.0])))
    assert_close(ends, torch.tensor([0.002, 80.0], dtype=torch.float64))


def test_sampling_starts_from_noise_as_wide_as_the_schedules_end(schedule):
    assert start_std(schedule) == (pytest.approx(80) if isinstance(schedule, EDM) else 1)


def test_half_a_percent_above_the_bound_is_too_much_and_half_a_percent_below_is_not():
    def beta_of(alpha_bar):  # one step, so that alpha_bar_T = 1 - (first beta)
        return 1 - alpha_bar, 1 - alpha_bar + 1e-3

    assert SCHEDULES["linear"](1, beta_of(0.04975))
    with pytest.raises(ConfigError, match=r"at most 0\.05 may be left"):
        SCHEDULES["linear"](1, beta_of(0.05025))


# ---------------------------------------------------------------- time grids


FLOW = SCHEDULES["flow"](None, None)
ALL = {"linear": SCHEDULES["linear"](1000, (1e-4, 2e-2)), "cosine": SCHEDULES["cosine"](1000, None), "flow": FLOW}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("n", [1, 2, 9, 50, 1000, 1300])
def test_a_grid_falls_from_the_end_to_the_data_by_whole_steps_where_there_are_enough(name, grid, n):
    schedule, times = ALL[name], GRIDS[grid](ALL[name], n)
    assert times.shape == (n + 1,)
    assert times.dtype == torch.float64
    assert (times[0], times[-1]) == (schedule.end, 0)
    assert (times.diff() < 0).all()
    if schedule.n_timesteps and n <= schedule.n_timesteps:
        assert torch.equal(times, times.round())


def test_the_even_grid_is_the_schedules_own():
    for schedule in ALL.values():
        assert torch.equal(GRIDS["trailing"](schedule, 7), schedule.steps(7))
        walked = OnGrid(schedule, GRIDS["rho"])
        assert torch.equal(walked.steps(7), GRIDS["rho"](schedule, 7))
        assert not torch.equal(walked.steps(7), schedule.steps(7))
        t = torch.tensor([0.25, 0.75], dtype=torch.float64) * schedule.end
        assert torch.equal(walked.std(t), schedule.std(t))
        assert (walked.end, walked.n_timesteps) == (schedule.end, schedule.n_timesteps)


def test_quadratic_steps_are_ddims():
    assert GRIDS["quadratic"](ALL["linear"], 5).tolist() == [1000, 640, 360, 160, 40, 0]
    assert GRIDS["quadratic"](FLOW, 2).tolist() == [1, 0.25, 0]
    assert GRIDS["quadratic"](ALL["linear"], 100)[-4:].tolist() == [3, 2, 1, 0]  # 0.9, 0.4 and 0.1, none twice


def test_rho_steps_are_edms():
    n = 18
    powers = [80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7)) for i in range(n)]
    sigma = torch.tensor([p**7 for p in powers], dtype=torch.float64)
    times = GRIDS["rho"](FLOW, n)
    assert_close(times[1:-1], (sigma / (1 + sigma))[1:])  # t = 1 stands for 80 of them: pure noise
    linear = ALL["linear"]
    assert GRIDS["rho"](linear, n)[-2] == 1  # the least noise that it was trained on
    found = GRIDS["rho"](linear, 2000)[1:-1]
    least = linear.std(torch.ones(1).double()) / linear.scale(torch.ones(1).double())
    roots = (linear.std(found) / linear.scale(found)) ** (1 / 7)
    assert_close(roots, torch.linspace(80 ** (1 / 7), least.item() ** (1 / 7), 2000, dtype=torch.float64)[1:])


@pytest.mark.parametrize("name", ALL)
def test_a_time_is_found_by_its_sigma(name):
    schedule, sigma = ALL[name], torch.tensor([0.02, 0.5, 3.0, 70.0], dtype=torch.float64)
    t = time_at(schedule, sigma)
    assert_close(schedule.std(t) / schedule.scale(t), sigma)
