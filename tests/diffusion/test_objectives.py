import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.diffusion.objectives import PREDICTIONS, TIMES, WEIGHTINGS
from gendiff_lib.diffusion.schedules import SCHEDULES, like

MADE = {
    "linear": SCHEDULES["linear"](10, (0.01, 0.5)),
    "cosine": SCHEDULES["cosine"](10, None),
    "flow": SCHEDULES["flow"](None, None),
}


@pytest.fixture(params=MADE)
def state(request):
    """schedule, x0, eps, t and the state x at t."""
    schedule = MADE[request.param]
    t = torch.linspace(0, schedule.end, 12, dtype=torch.float64)[1:-1]
    x0, eps = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return schedule, x0, eps, t, like(schedule.scale(t), x0) * x0 + like(schedule.std(t), x0) * eps


def test_every_schedule_is_tried():
    assert MADE.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_perfect_prediction_gives_the_sample_back(state, name):
    schedule, x0, eps, t, x = state
    target, to_x0 = PREDICTIONS[name]
    assert_close(to_x0(schedule, x, target(schedule, x0, eps, t), t), x0)


def test_an_error_in_eps_is_the_same_error_in_v_seen_from_x0(state):
    schedule, _, eps, t, x = state
    wrong = eps + 0.1
    x0_wrong = PREDICTIONS["eps"][1](schedule, x, wrong, t)
    v = PREDICTIONS["v"][0](schedule, x0_wrong, wrong, t)  # the pair (x0_wrong, wrong) explains the same x
    assert_close(PREDICTIONS["v"][1](schedule, x, v, t), x0_wrong)


def test_the_targets_are_what_they_are_called():
    x0, eps = torch.tensor([[2.0]]).double(), torch.tensor([[5.0]]).double()
    t = torch.tensor([0.25]).double()
    values = {name: target(MADE["flow"], x0, eps, t).item() for name, (target, _) in PREDICTIONS.items()}
    assert values == {"eps": 5.0, "x0": 2.0, "v": 3.0}  # on a flow the velocity is eps - x0


def test_the_velocity_of_a_flow_is_the_derivative_of_its_state():
    schedule, h = MADE["flow"], 1e-6
    x0, eps = torch.tensor([[2.0]]).double(), torch.tensor([[-1.0]]).double()
    x = [schedule.scale(t) * x0 + schedule.std(t) * eps for t in torch.tensor([0.5 - h, 0.5 + h], dtype=torch.float64)]
    assert_close((x[1] - x[0]) / (2 * h), PREDICTIONS["v"][0](schedule, x0, eps, torch.tensor([0.5]).double()))


def test_the_velocity_of_a_variance_preserving_schedule_is_salimans_and_hos():
    schedule = MADE["linear"]
    t = torch.tensor([4.0]).double()
    x0, eps = torch.tensor([[2.0]]).double(), torch.tensor([[-1.0]]).double()
    alpha_bar = schedule.alpha_bar(t)
    expected = alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x0
    assert_close(PREDICTIONS["v"][0](schedule, x0, eps, t), expected)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weights_are_finite_and_positive_at_every_time(name):
    for schedule in MADE.values():
        weights = WEIGHTINGS[name](schedule, torch.linspace(0, schedule.end, 21, dtype=torch.float64))
        assert weights.isfinite().all()
        assert (weights > 0).all()


def test_inverse_std_weighs_by_the_noise_up_to_five():
    t = torch.tensor([0.0, 0.1, 0.25, 0.5, 1.0]).double()
    assert_close(WEIGHTINGS["inverse-std"](MADE["flow"], t), torch.tensor([5.0, 5.0, 4.0, 2.0, 1.0]).double())
    assert WEIGHTINGS["uniform"](MADE["flow"], t).tolist() == [1] * 5


@pytest.mark.parametrize(("name", "variance"), [("uniform", 1 / 12), ("logit-normal", 0.0433)])
def test_training_times_have_their_distribution(name, variance):
    u = TIMES[name](50_000, torch.Generator().manual_seed(0))
    assert u.dtype == torch.float64
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean().item() == pytest.approx(0.5, abs=0.005)
    assert u.var().item() == pytest.approx(variance, abs=0.001)
