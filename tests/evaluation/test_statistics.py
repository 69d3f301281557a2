import json

import pytest
import torch
from torch.testing import assert_close
from torch_fidelity import metric_fid

from gendiff_lib.evaluation import features, statistics
from gendiff_lib.evaluation.distances import Statistics
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.statistics import from_triangle, published_statistics, record_path
from gendiff_lib.evaluation.weights import INCEPTION_FEATURES
from gendiff_lib.runs import files
from gendiff_lib.runs.files import StoreError

TRACKED = json.loads(record_path("cifar10", "inception").read_text())
TENSORS = record_path("cifar10", "inception").with_suffix(".safetensors")
EXTRACTOR = Extractor("e", "d1", lambda images: None)


def statistics_of(n, seed):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Statistics(x.mean(0), x.T.cov(), n)


def triangle_of(symmetric):
    """The upper triangle of (D, D), row by row."""
    return symmetric[*torch.triu_indices(*symmetric.shape)]


def write_record(dataset, extractor, train, test):
    """Publish statistics as those that are tracked were; returns the JSON file's path."""
    path = record_path(dataset, extractor.name)
    tensors = {"train_mean": train.mean, "train_covariance": triangle_of(train.covariance), "test_mean": test.mean}
    files.write_tensors(path.with_suffix(".safetensors"), {name: tensor.float() for name, tensor in tensors.items()})
    told = {"n": {"train": train.n, "test": test.n}, "extractor_digest": extractor.digest, "version": features.VERSION}
    files.write_json(path, told | {"sha256": files.sha256(path.with_suffix(".safetensors"))})
    return path


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
    path = write_record("shapes:16", EXTRACTOR, train, test)
    assert path == published / "reference" / "shapes-16-e.json"
    found = published_statistics("shapes:16", EXTRACTOR, "train")
    assert found.n == 20
    assert found.mean.dtype == found.covariance.dtype == torch.float64
    assert_close(found[:2], train[:2], rtol=1e-6, atol=1e-6)


def test_other_weights_versions_and_data_sets_and_the_test_split_have_none(published, monkeypatch):
    write_record("shapes", EXTRACTOR, statistics_of(20, 0), statistics_of(10, 1))
    assert published_statistics("shapes", EXTRACTOR, "test") is None
    assert published_statistics("shapes", Extractor("e", "d2", EXTRACTOR.network), "train") is None
    assert published_statistics("shapes", Extractor("f", "d1", EXTRACTOR.network), "train") is None
    assert published_statistics("moons", EXTRACTOR, "train") is None
    monkeypatch.setattr(statistics, "VERSION", features.VERSION + 1)
    assert published_statistics("shapes", EXTRACTOR, "train") is None


@pytest.mark.parametrize("damage", ["tensors", "told", "missing tensors", "short triangle"])
def test_a_damaged_record_is_named(published, damage):
    told_path = write_record("shapes", EXTRACTOR, statistics_of(20, 0), statistics_of(10, 1))
    tensors_path = told_path.with_suffix(".safetensors")
    if damage == "told":
        told_path.write_text('{"n": {}}')
    elif damage == "missing tensors":
        tensors_path.unlink()
    else:
        tensors = files.read_tensors(tensors_path)
        tensors["train_covariance"] = tensors["train_covariance"][: 5 if damage == "short triangle" else 6] + 1
        files.write_tensors(tensors_path, tensors)
    if damage == "short triangle":
        files.write_json(told_path, files.read_json(told_path) | {"sha256": files.sha256(tensors_path)})
    with pytest.raises(StoreError, match=f"{told_path.stem}.* is damaged .*restore it with git checkout"):
        published_statistics("shapes", EXTRACTOR, "train")


def test_the_tracked_record_is_whole_and_agrees_with_itself():
    """Of the published distance, |m1 - m2|^2 can be had from the record alone: the test covariance is not in it."""
    train = published_statistics("cifar10", tracked_extractor(), "train")
    assert (train.n, TRACKED["n"]) == (50_000, {"train": 50_000, "test": 10_000})
    assert train.covariance.shape == (2048, 2048)
    assert torch.linalg.eigvalsh(train.covariance)[0] > -1e-6
    between = (train.mean - files.read_tensors(TENSORS)["test_mean"].double()).square().sum().item()
    assert between == pytest.approx(TRACKED["mean_distance"], rel=1e-9)
    assert TRACKED["fid_train_test"] == pytest.approx(3.151, abs=0.002)
    assert between < TRACKED["fid_train_test"]


def test_the_tracked_record_is_small_and_of_the_weights_that_are_fetched():
    assert TRACKED["weights_sha256"] == INCEPTION_FEATURES.sha256
    assert TENSORS.stat().st_size < 8.5e6
    assert sorted(files.read_tensors(TENSORS)) == ["test_mean", "train_covariance", "train_mean"]
    assert published_statistics("cifar10", tracked_extractor("another"), "train") is None


def distance(one, other):
    """torch-fidelity's own, of means and covariances."""
    one, other = ({"mu": s.mean.numpy(), "sigma": s.covariance.numpy()} for s in (one, other))
    return metric_fid.fid_statistics_to_metric(one, other, verbose=False)[metric_fid.KEY_METRIC_FID]


def test_a_distance_from_published_statistics_is_that_of_all_features(published):
    train, test = statistics_of(200, 0), statistics_of(100, 1)
    write_record("shapes", EXTRACTOR, train, test)
    known = published_statistics("shapes", EXTRACTOR, "train")
    expected = distance(train, test)
    assert distance(known, test) == pytest.approx(expected, 1e-4)
