import dataclasses
import json
import math

import pytest
import torch

from gendiff_lib.evaluation.metrics import Reference
from gendiff_lib.evaluation.scores import VALUES, ScoreError, Scores
from gendiff_lib.evaluation.uncertainty import (
    GROUPS,
    Estimate,
    Resampled,
    count_error,
    differ,
    draw_groups,
    estimate,
    noise,
)
from tests.evaluation.test_metrics import gaussian, rng, scored

# ------------------------------------------------------------------ one set


@pytest.mark.parametrize("n", [20, 30, 400, 1013])
def test_groups_are_drawn_and_as_equal_as_they_can_be(n):
    sizes = torch.bincount(draw_groups(n), minlength=GROUPS)
    assert sizes.max() - sizes.min() <= 1
    assert torch.equal(draw_groups(n), draw_groups(n))
    assert not torch.equal(draw_groups(n), torch.arange(n) % GROUPS)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    x = torch.randn(GROUPS, generator=rng(0), dtype=torch.float64)
    without = (x.sum() - x) / (GROUPS - 1)
    assert Resampled(x.mean().item(), without).error == pytest.approx(x.std().item() / math.sqrt(GROUPS), rel=1e-12)


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (0.15, 0.9)], ids=["same", "near"])
def test_the_standard_errors_told_are_those_that_independent_draws_show(mean, sd):
    """The standard error of the spread of 40 draws is 11 %."""
    real = Reference.of(gaussian(300, 16, seed=9999))
    several = [scored(gaussian(200, 16, mean, sd, seed=s), real) for s in range(40)]
    for name in VALUES:
        true = torch.tensor([getattr(s, name) for s in several]).double().var()
        told = torch.tensor([s.errors[name] for s in several]).double().square().mean()
        assert 0.7 < (told / true).sqrt().item() < 1.5, name


def test_a_few_fakes_have_standard_errors_too():
    scores = scored(gaussian(20, mean=1.5), gaussian(30, seed=5))
    assert set(scores.errors) == set(VALUES)
    assert all(error > 0 for error in scores.errors.values())


def test_a_precision_of_nothing_or_all_is_not_known_exactly():
    missed = scored(gaussian(100, mean=50.0), gaussian(100))
    assert (missed.precision, missed.recall, missed.coverage) == (0, 0, 0)
    assert missed.errors["precision"] == count_error(0, 100) > 0
    assert (missed.errors["recall"], missed.errors["coverage"]) == (0, 0)  # the reals are the same for all fakes
    several = [dataclasses.replace(missed, made={"sampling_seed": s}) for s in range(3)]
    assert estimate(several, "precision")[1:5] == (0, 3, "sampling seeds", count_error(0, 300))
    assert estimate(several, "recall").error == 0


def test_a_share_of_few_is_known_worse_than_a_share_of_many():
    assert count_error(0.5, 100) == pytest.approx(0.05, rel=0.02)
    assert count_error(0.5, 50_000) == pytest.approx(0.5 / 50_000**0.5, rel=0.02)
    assert count_error(1, 100) == pytest.approx(count_error(0, 100))
    assert 0 < count_error(1, 100) < 0.02


# ------------------------------------------------------------------ several


def seeded(value, training_seed, sampling_seed=0, **changes):
    scores = scored(gaussian(40), gaussian(30, seed=5))
    made = {"training_seed": training_seed, "sampling_seed": sampling_seed, **changes.pop("made", {})}
    return dataclasses.replace(scores, frechet_distance=value, made=made, **changes)


def test_an_estimate_speaks_of_training_seeds_before_sampling_seeds_before_groups():
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
    assert estimate([one], name) == (1.0, one.errors[name], 1, "groups", one.errors[name], 19)


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
    newer = seeded(1.0, 0, 1, made={**fresh[1].made, "sampling_seed": 1, "grid": None})  # a field of later on
    assert estimate([kept, newer], "frechet_distance").n == 2
    with pytest.raises(ScoreError, match="unlike n"):
        estimate([kept, seeded(1.0, 0, 1, made={**newer.made, "grid": "rho"})], "frechet_distance")


def test_one_set_of_samples_does_not_count_twice():
    with pytest.raises(ScoreError, match="sampling seed 3 are there twice"):
        estimate([seeded(1.0, 0, 3), seeded(1.0, 0, 3)], "frechet_distance")


def several(mean, error, freedom=1000):
    return Estimate(mean, error, 1, "groups", error, freedom)


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


@pytest.mark.parametrize("freedom", [1, 2, 4, 19, 19.5, 1000])
def test_the_noise_of_one_side_is_what_a_numerical_integral_of_students_t_says(freedom):
    t = noise(several(0.0, 1.0, freedom), several(0.0, 0.0, 1))
    x = torch.linspace(0, t, 2_000_001, dtype=torch.float64)
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    inside = 2 * torch.trapezoid(constant * (1 + x**2 / freedom) ** (-(freedom + 1) / 2), x).item()
    assert inside == pytest.approx(math.erf(3 / math.sqrt(2)), abs=1e-8)


def test_two_equal_errors_are_known_from_twice_the_differences():
    one = noise(several(0.0, 1.0, 19), several(0.0, 0.0, 1))
    assert noise(several(0.0, 1.0, 19), several(0.0, 1.0, 19)) < math.sqrt(2) * one
    assert noise(several(0.0, 1.0, 19), several(0.0, 1.0, 19)) == pytest.approx(
        math.sqrt(2) * noise(several(0.0, 1.0, 38), several(0.0, 0.0, 1))
    )


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
