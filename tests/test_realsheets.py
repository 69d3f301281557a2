import pytest

from gendiff_lib import realsheets, store
from gendiff_lib.features import Extractor
from gendiff_lib.realsheets import BROUGHT_BACK, UNTOUCHED, classifier_name, kept_floors, offline_name, publish_real


def pixels(name):
    """An extractor of a few pixels, under any name."""
    return Extractor(
        name, "0123456789ab", lambda x: (x.float().flatten(1)[:, 500:503] / 32, x.float().flatten(1)[:, :2])
    )


@pytest.fixture
def judges(monkeypatch, published):
    """The two extractors of `shapes`, if its offline one were not its classifier."""
    monkeypatch.setattr(realsheets, "offline_kind", lambda dataset: "efficientnet")
    several = {"classifier": pixels("shapes-classifier"), "efficientnet": pixels("efficientnet")}
    monkeypatch.setattr(realsheets, "EXTRACTORS", {k: lambda *of, j=j: j for k, j in several.items()})
    monkeypatch.setattr(realsheets, "_protocols", lambda dataset, preset: [(40, 100)])


def test_floors_are_published_by_both_extractors_and_read_by_the_offline_one(judges, monkeypatch):
    path = publish_real("shapes")
    floors = store.read_json(path)["floors"]
    assert [s["extractor"] for s in floors] == ["shapes-classifier"] * 2 + ["efficientnet"] * 2
    found = kept_floors("shapes", 40, 100)
    assert list(found) == [UNTOUCHED, BROUGHT_BACK]
    assert {s.extractor for s in found.values()} == {"efficientnet"}
    assert kept_floors("shapes", 50, 100) == {}
    monkeypatch.setattr(realsheets, "offline_kind", lambda dataset: "classifier")
    assert {s.extractor for s in kept_floors("shapes", 40, 100).values()} == {"shapes-classifier"}


def test_where_the_classifier_judges_it_is_asked_once(judges, monkeypatch):
    monkeypatch.setattr(realsheets, "offline_kind", lambda dataset: "classifier")
    assert len(store.read_json(publish_real("shapes"))["floors"]) == 2


def test_the_published_floors_of_cifar10_are_by_both_extractors():
    told = store.read_json(store.published_dir() / "real" / "cifar10.json")
    assert {s["extractor"] for s in told["floors"]} == {classifier_name("cifar10"), offline_name("cifar10")}
