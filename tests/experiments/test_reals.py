import pytest

from gendiff_lib.data import count
from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments.extractors import offline_name
from gendiff_lib.experiments.reals import _protocols, publish_real


def test_points_have_no_record(published):
    with pytest.raises(GendiffError, match=r"gaussians holds points in the plane.*name images"):
        publish_real("gaussians", "smoke")
    assert not published.exists()


def test_snapshots_have_floors_of_their_own_n():
    assert _protocols("cifar10", "overnight") == [(5000, 10_000), (2000, 10_000)]


def test_cifar10_is_counted_without_being_there(monkeypatch, tmp_path):
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    assert (count("cifar10", "train"), count("cifar10", "test")) == (50_000, 10_000)
    assert count("shapes:8", "test") == 2000
    assert offline_name("shapes:8") == "shapes-classifier"
