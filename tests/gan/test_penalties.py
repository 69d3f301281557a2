import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gendiff_lib.errors import ConfigError
from gendiff_lib.gan.penalties import PENALTIES, interpolate, refuse_batch_norm, squared_slopes
from gendiff_lib.networks.dcgan import Discriminator


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def images(seed, n=5):
    return torch.randn(n, 3, 4, 4, generator=rng(seed), dtype=torch.float64)


REAL, FAKE = images(1), images(2)
A = images(3, 1)


def linear(x):
    return (A * x).flatten(1).sum(1)


def quadratic(x):
    return 1.5 * x.flatten(1).square().sum(1)  # its slope is 3x


def squares(x):
    return 9 * x.flatten(1).square().sum(1)


def penalty(name, critic, weight=4.0):
    return weight * PENALTIES[name](critic, REAL, FAKE, rng(7)).penalty


def test_penalties_of_a_linear_critic_do_not_depend_on_the_images():
    assert_close(penalty("r1", linear), 2 * A.square().sum())
    assert_close(penalty("r1+r2", linear), 4 * A.square().sum())
    assert_close(penalty("wgan-gp", linear), 4 * (A.norm() - 1) ** 2)
    unit = A / A.norm()
    assert penalty("wgan-gp", lambda x: (unit * x).flatten(1).sum(1)).item() == pytest.approx(0, abs=1e-20)


def test_penalties_of_a_quadratic_critic():
    assert_close(penalty("r1", quadratic), 2 * squares(REAL).mean())
    assert_close(penalty("r1+r2", quadratic), 2 * (squares(REAL) + squares(FAKE)).mean())
    between = interpolate(REAL, FAKE, rng(7))
    assert_close(penalty("wgan-gp", quadratic), 4 * (squares(between).sqrt() - 1).square().mean())


def test_r2_is_the_same_on_fakes():
    assert_close(
        PENALTIES["r1"](quadratic, FAKE, REAL, rng()).penalty * 4,
        penalty("r1+r2", quadratic) - penalty("r1", quadratic),
    )


@pytest.mark.parametrize("name", PENALTIES)
def test_answers_come_along_and_no_penalty_is_none(name):
    found = PENALTIES[name](quadratic, REAL, FAKE, rng())
    assert_close(found.real, quadratic(REAL))
    assert_close(found.fake, quadratic(FAKE))
    assert (found.penalty is None) == (name is None)


def test_points_between_lie_each_on_a_line_of_its_own():
    x = interpolate(REAL, FAKE, rng(7))
    eps = ((x - FAKE) / (REAL - FAKE)).flatten(1)
    assert_close(eps, eps[:, :1].expand_as(eps))
    assert ((eps >= 0) & (eps <= 1)).all()
    assert eps[:, 0].unique().numel() == 5
    assert torch.equal(x, interpolate(REAL, FAKE, rng(7)))
    assert interpolate(REAL[:, 0, 0, :2], FAKE[:, 0, 0, :2], rng()).shape == (5, 2)  # points in the plane


class Smooth(nn.Module):
    """A critic of two layers, in float64."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(0.3 * torch.randn(6, 48, generator=rng(4), dtype=torch.float64))
        self.v = nn.Parameter(torch.randn(6, generator=rng(5), dtype=torch.float64))

    def forward(self, x):
        return torch.tanh(x.flatten(1) @ self.w.T) @ self.v


@pytest.mark.parametrize("name", [*filter(None, PENALTIES)])
def test_the_double_backward_is_a_finite_difference(name):
    critic, h = Smooth(), 1e-6
    gradients = torch.autograd.grad(penalty(name, critic), list(critic.parameters()))
    for p, gradient in zip(critic.parameters(), gradients, strict=True):
        for i in (0, p.numel() // 2, p.numel() - 1):
            values = []
            for by in (h, -2 * h):
                p.data.view(-1)[i] += by
                values.append(penalty(name, critic).item())
            p.data.view(-1)[i] += h
            assert gradient.view(-1)[i].item() == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", [*filter(None, PENALTIES)])
def test_a_flat_critic_has_finite_gradients(name):
    flat = nn.Parameter(torch.zeros(48, dtype=torch.float64))
    value = penalty(name, lambda x: x.flatten(1) @ flat)
    assert value.item() == (4 if name == "wgan-gp" else 0)
    value.backward()
    assert torch.equal(flat.grad, torch.zeros(48, dtype=torch.float64))


def test_nothing_flows_back_to_the_generator():
    made = FAKE.clone().requires_grad_()
    critic = Smooth()
    PENALTIES["r1+r2"](critic, REAL, made, rng()).penalty.backward()
    assert made.grad is None
    assert critic.w.grad is not None


def test_logits_come_along_and_can_be_differentiated():
    critic = Smooth()
    logits, slopes = squared_slopes(critic, REAL)
    assert_close(logits, critic(REAL))
    assert slopes.shape == (5,)
    assert torch.autograd.grad(logits.mean(), critic.w)[0].abs().sum() > 0


def test_mixed_precision_is_off():
    critic, seen = nn.Linear(48, 1), []
    critic.register_forward_hook(lambda m, i, out: seen.append((i[0].dtype, out.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        _, slopes = squared_slopes(lambda x: critic(x.flatten(1))[:, 0], REAL.bfloat16())
    assert seen == [(torch.float32, torch.float32)]
    assert_close(slopes, critic.weight.square().sum().expand(5))


def test_a_critic_with_batch_norm_is_refused():
    with pytest.raises(ConfigError, match=r"penalty=r1 .*batch norm \(main.3\) mixes.*use a discriminator without"):
        refuse_batch_norm(Discriminator((3, 16, 16), ndf=4), "r1")
    refuse_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), "r1")
