import math

import pytest
import torch

from gendiff_lib.data import load
from gendiff_lib.evaluation.points import score_points, sliced_wasserstein


def rng(seed):
    return torch.Generator().manual_seed(seed)


def test_the_distance_of_shifted_points_is_the_shift_seen_from_all_sides():
    points = torch.randn(500, 2, generator=rng(0))
    assert sliced_wasserstein(points, points.flip(0)) == 0
    shift = torch.tensor([3.0, 4.0])  # of length 5; the mean of |cos| is 2 / pi
    assert sliced_wasserstein(points + shift, points) == pytest.approx(5 * 2 / math.pi, rel=1e-3)
    assert sliced_wasserstein(points, points + shift) == pytest.approx(5 * 2 / math.pi, rel=1e-3)


def test_the_distance_takes_sets_of_different_size():
    points = torch.randn(3000, 2, generator=rng(0))
    assert sliced_wasserstein(points[:1000], points) < 0.1
    doubled = points[:1000].repeat_interleave(2, 0)
    assert sliced_wasserstein(points[:1000], doubled) == pytest.approx(0, abs=1e-6)


def test_modes_are_counted():
    truth = load("gaussians", "test")
    perfect = score_points(truth.samples[:5000], truth)
    assert (perfect.modes, perfect.n_modes, perfect.n) == (25, 25, 5000)
    assert perfect.high_quality > 0.99
    seven = truth.samples[truth.labels < 7]
    assert score_points(seven, truth).modes == 7
    assert score_points(seven, truth).distance > 10 * perfect.distance


def test_a_mode_that_is_hardly_visited_is_not_covered():
    truth = load("gaussians", "test")
    main = truth.samples[truth.labels < 24][:2400]
    rest = truth.samples[truth.labels == 24]
    assert score_points(torch.cat([main, rest[:10]]), truth).modes == 24
    assert score_points(torch.cat([main, rest[:40]]), truth).modes == 25


def test_points_between_the_modes_are_of_low_quality():
    truth = load("gaussians", "test")
    half = torch.cat([truth.samples[:1000], torch.ones(1000, 2)])
    assert score_points(half, truth).high_quality == pytest.approx(0.5, abs=0.01)


def test_a_density_without_modes_has_none_counted():
    moons = load("moons", "test")
    scores = score_points(load("moons").samples, moons)
    assert (scores.modes, scores.n_modes, scores.high_quality) == (None, None, None)
    assert scores.distance < 0.05
