import math

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import ConfigError
from gendiff_lib.paths import PATHS, VariancePreserving, like

ARGUMENTS = {"linear": (10, (0.01, 0.5)), "cosine": (10, None), "flow": (None, None)}


@pytest.fixture(params=PATHS)
def path(request):
    return PATHS[request.param](*ARGUMENTS[request.param])


def inside(path, n=9):
    """Times between the ends, whole ones and others."""
    return torch.linspace(0, path.end, n + 2, dtype=torch.float64)[1:-1]


def test_noising_and_taking_the_noise_away_gives_the_sample_back(path):
    rng = torch.Generator().manual_seed(0)
    t = inside(path)
    x0, eps = torch.randn(2, len(t), 3, generator=rng, dtype=torch.float64)
    x = like(path.scale(t), x0) * x0 + like(path.std(t), x0) * eps
    assert_close((x - like(path.std(t), x) * eps) / like(path.scale(t), x), x0)
    assert (x - x0).abs().amax(1).min() > 0.01


def test_at_zero_there_is_no_noise_and_at_the_end_little_else(path):
    ends = torch.tensor([0.0, path.end], dtype=torch.float64)
    assert path.scale(ends)[0] == 1
    assert path.std(ends)[0] == 0
    assert path.std(ends)[1] > 0.97
    assert path.scale(ends)[1] < 0.25


def test_noise_only_grows(path):
    t = torch.linspace(0, path.end, 101, dtype=torch.float64)
    assert (path.std(t).diff() > 0).all()
    assert (path.scale(t).diff() < 0).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 25])
def test_both_ends_are_in_the_grid(path, n):
    grid = path.steps(n)
    assert len(grid) == n + 1
    assert grid[0] == path.end
    assert grid[-1] == 0
    assert (grid.diff() < 0).all()
    if path.n_timesteps and n <= path.n_timesteps:
        assert (grid == grid.round()).all()


def test_a_long_grid_visits_every_step_and_a_short_one_no_step_twice():
    path = VariancePreserving(torch.full((1000,), 0.01, dtype=torch.float64))
    assert path.steps(1000).tolist() == list(range(1000, -1, -1))
    for n in range(1, 1000, 13):
        assert len(path.steps(n).unique()) == n + 1


def test_the_clock_is_conjugate_to_the_path(path):
    t = torch.cat([torch.tensor([0.0, path.end]), inside(path)]).double()
    a, b = path.clock(t)
    assert_close(b * path.scale(t) - a * path.std(t), torch.ones_like(t))


def test_a_variance_preserving_path_preserves_variance():
    for name in ("linear", "cosine"):
        path = PATHS[name](*ARGUMENTS[name])
        t = inside(path, 50)
        assert_close(path.scale(t) ** 2 + path.std(t) ** 2, torch.ones_like(t))


def test_linear_multiplies_evenly_spaced_betas():
    path = PATHS["linear"](1000, (1e-4, 2e-2))
    alpha_bar = 1.0
    for i in range(1000):
        alpha_bar *= 1 - (1e-4 + (2e-2 - 1e-4) * i / 999)
        if i in (0, 1, 499, 999):
            assert path.alpha_bar(torch.tensor(i + 1.0)).item() == pytest.approx(alpha_bar, rel=1e-9)


def test_between_two_steps_alpha_bar_is_log_linear():
    path = PATHS["linear"](10, (0.01, 0.5))
    a, half, b = path.alpha_bar(torch.tensor([3.0, 3.5, 4.0], dtype=torch.float64))
    assert_close(half, (a * b).sqrt())


def test_cosine_is_the_papers_formula_with_beta_clipped():
    path = PATHS["cosine"](50, None)
    f = [math.cos((t / 50 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(51)]
    t = torch.arange(50, dtype=torch.float64)
    assert_close(path.alpha_bar(t), torch.tensor(f[:50], dtype=torch.float64) / f[0])
    last = path.alpha_bar(torch.tensor([49.0, 50.0], dtype=torch.float64))
    assert (last[1] / last[0]).item() == pytest.approx(0.001)  # 1 - 0.999
    assert f[50] / f[49] < 0.001


def test_networks_of_stepped_paths_see_0_to_t_minus_1():
    path = PATHS["linear"](10, (0.01, 0.5))
    t = path.times(torch.tensor([0.0, 0.05, 0.1, 0.95, 0.99999999], dtype=torch.float64))
    assert t.tolist() == [1, 1, 2, 10, 10]
    assert path.embed(t).tolist() == [0, 0, 1, 9, 9]


def test_networks_of_the_flow_see_0_to_1000():
    path = PATHS["flow"](None, None)
    t = path.times(torch.tensor([0.0, 0.25, 1.0]))
    assert path.embed(t).tolist() == [0, 250, 1000]


@pytest.mark.parametrize(
    ("name", "n_timesteps", "beta_minmax"),
    [
        ("linear", None, (0.1, 0.2)),
        ("linear", 10, None),
        ("cosine", None, None),
        ("cosine", 10, (0.1, 0.2)),
        ("flow", 10, None),
        ("flow", None, (0.1, 0.2)),
    ],
)
def test_a_path_refuses_what_it_does_not_use(name, n_timesteps, beta_minmax):
    with pytest.raises(ConfigError, match=f"path '{name}'"):
        PATHS[name](n_timesteps, beta_minmax)


def test_a_coefficient_takes_the_type_and_dimensions_of_the_state():
    x = torch.zeros(2, 3, 4, 4)
    many = like(torch.tensor([1.0, 2.0], dtype=torch.float64), x)
    assert many.shape == (2, 1, 1, 1)
    assert many.dtype == torch.float32
    assert like(torch.tensor(1.0, dtype=torch.float64), x).shape == ()
