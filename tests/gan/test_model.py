import math
from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.errors import ConfigError
from gendiff_lib.gan.config import DCGANNetwork, GANConfig, PointGANNetwork
from gendiff_lib.gan.model import GAN
from gendiff_lib.progress import Progress
from gendiff_lib.streams import stream
from gendiff_lib.training.build import make

SHAPE = (3, 8, 8)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=6):
    return torch.rand(n, *SHAPE, generator=rng(9)) * 2 - 1


def step(learner, x=None, seed=0):
    x = batch() if x is None else x
    return learner.step(x, torch.zeros(len(x)).long(), Progress(rng(), 1), rng(seed))


@pytest.mark.parametrize("real_label", [1.0, 0.9])
@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_an_update_is_the_papers_computed_by_hand(gan, loss, real_label):
    config = gan.but(loss=loss, real_label=real_label, lrG=1e-2, lrD=3e-2, beta1=0.4)
    learner = make(config, SHAPE, 10)
    g, d = deepcopy(learner.generator), deepcopy(learner.discriminator)
    adam_g = torch.optim.Adam(g.parameters(), lr=1e-2, betas=(0.4, 0.999))
    adam_d = torch.optim.Adam(d.parameters(), lr=3e-2, betas=(0.4, 0.999))

    z = torch.randn(6, gan.nz, 1, 1, generator=rng())
    fake, p_real = g(z), d(batch()).sigmoid()
    loss_d = -(real_label * p_real.log() + (1 - real_label) * (1 - p_real).log()).mean()
    loss_d = loss_d - (1 - d(fake.detach()).sigmoid()).log().mean()
    loss_d.backward()
    adam_d.step()
    p_fake = d(fake).sigmoid()
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


def samples(learner, n=5, seed=3, batchnorm=None):
    (only,) = learner.sample(n, learner.resolve(Sampling(batchnorm=batchnorm)), rng(seed))
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
    learner.latents = lambda n, rng: z[:n]
    assert_close(samples(learner, n=5).x[:2], samples(learner, n=2).x)


def test_the_plane_has_a_gan_of_its_own(gan):
    learner = make(gan.but(network=PointGANNetwork(ngf=8, ndf=8), nz=2), (2,), 25)
    losses = step(learner, torch.randn(16, 2, generator=rng()))
    assert losses["loss_d"].isfinite()
    assert samples(learner).x.shape == (5, 2)


@pytest.mark.parametrize("shape", [(3, 12, 12), (3, 4, 4), (2,)])
def test_dcgan_refuses_other_samples_than_images_of_a_power_of_two(gan, shape):
    with pytest.raises(ConfigError, match="8, 16, 32, 64"):
        GAN(gan, shape)


def test_the_planes_gan_refuses_images(gan):
    with pytest.raises(ConfigError, match="use dcgan"):
        GAN(gan.but(network=PointGANNetwork()), SHAPE)


@pytest.mark.parametrize(
    "asked", [{"sampler": "ddim"}, {"n_steps": 2}, {"grid": "rho"}, {"eta": 0.0}, {"guidance": 0.0}, {"clip_x0": False}]
)
def test_a_sampling_that_means_nothing_to_a_gan_is_refused(gan, asked):
    learner = make(gan, SHAPE, 10)
    with pytest.raises(ConfigError, match=f"{next(iter(asked))}=.* does not apply to a GAN"):
        learner.resolve(Sampling(**asked))


def test_a_gans_sampling_is_resolved(gan):
    learner = make(gan, SHAPE, 10)
    resolved = learner.resolve(Sampling(n=3))
    assert (resolved.sampler, resolved.n_steps, resolved.weights, resolved.n) == ("generator", 1, "raw", 3)
    assert learner.resolve(resolved) == resolved


def test_fourier_features_belong_to_mlps_alone():
    network = PointGANNetwork(fourier=3)
    assert make(GANConfig(network=network), (2,), 1).modules["discriminator"].main[0].in_features == 2 * 7
    with pytest.raises(ConfigError, match="'fourier' is no field of DCGANNetwork"):
        GANConfig().but(**{"network.fourier": 3})


# ---------------------------------------------------------------- batch statistics


def trained(gan, steps=12):
    """A briefly trained GAN, whose weights have moved far enough for its running statistics to lag behind."""
    learner = make(gan.but(lrG=2e-2, lrD=1e-2), SHAPE, 10)
    for i in range(steps):
        step(learner, seed=i)
    return learner


def by_hand(learner, seed):
    """The mean and the unbiased variance of what enters each batch norm, averaged over 20 batches of 128 latents."""
    generator, found = deepcopy(learner.generator).train(), {}
    norms = {k: m for k, m in generator.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    for name, norm in norms.items():
        norm.register_forward_pre_hook(lambda m, i, name=name: found.setdefault(name, []).append(i[0]))
    with torch.no_grad():
        for i in range(20):
            generator(torch.randn(128, 4, 1, 1, generator=stream("batchnorm", seed, i)))
    means = {f"{k}.running_mean": torch.stack([x.mean((0, 2, 3)) for x in xs]).mean(0) for k, xs in found.items()}
    return means | {f"{k}.running_var": torch.stack([x.var((0, 2, 3)) for x in xs]).mean(0) for k, xs in found.items()}


def test_kept_weights_hold_the_statistics_of_fixed_noise_and_leave_the_training_alone(gan):
    learner = trained(gan.but(seed=5))
    before, noise = deepcopy(learner.state_dict()), torch.get_rng_state()
    kept = learner.weights()
    assert torch.equal(torch.get_rng_state(), noise)
    assert_close(learner.state_dict(), before, rtol=0, atol=0)
    assert learner.generator.training
    expected = by_hand(learner, 5)
    assert len(expected) == 2
    for name, value in expected.items():
        assert_close(kept[f"generator.{name}"], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(kept[f"running.{name}"], learner.generator.get_buffer(name))
        assert not torch.allclose(kept[f"generator.{name}"], kept[f"running.{name}"], rtol=0.02)
    assert kept.keys() == {f"generator.{k}" for k in before["modules"]["generator"]} | {
        f"running.{k}" for k in expected
    }
    for name, p in learner.generator.named_parameters():
        assert torch.equal(kept[f"generator.{name}"], p)


def loaded(learner):
    other = make(learner.config.but(lrG=1e-3), SHAPE, 10)
    other.load_weights({k: v.clone() for k, v in learner.weights().items()})
    return other


@pytest.mark.parametrize("batchnorm", [None, "recomputed", "running", "batch"])
def test_a_live_generator_and_a_loaded_one_draw_the_same(gan, batchnorm):
    learner = trained(gan)
    assert torch.equal(samples(learner, batchnorm=batchnorm).x, samples(loaded(learner), batchnorm=batchnorm).x)


def test_the_statistics_that_are_asked_for_are_used(gan):
    for learner in (trained(gan), loaded(trained(gan))):
        own, recomputed, running, batch = (
            samples(learner, batchnorm=b).x for b in (None, "recomputed", "running", "batch")
        )
        assert torch.equal(own, recomputed)
        for a, b in ((own, running), (own, batch), (running, batch)):
            assert (a - b).abs().max() > 0.01
    z = torch.randn(5, 4, 1, 1, generator=rng(3))
    live = trained(gan)
    with torch.no_grad():
        assert torch.equal(samples(live, batchnorm="running").x, deepcopy(live.generator).eval()(z))
        assert torch.equal(samples(live, batchnorm="batch").x, deepcopy(live.generator).train()(z))


def test_weights_put_back_are_kept_again_as_they_were(gan):
    learner = trained(gan)
    assert_close(loaded(learner).weights(), learner.weights(), rtol=0, atol=0)


@pytest.mark.parametrize("batchnorm", ["recomputed", "running", "batch"])
@pytest.mark.parametrize("network", [DCGANNetwork(ngf=4, ndf=4, norm="none"), PointGANNetwork(ngf=8, ndf=8)])
def test_a_generator_without_batch_norm_has_no_statistics_to_choose(gan, network, batchnorm):
    learner = make(gan.but(network=network), (2,) if network.type == "mlp" else SHAPE, 10)
    with pytest.raises(ConfigError, match=f"batchnorm={batchnorm} does not apply: this generator has none; leave it"):
        learner.resolve(Sampling(batchnorm=batchnorm))
    assert learner.resolve(Sampling()).batchnorm is None
    assert {k.split(".")[0] for k in learner.weights()} == {"generator"}


def test_a_gans_resolved_sampling_names_its_statistics(gan):
    learner = make(gan, SHAPE, 10)
    assert learner.resolve(Sampling()).batchnorm == "recomputed"
    assert learner.resolve(Sampling(batchnorm="running")).batchnorm == "running"


# ---------------------------------------------------------------- diagnostics and noise


class Known(torch.nn.Module):
    """A generator whose images are a multiple of the latent's first number, all over."""

    def __init__(self, slope):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(slope))

    def forward(self, z):
        return self.slope * z[:, :1].expand(-1, 3, 8, 8)


@pytest.mark.parametrize("slope", [0.0, 0.5, 2.0])
def test_diversity_is_the_root_mean_square_difference_of_two_images(gan, slope):
    learner = make(gan.but(seed=3), SHAPE, 10)
    learner.generator = learner.modules["generator"] = Known(slope)
    z = torch.randn(64, 4, 1, 1, generator=stream("diversity", 3))[:, 0].flatten().double()
    pairs = (z[:, None] - z[None, :]) ** 2
    expected = slope * (pairs.sum() / (64 * 63)).sqrt()
    assert_close(learner.diagnose()["diversity"].double(), expected, rtol=1e-5, atol=0)


def test_diagnosing_changes_nothing(gan):
    learner = trained(gan)
    before, noise = deepcopy(learner.state_dict()), torch.get_rng_state()
    first = learner.diagnose()
    assert_close(learner.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), noise)
    assert learner.generator.training
    assert first["diversity"] > 0
    assert torch.equal(learner.diagnose()["diversity"], first["diversity"])
    step(learner)
    assert learner.diagnose()["diversity"] != first["diversity"]


def test_a_step_tells_norms_and_what_the_discriminator_gets_right(gan):
    learner = make(gan.but(lrG=0.0, lrD=0.0), SHAPE, 10)
    z = torch.randn(6, gan.nz, 1, 1, generator=rng())
    with torch.no_grad():
        real, fake = learner.discriminator(batch()), learner.discriminator(deepcopy(learner.generator)(z))
    told = step(learner)
    assert told["accuracy_real"] == (real > 0).float().mean()
    assert told["accuracy_fake"] == (fake < 0).float().mean()
    for name, key in (("generator", "grad_norm_g"), ("discriminator", "grad_norm_d")):
        norm = torch.cat([p.grad.flatten() for p in learner.modules[name].parameters()]).norm()
        assert_close(told[key], norm)


def test_a_discriminator_that_says_one_half_is_right_about_nothing(gan):
    learner = make(gan, SHAPE, 10)
    torch.nn.init.zeros_(learner.discriminator.main[-2].weight)
    told = step(learner)
    assert (told["accuracy_real"], told["accuracy_fake"]) == (0, 0)
    assert told["loss_d"].item() == pytest.approx(2 * math.log(2))


def test_clipping_bounds_the_gradients_of_both_players(gan):
    learner = make(gan.but(clip_grad=1e-3), SHAPE, 10)
    told = step(learner)
    assert min(told["grad_norm_g"], told["grad_norm_d"]) > 1e-3
    for module in learner.modules.values():
        assert torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_a_gan_is_not_judged_on_the_latents_it_was_trained_with(gan):
    drawn = {
        p: torch.randn(64, gan.nz, 1, 1, generator=stream(p, 0)).flatten() for p in ("training", "samples", "sheet")
    }
    assert len({float(z[0]) for z in drawn.values()}) == 3
    assert torch.corrcoef(torch.stack(list(drawn.values()))).triu(1).abs().max() < 0.25
