import dataclasses
import math
from itertools import pairwise

import pytest
import torch

from gendiff_lib import paths
from gendiff_lib.data import load
from gendiff_lib.evaluation import validation
from gendiff_lib.evaluation.corruptions import CORRUPTIONS, corrupted
from gendiff_lib.evaluation.features import image_keys
from gendiff_lib.evaluation.metrics import score
from gendiff_lib.evaluation.scores import ScoreError
from gendiff_lib.evaluation.validation import (
    INDEPENDENT,
    PERMUTATIONS,
    kept_validation,
    read_validation,
    thinned,
    validation_path,
)
from gendiff_lib.experiments.extractors import offline, own_classifier
from gendiff_lib.runs import files
from gendiff_lib.versions import result_versions

DAMAGES = [*CORRUPTIONS, "dropped classes"]


def images(n=6):
    return load("shapes:16").samples[:n]


@pytest.mark.parametrize("family", CORRUPTIONS)
def test_every_level_moves_images_further_and_none_leaves_them_alone(family):
    clean = images(40)
    assert torch.equal(corrupted(clean, family, 0), clean)
    levels = CORRUPTIONS[family][1]
    moved = [(corrupted(clean, family, level).float() - clean.float()).square().mean().item() for level in levels]
    assert moved[0] > 0
    assert moved == sorted(moved)
    again = corrupted(clean, family, levels[-1])
    assert torch.equal(again, corrupted(clean, family, levels[-1]))
    assert (again.dtype, again.shape) == (torch.uint8, clean.shape)


def test_quantisation_keeps_the_bits_that_it_says():
    values = torch.arange(256).byte().reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert corrupted(values, "quantisation", 6).unique().tolist() == [32, 96, 160, 224]
    assert (corrupted(values, "quantisation", 4).int() - values.int()).abs().max() <= 8


def test_classes_are_dropped_and_the_rest_share_evenly():
    labels = torch.arange(10).repeat(30)
    for dropped in range(10):
        picks = thinned(labels, dropped, 30, 10)
        counts = torch.bincount(labels[picks], minlength=10)
        assert len(picks.unique()) == 30
        assert (counts[:dropped] == 0).all()
        assert counts[dropped:].max() - counts[dropped:].min() <= 1


@pytest.fixture(scope="module")
def scored_keys():
    """The keys of the images of each row, in the order of rows, once these are `found`."""
    return []


@pytest.fixture(scope="module")
def found(tmp_path_factory, scored_keys):
    def spied(fake, *args, **how):
        scored_keys.append(fake.keys.tolist())
        return score(fake, *args, **how)

    place = tmp_path_factory.mktemp("validation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(place / "runs"))
        patch.setenv("GENDIFF_CACHE", str(place / "cache"))
        patch.setenv("GENDIFF_DEVICE", "cpu")
        patch.setattr(paths, "published_dir", lambda: place / "published")
        patch.setattr(
            validation, "score", lambda fake, *a, **k: scored_keys.append(fake.keys.tolist()) or score(fake, *a, **k)
        )
        judge = offline("shapes", "smoke")
        first = kept_validation(judge, "shapes", 600, 300)
        patch.setattr(validation, "validate", lambda *a: pytest.fail("computed again"))
        assert kept_validation(judge, "shapes", 600, 300) == first
        (kept,) = (place / "runs" / "validation").iterdir()
        assert kept == validation_path(place / "runs", judge, "shapes", 600, 300)
        assert validation_path(place, judge, "shapes", None, None).name.endswith("-all-all.json")
    return first


def test_the_offline_extractor_is_a_measure(found):
    """On shapes, by the smallest classifier: real beside real is near, damage is ordered as far as n tells."""
    for name in DAMAGES:
        _, values, errors = found.response(name, "frechet_distance")
        steps = zip(pairwise(values), pairwise(errors), strict=True)
        assert all(b > a - math.hypot(*error) for (a, b), error in steps), name
    floor = found.family("floor")[1].scores.frechet_distance
    assert all(found.response(name, "frechet_distance")[1][-1] > 3 * floor for name in DAMAGES)


def test_dropping_classes_costs_recall_not_precision(found):
    _, recall, _ = found.response("dropped classes", "recall")
    _, precision, _ = found.response("dropped classes", "precision")
    assert recall[0] > 0.8
    assert recall[-1] < 0.4
    assert min(precision) > 0.7


def test_references_are_named(found):
    names = {(row.family, row.scores.reference) for row in found.rows}
    assert names >= {("floor", "train"), ("size", "test"), ("blur", "train")}
    assert [row.scores.n_fake for row in found.family("size")] == [120, 300, 600]
    assert {row.scores.n_fake for row in found.family("dropped classes")} == {30}


def test_halves_and_subsets_have_as_many_images_of_each_class(found, scored_keys):
    data = [load("shapes", split) for split in ("train", "test")]
    keys, labels = torch.cat([image_keys(d.samples) for d in data]), torch.cat([d.labels for d in data])
    classes = dict(zip(keys.tolist(), labels.tolist(), strict=True))
    for row, scored in zip(found.rows, scored_keys, strict=True):
        assert len(set(scored)) == row.scores.n_fake
        if row.family in ("floor", "size") or (row.level == 0 and row.family in CORRUPTIONS):
            counts = torch.bincount(torch.tensor([classes[key] for key in scored]), minlength=10)
            assert counts.max() - counts.min() <= 1, row.what
    first, rest = (set(scored_keys[i]) for i in (0, [row.family for row in found.rows].index("size")))
    assert rest < first  # a size begins as the half does
    assert scored_keys[0] != sorted(scored_keys[0], key=classes.get)  # and neither is in the order of the classes


def test_independent_sets_are_disjoint_within_a_permutation_alone(found, scored_keys):
    rows = list(zip(found.rows, scored_keys, strict=True))
    for level in range(PERMUTATIONS):
        sets = [keys for row, keys in rows if (row.family, row.level) == ("independent sets", level)]
        assert len(sets) == INDEPENDENT
        assert len({key for keys in sets for key in keys}) == 300
    firsts = {frozenset(keys) for row, keys in rows if row.what.endswith("set 1")}
    assert len(firsts) == PERMUTATIONS


def test_it_tells_the_versions_that_it_rests_on(found):
    assert found.made["versions"] == result_versions("metrics", "features")
    assert {"device", "threads", "commit", "packages", "seconds"} <= found.made.keys()


def test_scores_of_an_earlier_version_are_refused(found, tmp_path):
    kept = dataclasses.asdict(found)
    for row in kept["rows"]:
        del row["scores"]["groups"]
    files.write_json(tmp_path / "old.json", kept)
    with pytest.raises(ScoreError, match="these scores lack groups: compute them again"):
        read_validation(tmp_path / "old.json")


PUBLISHED = sorted((paths.published_dir() / "validation").glob("*-????????????-????????????-*.json"))


def test_the_classifier_of_cifar10_is_published_with_its_validation():
    judge = own_classifier("cifar10")
    assert sum(path.name.startswith(f"{judge.name}-{judge.digest}-") for path in PUBLISHED) == 1
