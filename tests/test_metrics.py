import dataclasses
import json
import math

import pytest
import torch
from torch.testing import assert_close
from torch_fidelity import metric_prc

from gendiff_lib import metrics
from gendiff_lib.data import load
from gendiff_lib.features import Extractor, Features, extract
from gendiff_lib.metrics import (
    KERNEL_SEED,
    VALUES,
    Estimate,
    Reference,
    ScoreError,
    Scores,
    class_shares,
    differ,
    estimate,
    frechet_distance,
    kept_reference,
    kernel_distance,
    score,
    score_points,
    sliced_wasserstein,
)
from gendiff_lib.scoring import offline

OWN = Extractor("classifier", "d1", lambda images: None, own_classes=True)
INCEPTION = Extractor("inception", "d2", lambda images: None, resize="299 px")


def rng(seed):
    return torch.Generator().manual_seed(seed)


def given(features, logits=None, seed=0):
    """Features whose keys, hence whose order in splits and subsets, are drawn from `seed`."""
    n = len(features)
    logits = torch.randn(n, 2, generator=rng(seed + 1)) if logits is None else logits
    return Features(features.float(), logits, torch.randint(2**62, (n,), generator=rng(seed + 2)))


def gaussian(n=400, d=4, mean=0.0, sd=1.0, seed=0):
    x = torch.randn(n, d, generator=rng(seed), dtype=torch.float64)
    return given(x * sd + mean, seed=seed)


def scored(fake, real, extractor=OWN):
    return score(fake, real, extractor, reference="train")


# ------------------------------------------------------------------ Frechet distance


@pytest.mark.parametrize(("rank1", "rank2"), [(24, 24), (24, 5), (3, 7), (1, 1)])
def test_the_frechet_distance_of_gaussians_with_common_axes_is_the_closed_form(rank1, rank2):
    d = 24
    axes = torch.linalg.qr(torch.randn(d, d, generator=rng(0), dtype=torch.float64)).Q
    sd1, sd2 = (torch.rand(d, generator=rng(s), dtype=torch.float64) * 3 for s in (1, 2))
    sd1[rank1:], sd2[: d - rank2] = 0, 0
    mean1, mean2 = torch.randn(2, d, generator=rng(3), dtype=torch.float64)
    found = frechet_distance(mean1, axes * sd1**2 @ axes.T, mean2, axes * sd2**2 @ axes.T)
    expected = (mean1 - mean2).square().sum() + (sd1 - sd2).square().sum()
    assert found == pytest.approx(expected.item(), rel=1e-6)


def test_the_frechet_distance_of_gaussians_without_common_axes_is_the_closed_form():
    turn = torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=torch.float64)  # unit variances, correlation 0.8
    zero = torch.zeros(2, dtype=torch.float64)
    # tr(A + B - 2 sqrt(AB)) of 2x2: the eigenvalues of AB have sum tr(AB) and product det(AB)
    a, b = turn @ turn.T, torch.diag(torch.tensor([4.0, 0.25], dtype=torch.float64))
    root = math.sqrt(torch.trace(a @ b).item() + 2 * math.sqrt(torch.det(a @ b).item()))
    assert frechet_distance(zero, a, zero, b) == pytest.approx(2 + 4.25 - 2 * root, rel=1e-6)


def test_scores_take_moments_in_float64():
    far = gaussian(mean=1000.0, sd=0.1)  # float32 sums would lose the variances beside the mean
    near = gaussian(mean=1000.0, sd=0.1, seed=5)
    assert scored(far, near).frechet_distance == pytest.approx(
        scored(gaussian(sd=0.1), gaussian(sd=0.1, seed=5)).frechet_distance, abs=1e-4
    )


# ------------------------------------------------------------------ kernel distance


def test_the_kernel_distance_of_one_distribution_to_itself_is_zero_within_its_standard_error():
    values = [scored(gaussian(60, seed=s), gaussian(60, seed=1000 + s)).kernel_distance for s in range(40)]
    mean, error = torch.tensor(values).mean(), torch.tensor(values).std() / 40**0.5
    assert abs(mean) < 3 * error
    assert (torch.tensor(values) < 0).any()  # an unbiased estimate falls on both sides


@pytest.mark.parametrize(("n_fake", "n_real", "size"), [(60, 60, 60), (200, 90, 50)])
def test_the_kernel_distance_is_torch_fidelitys_subset_by_subset(n_fake, n_real, size):
    from torch_fidelity import metric_kid

    fake, real = gaussian(n_fake, sd=1.3).features, gaussian(n_real, seed=5).features
    options = {"kid_subsets": 7, "kid_subset_size": size, "rng_seed": KERNEL_SEED, "verbose": False}
    theirs = metric_kid.kid_features_to_metric(fake.double(), real.double(), **options)
    assert kernel_distance(fake, real, 7, size) == pytest.approx(tuple(theirs.values()), rel=1e-6)


def test_equal_distributions_are_at_no_distance_and_moved_ones_at_the_move():
    same = scored(gaussian(), gaussian(seed=5))
    assert same.frechet_distance < 0.2
    assert min(same.precision, same.recall, same.coverage) > 0.8
    assert same.density == pytest.approx(1, abs=0.15)
    moved = scored(gaussian(mean=2.0), gaussian(seed=5))
    assert moved.kernel_distance > 1
    assert moved.frechet_distance == pytest.approx(16, rel=0.2)


# ------------------------------------------------------------------ neighbours


def test_collapsed_samples_are_precise_and_recall_little():
    collapsed = scored(gaussian(sd=0.05), gaussian(seed=5))
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.05
    assert collapsed.density > 1.2  # they crowd where many real balls overlap
    assert collapsed.coverage < 0.3


def test_samples_spread_too_wide_recall_all_and_are_not_precise():
    wide = scored(gaussian(sd=4.0), gaussian(seed=5))
    assert wide.recall > 0.9
    assert wide.precision < 0.3
    assert wide.density < 0.2


@pytest.mark.parametrize("sd", [0.5, 1.0, 2.0])
def test_precision_and_recall_are_torch_fidelitys(sd, monkeypatch):
    monkeypatch.setattr(metrics, "CHUNK", 70)  # several parts, the last one smaller
    fake, real = gaussian(300, 8, sd=sd), gaussian(410, 8, seed=5)
    theirs = metric_prc.prc_features_to_metric(
        fake.features, real.features, prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=True, verbose=False
    )
    ours = scored(fake, real)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)


def test_density_and_coverage_are_their_definitions():
    fake, real = gaussian(120, 3, sd=1.5), gaussian(150, 3, seed=5)
    between = torch.cdist(real.features.double(), fake.features.double())
    own = torch.cdist(real.features.double(), real.features.double())
    ball = own.sort(1).values[:, 5:6]  # the fifth nearest other; the first is the image itself
    scores = scored(fake, real)
    assert scores.density == pytest.approx((between <= ball).sum().item() / (5 * 120), rel=1e-6)
    assert scores.coverage == pytest.approx((between <= ball).any(1).double().mean().item(), rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(100, 64), (500, 64), (300, 256)])
def test_copies_of_the_training_images_are_inside_the_edges_of_balls_too(n, d):
    real = gaussian(n, d, mean=3.0)
    scores = scored(real, real)
    assert (scores.precision, scores.recall, scores.coverage) == (1, 1, 1)
    assert scores.density == pytest.approx(6 / 5, abs=1e-3)  # its own ball, and the edges


def test_ties_on_the_edges_of_balls_are_inside():
    lattice = given(torch.cartesian_prod(*[torch.arange(5.0)] * 3))
    own = torch.cdist(lattice.features.double(), lattice.features.double())
    inside = (own <= own.sort(1).values[:, 5:6] + 1e-9).sum().item()
    assert scored(lattice, lattice).density == pytest.approx(inside / (5 * 125), rel=1e-6)


def test_two_modes_of_which_one_is_missed_halve_recall_and_coverage():
    both = torch.cat([gaussian(200).features, gaussian(200, mean=50.0, seed=3).features])
    one = scored(gaussian(400, seed=9), given(both))
    assert one.recall == pytest.approx(0.5, abs=0.05)
    assert one.coverage == pytest.approx(0.5, abs=0.05)
    assert one.precision > 0.9


# ------------------------------------------------------------------ classifier score


def test_the_classifier_score_is_the_number_of_classes_it_is_sure_of():
    sure = torch.eye(2).repeat(200, 1) * 50
    features = gaussian().features
    assert scored(given(features, sure), gaussian(seed=5)).classifier_score == pytest.approx(2, abs=0.05)
    unsure = given(features, torch.zeros(400, 2))
    assert scored(unsure, gaussian(seed=5)).classifier_score == pytest.approx(1)
    one = given(features, torch.tensor([[50.0, 0.0]]).repeat(400, 1))
    assert scored(one, gaussian(seed=5)).classifier_score == pytest.approx(1)


def test_shares_of_classes_are_counted_where_the_classes_are_the_datas_own():
    fake = given(gaussian(20).features, torch.tensor([[1.0, 0.0]] * 19 + [[0.0, 1.0]] * 1))
    assert scored(fake, gaussian(20, seed=5)).shares == pytest.approx((0.95, 0.05))
    assert scored(fake, gaussian(20, seed=5)).classes_covered == 1  # a fifth of an even share is a tenth here
    edge = given(gaussian(20).features, torch.tensor([[1.0, 0.0]] * 18 + [[0.0, 1.0]] * 2))
    assert scored(edge, gaussian(20, seed=5)).classes_covered == 2  # exactly a tenth
    assert scored(fake, gaussian(20, seed=5), INCEPTION).shares == ()
    assert class_shares(torch.tensor([[3.0, 1.0, 2.0]])).tolist() == [1, 0, 0]


# ------------------------------------------------------------------ protocol


def test_only_inceptions_scores_bear_the_famous_names():
    names = {e.name: list(scored(gaussian(20), gaussian(30, seed=5), e).values) for e in (OWN, INCEPTION)}
    assert names["classifier"] == ["cs", "fd", "kd", "precision", "recall", "density", "coverage"]
    assert names["inception"] == ["IS", "FID", "KID", "precision", "recall", "density", "coverage"]


def test_scores_carry_their_protocol():
    scores = score(gaussian(20), gaussian(30, seed=5), OWN, reference="test", made={"run": "r"})
    assert (scores.n_fake, scores.n_real, scores.n_features, scores.kernel_subset_size) == (20, 30, 4, 20)
    assert scores.made == {"run": "r"}
    assert scores.protocol == (
        "n = 20 against 30 test images, extractor classifier (d1, 4 features in float32, resize none), "
        "k = 3 (density and coverage 5), 10 splits"
    )
    assert list(scores.values.values()) == [getattr(scores, name) for name in VALUES]


def test_the_order_of_images_does_not_matter():
    fake, real = gaussian(300, sd=1.3), gaussian(350, seed=5)
    order = torch.randperm(300, generator=rng(7))
    shuffled = fake.cut(order)
    one, other = scored(fake, real), scored(shuffled, real.cut(torch.arange(350).flip(0)))
    for name in VALUES:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-5), name
    assert one.errors == pytest.approx(other.errors, rel=1e-5)


def test_a_kept_reference_gives_the_same_scores_and_is_computed_once(monkeypatch):
    images = torch.randint(0, 256, (40, 3, 4, 4), generator=rng(0)).byte()
    extractor = Extractor("e", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, -3:]))
    first = kept_reference(extractor, images)
    monkeypatch.setattr(metrics, "extract", lambda *a: pytest.fail("extracted again"))
    again = kept_reference(extractor, images.clone())
    assert_close(again[:-1], first[:-1], rtol=0, atol=0)
    assert again.source == first.source == "e d of 3x4x4"
    real = given(first.features)
    fake = gaussian(50, mean=100.0, sd=50.0)
    assert scored(fake, first).values == pytest.approx(scored(fake, real).values, rel=1e-6)


@pytest.mark.parametrize(("n_fake", "n_real"), [(19, 20), (20, 19), (1, 1)])
def test_too_few_images_are_refused(n_fake, n_real):
    with pytest.raises(ScoreError, match=r"n=\d+ images are too few to score: give at least 20"):
        scored(gaussian(n_fake), gaussian(n_real))
    assert scored(gaussian(20), gaussian(20)).frechet_distance == pytest.approx(0, abs=1e-6)


def test_features_of_two_extractors_are_refused():
    with pytest.raises(ScoreError, match=r"features must be \(N, 4\) on both sides, not \(20, 5\): use one extractor"):
        scored(gaussian(20), gaussian(20, 5))


def test_features_of_other_sources_are_refused_even_if_they_are_as_wide():
    fake, real = gaussian(20)._replace(source="a d1 of 3x16x16"), gaussian(30)._replace(source="a d1 of 3x32x32")
    with pytest.raises(ScoreError, match=r"features of a d1 of 3x16x16 and of a d1 of 3x32x32 do not compare"):
        scored(fake, real)
    with pytest.raises(ScoreError, match="do not compare"):
        scored(fake, Reference.of(real))


def test_scores_of_a_network_do_not_depend_on_its_batches(tmp_path, monkeypatch):
    judge = offline("shapes", "smoke")
    fake, real = load("shapes", "test").samples[:60], load("shapes").samples[:80]
    found = []
    for size in (250, 7, 1):
        monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / f"cache{size}"))
        found.append(score(extract(judge, fake, size), extract(judge, real, size), judge, reference="train").values)
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == pytest.approx(found[0], rel=1e-5)


def test_features_that_are_not_finite_are_refused():
    fake = gaussian(20)
    fake.features[3, 1] = math.nan
    with pytest.raises(ScoreError, match="not finite"):
        scored(fake, gaussian(20))


def test_scores_survive_json():
    scores = scored(gaussian(20), gaussian(30, seed=5))
    kept = json.loads(json.dumps(dataclasses.asdict(scores)))
    assert Scores.from_dict(kept | {"a field of a later version": 1}) == scores
    del kept["recall"]
    with pytest.raises(ScoreError, match="lack recall"):
        Scores.from_dict(kept)


# ------------------------------------------------------------------ uncertainty


def test_the_standard_error_from_parts_is_about_what_independent_draws_show():
    several = [scored(gaussian(250, sd=1.5, seed=s), gaussian(300, seed=9999)) for s in range(12)]
    for name in ("frechet_distance", "precision", "recall", "density", "coverage", "kernel_distance"):
        true = torch.tensor([getattr(s, name) for s in several]).std().item()
        told = sum(s.errors[name] for s in several) / len(several)
        assert 0.5 * true < told < 3 * true, name  # conservative, as the page on the scores shows on real features


def test_too_few_fakes_for_parts_have_no_standard_error():
    scores = scored(gaussian(30), gaussian(30, seed=5))
    assert set(scores.errors) == {"classifier_score"}
    assert math.isnan(estimate([scores], "frechet_distance").error)


def test_a_share_of_nothing_or_all_is_not_known_exactly():
    real, far = gaussian(100), gaussian(100, mean=50.0)
    missed = scored(far, real)
    assert (missed.precision, missed.recall, missed.coverage) == (0, 0, 0)
    for name in ("precision", "recall", "coverage"):
        assert 0 < missed.errors[name] < 0.05
    alike = estimate([dataclasses.replace(missed, made={"sampling_seed": s}) for s in range(3)], "recall")
    assert alike.std == 0
    assert alike.error > 0


def seeded(value, training_seed, sampling_seed=0, **changes):
    scores = scored(gaussian(40), gaussian(30, seed=5))
    made = {"training_seed": training_seed, "sampling_seed": sampling_seed, **changes.pop("made", {})}
    return dataclasses.replace(scores, frechet_distance=value, made=made, **changes)


def test_an_estimate_speaks_of_training_seeds_before_sampling_seeds_before_parts():
    name = "frechet_distance"
    three = estimate([seeded(1.0, 0), seeded(2.0, 1), seeded(3.0, 2)], name)
    assert three[:4] == (2.0, 1.0, 3, "training seeds")
    assert three.error == pytest.approx(1 / math.sqrt(3))
    assert three.freedom == 2
    # sampling seeds are averaged within their training seed first: they are no more trainings
    mixed = estimate([seeded(0.0, 0), seeded(2.0, 0, 1), seeded(3.0, 1)], name)
    assert mixed[:4] == (2.0, math.sqrt(2), 2, "training seeds")
    assert estimate([seeded(1.0, 0), seeded(3.0, 0, 1)], name)[:4] == (2.0, math.sqrt(2), 2, "sampling seeds")
    one = seeded(1.0, 0)
    assert estimate([one], name) == (1.0, one.errors[name], 1, "parts", one.errors[name], 4)


@pytest.mark.parametrize(
    "changes", [{"n_fake": 50}, {"reference": "test"}, {"resize": "299"}, {"made": {"sampler": "ddim"}}]
)
def test_scores_of_unlike_protocols_do_not_average(changes):
    with pytest.raises(ScoreError, match="unlike n"):
        estimate([seeded(1.0, 0), seeded(1.0, 1, **changes)], "frechet_distance")


def test_scores_from_disk_average_with_fresh_ones():
    fresh = [seeded(1.0, 0, i, made={"sampler": "ddim", "eta": None, "sources": ["a", "b"]}) for i in range(2)]
    kept = Scores.from_dict(json.loads(json.dumps(dataclasses.asdict(fresh[0]), sort_keys=True)))
    assert estimate([kept, fresh[1]], "frechet_distance").n == 2


def test_one_set_of_samples_does_not_count_twice():
    with pytest.raises(ScoreError, match="sampling seed 3 are there twice"):
        estimate([seeded(1.0, 0, 3), seeded(1.0, 0, 3)], "frechet_distance")


def several(mean, error, freedom=1000):
    return Estimate(mean, error, 1, "parts", error, freedom)


def test_a_difference_inside_the_noise_is_none():
    a = several(1.0, 0.1)
    assert not differ(a, several(1.4, 0.1))  # 0.4 is less than three times 0.141
    assert differ(a, several(1.45, 0.1))
    assert not differ(several(1.0, 0.1, 2), several(1.8, 0.1, 2))  # three seeds a side know less
    assert differ(several(1.0, 0.1, 2), several(2.0, 0.1, 2))
    assert not differ(a, several(9.0, math.nan))  # unknown noise allows no verdict
    assert not differ(several(1.0, 0.0), several(2.0, 0.0))  # nor does none at all


@pytest.mark.parametrize(("seeds", "most"), [(2, 0.01), (3, 0.01), (5, 0.01)])
def test_equal_methods_are_hardly_ever_told_apart(seeds, most):
    draws = torch.randn(20_000, 2, seeds, generator=rng(seeds), dtype=torch.float64)
    means, errors = draws.mean(2), draws.std(2) / math.sqrt(seeds)
    wrong = sum(
        differ(several(m[0], e[0], seeds - 1), several(m[1], e[1], seeds - 1))
        for m, e in zip(means.tolist(), errors.tolist(), strict=True)
    )
    assert wrong / len(draws) < most


def test_students_t_is_what_a_numerical_integral_says():
    x = torch.linspace(0, 400, 4_000_001, dtype=torch.float64)
    for freedom, t in metrics.STUDENT.items():
        constant = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
        density = constant * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
        inside = 2 * torch.trapezoid(density[x <= t], x[x <= t]).item()
        assert inside == pytest.approx(math.erf(3 / math.sqrt(2)), abs=2e-5), freedom


@pytest.mark.parametrize(
    ("mean", "std", "shown"),
    [
        (1.23456, 0.0234, "1.235 ± 0.023"),
        (123.456, 3.21, "123.5 ± 3.2"),
        (0.5, 0.0, "0.5"),
        (2.0, math.nan, "2"),
        (74.93951, 0.0000036, "74.94 ± 4e-06"),
        (0.0, 0.012, "0.000 ± 0.012"),
    ],
)
def test_an_estimate_is_shown_to_the_second_digit_of_its_std(mean, std, shown):
    assert str(Estimate(mean, std, 3, "training seeds", std, 2)) == shown


# ------------------------------------------------------------------ points in the plane


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


def test_a_share_of_few_reals_is_known_no_better_than_few_reals_tell():
    few, many = metrics._count_error("recall", 0.5, 50_000, 100), metrics._count_error("precision", 0.5, 50_000, 100)
    assert few == pytest.approx(0.05, rel=0.02)
    assert many == pytest.approx(0.5 / 50_000**0.5, rel=0.02)
    assert metrics._count_error("coverage", 0.5, 100, 50_000) == few
