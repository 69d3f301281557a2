import math

import pytest
import torch

from gendiff_lib import training
from gendiff_lib.config import ClassifierConfig, Config, ConfigError
from gendiff_lib.data import DataError, load
from gendiff_lib.training import Progress, TrainingError, build, fit, make, start


def begin(config):
    dataset = load(config.dataset).first(config.n_train)
    return build(config, dataset), dataset, start(config, torch.device("cpu"))


def train(config):
    learner, dataset, progress = begin(config)
    for _ in fit(learner, dataset, config, progress):
        pass
    return learner, progress


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.weights().values(), b.weights().values(), strict=True))


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
    assert first.history == second.history
    assert not same(a, train(gan.but(seed=1))[0])


@pytest.mark.parametrize("name", ["points", "gan"])
def test_a_training_taken_up_anywhere_equals_one_that_never_stopped(request, name):
    config = request.getfixturevalue(name).but(epochs=2, flip=name == "gan")
    whole, history = train(config)
    learner, dataset, progress = begin(config)
    steps = len(dataset.samples) // config.batch_size
    for _ in fit(learner, dataset, config, progress):
        if (progress.epoch, progress.step) == (1, steps // 2):
            break
    state = progress.state_dict() | {"learner": learner.state_dict()}
    torch.manual_seed(99)
    again, _, rest = begin(config.but(seed=3))
    again.load_state_dict(state["learner"])
    rest.load_state_dict(state)
    for _ in fit(again, dataset, config, rest):
        pass
    assert same(again, whole)
    assert rest.history == history.history
    assert rest.images == history.images


def test_history_has_ten_rows_an_epoch_and_no_step_is_lost(points):
    _, progress = train(points.but(batch_size=8, n_train=200))
    assert len(progress.history) == 20
    assert [row["step"] for row in progress.history][-1] == 50
    assert [row["images"] for row in progress.history][-1] == progress.images == 400
    assert [row["epoch"] for row in progress.history][9] == 1
    assert progress.history[0]["step"] in (2, 3)
    assert (progress.epoch, progress.step, progress.losses) == (2, 0, [])


def test_a_row_is_the_mean_of_its_steps(points, monkeypatch):
    count = iter(range(100))
    monkeypatch.setattr("gendiff_lib.diffusion.Diffusion.step", lambda *_: {"loss": torch.tensor(float(next(count)))})
    monkeypatch.setattr(training, "ROWS_PER_EPOCH", 2)
    _, progress = train(points.but(epochs=1))  # eight steps
    assert [row["loss"] for row in progress.history] == [1.5, 5.5]
    assert [row["epoch"] for row in progress.history] == [0.5, 1.0]


def test_a_short_epoch_has_a_row_a_step(points):
    _, progress = train(points.but(epochs=1, n_train=96))
    assert [row["step"] for row in progress.history] == [1, 2, 3]


def test_a_learner_is_told_how_far_the_training_is(points, monkeypatch):
    told = []
    monkeypatch.setattr(
        "gendiff_lib.diffusion.Diffusion.step",
        lambda self, x, y, progress, rng: told.append(progress) or {"loss": torch.zeros(())},
    )
    train(points.but(n_train=64))
    assert told == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_and_likely_cause(points, monkeypatch, value):
    losses = iter([1.0] * 10 + [value] + [1.0] * 20)
    monkeypatch.setattr("gendiff_lib.diffusion.Diffusion.step", lambda *_: {"loss": torch.tensor(next(losses))})
    with pytest.raises(TrainingError) as stopped:
        train(points)
    assert str(stopped.value) == (
        f"loss became {value} at step 3 of epoch 2: "
        "the likely cause is too high a learning rate (lr=0.001), so lower it"
    )


def test_in_bf16_the_precision_is_a_suspect_too(points):
    progress = Progress(torch.Generator(), losses=[{"loss": torch.tensor(math.nan)}])
    with pytest.raises(TrainingError, match=r"or set precision=fp32 \(it is bf16\)"):
        training.check_losses(progress, points.but(precision="bf16"))


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


def test_what_does_not_fit_is_refused_before_it_starts(points, conv, gan):
    for config, words in (
        (points.but(image_size=8), "image_size=8"),
        (points.but(denoiser="conv"), "'conv' works on images"),
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
