"""Classes and classifier-free guidance: what is dropped, what guidance computes, what it costs, and who refuses it."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from gendiff_lib.config import Sampling
from gendiff_lib.data import load
from gendiff_lib.diffusion import guidance
from gendiff_lib.diffusion.config import DiffusionConfig, MLPNetwork
from gendiff_lib.diffusion.guidance import drop_class, guided
from gendiff_lib.diffusion.model import denoiser
from gendiff_lib.diffusion.samplers import SAMPLERS
from gendiff_lib.errors import ConfigError
from gendiff_lib.progress import Progress
from gendiff_lib.runs.train import train
from gendiff_lib.training.build import evaluations, make, resolve
from gendiff_lib.training.operations import operations_per_image

from ..resuming import goes_on_bit_for_bit
from .small import NETWORKS, SHAPE, drawn, rng

N = 10  # classes


@pytest.fixture
def told(points):
    """A learner in the plane that is told classes, all of its weights drawn."""
    learner = make(points.but(conditional=True, ema=None), (2,), N)
    drawn(learner.net)
    return learner


def end(learner, seed=3, n=6, **sampling):
    *_, last = learner.sample(n, Sampling(**sampling), rng(seed))
    return last.x


# ---------------------------------------------------------------- networks and training


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_told_the_class_and_without_one_its_last_row(name):
    net = drawn(denoiser(NETWORKS[name], SHAPE, n_classes=N))
    x, s = torch.randn(3, *SHAPE, generator=rng()), torch.tensor([3.0, 70.0, 700.0])
    one, other = (net(x, s, torch.tensor(y)) for y in ([0, 1, 2], [0, 5, 2]))
    changed = (one - other).flatten(1).abs().amax(1)
    assert changed[1] > 1e-3
    assert changed[[0, 2]].max() < 1e-5
    assert torch.equal(net(x, s), net(x, s, torch.full((3,), N)))
    assert (net(x, s) - one).abs().max() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_classes_add_an_embedding_and_move_no_name(name):
    plain, known = (denoiser(NETWORKS[name], SHAPE, n_classes=n).state_dict() for n in (None, N))
    assert [k for k in known if k not in plain] == ["time.classes.weight"]
    assert len(known["time.classes.weight"]) == N + 1
    assert all(known[k].shape == v.shape for k, v in plain.items())


def test_a_tenth_of_the_classes_is_dropped_for_the_row_of_none():
    y = torch.arange(N).repeat(2000)
    seen = drop_class(y, N, rng())
    assert (seen == N).double().mean().item() == pytest.approx(0.1, abs=0.008)  # four standard errors
    assert torch.equal(seen[seen != N], y[seen != N])
    assert torch.equal(seen, drop_class(y, N, rng()))


@pytest.mark.parametrize(("share", "row"), [(0.0, 4), (1.0, N)])
def test_a_dropped_class_trains_the_row_of_none(told, monkeypatch, share, row):
    monkeypatch.setattr(guidance, "DROPPED", share)
    told.step(torch.randn(6, 2, generator=rng()), torch.full((6,), 4), Progress(rng(), 1), rng())
    (rows,) = told.net.time.classes.weight.grad.abs().sum(1).nonzero(as_tuple=True)
    assert rows.tolist() == [row]


def test_a_model_without_classes_draws_nothing_for_them(points):
    plain, known = (make(points.but(conditional=c), (2,), N) for c in (False, True))
    x, y = torch.randn(6, 2, generator=rng()), torch.zeros(6).long()
    left = []
    for learner in (plain, known):
        g = rng(5)
        learner.step(x, y, Progress(rng(), 1), g)
        left.append(torch.rand(1, generator=g).item())
    g = rng(5)
    torch.rand(6, generator=g, dtype=torch.float64)
    torch.randn(6, 2, generator=g)
    assert left[0] == torch.rand(1, generator=g).item() != left[1]


def test_it_learns_which_class_is_where_and_guidance_goes_further():
    """Two overlapping classes around -1 and 1: guided samples lie further out, those of no class on both sides."""
    config = DiffusionConfig(
        network=MLPNetwork(n_layers=2, hidden_dim=32, timestep_embedding_dim=16),
        schedule="flow", prediction="v", conditional=True, lr=3e-3,
    )  # fmt: skip
    learner, g = make(config, (2,), 2), rng()
    for i in range(500):
        y = torch.randint(2, (128,), generator=g)
        x = (2 * y - 1)[:, None] + 0.8 * torch.randn(128, 2, generator=g)
        learner.step(x, y, Progress(g, 500, step=i), g)
    means, y = {}, torch.arange(2).repeat_interleave(400)
    for w, told in ((None, y), (2.0, y), (None, None)):
        sampling = learner.resolve(Sampling(sampler="ddim", n_steps=20, guidance=w))
        with torch.no_grad():
            run = SAMPLERS["ddim"].run(
                learner.denoise(sampling, told), learner.schedule, torch.randn(800, 2, generator=rng(1)),
                n_steps=20, rng=rng(),
            )  # fmt: skip
            *_, last = run
        means[w, told is None] = [last.x[y == k].mean().item() for k in (0, 1)]
    assert means[None, False] == pytest.approx([-1, 1], abs=0.25)
    assert means[2.0, False][0] < means[None, False][0] - 0.3
    assert means[2.0, False][1] > means[None, False][1] + 0.3
    assert means[None, True] == pytest.approx([0, 0], abs=0.3)


# ---------------------------------------------------------------- guidance


def test_guidance_is_ho_and_salimanss_mix(told):
    x, s, y = torch.randn(4, 2, generator=rng()), torch.full((4,), 300.0), torch.tensor([0, 3, 3, 9])
    expected = 2.5 * told.net(x, s, y) - 1.5 * told.net(x, s, torch.full((4,), N))
    assert_close(guided(told.net, y, N, 1.5)(x, s), expected)
    assert (expected - told.net(x, s, y)).abs().max() > 1e-3


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_a_mix_of_what_is_predicted_is_the_mix_of_the_noises(conv, prediction):
    learner = make(conv.but(conditional=True, prediction=prediction), SHAPE, N)
    drawn(learner.net)
    x, t, y = torch.randn(3, *SHAPE, generator=rng()), torch.tensor(4.0).double(), torch.tensor([1, 2, 9])
    scale, std = (f(t).float() for f in (learner.schedule.scale, learner.schedule.std))

    def eps(w, y):
        sampling = learner.resolve(Sampling(guidance=w, clip_x0=False))
        return (x - scale * learner.denoise(sampling, y)(x, t).x0) / std

    with torch.no_grad():
        assert_close(eps(2.0, y), 3 * eps(None, y) - 2 * eps(None, None), rtol=1e-3, atol=1e-3)


def test_no_guidance_is_the_conditional_model_bit_for_bit(told):
    assert torch.equal(end(told, guidance=0.0), end(told))
    assert (end(told, guidance=1.0) - end(told)).abs().max() > 1e-3
    assert told.resolve(Sampling(guidance=0.0)) == told.resolve(Sampling())  # so that what was drawn answers


def test_guidance_between_equal_classes_changes_nothing(told):
    with torch.no_grad():
        told.net.time.classes.weight.copy_(told.net.time.classes.weight[:1].clone())
    assert_close(end(told, guidance=4.0), end(told), rtol=1e-3, atol=1e-3)


def test_classes_are_drawn_evenly_by_the_given_generator_after_the_noise(told, monkeypatch):
    seen, denoise = [], told.denoise
    monkeypatch.setattr(told, "denoise", lambda sampling, y=None: seen.append(y) or denoise(sampling, y))
    first = next(told.sample(5000, Sampling(n_steps=1), rng(3)))
    g = rng(3)
    assert torch.equal(first.x, torch.randn(5000, 2, generator=g))
    assert torch.equal(seen[0], torch.randint(N, (5000,), generator=g))
    assert (torch.bincount(seen[0]) / 5000 - 0.1).abs().max() < 0.02


@pytest.mark.parametrize(("w", "times"), [(None, 1), (0.0, 1), (0.5, 2)])
@pytest.mark.parametrize("sampler", ["ddim", "heun", "unipc"])
def test_evaluations_and_operations_of_guidance_are_counted(told, sampler, w, times):
    sampling, calls = Sampling(sampler=sampler, n_steps=5, guidance=w), []
    told.net.register_forward_hook(lambda *_: calls.append(1))
    with FlopCounterMode(display=False) as counter:
        end(told, sampler=sampler, n_steps=5, guidance=w)
    done = evaluations(sampling, told.config, (2,))
    assert len(calls) == done == times * (9 if sampler == "heun" else 5)
    with FlopCounterMode(display=False) as one, torch.no_grad():
        told.net(torch.zeros(6, 2), torch.zeros(6))
    assert counter.get_total_flops() == done * one.get_total_flops()


def test_a_run_tells_its_evaluations_with_guidance(points):
    run = train(points.but(conditional=True, epochs=1))
    assert [run.evaluations(Sampling(n_steps=7, guidance=w)) for w in (None, 0.0, 1.0)] == [7, 7, 14]


def test_the_operations_of_training_are_those_without_classes(points):
    costs = {operations_per_image(points.but(conditional=c), load(points.dataset)) for c in (False, True)}
    assert len(costs) == 1  # a table is looked up, nothing multiplied


def test_guidance_is_refused_where_there_are_no_classes(points, gan):
    with pytest.raises(ConfigError, match=r"guidance=1\.5 does not apply to a model without classes: train it with "):
        resolve(Sampling(guidance=1.5), points, (2,))
    with pytest.raises(ConfigError, match=r"guidance=1\.5 does not apply to a GAN: leave it out"):
        resolve(Sampling(guidance=1.5), gan, SHAPE)


def test_guidance_is_refused_where_it_would_bend_a_learned_variance(conv):
    learned = conv.but(conditional=True, variance="learned", objective="hybrid", vlb_weight=0.001)
    with pytest.raises(ConfigError, match=r"guidance=1\.5 does not apply to variance=learned: leave it out, or train "):
        resolve(Sampling(guidance=1.5), learned, SHAPE)
    assert resolve(Sampling(guidance=0.0), learned, SHAPE).guidance is None  # which is the conditional model itself


def test_a_conditional_training_goes_on_bit_for_bit(points):
    goes_on_bit_for_bit(points.but(conditional=True), 5)
