import json

import pytest
import torch

from gendiff_lib import store, validation
from gendiff_lib.data import load
from gendiff_lib.metrics import Scores
from gendiff_lib.scoring import offline
from gendiff_lib.sources import metrics_digest
from gendiff_lib.validation import CORRUPTIONS, UNITS, Validation, corrupted, kept_validation, thinned


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
def found(tmp_path_factory):
    place = tmp_path_factory.mktemp("validation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(place / "runs"))
        patch.setenv("GENDIFF_CACHE", str(place / "cache"))
        patch.setenv("GENDIFF_DEVICE", "cpu")
        patch.setattr(store, "published_dir", lambda: place / "published")
        judge = offline("shapes", "smoke")
        first = kept_validation(judge, "shapes", 600, 300)
        patch.setattr(validation, "validate", lambda *a: pytest.fail("computed again"))
        assert kept_validation(judge, "shapes", 600, 300) == first
        assert len(list((place / "runs" / "validation").iterdir())) == 1
    return first


def test_the_offline_extractor_is_a_measure(found):
    """On shapes, by the smallest classifier: real beside real is near, and damage is strictly ordered."""
    ordered = found.ordered("frechet_distance")
    assert ordered == dict.fromkeys(UNITS, True)
    floor = found.family("floor")[1].scores.frechet_distance
    assert all(found.response(name, "frechet_distance")[1][-1] > 3 * floor for name in UNITS)


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


PUBLISHED = sorted((store.published_dir() / "validation").glob("cifar10-classifier-*.json"))


def test_there_is_a_published_validation():
    assert PUBLISHED


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda p: p.stem)
def test_the_published_extractor_is_a_measure(path):
    kept = json.loads(path.read_text())
    rows = tuple(validation.Row(**{**row, "scores": Scores.from_dict(row["scores"])}) for row in kept["rows"])
    found = Validation(kept["dataset"], rows, kept["made"])
    assert found.ordered("frechet_distance") == dict.fromkeys(UNITS, True)
    assert {row.scores.extractor_digest for row in rows} == {path.stem.split("-")[2]} == {offline("cifar10").digest}
    assert found.made["sources"] == metrics_digest()
