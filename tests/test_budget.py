import pytest

from gendiff_lib import budget, store
from gendiff_lib.budget import by_worth, seconds_needed, seconds_of, train_within
from gendiff_lib.config import ClassifierConfig, ConfigError
from gendiff_lib.experiments import WORTH, book_configs
from gendiff_lib.recorder import OutOfTime, train
from gendiff_lib.runs import find
from gendiff_lib.store import read_checkpoint


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), (" 2m ", 120)])
def test_spans_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["25", "m", "-5m", "0m", "5 days", "1e3s"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ConfigError, match="--budget must be a span such as"):
        seconds_of(text)


def test_one_seed_of_everything_comes_before_a_second_of_anything():
    once, wanted = by_worth(book_configs("paper")), by_worth(book_configs("paper"), seeds=2)
    assert list(dict.fromkeys(c.name for c in once))[:4] == ["classifier", "dcgan", "ddpm-conv", "ddpm-unet"]
    assert wanted[: len(once)] == once
    second = wanted[len(once) :]
    live = {c.name for c in once if c.name.startswith("live-")}
    assert {c.name for c in second} == {c.name for c in once} - {"classifier"} - live
    assert not {c.digest for c in once} & {c.digest for c in second}
    assert {c.name for c in once} <= {*WORTH, *live}


def test_what_fits_is_trained_and_what_does_not_is_named(conv, gan, monkeypatch):
    monkeypatch.setattr(budget, "PROBE_SECONDS", 0.01)
    endless = conv.but(name="endless", epochs=10**6)
    news = list(train_within([gan, endless, conv], 60.0))
    assert news[0].startswith("gan-")
    assert news[1].startswith("conv-")
    assert news[2].startswith("left: endless, 1000000 epochs, seed 0 (needs about ")
    assert find(gan)
    assert find(conv)
    assert not list(store.runs_dir().glob(".training-*"))  # nothing was begun that cannot finish
    assert list(train_within([gan, conv], 60.0))[-1] == "nothing is left"


def test_at_the_deadline_a_training_stops_with_its_checkpoint_and_goes_on_later(conv, monkeypatch):
    config = conv.but(epochs=3)
    whole = train(config.but(seed=7))
    with pytest.raises(OutOfTime, match="are in its checkpoint"):
        train(config, deadline=1.0)  # long past
    (hidden,) = store.runs_dir().glob(".training-*")
    assert read_checkpoint(hidden / "checkpoint.pt")["counts"] == [0, 1, 16]
    left = seconds_needed(config)
    assert 0 < left < 60
    run = train(config)
    assert run.record["resumed"] == 1
    assert len(run.history["loss"]) == len(whole.history["loss"])


def test_a_finished_shorter_training_counts_for_a_longer_one(conv):
    train(conv.but(epochs=2))
    batches = conv.n_train // conv.batch_size
    assert budget._images_done(conv.but(epochs=3)) == 2 * batches * conv.batch_size
    assert budget._images_done(conv.but(epochs=3, seed=9)) == budget._images_done(conv.but(epochs=1)) == 0


def test_an_estimate_that_was_too_low_loses_nothing(conv, monkeypatch):
    monkeypatch.setattr(budget, "seconds_needed", lambda config: 0.0)
    (news,) = train_within([conv.but(epochs=10**6)], 0.5)
    assert "begun: " in news
    assert list(store.runs_dir().glob(".training-*/checkpoint.pt"))


def test_a_training_that_fails_costs_no_other_its_time(conv, gan):
    broken = conv.but(name="broken", denoiser="unet", n_layers=None, hidden_dim=None, timestep_embedding_dim=None,
                      widths=(9,), n_blocks=1, attention=(), patch=1, dropout=0.0)  # fmt: skip
    news = list(train_within([broken, gan], 60.0))
    assert news[0].startswith("gan-")
    assert news[1].startswith("left: broken, 1 epochs, seed 0 (failed: widths=(9,) must begin with an even width")


def test_a_classifier_has_one_seed():
    config = ClassifierConfig(name="classifier")
    assert by_worth([config], seeds=3) == [config]
