import dataclasses
import json
import math

import pytest
import torch

from gendiff_lib.data import load
from gendiff_lib.features import Extractor, Features
from gendiff_lib.metrics import ScoreError, Scores, class_shares, score, score_points, sliced_wasserstein

OWN = Extractor("classifier", "d1", lambda images: None, ("a", "b"))
INCEPTION = Extractor("inception", "d2", lambda images: None)


def rng(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(n=400, d=4, mean=0.0, sd=1.0, seed=0, exact=False):
    """n features; `exact` ones have mean and covariance to the last digit."""
    x = torch.randn(n, d, generator=rng(seed), dtype=torch.float64)
    if exact:
        x = x - x.mean(0)
        x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).T
    x = x * torch.as_tensor(sd, dtype=torch.float64) + torch.as_tensor(mean, dtype=torch.float64)
    return Features(x.float(), torch.randn(n, 2, generator=rng(seed + 1)))


def scored(fake, real, extractor=OWN):
    return score(fake, real, extractor, reference="train")


def test_the_frechet_distance_of_two_gaussians_is_the_closed_form():
    sd = torch.tensor([1.0, 2.0, 0.5, 3.0])
    mean = torch.tensor([1.0, 0.0, -2.0, 0.5])
    fake, real = gaussian(exact=True, mean=mean, sd=sd), gaussian(exact=True, seed=5)
    expected = mean.square().sum() + (sd - 1).square().sum()
    assert scored(fake, real).frechet_distance == pytest.approx(expected.item(), rel=1e-4)


def test_the_frechet_distance_knows_correlations():
    a = gaussian(exact=True, d=2).features.double()
    turn = torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=torch.float64)  # unit variances, correlation 0.8
    fake = Features((a @ turn.T).float(), gaussian().logits)
    expected = 2 + 2 - 2 * (math.sqrt(1.8) + math.sqrt(0.2))  # |S|: tr(I + S - 2 sqrt(S)), eigenvalues 1.8 and 0.2
    assert scored(fake, gaussian(exact=True, d=2, seed=5)).frechet_distance == pytest.approx(expected, rel=1e-3)


def test_equal_distributions_are_at_no_distance():
    same = scored(gaussian(), gaussian(seed=5))
    assert abs(same.kernel_distance) < 0.02
    assert same.frechet_distance < 0.2
    assert min(same.precision, same.recall) > 0.8
    moved = scored(gaussian(mean=2.0), gaussian(seed=5))
    assert moved.kernel_distance > 1
    assert moved.frechet_distance == pytest.approx(16, rel=0.2)


def test_collapsed_samples_are_precise_and_recall_little():
    collapsed = scored(gaussian(sd=0.05), gaussian(seed=5))
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.05


def test_samples_spread_too_wide_recall_all_and_are_not_precise():
    wide = scored(gaussian(sd=4.0), gaussian(seed=5))
    assert wide.recall > 0.9
    assert wide.precision < 0.3


def test_the_classifier_score_is_the_number_of_classes_it_is_sure_of():
    sure = torch.eye(2).repeat(200, 1) * 50
    features = gaussian().features
    assert scored(Features(features, sure), gaussian(seed=5)).classifier_score == pytest.approx(2, abs=0.05)
    unsure = Features(features, torch.zeros(400, 2))
    assert scored(unsure, gaussian(seed=5)).classifier_score == pytest.approx(1)
    one = Features(features, torch.tensor([[50.0, 0.0]]).repeat(400, 1))
    assert scored(one, gaussian(seed=5)).classifier_score == pytest.approx(1)


def test_only_inceptions_scores_bear_the_famous_names():
    names = {e.name: list(scored(gaussian(20), gaussian(30, seed=5), e).values) for e in (OWN, INCEPTION)}
    assert names["classifier"] == ["cs", "fd", "kd", "precision", "recall"]
    assert names["inception"] == ["IS", "FID", "KID", "precision", "recall"]


def test_scores_carry_their_protocol():
    scores = scored(gaussian(20), gaussian(30, seed=5))
    assert (scores.n_fake, scores.n_real, scores.n_features, scores.kernel_subset_size) == (20, 30, 4, 20)
    assert scores.protocol == ("n = 20 against 30 train images, extractor classifier (d1, 4 features), k = 3")
    assert list(scores.values.values()) == [
        scores.classifier_score, scores.frechet_distance, scores.kernel_distance, scores.precision, scores.recall,
    ]  # fmt: skip


def test_shares_of_classes_are_counted_but_by_inception():
    fake = Features(gaussian(20).features, torch.tensor([[1.0, 0.0]] * 15 + [[0.0, 1.0]] * 5))
    assert scored(fake, gaussian(20, seed=5)).shares == (0.75, 0.25)
    assert scored(fake, gaussian(20, seed=5), INCEPTION).shares == ()
    assert class_shares(torch.tensor([[3.0, 1.0, 2.0]])).tolist() == [1, 0, 0]


@pytest.mark.parametrize(("n_fake", "n_real"), [(9, 20), (20, 9), (1, 1)])
def test_too_few_images_are_refused(n_fake, n_real):
    with pytest.raises(ScoreError, match=f"n={min(n_fake, n_real)} images are too few to score: give at least 10"):
        scored(gaussian(n_fake), gaussian(n_real))
    assert scored(gaussian(10), gaussian(10)).frechet_distance == pytest.approx(0, abs=1e-6)


def test_scores_survive_json():
    scores = scored(gaussian(20), gaussian(30, seed=5))
    kept = json.loads(json.dumps(dataclasses.asdict(scores)))
    assert Scores.from_dict(kept | {"a field of a later version": 1}) == scores
    del kept["recall"]
    with pytest.raises(ScoreError, match="lack recall"):
        Scores.from_dict(kept)


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
