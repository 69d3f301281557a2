import dataclasses
import math

import pytest

from gendiff_lib.config import Sampling
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.train import train
from gendiff_report.agreement import FEWEST, agreement, agreements, discordant, scored_sets
from tests.evaluation.test_metrics import gaussian, scored

ONE = scored(gaussian(60), gaussian(50, seed=5))


def by(extractor, fd, **changes):
    return dataclasses.replace(ONE, extractor=extractor, frechet_distance=fd, **changes)


def test_tau_is_the_excess_of_pairs_in_order():
    points = {"a": (1, 10), "b": (2, 30), "c": (3, 20), "d": (4, 40)}  # five of six pairs are ordered alike
    found = agreement("x", "y", 100, points)
    assert found.tau == pytest.approx((5 - 1) / 6)
    assert found.discordant == (("b", "c"),)
    assert found.sets == ("a", "b", "c", "d")


def test_too_few_sets_have_no_tau():
    found = agreement("x", "y", 100, {str(i): (i, i) for i in range(FEWEST - 1)})
    assert math.isnan(found.tau)


def test_ties_are_no_disagreement():
    assert discordant({"a": (1, 1), "b": (1, 2), "c": (2, 1)}) == [("b", "c")]


def test_sets_of_unlike_n_reals_or_weights_are_not_ordered_together():
    sets = {str(i): [by("x", i), by("y", 2 * i)] for i in range(4)}
    sets |= {"small": [by("x", 9, n_fake=7), by("y", 1, n_fake=7)]}
    sets |= {"fewer": [by("x", 9, n_real=7), by("y", 1, n_real=7)], "unlike": [by("x", 9), by("y", 1, n_real=8)]}
    sets |= {"other": [by("x", 9, extractor_digest="z"), by("y", 1)], "alone": [by("x", 9)]}
    found = agreements(sets)
    assert sorted(len(each.sets) for each in found) == [1, 1, 1, 4]
    whole = max(found, key=lambda each: len(each.sets))
    assert (whole.one, whole.other, whole.n, whole.tau, whole.discordant) == ("x", "y", ONE.n_fake, 1.0, ())


def test_every_pair_of_three_extractors_is_asked():
    sets = {str(i): [by("x", i), by("y", -i), by("z", i)] for i in range(3)}
    assert {(a.one, a.other): a.tau for a in agreements(sets)} == {("x", "y"): -1, ("x", "z"): 1, ("y", "z"): -1}


def test_published_sets_alone_are_read(gan, published):
    run = train(gan)
    pixels = Extractor("pixels", "d", lambda x: (x.float().flatten(1)[:, :4], x.float().flatten(1)[:, :3]))
    for n in (30, 40):
        for split in ("train", "test"):
            evaluate(run, Sampling(n=n, batch_size=20), pixels, 50, split)
    assert scored_sets(run.config.dataset) == {}
    publish(run)
    found = scored_sets(run.config.dataset)
    assert sorted(s.n_fake for (s,) in found.values()) == [30, 40]
    assert all(name.startswith(run.id) for name in found)
    assert scored_sets("cifar10") == {}
