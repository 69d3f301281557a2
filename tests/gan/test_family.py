"""The GANs beyond the paper's own: turns, penalties, warm-up, growing, classes and averages, in one learner."""

import math
from copy import deepcopy

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate, softplus
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.data import load
from gendiff_lib.errors import ConfigError
from gendiff_lib.experiments import EXPERIMENTS, get
from gendiff_lib.gan.config import (
    DCGANNetwork,
    GANConfig,
    PointGANNetwork,
    ProgressiveNetwork,
    R3GANNetwork,
    ResNetGANNetwork,
)
from gendiff_lib.gan.model import turns
from gendiff_lib.gan.settling import settle
from gendiff_lib.progress import Progress
from gendiff_lib.training.build import make

from ..resuming import goes_on_bit_for_bit

SHAPE = (3, 32, 32)
TINY = {"resnet": ResNetGANNetwork(ngf=8, ndf=8), "r3gan": R3GANNetwork(widths=(8,) * 4, blocks=(1,) * 4)}
PAIRED = GANConfig(
    network=TINY["r3gan"], nz=6, loss="relativistic", penalty="r1+r2", gamma=0.3, lrG=1e-3, lrD=2e-3, beta1=0.0
)
GANS = [n for n, e in EXPERIMENTS.items() if "smoke" in e.presets and e.presets["smoke"].kind == "gan"]
GANS = [name for name in GANS if not name.startswith(("live-", "study-"))]  # studies change a number alone


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=6, seed=9):
    return torch.rand(n, *SHAPE, generator=rng(seed)) * 2 - 1


def at(update, images=0):
    return Progress(rng(), 10**6, step=update, images=images)


def step(learner, update=0, x=None, y=None, images=0):
    x = batch() if x is None else x
    y = torch.arange(len(x)) if y is None else y
    return learner.step(x, y, at(update, images), rng(update))


# ---------------------------------------------------------------- every experiment


@pytest.mark.parametrize("name", GANS)
def test_every_experiment_goes_on_bit_for_bit_where_it_was_broken_off(name):
    config = get(name, "smoke", n_train=36, batch_size=4, epochs=1)
    if config.network.type == "progressive":
        config = config.but(**{"network.fade": 8})
    goes_on_bit_for_bit(config, 4)


@pytest.mark.parametrize("name", GANS)
def test_every_experiment_draws_what_its_snapshot_keeps(name):
    config = get(name, "smoke")
    live, sampling = make(config, load("shapes").bridge.shape(config.image_size), 10), Sampling()
    if config.network.type == "progressive":
        step(live, images=300)  # while the second stage fades in
    (drawn,) = (s.x for s in live.sample(5, sampling, rng(4)))
    loaded = make(config.but(seed=1), drawn.shape[1:], 10)
    loaded.load_weights(live.weights())
    assert torch.equal(next(loaded.sample(5, sampling, rng(4))).x, drawn)
    assert drawn.std(0).mean() > 0


# ---------------------------------------------------------------- turns


def test_whose_turn_a_step_is():
    assert turns(1, paired=False) == ("both",)
    assert turns(3, paired=False) == ("critic", "critic", "both")
    assert turns(2, paired=True) == ("critic", "critic", "generator")


def changed(learner, before):
    return {
        name
        for name, module in learner.modules.items()
        if any(not torch.equal(a, b) for a, b in zip(module.parameters(), before[name].parameters(), strict=True))
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (PAIRED, [{"discriminator"}, {"generator"}, {"discriminator"}]),
        (
            GANConfig(network=TINY["resnet"], nz=6, loss="hinge", n_critic=3),
            [{"discriminator"}, {"discriminator"}, {"discriminator", "generator"}, {"discriminator"}],
        ),
    ],
)
def test_each_step_updates_the_players_whose_turn_it_is(config, expected):
    learner = make(config, SHAPE, 10)
    for update, players in enumerate(expected):
        before = {k: deepcopy(m) for k, m in learner.modules.items()}
        told = step(learner, update)
        assert changed(learner, before) == players
        assert {k for k in told if k.startswith("loss")} == {f"loss_{p[0]}" for p in players}
        assert all(p.requires_grad for p in learner.discriminator.parameters())
        assert learner.phase(at(update)).split()[0] == learner.turns[update % len(learner.turns)]


def test_relativistic_updates_are_those_computed_by_hand():
    learner = make(PAIRED, SHAPE, 10)
    g, d = deepcopy(learner.generator), deepcopy(learner.discriminator)
    adam_d = torch.optim.Adam(d.parameters(), 2e-3, (0.0, 0.999))
    adam_g = torch.optim.Adam(g.parameters(), 1e-3, (0.0, 0.999))

    x = batch().requires_grad_()
    fake = g(torch.randn(6, 6, 1, 1, generator=rng(0))).detach().requires_grad_()
    real, made = d(x), d(fake)
    slopes = [torch.autograd.grad(o.sum(), i, create_graph=True)[0] for o, i in ((real, x), (made, fake))]
    penalty = 0.3 / 2 * sum(s.square().sum((1, 2, 3)).mean() for s in slopes)
    loss_d = softplus(made - real).mean()
    (loss_d + penalty).backward()
    adam_d.step()
    told = step(learner, 0)
    assert_close(told["loss_d"], loss_d + penalty)
    assert_close(told["penalty"], penalty.detach())

    other = batch(seed=10)
    fake = g(torch.randn(6, 6, 1, 1, generator=rng(1)))
    loss_g = softplus(d(other).detach() - d(fake)).mean()
    adam_g.zero_grad()
    loss_g.backward()
    adam_g.step()
    assert_close(step(learner, 1, other)["loss_g"], loss_g.detach())
    for mine, by_hand in ((learner.generator, g), (learner.discriminator, d)):
        for a, b in zip(mine.parameters(), by_hand.parameters(), strict=True):
            assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_critic_whose_zero_means_nothing_is_right_where_it_parts_real_from_fake():
    learner = make(GANConfig(network=ResNetGANNetwork(ngf=8, ndf=8, spectral_d=False), loss="wasserstein"), SHAPE, 10)
    learner.discriminator.leave.bias.data.fill_(50.0)
    before = step(learner)
    learner.discriminator.leave.bias.data.fill_(-50.0)
    after = step(learner)
    assert before["accuracy_real"] + before["accuracy_fake"] > 0
    assert max(before["accuracy_fake"], after["accuracy_real"]) > 0  # at zero one of them would be none


# ---------------------------------------------------------------- rates, averages, augmentation


def rates(config, images):
    adams = {k: torch.optim.Adam([torch.zeros(1)], 5.0) for k in ("generator", "discriminator")}
    settle(adams, config, images)
    return [(a.param_groups[0]["lr"], a.param_groups[0]["betas"]) for a in adams.values()]


def test_a_warm_up_goes_from_r3gans_starting_values_to_the_configurations_own():
    config = GANConfig(lrG=1e-3, lrD=2e-3, beta1=0.0, beta2=0.99, warm_up=1000)
    for images, factor, beta2 in ((0, 4.0, 0.9), (500, 2.5, 0.945), (1000, 1.0, 0.99), (5000, 1.0, 0.99)):
        (g, betas), (d, _) = rates(config, images)
        assert (g, d) == (pytest.approx(factor * 1e-3), pytest.approx(factor * 2e-3))
        assert betas == (0.0, pytest.approx(beta2))
    quarter = 4 - 3 * (1 - math.cos(math.pi / 4)) / 2
    assert rates(config, 250)[0][0] == pytest.approx(quarter * 1e-3)


def test_rates_fall_to_zero_and_stay_where_nothing_asks_for_less():
    config = GANConfig(lrG=1e-3, lr_decay=1000)
    assert [rates(config, images)[0][0] for images in (0, 250, 1000, 2000)] == pytest.approx([1e-3, 7.5e-4, 0, 0])
    assert rates(config.but(lr_decay=None), 10)[0] == (5.0, (0.9, 0.999))  # as they were made


def test_a_penalty_begins_tenfold():
    learner = make(PAIRED.but(warm_up=100, lrD=0.0), SHAPE, 10)
    first, last = (step(learner, images=images)["penalty"] for images in (0, 100))
    assert_close(first, 10 * last)


def test_averaged_weights_are_drawn_from_and_kept_with_statistics_of_their_own():
    config = GANConfig(network=TINY["resnet"], nz=6, loss="hinge", ema=50.0, lrG=1e-2)
    learner = make(config, SHAPE, 10)
    for update in range(3):
        step(learner, update)
    raw, averaged = (next(learner.sample(4, Sampling(weights=w), rng())).x for w in ("raw", "ema"))
    assert (raw - averaged).abs().max() > 1e-3
    assert learner.resolve(Sampling()).weights == "ema"
    kept = learner.weights()
    for net, prefix in ((learner.generator, "generator"), (learner.ema.net, "ema")):
        assert torch.equal(kept[f"{prefix}.enter.weight"], net.enter.weight)
    assert not torch.equal(kept["ema.norm.running_mean"], kept["generator.norm.running_mean"])
    assert torch.equal(kept["running.norm.running_mean"], learner.generator.norm.running_mean)
    other = make(config.but(ema=None), SHAPE, 10)
    with pytest.raises(ConfigError, match="weights='ema' asks for averaged weights that this run has not kept"):
        other.resolve(Sampling(weights="ema"))
    with pytest.raises(ConfigError, match="batchnorm=running does not apply to averaged weights"):
        learner.resolve(Sampling(batchnorm="running"))


def test_the_average_counts_all_images_between_two_updates_of_the_generator():
    config = GANConfig(network=TINY["resnet"], nz=6, loss="hinge", ema=30.0, n_critic=3)
    learner, seen = make(config, SHAPE, 10), []
    learner.ema.update = lambda source, n: seen.append(n)
    for update in range(6):
        step(learner, update)
    assert seen == [18, 18]


def test_both_sides_are_augmented_before_the_discriminator_sees_them():
    plain = GANConfig(network=DCGANNetwork(ngf=4, ndf=4), nz=6)
    shown = []
    learner = make(plain.but(augment=("cutout",)), SHAPE, 10)
    learner.discriminator.register_forward_hook(lambda m, i, out: shown.append(i[0].detach()))
    step(learner)
    assert len(shown) == 3
    assert all((x == 0).flatten(1).float().mean(1).min() > 0.05 for x in shown)  # a part of each image is grey
    assert not torch.equal(shown[1] == 0, shown[2] == 0)  # each time at another place


@pytest.mark.parametrize("which", ["recomputed", "running", "batch"])
def test_spectrally_normalised_generators_are_kept_as_they_are_whichever_statistics_are_asked_for(which):
    config = GANConfig(network=ResNetGANNetwork(ngf=8, ndf=8, spectral=True), nz=6, loss="hinge", lrG=1e-2)
    live = make(config, SHAPE, 10)
    for update in range(3):
        step(live, update)
    loaded = make(config.but(seed=1), SHAPE, 10)
    loaded.load_weights(live.weights())
    drawn = [next(learner.sample(4, Sampling(batchnorm=which), rng())).x for learner in (live, loaded)]
    assert_close(*drawn)


# ---------------------------------------------------------------- classes


@pytest.mark.parametrize("network", ["resnet", "r3gan"])
def test_both_players_are_told_the_class(network):
    config = PAIRED.but(network=TINY[network], conditional=True)
    config = config if network == "r3gan" else config.but(penalty=None, gamma=None, loss="hinge")
    learner, told = make(config, SHAPE, 10), []
    for net in (learner.generator, learner.discriminator):
        net.register_forward_hook(lambda m, i, out: told.append((type(m).__name__, i[1].tolist())))
    step(learner, y=torch.tensor([3, 1, 4, 1, 5, 9]))
    assert {tuple(y) for _, y in told} == {(3, 1, 4, 1, 5, 9)}
    assert {name for name, _ in told} == {"Generator", "Discriminator"}
    told.clear()
    list(learner.sample(400, Sampling(), rng()))
    assert set(told[-1][1]) == set(range(10))
    assert make(config, SHAPE, 3).generator.state_dict().keys() == learner.generator.state_dict().keys()


def test_classes_of_samples_are_drawn_evenly_and_by_the_given_generator():
    learner = make(GANConfig(network=TINY["resnet"], nz=6, conditional=True, loss="hinge"), SHAPE, 10)
    y = learner._classes(4000, rng(1))
    assert torch.equal(y, learner._classes(4000, rng(1)))
    assert y.bincount(minlength=10).min() > 330


# ---------------------------------------------------------------- growing


def test_growing_players_are_shown_real_images_as_young_as_their_fakes():
    config = GANConfig(network=ProgressiveNetwork(ngf=8, ndf=8, fade=100), nz=6)
    learner, seen = make(config, SHAPE, 10), []
    learner.discriminator.register_forward_hook(lambda m, i, out: seen.append(i[0].detach()))
    step(learner, images=150)
    assert_close(seen[0], learner.discriminator.faded(batch()))
    assert not torch.allclose(seen[0], batch())


def test_growing_players_train_at_the_side_of_their_stage():
    config = GANConfig(network=ProgressiveNetwork(ngf=8, ndf=8, fade=100), nz=6)
    learner = make(config, SHAPE, 10)
    for images, side in ((0, 8), (99, 8), (200, 16), (400, 32)):
        step(learner, images=images)
        (x,) = (s.x for s in learner.sample(4, Sampling(), rng()))
        assert_close(interpolate(avg_pool2d(x, 32 // side), 32), x)
        if side < 32:
            assert not torch.allclose(interpolate(avg_pool2d(x, 64 // side), 32), x)
    assert learner.phase(at(0, 0)) != learner.phase(at(0, 150)) != learner.phase(at(0, 200))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"penalty": "r1"}, "penalty=r1 and gamma=None go together: give both or neither"),
        ({"gamma": 1.0}, "penalty=None and gamma=1.0 go together"),
        ({"loss": "hinge", "real_label": 0.9}, "real_label=0.9 does not apply to loss=hinge, which has no labels"),
        ({"conditional": True}, "conditional=true does not apply to network=dcgan: use resnet or r3gan"),
        ({"network": PointGANNetwork(), "augment": ("color",)}, "augment=color is for images: leave it out"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        GANConfig(**changes)


@pytest.mark.parametrize("penalty", ["r1", "r1+r2", "wgan-gp"])
def test_a_penalty_on_a_critic_with_batch_norm_is_refused(penalty):
    with pytest.raises(
        ConfigError, match=rf"penalty={penalty.replace('+', '.')} is of each image alone, .* batch norm"
    ):
        make(GANConfig(penalty=penalty, gamma=1.0), SHAPE, 10)
    make(GANConfig(penalty=penalty, gamma=1.0, network=DCGANNetwork(norm_d="none")), SHAPE, 10)
