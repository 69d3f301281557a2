import math

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.gan.losses import LOSSES, bce, logistic_critic

REAL = torch.tensor([2.0, -0.5, 0.3, 1.5], dtype=torch.float64)
FAKE = torch.tensor([-1.0, 0.7, 0.0, -3.0], dtype=torch.float64)


def both(name, real, fake):
    loss = LOSSES[name]
    return loss.critic(real, fake), loss.generator(fake, real if loss.paired else None)


def test_a_label_below_one_smooths():
    p, q = REAL.sigmoid(), FAKE.sigmoid()
    expected = -(0.9 * p.log() + 0.1 * (1 - p).log()).mean() - (1 - q).log().mean()
    assert_close(logistic_critic(REAL, FAKE, 0.9), expected)


def test_cross_entropy_is_of_float32_whatever_autocast_says():
    with torch.autocast("cpu", torch.bfloat16):
        value = bce(torch.tensor([12.0]), 0.0)  # of a bfloat16 probability, which rounds to 1, it would be 100
    assert value.item() == pytest.approx(12, rel=1e-3)


SOFTPLUS_0, SOFTPLUS_1 = math.log(2), math.log1p(math.e)
BY_HAND = {  # of real logits (3, 0) and fakes (-2, 1): the critic's and the generator's
    "hinge": ((0 + 1) / 2 + (0 + 2) / 2, 0.5),
    "wasserstein": (-0.5 - 1.5, 0.5),
    "non-saturating": (
        (math.log1p(math.exp(-3)) + SOFTPLUS_0 + math.log1p(math.exp(-2)) + SOFTPLUS_1) / 2,
        (math.log1p(math.exp(2)) + math.log1p(math.exp(-1))) / 2,
    ),
    "minimax": (
        (math.log1p(math.exp(-3)) + SOFTPLUS_0 + math.log1p(math.exp(-2)) + SOFTPLUS_1) / 2,
        -(math.log1p(math.exp(-2)) + SOFTPLUS_1) / 2,
    ),
    "relativistic": (
        (math.log1p(math.exp(-5)) + SOFTPLUS_1) / 2,
        (math.log1p(math.exp(5)) + math.log1p(math.exp(-1))) / 2,
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_hand(name):
    critic, generator = both(name, torch.tensor([3.0, 0.0]), torch.tensor([-2.0, 1.0]))
    assert critic.item() == pytest.approx(BY_HAND[name][0], rel=1e-6)
    assert generator.item() == pytest.approx(BY_HAND[name][1], rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_critic_parts_real_from_fake_and_the_generator_raises_its_fakes(name):
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    critic, generator = both(name, real, fake)
    by_real, by_fake = torch.autograd.grad(critic, (real, fake))
    within = REAL < 1 if name == "hinge" else torch.ones_like(REAL).bool()  # beyond its margin the hinge is flat
    assert torch.equal(by_real < 0, within)
    assert torch.equal(by_fake > 0, FAKE > -1 if name == "hinge" else within)
    (by_fake,) = torch.autograd.grad(generator, fake)
    assert (by_fake < 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_only_differences_count_in_the_relativistic_loss_and_in_wassersteins_critic(name):
    before, after = both(name, REAL, FAKE), both(name, REAL + 5, FAKE + 5)
    assert torch.allclose(before[0], after[0]) == (name in ("relativistic", "wasserstein"))
    assert torch.allclose(before[1], after[1]) == (name == "relativistic")


def test_the_relativistic_players_are_each_others_mirror():
    loss = LOSSES["relativistic"]
    assert_close(loss.critic(REAL, FAKE), loss.generator(REAL, FAKE))
    assert loss.critic(REAL, FAKE) != loss.critic(REAL, FAKE.flip(0))  # pair by pair


def test_the_relativistic_generator_asks_for_real_images():
    assert [name for name, loss in LOSSES.items() if loss.paired] == ["relativistic"]
    with pytest.raises(ValueError, match="pass the logits of real images"):
        LOSSES["relativistic"].generator(FAKE, None)
