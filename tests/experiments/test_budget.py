import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.errors import ConfigError
from gendiff_lib.experiments import budget
from gendiff_lib.experiments.book import WORTH, book_configs
from gendiff_lib.experiments.budget import TooLong, by_worth, check_patience, seconds_left, seconds_of, seconds_of_image
from gendiff_lib.runs import train as recorder
from gendiff_lib.runs.train import OutOfTime, train


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), (" 2m ", 120)])
def test_spans_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["25", "m", "-5m", "0m", "5 days", "1e3s", "٣m", "²h", "1_0m"])
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


def test_a_classifier_has_one_seed():
    config = ClassifierConfig(name="classifier")
    assert by_worth([config], seeds=3) == [config]


def test_the_speed_of_a_training_is_measured_by_its_own_steps(conv, monkeypatch):
    now, step = [0.0], Diffusion.step

    def slow(*words):
        now[0] += 2.0
        return step(*words)

    monkeypatch.setattr(Diffusion, "step", slow)
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    assert seconds_of_image(conv.but(epochs=100)) == pytest.approx(2.0 / conv.batch_size)


def test_a_long_training_is_told_and_refused_with_a_remedy_that_works(conv, capsys, monkeypatch):
    monkeypatch.setattr(budget, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(budget, "seconds_of_image", lambda config: 1.0)
    long = conv.but(epochs=10.0**7)
    with pytest.raises(TooLong, match=r"conv to 1e\+07 epochs takes about 177777.8 hours here: wait \d+") as refused:
        check_patience(long, None, "wait {hours}")
    check_patience(long, float(str(refused.value).rpartition(" ")[2]), "wait {hours}")
    assert "takes about 177777.8 hours" in capsys.readouterr().err
    check_patience(conv, None, "do this")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("published", "again", "refused"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_published_run_takes_its_time_again(published, again, refused, conv, monkeypatch):
    monkeypatch.setattr(budget, "seconds_of_image", lambda config: 1.0)
    monkeypatch.setattr(recorder, "find", lambda config: SimpleNamespace(published=published))
    long = conv.but(epochs=10.0**7)
    assert (seconds_left(long, again) > 0) == refused
    with pytest.raises(TooLong) if refused else nullcontext():
        check_patience(long, None, "wait", again=again)


def test_what_an_interrupted_training_has_done_is_not_counted_again(conv):
    long = conv.but(epochs=50)
    before = seconds_left(long)
    with pytest.raises(OutOfTime):
        train(long, deadline=time.monotonic())
    assert 0 < seconds_left(long) < before
    assert seconds_left(long.but(seed=1)) == before


def test_a_run_that_is_there_takes_no_time(conv):
    train(conv)
    assert seconds_left(conv) == 0
    assert (
        0
        < seconds_left(conv.but(epochs=2))
        < seconds_left(conv.but(epochs=3))
        < seconds_left(conv.but(seed=1, epochs=3))
    )
