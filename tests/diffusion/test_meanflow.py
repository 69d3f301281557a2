"""MeanFlow: its derivative and cost, its identity and sampler on Gaussian data, whose average velocity is known."""

import math
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from gendiff_lib.config import Sampling
from gendiff_lib.data import load
from gendiff_lib.diffusion.config import DiffusionConfig, MLPNetwork
from gendiff_lib.diffusion.jvp import jvp
from gendiff_lib.diffusion.meanflow import RATE, SHARE, MeanFlow, SlowFlow, adaptive
from gendiff_lib.diffusion.model import Diffusion, denoiser
from gendiff_lib.errors import ConfigError
from gendiff_lib.experiments import get
from gendiff_lib.experiments.cost import training_operations
from gendiff_lib.progress import Progress
from gendiff_lib.training.build import build, evaluations, make, start
from gendiff_lib.training.loop import fit
from gendiff_lib.training.operations import operations_per_image

from ..resuming import goes_on_bit_for_bit
from . import small
from .small import SHAPE, drawn, rng

NETWORKS = {**small.NETWORKS, "mlp": MLPNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4, fourier=1)}
SMALL = DiffusionConfig(
    dataset="gaussians", n_train=256, batch_size=32, schedule="flow", prediction="v", mean_from=0, lr=3e-3,
    network=MLPNetwork(n_layers=2, hidden_dim=32, timestep_embedding_dim=16),
)  # fmt: skip
MEAN, STD = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 1.5])  # of Gaussian data in the plane


def states(n, shape, dtype=torch.float64):
    g = rng(1)
    z, v = (torch.randn(n, *shape, generator=g, dtype=dtype) for _ in range(2))
    t = torch.linspace(0.4, 0.9, n, dtype=torch.float64)
    return z, v, t, t * torch.linspace(0.1, 0.8, n, dtype=torch.float64)


def learned(name, **changes):
    shape = (2,) if name == "mlp" else SHAPE
    learner = make(SMALL.but(network=NETWORKS[name], **changes), shape, 10)
    drawn(learner.net)
    return learner, shape


# ---------------------------------------------------------------- the derivative


@pytest.mark.parametrize("name", NETWORKS)
def test_the_derivative_is_that_of_finite_differences_in_float64(name):
    learner, shape = learned(name)
    learner.net.double()
    z, v, t, r = states(3, shape)
    u, change = learner.average(z, v, t, r)

    def along(h):  # r stays where it is
        return learner.net(z + h * v, RATE * (t + h), span=RATE * (t + h - r))

    h = 1e-5
    with torch.no_grad():
        assert torch.equal(u, along(0.0))
        assert_close(change, (along(h) - along(-h)) / (2 * h), rtol=1e-6, atol=1e-6)
        assert change.abs().max() > 0.1


@pytest.mark.parametrize("name", NETWORKS)
def test_value_and_derivative_are_torchs_own(name):
    net, shape = drawn(denoiser(NETWORKS[name], (2,) if name == "mlp" else SHAPE)), (2,) if name == "mlp" else SHAPE
    z, v, t, _ = states(3, shape, torch.float32)
    given, tangents = (z, t.float()), (v, torch.ones(3))
    value, change = jvp(net, given, tangents)
    expected, product = torch.func.jvp(net, given, tangents)
    assert_close(value, expected)
    assert_close(change, product.detach(), rtol=1e-4, atol=1e-4)
    assert value.requires_grad
    assert not change.requires_grad


def test_the_value_trains_the_weights_as_without_the_derivative():
    net = drawn(denoiser(NETWORKS["unet"], SHAPE))
    z, v, t, _ = states(3, SHAPE, torch.float32)
    jvp(net, (z, t.float()), (v, None))[0].square().sum().backward()
    mine = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net(z, t.float()).square().sum().backward()
    assert_close(mine, [p.grad for p in net.parameters()], rtol=1e-4, atol=1e-4)


def test_what_does_not_depend_on_the_way_does_not_change_along_it():
    x, y = torch.randn(3), torch.randn(3)
    value, change = jvp(lambda x, y: 2 * y, (x, y), (torch.ones(3), None))
    assert torch.equal(value, 2 * y)
    assert torch.equal(change, torch.zeros(3))


# ---------------------------------------------------------------- cost


def test_a_product_costs_one_pass_forward_more():
    """By hand: a weight of an MLP is used once forward and at most twice backward, and once more along the way."""
    config = SMALL.but(mean_from=320, network=SMALL.network.but(hidden_dim=8))
    dataset, learner = load("gaussians"), make(config, (2,), 25)
    once = sum(2 * m.weight.numel() for m in learner.net.modules() if isinstance(m, nn.Linear))
    at = {images: Progress(rng(), 8, images=images) for images in (0, 319, 320)}
    before, still, after = (operations_per_image(config, dataset, progress) for progress in at.values())
    assert before == still
    assert after - before == SHARE * once
    assert 2 * once < before < 3 * once
    assert [learner.phase(p) for p in at.values()] == ["velocities", "velocities", "averages"]
    assert not learner.steady
    assert make(config.but(mean_from=0), (2,), 25).steady


def test_of_a_transformer_too_but_for_its_attention_which_moves_on_both_sides():
    learner, shape = learned("transformer")
    z, v, t, r = states(2, shape, torch.float32)
    with FlopCounterMode(display=False) as plain:
        learner.net(z, RATE * t).square().sum().backward()
    with FlopCounterMode(display=False) as product:
        learner.average(z, v, t, r)[0].square().sum().backward()
    assert 1 + 1 / 3 < product.get_total_flops() / plain.get_total_flops() < 1.5


@pytest.mark.parametrize("batch_size", [1, 2, 6, 32, 50])
def test_operations_are_those_of_a_whole_batch(batch_size):
    config = SMALL.but(batch_size=batch_size, n_train=100)
    learner = make(config, (2,), 25)
    x, y = torch.randn(batch_size, 2, generator=rng()), torch.zeros(batch_size).long()
    with FlopCounterMode(display=False) as counter:
        learner.step(x, y, Progress(rng(), 1), rng())
    assert operations_per_image(config, load("gaussians")) == counter.get_total_flops() // batch_size


def test_a_training_adds_up_what_its_steps_did():
    config = SMALL.but(mean_from=160, epochs=1.5)  # 12 updates of 32, the first five of them plain
    dataset = load("gaussians").choose(256, "n_train")
    begun = start(config, dataset, torch.device("cpu"))
    for _ in fit(build(config, dataset, torch.device("cpu")), dataset, config, begun):
        pass
    costs = [operations_per_image(config, dataset, Progress(rng(), 8, images=n)) for n in (0, 160)]
    assert begun.operations == 32 * (5 * costs[0] + 7 * costs[1]) == training_operations(config)


# ---------------------------------------------------------------- the identity


def test_where_r_is_t_it_is_plain_flow_matching_exactly():
    config = SMALL.but(mean_from=1000)
    mean, plain = make(config, (2,), 25), Diffusion(config, (2,))
    plain.schedule = SlowFlow()
    plain.net.load_state_dict(mean.net.state_dict())
    x, y = torch.randn(32, 2, generator=rng(2)), torch.zeros(32).long()
    a, b = (learner.step(x, y, Progress(rng(), 1), rng(3)) for learner in (mean, plain))
    assert [a[k].item() for k in a if k.startswith("error")] == [b[k].item() for k in b if k.startswith("error")]


@pytest.mark.parametrize("name", NETWORKS)
def test_an_interval_of_no_length_has_the_flows_target_exactly(name):
    learner, shape = learned(name)
    z, v, t, _ = states(4, shape, torch.float32)
    expected = learner.net(z, RATE * t) - v
    assert torch.equal(learner._error(z, v, t, t, 4, {}), expected)


def test_a_quarter_of_a_batch_has_intervals_and_t_is_their_end():
    learner = make(SMALL, (2,), 25)
    t = torch.rand(32, generator=rng(), dtype=torch.float64)
    r, later = learner._intervals(t, 8, rng(1))
    other = torch.rand(8, generator=rng(1), dtype=torch.float64)
    assert torch.equal(r, torch.cat([torch.minimum(t[:8], other), t[8:]]))
    assert torch.equal(later, torch.cat([torch.maximum(t[:8], other), t[8:]]))
    assert (r < later).sum() == learner.averaged == 8


def test_one_update_is_that_computed_by_hand():
    learner = make(SMALL.but(batch_size=4), (2,), 25)
    net, g, x = deepcopy(learner.net), rng(5), torch.randn(4, 2, generator=rng(2))
    t = torch.rand(4, generator=g, dtype=torch.float64)
    eps, other = torch.randn(4, 2, generator=g), torch.rand(1, generator=g, dtype=torch.float64)
    r = t.clone()
    r[0], t[0] = min(t[0], other[0]), max(t[0], other[0])
    z, v = (1 - t).float()[:, None] * x + t.float()[:, None] * eps, eps - x
    u, change = torch.func.jvp(
        lambda z, t, r: net(z, RATE * t, span=RATE * (t - r)), (z, t, r), (v, torch.ones_like(t), torch.zeros_like(r))
    )
    s = (u - (v - (t - r).float()[:, None] * change).detach()).square().sum(1)
    loss = (s / (s.detach() + 1e-3) ** 0.75).mean()
    found = learner.step(x, torch.zeros(4).long(), Progress(rng(), 1), rng(5))
    assert_close(found["loss"], loss.detach())
    loss.backward()
    assert_close([p.grad for p in learner.net.parameters()], [p.grad for p in net.parameters()], rtol=1e-3, atol=1e-5)


def test_the_weight_of_an_error_is_a_constant_power_of_it():
    squared = torch.tensor([4.0, 0.5], requires_grad=True)
    loss = adaptive(squared)
    assert loss.item() == pytest.approx((4 / 4.001**0.75 + 0.5 / 0.501**0.75) / 2)
    loss.backward()
    assert squared.grad.tolist() == pytest.approx([0.5 / 4.001**0.75, 0.5 / 0.501**0.75])


def between(z, t, r):
    """Where the probability flow of Gaussian data leads from z at t, at r: as many deviations from the mean."""
    t, r = (k[:, None].to(z.dtype) for k in (t, r))
    std_t, std_r = (((1 - k) ** 2 * STD**2 + k**2).sqrt() for k in (t, r))
    return (1 - r) * MEAN + std_r / std_t * (z - (1 - t) * MEAN)


def velocity(z, t):
    """Of the same flow: the derivative of where it leads."""
    h = 1e-6
    return (between(z, t, t + h) - between(z, t, t - h)) / (2 * h)


def exact(x, s, y=None, span=None):
    """The average velocity of that flow, as a network gives it, told RATE times its times."""
    span = torch.zeros_like(s) if span is None else span / RATE
    whole = (x - between(x, s / RATE, s / RATE - span)) / span[:, None].clamp(min=1e-9).to(x.dtype)
    return torch.where(span[:, None] > 0, whole, velocity(x.double(), (s / RATE).double()).to(x.dtype))


@pytest.fixture
def oracle():
    learner = make(SMALL, (2,), 25)
    learner.net.forward = exact
    return learner


def test_the_exact_average_velocity_is_its_own_target(oracle):
    z, _, t, r = states(6, (2,))
    v = velocity(z, t)
    u, change = oracle.average(z, v, t, r)
    assert_close(u, v - (t - r)[:, None] * change, rtol=1e-6, atol=1e-6)
    assert (u - v).abs().max() > 0.1  # which the velocity itself is not
    assert oracle._error(z.float(), v.float(), t, r, 6, {}).abs().max() < 1e-4


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_with_it_one_step_transports_one_gaussian_to_the_other_and_so_do_many(oracle, n_steps):
    first, *_, last = oracle.sample(500, Sampling(n_steps=n_steps), rng())
    assert_close(last.x, MEAN + STD * first.x, rtol=1e-4, atol=1e-4)


def test_other_samplers_are_told_the_velocity_itself(oracle):
    first, *_, last = oracle.sample(500, Sampling(sampler="heun", n_steps=60), rng())
    assert_close(last.x, MEAN + STD * first.x, rtol=0, atol=0.01)
    first, *_, last = oracle.sample(500, Sampling(sampler="ddim", n_steps=1), rng())
    assert last.x.std(0).max() < 0.05  # along the velocity at the noise end all of it goes to the mean


def trained(config, updates=500):
    learner, g = make(config, (2,), 25), rng()
    for i in range(updates):
        x = MEAN + STD * torch.randn(128, 2, generator=g)
        learner.step(x, torch.zeros(128).long(), Progress(g, updates, step=i, images=128 * i), g)
    return learner


def test_trained_on_gaussian_data_it_samples_them_in_one_step_and_a_flow_in_many():
    small = SMALL.but(batch_size=128, ema=128 * 50.0)
    mean, plain = (trained(small.but(mean_from=start)) for start in (128 * 100, None))
    for learner, sampling, off in (
        (mean, Sampling(n_steps=1), 0.3),
        (mean, Sampling(n_steps=4), 0.3),
        (plain, Sampling(sampler="heun", n_steps=20), 0.15),
    ):
        *_, last = learner.sample(4000, sampling, rng(4))
        assert_close(torch.stack([last.x.mean(0), last.x.std(0)]), torch.stack([MEAN, STD]), rtol=0, atol=off)
    *_, last = plain.sample(4000, Sampling(sampler="ddim", n_steps=1), rng(4))
    assert last.x.std(0).max() < 0.3  # its one step goes to the mean


# ---------------------------------------------------------------- as a learner


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("conditional", [False, True])
def test_every_weight_is_trained(name, conditional):
    learner, shape = learned(name, conditional=conditional, batch_size=8)
    x, y = torch.randn(8, *shape, generator=rng()), torch.arange(8)
    learner.step(x, y, Progress(rng(), 1), rng())
    still = [n for n, p in learner.net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert still == []
    assert any(n.startswith("time.span.") for n, _ in learner.net.named_parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_dropout_and_the_average_are_as_usual(precision):
    config = SMALL.but(network=NETWORKS["unet"].but(dropout=0.5), ema=50.0, batch_size=8, precision=precision)
    learner = make(config, SHAPE, 10)
    x, y = torch.randn(8, *SHAPE, generator=rng()), torch.zeros(8).long()
    losses = [learner.step(x, y, Progress(rng(), 9, step=i), rng(i))["loss"].item() for i in range(6)]
    assert all(map(math.isfinite, losses))
    drift = [
        (a - b).abs().max().item() for a, b in zip(learner.net.parameters(), learner.ema.net.parameters(), strict=True)
    ]
    assert max(drift) > 0
    a, b, raw = ([*learner.sample(3, Sampling(weights=w), rng(2))][-1].x for w in (None, None, "raw"))
    assert torch.equal(a, b)  # without dropout
    assert not torch.equal(a, raw)


def test_it_is_no_graph_and_has_a_sampler_of_its_own(points):
    config = points.but(mean_from=0)
    assert isinstance(make(config, (2,), 25), MeanFlow)
    assert not make(config, (2,), 25).capturable
    resolved = make(config, (2,), 25).resolve(Sampling())
    assert (resolved.sampler, resolved.n_steps, resolved.clip_x0) == ("meanflow", 1, False)
    assert [evaluations(Sampling(n_steps=n), config, (2,)) for n in (None, 3)] == [1, 3]
    with pytest.raises(ConfigError, match="sampler 'meanflow' needs average velocities, which this model has not "):
        make(points, (2,), 25).resolve(Sampling(sampler="meanflow"))
    with pytest.raises(ConfigError, match="clip_x0=true does not apply to sampler 'meanflow': leave it out"):
        make(SMALL, SHAPE, 10).resolve(Sampling(clip_x0=True))


@pytest.mark.parametrize(
    ("field", "value", "only"),
    [
        ("schedule", "cosine", "flow"),
        ("prediction", "x0", "v"),
        ("weighting", "inverse-std", "uniform"),
        ("objective", "vlb", "simple"),
    ],
)
def test_what_is_no_flow_of_velocities_is_refused(field, value, only):
    with pytest.raises(ConfigError, match=f"{field}={value} does not go with mean_from=0: use {only}"):
        make(SMALL.but(**{field: value}), (2,), 25)


@pytest.mark.parametrize("name", ["meanflow", "flow-cond"])
def test_every_experiment_goes_on_bit_for_bit_where_it_was_broken_off(name):
    config = get(name, "smoke", n_train=40, batch_size=4, epochs=1)
    if config.mean_from is not None:
        config = config.but(mean_from=20)
    goes_on_bit_for_bit(config, 4)
