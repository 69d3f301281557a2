import pytest
import torch

from gendiff_lib import errors, paths
from gendiff_lib.data import images, load
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.experiments import protocol
from gendiff_lib.experiments import reals as records
from gendiff_lib.experiments.extractors import OFFLINE, classifier_name, offline_name
from gendiff_lib.experiments.reals import BROUGHT_BACK, COUNTED, FEW, PER_CLASS, UNTOUCHED, publish_real
from gendiff_lib.runs import files
from gendiff_lib.runs.files import StoreError
from gendiff_report import reals as shown
from gendiff_report.reals import kept_floors, read, reals


@pytest.fixture
def found():
    return reals("shapes:16")


def test_counts_and_pictures_are_those_of_the_data_set(found):
    train, test = load("shapes:16"), load("shapes:16", "test")
    assert found.sizes == {"train": len(train.samples), "test": len(test.samples)}
    assert found.counts["test"] == [(test.labels == k).sum() for k in range(10)]
    assert found.digests == {"train": train.digest, "test": test.digest}
    assert torch.equal(found.few, train.samples[:FEW])
    assert (found.bridge.shape(None), found.side) == ((3, 16, 16), 16)


def test_each_row_of_the_sheet_of_classes_is_of_one_class(found):
    train = load("shapes:16")
    rows = [images.sheet(train.samples[train.labels == k][:PER_CLASS], columns=PER_CLASS) for k in (0, 9)]
    height = found.by_class.shape[1] // 10
    assert torch.equal(found.by_class[:, :16], rows[0][:, :16])
    assert torch.equal(found.by_class[:, 9 * height : 9 * height + 16], rows[1][:, :16])


def test_the_share_of_a_byte_is_over_all_channels_of_the_images_that_are_counted(found):
    first = load("shapes:16").samples[:COUNTED]
    assert found.counted == COUNTED
    for value in (0, 128, 255):
        assert found.share(value) == pytest.approx((first == value).float().mean().item(), rel=1e-4)
    assert sum(map(found.share, range(256))) == pytest.approx(1)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Published reals of `shapes`, by the protocols of smoke, as text and pictures."""
    place = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(place / "runs"))
        patch.setenv("GENDIFF_CACHE", str(place / "cache"))
        patch.setattr(paths, "published_dir", lambda: place / "published")
        publish_real("shapes", "smoke")
    return place / "published"


@pytest.fixture
def kept(record, monkeypatch):
    monkeypatch.setattr(paths, "published_dir", lambda: record)
    return record / "real"


def judge(name, dataset="shapes"):
    """The name and the digest of an extractor that scored the real images of a record."""
    told = files.read_json(paths.published_dir() / "real" / f"{dataset}.json")["floors"]
    return next((s["extractor"], s["extractor_digest"]) for s in told if s["extractor"] == name)


SHAPES = "shapes-classifier"


def test_a_record_gives_back_what_the_data_set_gave(kept):
    mine, theirs = vars(reals("shapes")), vars(reals("shapes", published=True))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        same = torch.equal(value, theirs[name]) if isinstance(value, torch.Tensor) else value == theirs[name]
        assert same, name


def test_only_a_page_that_asks_for_the_record_reads_it_and_then_no_data(kept, monkeypatch):
    def gone(*words):
        raise errors.MissingDataError("gone")

    monkeypatch.setattr(shown, "load", gone)
    assert reals("shapes", published=True).side == 32
    with pytest.raises(errors.MissingDataError):
        reals("shapes")


def test_a_record_answers_for_no_other_data_set_of_its_name(kept, found):
    assert reals("shapes:16", published=True).digests == found.digests
    assert kept_floors("shapes:16", 100, 2000, judge(SHAPES)) == {}


def test_floors_are_kept_by_what_they_are_and_only_for_their_own_protocol(kept):
    mine = protocol("live-gan", "smoke")
    n, n_real = mine.sampling.n, mine.reals(10_000)
    floors = kept_floors("shapes", n, n_real, judge(SHAPES))
    assert list(floors) == [UNTOUCHED, BROUGHT_BACK]
    assert {(s.n_fake, s.n_real, s.reference) for s in floors.values()} == {(n, n_real, "train")}
    assert floors[BROUGHT_BACK].frechet_distance > 0
    assert floors[BROUGHT_BACK].frechet_distance != floors[UNTOUCHED].frechet_distance
    assert kept_floors("shapes", n + 1, n_real, judge(SHAPES)) == {}
    assert kept_floors("shapes", n, n_real + 1, judge(SHAPES)) == {}
    assert kept_floors("shapes", n, n_real, (SHAPES, "another one's")) == {}


def test_more_fakes_than_there_are_real_images_meet_the_floor_of_them_all(kept, tmp_path, monkeypatch):
    told = files.read_json(kept / "shapes.json")
    told["floors"] = [each | {"n_fake": 2000} for each in told["floors"]]
    files.write_json(tmp_path / "real" / "shapes.json", told)
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path)
    found = kept_floors("shapes", 5000, 2000, judge(SHAPES))
    assert {s.n_fake for s in found.values()} == {2000}


def test_without_a_record_there_are_no_floors_and_reading_one_names_it(published):
    assert kept_floors("shapes", 100, 500, (SHAPES, "any")) == {}
    with pytest.raises(StoreError, match=r"real/shapes\.json is damaged \(it is missing\)"):
        read("shapes")


@pytest.mark.parametrize("lost", ["side", "floors"])
def test_a_damaged_record_is_named(lost, kept, tmp_path, monkeypatch):
    told = files.read_json(kept / "shapes.json")
    del told[lost]
    files.write_json(tmp_path / "real" / "shapes.json", told)
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path)
    with pytest.raises(StoreError, match=f"shapes.json is damaged \\('?{lost}'? is missing\\)"):
        read("shapes") if lost == "side" else kept_floors("shapes", 100, 500, (SHAPES, "any"))


@pytest.mark.parametrize("n", [5000, 2000])
def test_the_tracked_record_holds_the_floors_that_overnight_pages_ask_for(n):
    floors = kept_floors("cifar10", n, 10_000, judge("efficientnet", "cifar10"))
    assert list(floors) == [UNTOUCHED, BROUGHT_BACK]
    assert {s.n_fake for s in floors.values()} == {n}
    assert floors[BROUGHT_BACK].frechet_distance > floors[UNTOUCHED].frechet_distance


# ---------------------------------------------------------------- floors by two extractors


def pixels(name):
    """An extractor of a few pixels, under any name."""
    return Extractor(
        name, "0123456789ab", lambda x: (x.float().flatten(1)[:, 500:503] / 32, x.float().flatten(1)[:, :2])
    )


@pytest.fixture
def judges(monkeypatch, published):
    """The two extractors of `shapes`, if its offline one were not its classifier."""
    monkeypatch.setitem(OFFLINE, "shapes", "efficientnet")
    several = {"classifier": pixels("shapes-classifier"), "efficientnet": pixels("efficientnet")}
    monkeypatch.setattr(records, "EXTRACTORS", {k: lambda *of, j=j: j for k, j in several.items()})
    monkeypatch.setattr(records, "_protocols", lambda dataset, preset: [(40, 100)])


def test_floors_are_published_by_both_extractors_and_read_by_the_one_that_is_asked(judges):
    path = publish_real("shapes")
    floors = files.read_json(path)["floors"]
    assert [s["extractor"] for s in floors] == ["shapes-classifier"] * 2 + ["efficientnet"] * 2
    found = kept_floors("shapes", 40, 100, judge("efficientnet"))
    assert list(found) == [UNTOUCHED, BROUGHT_BACK]
    assert {s.extractor for s in found.values()} == {"efficientnet"}
    assert kept_floors("shapes", 50, 100, judge("efficientnet")) == {}
    assert {s.extractor for s in kept_floors("shapes", 40, 100, judge(SHAPES)).values()} == {SHAPES}


def test_published_models_and_the_real_images_beside_them_are_seen_by_one_extractor():
    for folder in paths.published_dir().glob("live-*"):
        for path in folder.glob("samples/*/scores-*"):
            scores = files.read_json(path)
            assert (scores["extractor"], scores["extractor_digest"]) == judge(scores["extractor"]), path


def test_where_the_classifier_judges_it_is_asked_once(judges, monkeypatch):
    monkeypatch.setitem(OFFLINE, "shapes", "classifier")
    assert len(files.read_json(publish_real("shapes"))["floors"]) == 2


def test_the_published_floors_of_cifar10_are_by_both_extractors():
    told = files.read_json(paths.published_dir() / "real" / "cifar10.json")
    assert {s["extractor"] for s in told["floors"]} == {classifier_name("cifar10"), offline_name("cifar10")}
