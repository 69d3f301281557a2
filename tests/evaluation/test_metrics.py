import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

from gendiff_lib.data import load
from gendiff_lib.evaluation import metrics, neighbours
from gendiff_lib.evaluation.distances import KERNEL_SEED, Statistics, frechet_distance, kernel_distance, moments
from gendiff_lib.evaluation.features import Extractor, Features, extract
from gendiff_lib.evaluation.metrics import Reference, class_shares, classifier_score, kept_reference, score
from gendiff_lib.evaluation.neighbours import neighbour_scores, real_balls
from gendiff_lib.evaluation.scores import VALUES, ScoreError, Scores
from gendiff_lib.evaluation.uncertainty import GROUPS, draw_groups, estimate
from gendiff_lib.experiments.extractors import offline

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


def exactly(mean, factor, n):
    """(n, D) float64 of that very mean, and of covariance factor factor' for a factor (D, D)."""
    x = torch.randn(n, len(mean), generator=rng(9), dtype=torch.float64)
    white = torch.linalg.qr(x - x.mean(0)).Q * math.sqrt(n - 1)
    return mean + white @ factor.T


@pytest.mark.parametrize(("rank1", "rank2"), [(24, 24), (24, 5), (3, 7), (1, 1)])
def test_the_frechet_distance_of_gaussians_with_common_axes_is_the_closed_form(rank1, rank2):
    d = 24
    axes = torch.linalg.qr(torch.randn(d, d, generator=rng(0), dtype=torch.float64)).Q
    sd1, sd2 = (torch.rand(d, generator=rng(s), dtype=torch.float64) * 3 for s in (1, 2))
    sd1[rank1:], sd2[: d - rank2] = 0, 0
    mean1, mean2 = torch.randn(2, d, generator=rng(3), dtype=torch.float64)
    fake = exactly(mean1, axes * sd1, 60)
    found = frechet_distance(fake, draw_groups(60), Statistics(mean2, axes * sd2**2 @ axes.T, 60)).value
    expected = (mean1 - mean2).square().sum() + (sd1 - sd2).square().sum()
    assert found == pytest.approx(expected.item(), rel=1e-6)


def test_the_frechet_distance_of_gaussians_without_common_axes_is_the_closed_form():
    turn = torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=torch.float64)  # unit variances, correlation 0.8
    zero = torch.zeros(2, dtype=torch.float64)
    # tr(A + B - 2 sqrt(AB)) of 2x2: the eigenvalues of AB have sum tr(AB) and product det(AB)
    a, b = turn @ turn.T, torch.diag(torch.tensor([4.0, 0.25], dtype=torch.float64))
    root = math.sqrt(torch.trace(a @ b).item() + 2 * math.sqrt(torch.det(a @ b).item()))
    found = frechet_distance(exactly(zero, turn, 30), draw_groups(30), Statistics(zero, b, 30)).value
    assert found == pytest.approx(2 + 4.25 - 2 * root, rel=1e-6)


def their_frechet(fake, real):
    return metric_fid.fid_statistics_to_metric(
        *(metric_fid.fid_features_to_statistics(x.double()) for x in (fake, real)), verbose=False
    )["frechet_inception_distance"]


@pytest.mark.parametrize(("n", "d"), [(400, 30), (60, 30), (60, 90), (50, 50)])
def test_the_frechet_distance_is_torch_fidelitys_with_and_without_each_group(n, d):
    fake, real, groups = gaussian(n, d, 0.5, 1.3).features, gaussian(500, d, seed=5).features, draw_groups(n)
    found = frechet_distance(fake, groups, moments(real))
    assert found.value == pytest.approx(their_frechet(fake, real), rel=1e-6)
    for g in range(GROUPS):
        assert found.without[g].item() == pytest.approx(their_frechet(fake[groups != g], real), rel=1e-6)


def test_the_distance_of_a_set_to_itself_is_rounding_and_not_clamped():
    same = gaussian(300, 200)
    found = scored(same, same)
    assert abs(found.frechet_distance) < 1e-5
    assert found.kernel_distance < 0  # unbiased: the same images on both sides are too near


def test_the_frechet_distance_may_be_to_published_statistics():
    fake, here, many = gaussian(200, sd=1.3), gaussian(300, seed=5), gaussian(3000, seed=6)
    found = score(fake, here, OWN, reference="train", statistics=moments(many.features))
    assert (found.n_real, found.n_real_frechet) == (300, 3000)
    assert found.frechet_distance == pytest.approx(scored(fake, many).frechet_distance, rel=1e-9)
    for name in ("kernel_distance", "precision", "recall", "density", "coverage", "classifier_score"):
        assert getattr(found, name) == getattr(scored(fake, here), name), name
    assert found.protocol.startswith("n = 200 against 300 train images (fd: 3,000), extractor classifier")


def test_statistics_of_other_features_are_refused():
    with pytest.raises(ScoreError, match=r"statistics of shapes \(\(5,\), \(5, 5\)\) are not of these 4 features"):
        score(gaussian(20), gaussian(20), OWN, reference="train", statistics=moments(gaussian(40, 5).features))


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
    fake, real = gaussian(n_fake, sd=1.3).features, gaussian(n_real, seed=5).features
    options = {"kid_subsets": 7, "kid_subset_size": size, "rng_seed": KERNEL_SEED, "verbose": False}
    theirs = metric_kid.kid_features_to_metric(fake.double(), real.double(), **options)
    found, deviation = kernel_distance(fake, real, draw_groups(n_fake), 7, size)
    assert (found.value, deviation) == pytest.approx(tuple(theirs.values()), rel=1e-6)


def mmd(a, b):
    """The unbiased MMD^2 by its definition."""
    ab, aa, bb = ((x.double() @ y.double().T / x.shape[1] + 1) ** 3 for x, y in ((a, b), (a, a), (b, b)))
    within = [(k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (aa, bb)]
    return (sum(within) - 2 * ab.mean()).item()


def test_the_kernel_distance_without_a_group_is_that_of_the_others():
    fake, real, groups = gaussian(70, sd=1.3).features, gaussian(70, seed=5).features, draw_groups(70)
    found, _ = kernel_distance(fake, real, groups, 1, 70)  # one subset, which is all of them
    for g in range(GROUPS):
        assert found.without[g].item() == pytest.approx(mmd(fake[groups != g], real), rel=1e-5)


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
    monkeypatch.setattr(neighbours, "CHUNK", 70)  # several parts, the last one smaller
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
    lattice = given(0.3 * torch.cartesian_prod(*[torch.arange(4.0)] * 3))  # equal but for the last digit
    own = torch.cdist(lattice.features.double(), lattice.features.double())
    inside = (own <= own.sort(1).values[:, 5:6] + 1e-9).sum().item()
    assert scored(lattice, lattice).density == pytest.approx(inside / (5 * 64), rel=1e-6)


@pytest.mark.parametrize(("n", "copies"), [(300, 0), (45, 0), (20, 0), (200, 30)])
def test_neighbours_without_a_group_are_those_of_the_others(n, copies, monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", 70)
    fake, real, groups = gaussian(n, 6, sd=1.2).features, gaussian(150, 6, seed=5).features, draw_groups(n)
    fake[:copies] = fake[0]
    balls = real_balls(real)
    found = neighbour_scores(fake, real, balls, groups)
    for g in range(GROUPS):
        others = fake[groups != g]
        expected = neighbour_scores(others, real, balls, draw_groups(len(others)))
        for name, values in found.items():
            assert values.without[g].item() == pytest.approx(expected[name].value, rel=1e-6), (name, g)


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


@pytest.mark.parametrize("n", [20, 37, 400])
def test_the_classifier_score_is_torch_fidelitys(n):
    logits, groups = 3 * torch.randn(n, 7, generator=rng(n)), draw_groups(n)
    theirs = metric_isc.isc_features_to_metric(logits)
    found, deviation = classifier_score(logits, groups)
    assert (found.value, deviation) == pytest.approx(tuple(theirs.values()), rel=1e-9)
    assert found.without.isfinite().all()


def test_the_classifier_score_without_a_group_leaves_it_out_of_each_split():
    logits, groups = 3 * torch.randn(200, 7, generator=rng(1)), draw_groups(200)
    order = torch.from_numpy(np.random.RandomState(2020).permutation(200))
    found, _ = classifier_score(logits, groups)
    for g in (0, 11, 19):
        splits = [part[groups[part] != g] for part in order.split(20)]
        p = [logits[part].double().softmax(1) for part in splits]
        expected = [(q * (q / q.mean(0)).log()).sum(1).mean().exp() for q in p]
        assert found.without[g].item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-9)


def test_an_extractor_without_classes_gives_no_classifier_score():
    fake, real = gaussian(40), gaussian(40, seed=5)
    found = scored(fake._replace(logits=torch.zeros(40, 0)), real, INCEPTION)
    assert (found.classifier_score, found.classifier_score_std) == (None, None)
    assert list(found.values) == ["FID", "KID", "precision", "recall", "density", "coverage"]
    assert set(found.errors) == set(found.labels) == set(VALUES[1:])
    assert "splits" not in found.protocol
    assert Scores.from_dict(json.loads(json.dumps(dataclasses.asdict(found)))) == found
    with pytest.raises(ScoreError, match="extractor inception gives no classifier_score: choose one of frechet"):
        estimate([found], "classifier_score")
    whole = scored(fake, real, INCEPTION)
    assert found.values == {k: v for k, v in whole.values.items() if k != "IS"}


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
        judge = dataclasses.replace(judge, batch_size=size)
        found.append(score(extract(judge, fake), extract(judge, real), judge, reference="train").values)
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
