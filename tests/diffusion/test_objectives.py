import math

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.diffusion.objectives import PREDICTIONS, TIMES, WEIGHTINGS
from gendiff_lib.diffusion.schedules import SCHEDULES, like

MADE = {
    "linear": SCHEDULES["linear"](10, (0.01, 0.5)),
    "respaced": SCHEDULES["respaced"](10, (1e-4, 2e-2)),
    "cosine": SCHEDULES["cosine"](10, None),
    "sigmoid": SCHEDULES["sigmoid"](10, None),
    "flow": SCHEDULES["flow"](None, None),
    "edm": SCHEDULES["edm"](None, None),
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


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weights_are_finite_at_every_time_and_positive_inside(name, prediction):
    for schedule in MADE.values():
        t = torch.linspace(0, schedule.end, 21, dtype=torch.float64)
        t = t[:-1] if prediction == "eps" and schedule.scale(t[-1]) == 0 else t  # a pair that is refused
        weights = WEIGHTINGS[name](schedule, t, prediction)
        assert weights.isfinite().all()
        assert (weights >= 0).all()
        assert (weights[1:20] > 0).all()


@pytest.mark.parametrize("t", [1.0, 2.0, 5.0, 10.0])
def test_min_snr_is_hang_et_als_for_each_prediction(t):
    schedule, time = MADE["linear"], torch.tensor([t]).double()
    alpha_bar = math.prod(1 - (0.01 + 0.49 * i / 9) for i in range(int(t)))
    snr = alpha_bar / (1 - alpha_bar)
    by_hand = {"x0": min(snr, 5.0), "eps": min(snr, 5.0) / snr, "v": min(snr, 5.0) / (snr + 1)}
    found = {p: WEIGHTINGS["min-snr"](schedule, time, p).item() for p in PREDICTIONS}
    assert found == pytest.approx(by_hand)


@pytest.mark.parametrize("name", ["min-snr", "edm"])
def test_a_weight_is_of_the_same_error_of_x0_whatever_is_predicted(state, name):
    schedule, x0, eps, t, x = state
    for prediction in ("eps", "v"):
        target, to_x0 = PREDICTIONS[prediction]
        wrong = target(schedule, x0, eps, t) + 0.1
        error = (to_x0(schedule, x, wrong, t) - x0).square().mean(1)
        mine = WEIGHTINGS[name](schedule, t, prediction) * 0.1**2
        assert_close(mine, WEIGHTINGS[name](schedule, t, "x0") * error)


def test_edms_weight_is_its_lambda():
    schedule = MADE["edm"]
    sigma = torch.tensor([0.002, 0.3, 80.0]).double()
    expected = (sigma**2 + 0.5**2) / (sigma * 0.5) ** 2
    assert_close(WEIGHTINGS["edm"](schedule, (sigma / 80) ** (1 / 7), "x0"), expected)


def test_inverse_std_weighs_by_the_noise_up_to_five():
    t = torch.tensor([0.0, 0.1, 0.25, 0.5, 1.0]).double()
    assert_close(WEIGHTINGS["inverse-std"](MADE["flow"], t, "v"), torch.tensor([5.0, 5.0, 4.0, 2.0, 1.0]).double())
    assert WEIGHTINGS["uniform"](MADE["flow"], t, "v").tolist() == [1] * 5


@pytest.mark.parametrize(("name", "variance"), [("uniform", 1 / 12), ("logit-normal", 0.0433)])
def test_training_times_have_their_distribution(name, variance):
    u = TIMES[name](50_000, torch.Generator().manual_seed(0))
    assert u.dtype == torch.float64
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean().item() == pytest.approx(0.5, abs=0.005)
    assert u.var().item() == pytest.approx(variance, abs=0.001)


def test_edms_times_are_log_normal_in_sigma():
    schedule = MADE["edm"]
    u = TIMES["log-normal"](200_000, torch.Generator().manual_seed(0))
    assert u.dtype == torch.float64
    assert u.min() >= 0
    assert u.max() < 1
    logs = schedule.std(schedule.times(u)).log()
    assert logs.mean().item() == pytest.approx(-1.2, abs=0.01)
    assert logs.std().item() == pytest.approx(1.2, abs=0.01)
    below = (logs < -1.2 - 2 * 1.2).double().mean().item()
    assert below == pytest.approx(0.02275, abs=0.0015)  # a normal's, not only its first moments
