from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.config import Sampling
from gendiff_lib.diffusion.config import UNetNetwork
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.diffusion.objectives import PREDICTIONS, TIMES, WEIGHTINGS
from gendiff_lib.diffusion.samplers import SAMPLERS
from gendiff_lib.errors import ConfigError
from gendiff_lib.progress import Progress
from gendiff_lib.streams import stream
from gendiff_lib.training.build import make

SHAPE = (3, 8, 8)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=6, shape=SHAPE):
    return torch.rand(n, *shape, generator=rng(9)) * 2 - 1


def step(learner, seed=0):
    return learner.step(batch(shape=learner.shape), torch.zeros(6).long(), Progress(rng(), 1), rng(seed))["loss"]


def samples(learner, sampling, n=4, seed=3):
    return list(learner.sample(n, learner.resolve(sampling), rng(seed)))


def test_the_loss_is_ddpms_mean_squared_error_on_the_noise(conv):
    learner = make(conv, SHAPE, 10)
    net, g = deepcopy(learner.net), rng()
    t = 1 + (torch.rand(6, generator=g, dtype=torch.float64) * 10).long()
    eps = torch.randn(6, *SHAPE, generator=g)
    alpha_bar = (1 - torch.linspace(0.01, 0.5, 10, dtype=torch.float64)).cumprod(0)[t - 1].float()[:, None, None, None]
    noisy = alpha_bar.sqrt() * batch() + (1 - alpha_bar).sqrt() * eps
    expected = (net(noisy, t - 1) - eps).square().mean()
    assert_close(step(learner), expected.detach())


def test_the_loss_on_a_flow_is_that_of_the_velocity(points):
    learner = make(points, (2,), 25)
    net, g, x = deepcopy(learner.net), rng(), batch(shape=(2,))
    t = torch.rand(6, generator=g, dtype=torch.float64).float()[:, None]
    eps = torch.randn(6, 2, generator=g)
    expected = (net((1 - t) * x + t * eps, 1000 * t[:, 0]) - (eps - x)).square().mean()
    assert_close(step(learner), expected.detach())


def test_a_weighting_weighs_each_samples_error(points):
    plain, weighed = (make(points.but(weighting=w), (2,), 25) for w in ("uniform", "inverse-std"))
    for learner in (plain, weighed):
        learner.times = lambda n, rng: torch.full((n,), 0.25, dtype=torch.float64)
    assert_close(step(weighed), 4 * step(plain))


def test_clipping_bounds_the_gradient(conv):
    free, clipped = (make(conv.but(clip_grad=c), SHAPE, 10) for c in (None, 1e-3))
    norms, told = [], []
    for learner in (free, clipped):
        told.append(learner.step(batch(), torch.zeros(6).long(), Progress(rng(), 1), rng())["grad_norm"].item())
        norms.append(torch.cat([p.grad.flatten() for p in learner.net.parameters()]).norm().item())
    assert norms[0] > 0.01
    assert norms[1] == pytest.approx(1e-3, rel=1e-3)
    assert told == pytest.approx([norms[0]] * 2)  # what is told is the norm before


def test_training_lowers_the_loss(points):
    learner = make(points.but(**{"network.hidden_dim": 32}), (2,), 25)
    losses = [step(learner, seed=i % 4).item() for i in range(400)]
    assert sum(losses[-8:]) < 0.7 * sum(losses[:8])


def test_the_average_follows_the_weights(points):
    learner = make(points.but(ema=2.0, lr=0.1), (2,), 25)  # images: reached by the ramp at the seventh update
    name = "enter.weight"
    average = learner.net.state_dict()[name].clone()
    for i in range(1, 12):
        step(learner, seed=i)
        decay = 0.5 ** (6 / min(0.05 * 6 * i, 2.0))
        average = decay * average + (1 - decay) * learner.net.state_dict()[name]
        assert_close(learner.modules["ema"].state_dict()[name], average)
    assert not torch.allclose(average, learner.net.state_dict()[name])


@pytest.mark.parametrize(("half_life", "batch"), [(512.0, 32), (512.0, 128), (3000.0, 8)])
def test_after_its_half_life_in_images_the_average_has_gone_half_the_way(points, half_life, batch):
    learner = make(points.but(ema=half_life), (2,), 25)
    learner.ema.updates.fill_(10**6)  # long after the ramp
    old = learner.net.leave.weight.detach().clone()
    with torch.no_grad():
        learner.net.leave.weight += 1
    for _ in range(round(half_life / batch)):
        learner.ema.update(learner.net, batch)
    assert_close(learner.modules["ema"].leave.weight, old + 0.5, rtol=0, atol=1e-4)


def test_early_in_a_training_the_average_is_of_its_last_twentieth(points):
    learner = make(points.but(ema=1e6), (2,), 25)
    with torch.no_grad():
        for i in range(400):
            learner.net.leave.weight.fill_(float(i))
            learner.ema.update(learner.net, 32)
    lag = 399 - learner.modules["ema"].leave.weight.mean().item()
    assert lag == pytest.approx(400 * 0.05 / 0.6931 * 0.933, rel=0.03)  # a twentieth over log 2; it grew on the way


@pytest.mark.parametrize("which", ["conv", "points"])
def test_the_errors_of_the_quarters_are_means_over_the_times_in_them(which, request):
    config = request.getfixturevalue(which)
    shape = (2,) if which == "points" else SHAPE
    learner = make(config.but(weighting="inverse-std"), shape, 25)
    net, g, x = deepcopy(learner.net), rng(), batch(shape=shape)
    t = learner.schedule.times(torch.rand(6, generator=g, dtype=torch.float64))
    eps = torch.randn(6, *shape, generator=g)
    noisy, target = torch.empty_like(x), torch.empty_like(x)
    for i in range(6):
        scale, std = learner.schedule.scale(t[i]).float(), learner.schedule.std(t[i]).float()
        noisy[i] = scale * x[i] + std * eps[i]
        target[i] = eps[i] if which == "conv" else eps[i] - x[i]
    error = (net(noisy, learner.schedule.time_input(t)) - target).detach().square().flatten(1).mean(1)
    end = 10 if which == "conv" else 1
    found = learner.step(x, torch.zeros(6).long(), Progress(rng(), 1), rng())
    for k in range(4):
        mine = [error[i] for i in range(6) if end * k / 4 < t[i] <= end * (k + 1) / 4]
        expected = torch.stack(mine).mean() if mine else torch.tensor(torch.nan)
        assert_close(found[f"error_quarter_{k + 1}"], expected, equal_nan=True)


def test_a_quarter_reaches_from_its_first_time_to_its_last(conv):
    learner = make(conv.but(n_timesteps=8, beta_minmax=(0.1, 0.9)), SHAPE, 10)
    error = torch.arange(1.0, 9.0)
    found = learner._by_quarter(error, torch.arange(1, 9, dtype=torch.float64))
    assert [v.item() for v in found.values()] == [1.5, 3.5, 5.5, 7.5]
    empty = learner._by_quarter(error[:2], torch.tensor([1.0, 8.0], dtype=torch.float64))
    assert [v.isnan().item() for v in empty.values()] == [False, True, True, False]


def test_sampling_uses_the_weights_it_is_asked_for(points):
    learner = make(points.but(lr=0.1), (2,), 25)
    for i in range(5):
        step(learner, seed=i)
    own, raw, ema = (samples(learner, Sampling(n_steps=3, weights=w))[-1].x for w in (None, "raw", "ema"))
    assert torch.equal(own, ema)
    assert not torch.equal(raw, ema)


@pytest.mark.parametrize("sampler", [name for name, known in SAMPLERS.items() if not known.averages])
def test_the_same_seed_gives_the_same_images_bit_for_bit(conv, sampler):
    learner = make(conv, SHAPE, 10)
    a, b, c = (samples(learner, Sampling(sampler=sampler), seed=s)[-1].x for s in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_sampling_yields_every_state_and_leaves_the_network_as_it_was(conv):
    learner = make(conv, SHAPE, 10)
    before = deepcopy(learner.net.state_dict())
    states = samples(learner, Sampling(sampler="ddim", n_steps=4))
    assert len(states) == 5
    assert (states[0].t, states[-1].t) == (10, 0)
    assert not states[-1].x.requires_grad
    assert learner.net.training
    assert all(torch.equal(v, before[k]) for k, v in learner.net.state_dict().items())


def test_there_is_no_dropout_in_sampling(conv):
    unet = conv.but(prediction="v", network=UNetNetwork(widths=(8,), n_blocks=1, attention=(), dropout=0.5))
    learner = make(unet, SHAPE, 10)
    for p in learner.net.parameters():
        torch.nn.init.normal_(p, 0, 0.2, generator=rng())
    outputs = [learner.net(batch(), torch.ones(6)) for _ in range(2)]
    assert not torch.equal(*outputs)  # there is some in training
    assert torch.equal(*(samples(learner, Sampling(n_steps=2))[-1].x for _ in range(2)))


def test_the_estimate_is_clipped_for_images_unless_it_is_not_wanted(conv):
    learner = make(conv, SHAPE, 10)
    torch.nn.init.constant_(learner.net.leave.bias, -3.0)
    clipped, free = (samples(learner, Sampling(clip_x0=c)) for c in (None, False))
    assert max(s.x0.abs().max() for s in clipped[1:]) == 1
    assert free[-1].x0.abs().max() > 1.5


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_perfect_network_brings_back_the_image(conv, prediction):
    learner = make(conv.but(prediction=prediction), SHAPE, 10)
    target = batch(4)

    def perfect(x, s):
        t = s + 1
        scale, std = (f(t).float()[:, None, None, None] for f in (learner.schedule.scale, learner.schedule.std))
        return learner.target(learner.schedule, target, (x - scale * target) / std, t)

    learner.net.forward = perfect
    assert_close(samples(learner, Sampling(sampler="ddim", n_steps=5))[-1].x, target, rtol=0, atol=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("times", TIMES)
def test_every_objective_trains(points, prediction, weighting, times):
    schedule = {"schedule": "cosine", "n_timesteps": 10} if prediction == "eps" else {}
    schedule = {"schedule": "edm"} if times == "log-normal" else schedule
    config = points.but(prediction=prediction, weighting=weighting, times=times, **schedule)
    learner = make(config, (2,), 25)
    before = learner.net.leave.weight.clone()
    assert step(learner).isfinite()
    assert not torch.equal(before, learner.net.leave.weight)


@pytest.mark.parametrize("field", ["schedule", "prediction", "weighting", "times", "preconditioning"])
def test_a_part_that_is_unknown_is_refused_with_those_there_are(points, field):
    with pytest.raises(ConfigError, match=f"{field}.*'other'"):
        Diffusion(points.but(**{field: "other"}, **({"prediction": "x0"} if field == "preconditioning" else {})), (2,))


def test_eps_is_refused_where_it_says_nothing_of_the_image(points):
    with pytest.raises(ConfigError, match="prediction 'eps' says nothing of x0 at the noise end of schedule 'flow'"):
        Diffusion(points.but(prediction="eps"), (2,))


def test_log_normal_times_are_refused_off_edms_schedule(points):
    with pytest.raises(ConfigError, match="times 'log-normal' are those of schedule 'edm', not of 'flow': use uniform"):
        Diffusion(points.but(times="log-normal"), (2,))


def test_a_rate_falls_to_zero_over_the_images_that_it_is_given_and_is_not_captured(points):
    learner = make(points.but(lr=0.1, lr_decay=24), (2,), 25)
    assert not learner.capturable
    assert make(points, (2,), 25).capturable
    (group,) = learner.optimizers["net"].param_groups
    progress, rates = Progress(rng(), 1), []
    for i in range(6):
        progress.images = 6 * i
        learner.step(batch(shape=(2,)), torch.zeros(6).long(), progress, rng(i))
        rates.append(group["lr"])
        if i == 4:
            kept = deepcopy(learner.net.state_dict())
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025, 0, 0])
    assert all(torch.equal(v, kept[k]) for k, v in learner.net.state_dict().items())  # no rate, no change


@pytest.mark.parametrize("batchnorm", ["recomputed", "running", "batch"])
def test_batch_statistics_are_not_a_diffusion_models(conv, batchnorm):
    with pytest.raises(ConfigError, match=f"batchnorm={batchnorm} does not apply to a diffusion model: leave it out"):
        make(conv, SHAPE, 10).resolve(Sampling(batchnorm=batchnorm))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_noise_of_samples_is_not_that_of_the_training(conv, seed):
    learner = make(conv, SHAPE, 10)
    drawn = torch.randn(4, *SHAPE, generator=stream("samples", seed))
    start = next(iter(learner.sample(4, learner.resolve(Sampling()), stream("samples", seed)))).x
    assert torch.equal(start, drawn)
    g = stream("training", seed)
    torch.rand(4, generator=g, dtype=torch.float64)
    eps = torch.randn(4, *SHAPE, generator=g)
    table = torch.corrcoef(torch.cat([start.flatten(1), eps.flatten(1)]))[:4, 4:]
    assert table.abs().max() < 0.25  # single images of 192 values: 0.07 is a standard deviation
    assert torch.corrcoef(torch.stack([start.flatten(), eps.flatten()]))[0, 1].abs() < 0.1
