import json

import pytest
import torch
from torch.testing import assert_close
from torch_fidelity import metric_fid

from gendiff_lib import statistics, store
from gendiff_lib.features import Extractor
from gendiff_lib.statistics import (
    PRINTED,
    Statistics,
    from_triangle,
    published_statistics,
    read_record,
    told_of,
    triangle_of,
    write_record,
)
from gendiff_lib.store import StoreError
from gendiff_lib.weights_files import INCEPTION_FEATURES

TRACKED = json.loads((store.published_dir() / "reference" / "cifar10-inception.json").read_text())
EXTRACTOR = Extractor("e", "d1", lambda images: None)


def statistics_of(n, seed):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Statistics(x.mean(0), x.T.cov(), n)


def tracked_extractor(digest=TRACKED["extractor_digest"]):
    return Extractor("inception", digest, lambda images: None)


def test_a_triangle_is_row_by_row_and_comes_back():
    symmetric = torch.tensor([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]])
    assert triangle_of(symmetric).tolist() == [1, 2, 3, 4, 5, 6]
    assert_close(from_triangle(triangle_of(symmetric), 3), symmetric, rtol=0, atol=0)
    with pytest.raises(ValueError, match="a triangle of 6 numbers is of no 4 by 4 matrix"):
        from_triangle(triangle_of(symmetric), 4)


def test_what_is_published_comes_back_in_float64(published):
    train, test = statistics_of(20, 0), statistics_of(10, 1)
    path = write_record("shapes:16", EXTRACTOR, train, test, {"made": "here"})
    assert path == published / "reference" / "shapes-16-e.json"
    found = published_statistics("shapes:16", EXTRACTOR, "train")
    assert found.n == 20
    assert found.mean.dtype == found.covariance.dtype == torch.float64
    assert_close(found[:2], train[:2], rtol=1e-6, atol=1e-6)
    assert_close(read_record("shapes:16", EXTRACTOR).test_mean, test.mean, rtol=1e-6, atol=1e-6)
    assert read_record("shapes:16", EXTRACTOR).told["made"] == "here"


def test_other_weights_versions_and_data_sets_and_the_test_split_have_none(published, monkeypatch):
    write_record("shapes", EXTRACTOR, statistics_of(20, 0), statistics_of(10, 1), {})
    assert published_statistics("shapes", EXTRACTOR, "test") is None
    assert published_statistics("shapes", Extractor("e", "d2", EXTRACTOR.network), "train") is None
    assert published_statistics("shapes", Extractor("f", "d1", EXTRACTOR.network), "train") is None
    assert published_statistics("moons", EXTRACTOR, "train") is None
    monkeypatch.setattr(statistics, "VERSION", statistics.VERSION + 1)
    assert published_statistics("shapes", EXTRACTOR, "train") is None


@pytest.mark.parametrize("damage", ["tensors", "told", "missing tensors", "short triangle"])
def test_a_damaged_record_is_named(published, damage):
    told_path = write_record("shapes", EXTRACTOR, statistics_of(20, 0), statistics_of(10, 1), {})
    tensors_path = told_path.with_suffix(".safetensors")
    if damage == "told":
        told_path.write_text('{"n": {}}')
    elif damage == "missing tensors":
        tensors_path.unlink()
    else:
        tensors = store.read_tensors(tensors_path)
        tensors["train_covariance"] = tensors["train_covariance"][: 5 if damage == "short triangle" else 6] + 1
        store.write_tensors(tensors_path, tensors)
    if damage == "short triangle":
        store.write_json(told_path, store.read_json(told_path) | {"sha256": store.sha256(tensors_path)})
    with pytest.raises(StoreError, match=f"{told_path.stem}.* is damaged .*restore it with git checkout"):
        read_record("shapes", EXTRACTOR)


def test_the_tracked_record_is_whole_and_agrees_with_itself():
    """Of the published distance, |m1 - m2|^2 can be had from the record alone: the test covariance is not in it."""
    record = read_record("cifar10", tracked_extractor())
    train = record.train
    assert (train.n, TRACKED["n"]) == (50_000, {"train": 50_000, "test": 10_000})
    assert train.covariance.shape == (2048, 2048)
    assert torch.linalg.eigvalsh(train.covariance)[0] > -1e-6
    between = (train.mean - record.test_mean).square().sum().item()
    assert between == pytest.approx(TRACKED["mean_distance"], rel=1e-9)
    assert TRACKED["fid_train_test"] == pytest.approx(3.151, abs=0.002)
    for printed in PRINTED.values():
        assert TRACKED["fid_train_test"] == pytest.approx(printed, abs=0.002)
    assert between < TRACKED["fid_train_test"]


def test_the_tracked_record_is_small_and_of_the_weights_that_are_fetched():
    assert TRACKED["weights_sha256"] == INCEPTION_FEATURES.sha256
    path = store.published_dir() / "reference" / "cifar10-inception.safetensors"
    assert path.stat().st_size < 8.5e6
    assert store.tensor_names(path) == ["test_mean", "train_covariance", "train_mean"]
    assert read_record("cifar10", tracked_extractor("another")) is None


def test_what_a_record_tells_is_there_without_its_extractor(published):
    assert told_of("shapes:16", "e") is None
    path = write_record("shapes:16", EXTRACTOR, statistics_of(20, 0), statistics_of(10, 1), {"made": "here"})
    assert told_of("shapes:16", "e") == store.read_json(path)


def distance(one, other):
    """torch-fidelity's own, of means and covariances."""
    one, other = ({"mu": s.mean.numpy(), "sigma": s.covariance.numpy()} for s in (one, other))
    return metric_fid.fid_statistics_to_metric(one, other, verbose=False)[metric_fid.KEY_METRIC_FID]


def test_a_distance_from_published_statistics_is_that_of_all_features(published):
    train, test = statistics_of(200, 0), statistics_of(100, 1)
    write_record("shapes", EXTRACTOR, train, test, {})
    known = published_statistics("shapes", EXTRACTOR, "train")
    expected = distance(train, test)
    assert distance(known, test) == pytest.approx(expected, 1e-4)
