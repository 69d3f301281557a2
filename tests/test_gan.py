from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import ConfigError, GANConfig, Sampling
from gendiff_lib.gan import GAN
from gendiff_lib.training import make

SHAPE = (3, 8, 8)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=6):
    return torch.rand(n, *SHAPE, generator=rng(9)) * 2 - 1


def step(learner, x=None, seed=0):
    x = batch() if x is None else x
    return learner.step(x, torch.zeros(len(x)).long(), 0.0, rng(seed))


@pytest.mark.parametrize("real_label", [1.0, 0.9])
@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_an_update_is_the_papers_computed_by_hand(gan, loss, real_label):
    config = gan.but(loss=loss, real_label=real_label, lrG=1e-2, lrD=3e-2, beta1=0.4)
    learner = make(config, SHAPE, 10)
    g, d = deepcopy(learner.generator), deepcopy(learner.discriminator)
    adam_g = torch.optim.Adam(g.parameters(), lr=1e-2, betas=(0.4, 0.999))
    adam_d = torch.optim.Adam(d.parameters(), lr=3e-2, betas=(0.4, 0.999))

    z = torch.randn(6, gan.nz, 1, 1, generator=rng())
    fake, p_real = g(z), d(batch())
    loss_d = -(real_label * p_real.log() + (1 - real_label) * (1 - p_real).log()).mean()
    loss_d = loss_d - (1 - d(fake.detach())).log().mean()
    loss_d.backward()
    adam_d.step()
    p_fake = d(fake)
    loss_g = -p_fake.log().mean() if loss == "non-saturating" else (1 - p_fake).log().mean()
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()

    losses = step(learner)
    assert_close(losses["loss_d"], loss_d.detach(), rtol=1e-5, atol=1e-6)
    assert_close(losses["loss_g"], loss_g.detach(), rtol=1e-4, atol=1e-5)
    for mine, by_hand in ((learner.generator, g), (learner.discriminator, d)):
        for (name, a), b in zip(mine.state_dict().items(), by_hand.state_dict().values(), strict=True):
            assert_close(a, b, rtol=1e-3, atol=2e-4, msg=lambda m, name=name: f"{name}: {m}")


def test_both_players_are_improved_and_d_only_by_its_own_loss(gan):
    learner = make(gan.but(lrG=1e-2, lrD=1e-2), SHAPE, 10)
    before = {k: deepcopy(m) for k, m in learner.modules.items()}
    gradients = []
    adam = learner.optimizers["discriminator"]
    adam.register_step_pre_hook(lambda *_: gradients.extend(p.grad.clone() for p in learner.discriminator.parameters()))
    step(learner)
    for name, module in learner.modules.items():
        for p, old in zip(module.parameters(), before[name].parameters(), strict=True):
            assert not torch.equal(p, old)
            assert p.requires_grad
    assert len(gradients) == len(list(learner.discriminator.parameters()))  # one update of D a step
    for p, gradient in zip(learner.discriminator.parameters(), gradients, strict=True):
        assert torch.equal(p.grad, gradient)  # the generator's loss added nothing


def test_the_fakes_of_both_updates_are_the_same(gan):
    learner = make(gan, SHAPE, 10)
    made, seen = [], []
    learner.generator.register_forward_hook(lambda m, i, out: made.append(out.detach().clone()))
    learner.discriminator.register_forward_hook(lambda m, i, out: seen.append(i[0].detach().clone()))
    step(learner)
    assert len(made) == 1
    assert len(seen) == 3
    assert torch.equal(seen[0], batch())
    assert torch.equal(seen[1], made[0])
    assert torch.equal(seen[2], made[0])


def test_the_minimax_loss_gives_the_generator_little_gradient_when_d_is_sure(gan):
    sizes = {}
    for loss in ("minimax", "non-saturating"):
        learner = make(gan.but(loss=loss, lrD=0.0), SHAPE, 10)
        last = learner.discriminator.main[-2]
        learner.discriminator.main[-2] = torch.nn.Sequential(last, Shift(-8.0))  # D calls everything a fake
        step(learner)
        sizes[loss] = sum(p.grad.square().sum() for p in learner.generator.parameters()).sqrt()
    assert sizes["non-saturating"] > 500 * sizes["minimax"]


class Shift(torch.nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x + self.by


def samples(learner, n=5, seed=3):
    (only,) = learner.sample(n, learner.settle(Sampling()), rng(seed))
    return only


def test_a_generator_yields_its_samples_once(gan):
    learner = make(gan, SHAPE, 10)
    end = samples(learner)
    assert end.x.shape == (5, *SHAPE)
    assert end.t == 0
    assert end.x.abs().max() <= 1
    assert not end.x.requires_grad


def test_the_same_seed_gives_the_same_images_bit_for_bit(gan):
    learner = make(gan, SHAPE, 10)
    step(learner)
    assert torch.equal(samples(learner).x, samples(learner).x)
    assert not torch.equal(samples(learner).x, samples(learner, seed=4).x)


def test_sampling_leaves_the_batch_norm_and_the_training_alone(gan):
    learner = make(gan, SHAPE, 10)
    step(learner)
    before = deepcopy(learner.generator.state_dict())
    assert any("running_mean" in k for k in before)
    samples(learner)
    for name, value in learner.generator.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert learner.generator.training
    step(learner)
    assert not torch.equal(learner.generator.main[1].running_mean, before["main.1.running_mean"])


def test_an_image_does_not_depend_on_those_drawn_with_it(gan):
    learner = make(gan, SHAPE, 10)
    step(learner)
    z = torch.randn(5, gan.nz, 1, 1, generator=rng())
    learner._latent = lambda n, rng: z[:n]
    assert_close(samples(learner, n=5).x[:2], samples(learner, n=2).x)


def test_the_plane_has_a_gan_of_its_own(gan):
    learner = make(gan.but(network="mlp", nz=2, ngf=8, ndf=8), (2,), 25)
    losses = step(learner, torch.randn(16, 2, generator=rng()))
    assert losses["loss_d"].isfinite()
    assert samples(learner).x.shape == (5, 2)


@pytest.mark.parametrize("shape", [(3, 12, 12), (3, 4, 4), (2,)])
def test_dcgan_refuses_other_samples_than_images_of_a_power_of_two(gan, shape):
    with pytest.raises(ConfigError, match="8, 16, 32, 64"):
        GAN(gan, shape)


def test_the_planes_gan_refuses_images(gan):
    with pytest.raises(ConfigError, match="use dcgan"):
        GAN(gan.but(network="mlp"), SHAPE)


@pytest.mark.parametrize(
    "asked", [{"sampler": "ddim"}, {"n_steps": 2}, {"eta": 0.0}, {"clip_x0": False}, {"weights": "ema"}]
)
def test_a_sampling_that_means_nothing_to_a_gan_is_refused(gan, asked):
    learner = make(gan, SHAPE, 10)
    with pytest.raises(ConfigError, match=f"{next(iter(asked))}=.* does not apply to a GAN"):
        learner.settle(Sampling(**asked))


def test_a_gans_sampling_is_settled(gan):
    learner = make(gan, SHAPE, 10)
    settled = learner.settle(Sampling(n=3))
    assert (settled.sampler, settled.n_steps, settled.weights, settled.n) == ("generator", 1, "raw", 3)
    assert learner.settle(settled) == settled


def test_fourier_features_belong_to_mlps_alone():
    assert make(GANConfig(network="mlp", fourier=3), (2,), 1).modules["discriminator"].main[0].in_features == 2 * 7
    with pytest.raises(ConfigError, match="fourier=3"):
        GANConfig(fourier=3)
