from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.errors import ConfigError
from gendiff_lib.progress import Progress
from gendiff_lib.training.build import make

BEGIN = Progress(torch.Generator(), 1)
SHAPES = {"points": (2,), "conv": (3, 8, 8), "gan": (3, 8, 8)}


@pytest.fixture(params=SHAPES)
def learner(request):
    return make(request.getfixturevalue(request.param), SHAPES[request.param], 10)


def improve(learner, steps=2, seed=1):
    rng = torch.Generator().manual_seed(seed)
    for i in range(steps):
        x = torch.rand(8, *learner.shape, generator=rng) * 2 - 1
        learner.step(x, torch.zeros(8).long(), Progress(rng, steps, step=i), rng)


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_who_only_samples_makes_no_optimisers(learner):
    *_, last = learner.sample(2, Sampling(n=2, weights="raw"), torch.Generator())
    assert len(last.x) == 2
    assert "optimizers" not in vars(learner)
    improve(learner, 1)
    assert {*learner.optimizers} == {*learner.state_dict()["optimizers"]} != set()


def test_a_state_put_back_goes_on_bit_for_bit(learner):
    improve(learner)
    other = make(learner.config.but(seed=7), learner.shape, 10)
    assert not same(other.weights(), learner.weights())
    other.load_state_dict(deepcopy(learner.state_dict()))
    improve(learner, seed=2)
    improve(other, seed=2)
    for k, module in learner.modules.items():
        assert same(module.state_dict(), other.modules[k].state_dict())


def test_weights_keep_what_is_needed_to_use_it(learner):
    improve(learner)
    kept = {k: v.clone() for k, v in learner.weights().items()}
    assert {k.split(".")[0] for k in kept} - {"running"} == set(learner.saved)
    other = make(learner.config.but(seed=7), learner.shape, 10)
    other.load_weights(kept)
    assert same(other.weights(), kept)
    assert not any(other.modules[k].training for k in other.saved)


def test_a_gan_keeps_its_generator_and_diffusion_its_average(gan, points, conv):
    assert make(gan, (3, 8, 8), 10).saved == ("generator",)
    assert make(points, (2,), 25).saved == ("net", "ema")
    assert make(conv, (3, 8, 8), 10).saved == ("net",)


def test_weights_that_do_not_fit_are_refused(points):
    small, large = make(points, (2,), 25), make(points.but(**{"network.hidden_dim": 16}), (2,), 25)
    with pytest.raises(ConfigError, match="do not fit net of 'points'"):
        large.load_weights(small.weights())
    with pytest.raises(ConfigError, match="do not fit net"):
        small.load_weights({})


def test_losses_are_named_and_carry_no_graph(learner):
    losses = learner.step(torch.zeros(4, *learner.shape), torch.zeros(4).long(), BEGIN, generator())
    named = {name for name in losses if name.startswith("loss")}
    assert named == ({"loss_d", "loss_g"} if learner.config.kind == "gan" else {"loss"})
    assert all(losses[name].isfinite() for name in named)
    for loss in losses.values():
        assert loss.shape == ()
        assert not loss.requires_grad


def test_bf16_is_for_the_networks_alone(learner):
    half = make(learner.config.but(precision="bf16"), learner.shape, 10)
    losses = [k.step(torch.rand(8, *k.shape), torch.zeros(8).long(), BEGIN, generator()) for k in seeded(learner, half)]
    assert {v.dtype for v in losses[1].values()} == {torch.float32}
    assert {p.dtype for m in half.modules.values() for p in m.parameters()} == {torch.float32}
    for name, value in losses[0].items():
        assert_close(losses[1][name], value, rtol=0.05, atol=0.02, equal_nan=True)
        assert losses[1][name] != value or not name.startswith("loss")


def seeded(*learners):
    for learner in learners:
        torch.manual_seed(0)
        yield learner


def generator():
    return torch.Generator().manual_seed(0)
