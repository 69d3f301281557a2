import math
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import nn

from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.config import Config
from gendiff_lib.data import load
from gendiff_lib.diffusion.config import ConvNetwork
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.errors import ConfigError, DataError
from gendiff_lib.gan.model import GAN
from gendiff_lib.progress import Progress, TrainingError
from gendiff_lib.training import build as build_module
from gendiff_lib.training import loop, operations
from gendiff_lib.training.build import build, images_at, make
from gendiff_lib.training.loop import fit
from gendiff_lib.training.operations import operations_per_image

from ..resuming import begin, goes_on_bit_for_bit, same


def train(config):
    learner, dataset, progress = begin(config)
    for _ in fit(learner, dataset, config, progress):
        pass
    return learner, progress


def test_weights_depend_on_the_seed_alone_and_leave_the_global_generator_be(points):
    torch.manual_seed(5)
    a, state = make(points, (2,), 25), torch.get_rng_state()
    b = make(points, (2,), 25)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(a, b)
    assert not same(a, make(points.but(seed=1), (2,), 25))


def test_a_configuration_of_no_kind_has_no_learner():
    with pytest.raises(ConfigError, match="no learner is made from a Config"):
        make(Config(), (2,), 2)


def test_a_training_is_repeatable_and_moves_with_its_seed(gan):
    (a, first), (b, second) = train(gan), train(gan)
    assert same(a, b)
    assert repr(first.history) == repr(second.history)
    assert not same(a, train(gan.but(seed=1))[0])


@pytest.mark.parametrize("name", ["points", "gan", "conv"])
@pytest.mark.parametrize("done", [1, 9, 17, 23])  # of 24 updates, some inside a row of a tenth of an epoch
def test_a_training_taken_up_anywhere_equals_one_that_never_stopped(request, name, done):
    config = request.getfixturevalue(name).but(epochs=1, n_train=96, batch_size=4, flip=name != "points")
    goes_on_bit_for_bit(config, done)


def test_epochs_are_fractions_that_are_rounded_to_a_batch(points):
    for epochs, updates in ((0.01, 1), (0.25, 2), (0.3, 2), (0.32, 3), (1.0, 8), (1.13, 9), (2.5, 20)):  # of 8 a pass
        _, progress = train(points.but(epochs=epochs))
        assert progress.updates == updates
        assert progress.images == updates * 32 == images_at(epochs, 8, 32)
        assert progress.epochs == updates / 8


def test_a_fraction_of_an_epoch_is_the_beginning_of_a_longer_one(points):
    short, long = (begin(points.but(epochs=e)) for e in (0.625, 1.5))
    for learner, dataset, progress in (short, long):
        for _ in fit(learner, dataset, points.but(epochs=1.5 if learner is long[0] else 0.625), progress):
            if progress.updates == 5:
                break
    assert same(short[0], long[0])
    assert repr(short[2].history) == repr(long[2].history)


def test_operations_are_those_of_an_image_times_the_images(points, gan, capsys):
    for config in (points, gan):
        learner, dataset, progress = begin(config)
        each, seen = operations_per_image(config, dataset), []
        for _ in fit(learner, dataset, config, progress):
            seen.append((progress.images, progress.operations))
        assert each > 100
        assert seen == [(n * config.batch_size, each * n * config.batch_size) for n in range(1, len(seen) + 1)]
    assert capsys.readouterr().out == ""  # the counter has a table of its own to print


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_convolutions_gradients_cost_twice_its_own_operations_in_groups_too(groups, transposed):
    layer = (nn.ConvTranspose2d if transposed else nn.Conv2d)(8, 16, 4, 2, 1, groups=groups)
    x = torch.randn(2, 8, 10, 10, requires_grad=True)
    with operations.counting() as forward:
        y = layer(x)
    with operations.counting() as backward:
        y.sum().backward()
    side = 10 if transposed else 5
    assert forward.get_total_flops() == 2 * 2 * side**2 * 8 * 16 * 16 // groups
    assert backward.get_total_flops() == 2 * forward.get_total_flops()
    with operations.counting() as frozen:
        layer.requires_grad_(False)(x).sum().backward()
    assert frozen.get_total_flops() == 2 * forward.get_total_flops()


class Doubled(Diffusion):
    """A learner whose updates cost twice as much from the middle of its second epoch on."""

    def phase(self, progress):
        return "double" if progress.epochs >= 1.5 else "single"

    def step(self, x, labels, progress, rng):
        if self.phase(progress) == "double":
            super().step(x, labels, progress, rng)
        return super().step(x, labels, progress, rng)


def test_a_learner_of_two_phases_is_counted_as_it_is_done(points, monkeypatch):
    each = operations_per_image(points, load("gaussians"))
    monkeypatch.setattr(build_module, "Diffusion", Doubled)
    learner, dataset, progress = begin(points)
    whole = [progress.operations for _ in fit(learner, dataset, points, progress)]
    steps = [b - a for a, b in pairwise([0, *whole])]
    assert steps == [each * 32] * 12 + [2 * each * 32] * 4
    learner, dataset, progress = begin(points)
    for _ in fit(learner, dataset, points, progress):
        if progress.updates == 13:
            break
    state = deepcopy(progress.state_dict())
    *_, rest = begin(points)
    rest.load_state_dict(state)
    for _ in fit(learner, dataset, points, rest):
        pass
    assert rest.operations == whole[-1]


@pytest.mark.parametrize("name", ["points", "gan"])
def test_the_losses_of_the_first_twenty_updates_are_kept_bit_for_bit(request, name):
    config = request.getfixturevalue(name).but(n_train=160, batch_size=4, epochs=1)
    learner, dataset, progress = begin(config)
    seen = []

    def step(*arguments):
        losses = learner.step(*arguments)
        seen.append({k: v.item() for k, v in losses.items() if k.startswith("loss")})
        return losses

    for _ in fit(learner, dataset, config, progress, step):
        pass
    assert len(seen) == 40
    assert progress.first == seen[:20]


def test_counting_operations_and_diagnosing_leave_the_training_alone(gan, monkeypatch):
    whole, history = train(gan.but(epochs=2))
    monkeypatch.setattr(operations, "operations_per_image", lambda *_: 0)
    monkeypatch.setattr(GAN, "diagnose", lambda self: {})
    other, plain = train(gan.but(epochs=2))
    assert same(whole, other)
    assert [row["loss_d"] for row in history.history] == [row["loss_d"] for row in plain.history]


def test_history_has_ten_rows_an_epoch_and_no_step_is_lost(points):
    _, progress = train(points.but(batch_size=8, n_train=200))
    assert len(progress.history) == 20
    assert [row["step"] for row in progress.history][-1] == 50
    assert [row["images"] for row in progress.history][-1] == progress.images == 400
    assert [row["epoch"] for row in progress.history][9] == 1
    assert progress.history[0]["step"] in (2, 3)
    assert (progress.epoch, progress.step, progress.losses) == (2, 0, [])
    assert (progress.epochs, progress.updates) == (2, 50)


def test_a_row_is_the_mean_of_its_steps(points, monkeypatch):
    count = iter(range(-1, 100))  # the first is the one whose operations are counted
    monkeypatch.setattr(
        "gendiff_lib.diffusion.model.Diffusion.step", lambda *_: {"loss": torch.tensor(float(next(count)))}
    )
    monkeypatch.setattr(loop, "ROWS_PER_EPOCH", 2)
    _, progress = train(points.but(epochs=1))  # eight steps
    assert [row["loss"] for row in progress.history] == [1.5, 5.5]
    assert [row["epoch"] for row in progress.history] == [0.5, 1.0]


def test_a_short_epoch_has_a_row_a_step(points):
    _, progress = train(points.but(epochs=1, n_train=96))
    assert [row["step"] for row in progress.history] == [1, 2, 3]


def test_a_learner_is_told_how_far_the_training_is(points, monkeypatch):
    told = []
    monkeypatch.setattr(
        "gendiff_lib.diffusion.model.Diffusion.step",
        lambda self, x, y, progress, rng: told.append(progress.epochs) or {"loss": torch.zeros(())},
    )
    train(points.but(n_train=64))
    told.pop(0)  # the one of two images, whose operations are counted
    assert told == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_and_likely_cause(points, monkeypatch, value):
    losses = iter([1.0] * 11 + [value] + [1.0] * 20)  # the first is the one whose operations are counted
    monkeypatch.setattr("gendiff_lib.diffusion.model.Diffusion.step", lambda *_: {"loss": torch.tensor(next(losses))})
    with pytest.raises(TrainingError) as stopped:
        train(points)
    assert str(stopped.value) == (
        f"loss became {value} at step 3 of epoch 2: "
        "the likely cause is too high a learning rate (lr=0.001), so lower it"
    )


def test_a_gan_that_diverges_names_both_players_rates(gan):
    progress = Progress(
        torch.Generator(), 1, losses=[{"loss_d": torch.tensor(1.0)}, {"loss_g": torch.tensor(math.inf)}]
    )
    with pytest.raises(TrainingError, match=r"loss_g became inf .* \(lrG=0.0002, lrD=0.0002\), so lower it"):
        loop.check_losses(progress, gan.but(lr_decay=1000))


def test_in_bf16_the_precision_is_a_suspect_too(points):
    progress = Progress(torch.Generator(), 1, losses=[{"loss": torch.tensor(math.nan)}])
    with pytest.raises(TrainingError, match=r"or set precision=fp32 \(it is bf16\)"):
        loop.check_losses(progress, points.but(precision="bf16"))


def test_too_high_a_learning_rate_is_what_it_says_it_is(conv):
    class Exploding(torch.optim.SGD):
        pass

    learner, dataset, progress = begin(conv.but(epochs=30))
    learner.optimizers["net"] = Exploding(learner.net.parameters(), lr=1e6)
    with pytest.raises(TrainingError, match=r"loss became (nan|inf) at step \d+ of epoch \d+: the likely cause"):
        for _ in fit(learner, dataset, conv.but(epochs=30), progress):
            pass


def test_too_few_samples_are_refused(points):
    with pytest.raises(DataError, match="batch_size=32 is more than the 31"):
        train(points.but(n_train=31))


def test_one_whole_batch_is_enough(points):
    _, progress = train(points.but(n_train=32, epochs=1))
    assert (progress.updates, progress.images, progress.epoch) == (1, 32, 1)


def test_a_training_that_is_done_does_nothing_more(points):
    learner, dataset, progress = begin(points)
    assert len(list(fit(learner, dataset, points, progress))) == 16
    before = deepcopy(learner.state_dict())
    assert list(fit(learner, dataset, points, progress)) == []
    torch.testing.assert_close(learner.state_dict(), before, rtol=0, atol=0)


def test_a_learner_is_built_where_it_is_asked_for(points):
    dataset = load(points.dataset)
    assert build(points, dataset, torch.device("meta")).device.type == "meta"
    assert build(points, dataset).device.type == "cpu"


def test_what_does_not_fit_is_refused_before_it_starts(points, conv, gan):
    for config, words in (
        (points.but(image_size=8), "image_size=8"),
        (points.but(network=ConvNetwork()), "'conv' works on images"),
        (gan.but(image_size=12), "8, 16, 32, 64"),
        (ClassifierConfig(dataset="shapes:8"), "at least 16 pixels"),
    ):
        with pytest.raises(Exception, match=words):
            build(config, load(config.dataset))


def test_every_kind_is_trained_by_the_same_loop(points, conv, gan):
    classifier = ClassifierConfig(dataset="shapes:16", n_train=32, batch_size=16, width=2)
    for config in (points, conv, gan, classifier):
        learner, progress = train(config.but(epochs=1))
        assert progress.epoch == 1
        assert progress.images == config.n_train
        assert all(p.isfinite().all() for m in learner.modules.values() for p in m.parameters())
