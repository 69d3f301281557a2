import dataclasses

import pytest

from gendiff_lib.cluster import limits
from gendiff_lib.cluster.limits import Limits
from gendiff_lib.experiments import get
from gendiff_lib.experiments.cost import training_operations
from gendiff_lib.runs.train import train

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def run(points):
    return train(points)


def took(run, seconds, **record):
    """The run, as if it had taken so long."""
    (seen, snapshot), *_ = run.record["snapshots"].items()
    told = run.record | record | {"snapshots": {seen: snapshot | {"seconds": seconds}}}
    return dataclasses.replace(run, record=told)


@pytest.mark.parametrize(("seconds", "minutes"), [(1.0, 15), (449.0, 15), (451.0, 30), (3600.0, 120), (3601.0, 240)])
def test_a_limit_is_twice_what_was_measured_a_quarter_of_an_hour_at_least(run, points, seconds, minutes):
    known = Limits([took(run, seconds)], gpu=False)
    assert known.minutes(points) == minutes
    assert known.minutes(points.but(seed=7)) == minutes  # another seed takes as long


def test_more_epochs_take_longer_and_the_slowest_seed_counts(run, points):
    known = Limits([took(run, 3600.0), took(run, 60.0)], gpu=False)
    assert known.minutes(points.but(epochs=points.epochs * 4)) == 480


def test_what_a_cpu_took_says_nothing_of_a_gpu_nor_the_reverse(run, points):
    slow = took(run, 1e6)
    assert Limits([slow], gpu=True).minutes(points) == 15
    assert Limits([took(run, 1e6, engine="graph")], gpu=False).minutes(points) == 15
    assert Limits([took(run, 1e6, engine="graph")], gpu=True).minutes(points) > 15


def test_what_was_never_trained_is_estimated_by_its_operations():
    config = get("dcgan-32", "paper")
    hours = training_operations(config) / limits.SLOWEST_GPU / 3600
    assert hours * 60 <= Limits([], gpu=True).minutes(config) <= 2 * max(hours * 60, limits.LEAST)
    assert Limits([], gpu=False).minutes(config) > Limits([], gpu=True).minutes(config)
