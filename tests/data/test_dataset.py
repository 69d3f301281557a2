import hashlib
import itertools
import json
import pickle
import pwd
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gendiff_lib import data, paths
from gendiff_lib.data import DATASETS, load, toy
from gendiff_lib.data.cifar10 import FOLDER
from gendiff_lib.data.dataset import Dataset, ImageBridge, PointBridge, batches, check_same
from gendiff_lib.errors import DataError
from gendiff_lib.streams import stream

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "data.json").read_text(encoding="utf-8"))


def numbered(n=20, size=4):
    """n images; image i is grey i but for its first column, which is 255."""
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, size, size)
    images[..., 0] = 255
    return Dataset("numbered", "train", images, torch.arange(n), ("a",), ImageBridge(size))


def epoch(dataset, **more):
    return list(batches(dataset, 6, seed=more.pop("seed", 0), epoch=more.pop("epoch", 0), **more))


def test_an_epoch_is_a_permutation_in_whole_batches():
    labels = torch.cat([y for _, y in epoch(numbered())])
    assert len(labels) == 18
    assert len(labels.unique()) == 18
    assert labels.tolist() != sorted(labels.tolist())


def test_order_depends_on_seed_and_epoch_alone():
    def order(**more):
        return torch.cat([y for _, y in epoch(numbered(), **more)]).tolist()

    first = order()
    torch.randn(5)
    assert order() == first
    assert order(seed=1) != first
    assert order(epoch=1) != first
    assert order(flip=True) == first


def test_order_and_flips_are_streams_of_their_own():
    dataset = numbered(200)
    x, labels = next(batches(dataset, 200, seed=5, epoch=2, flip=True))
    order = torch.randperm(200, generator=stream("order", 5, 2))
    mirrored = torch.rand(200, generator=stream("flip", 5, 2)) < 0.5
    assert labels.tolist() == order.tolist()
    assert (x[:, 0, 0, -1] == 1).tolist() == mirrored.tolist()  # the white column stands last


@pytest.mark.parametrize("flip", [False, True])
def test_skipping_is_continuing(flip):
    whole, rest = epoch(numbered(), flip=flip), epoch(numbered(), flip=flip, skip=2)
    assert len(rest) == len(whole) - 2
    for (x, y), (x2, y2) in zip(whole[2:], rest, strict=True):
        assert_close(x, x2, rtol=0, atol=0)
        assert_close(y, y2)


def test_samples_keep_their_labels_and_are_brought_to_the_models_range():
    for x, y in epoch(numbered()):
        assert_close(x[:, 0, 0, 1], y / 127.5 - 1)
        assert_close(x[:, 0, 0, 0], torch.ones(6))


def test_flip_mirrors_about_half_of_the_images_and_alters_nothing_else():
    plain, flipped = (next(batches(numbered(200), 200, seed=3, epoch=0, flip=f))[0] for f in (False, True))
    same = (plain == flipped).flatten(1).all(1)
    mirrored = (plain.flip(-1) == flipped).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 70 < mirrored.sum() < 130


def test_batches_come_at_the_models_side():
    assert epoch(numbered(), image_size=8)[0][0].shape == (6, 3, 8, 8)


def test_a_batch_larger_than_the_data_set_is_refused():
    with pytest.raises(DataError, match="batch_size=6 is more than the 5 training samples of numbered"):
        epoch(numbered(5))


def sorted_by_class(*sizes):
    """Labels in the order of the classes, as a folder's are; sample i is grey i."""
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    images = torch.arange(len(labels)).byte()[:, None, None, None].repeat(1, 3, 8, 8)
    return Dataset("sorted", "train", images, labels, tuple(map(str, range(len(sizes)))), ImageBridge(8))


def chosen(dataset, n, purpose="n_train"):
    return dataset.choose(n, purpose).samples[:, 0, 0, 0].tolist()


def test_a_choice_is_of_every_class_alike_though_the_data_set_is_sorted_by_class():
    dataset = sorted_by_class(40, 40, 40)
    assert dataset.labels[:30].unique().tolist() == [0]
    for n in (1, 2, 3, 7, 30, 100, 120):
        counts = torch.bincount(dataset.choose(n, "n_train").labels, minlength=3)
        assert counts.sum() == n
        assert counts.max() - counts.min() <= 1


def test_every_prefix_of_a_choice_is_balanced_and_its_classes_come_in_no_fixed_order():
    labels = sorted_by_class(40, 40, 40).choose(90, "n_train").labels.reshape(30, 3)
    assert labels.sort(1).values.unique(dim=0).tolist() == [[0, 1, 2]]
    assert len(labels.unique(dim=0)) == 6


def test_where_a_class_has_too_few_the_others_give_the_rest():
    counts = torch.bincount(sorted_by_class(2, 40, 40).choose(42, "n_real").labels)
    assert counts.tolist() == [2, 20, 20]
    assert torch.bincount(sorted_by_class(2, 5, 40).choose(47, "n_real").labels).tolist() == [2, 5, 40]


def test_samples_are_chosen_once_with_their_labels_and_at_random():
    dataset = sorted_by_class(40, 40, 40)
    part = dataset.choose(60, "checked")
    grey = part.samples[:, 0, 0, 0].long()
    assert len(grey.unique()) == 60
    assert (grey // 40).tolist() == part.labels.tolist()
    for label in range(3):
        mine = grey[part.labels == label] - 40 * label
        assert mine.tolist() != sorted(mine.tolist())
        assert mine.max() >= 25  # not the first twenty of a class
    assert sorted(chosen(dataset, 120)) == list(range(120))


def test_a_larger_choice_of_one_purpose_begins_with_the_smaller():
    dataset = sorted_by_class(30, 7, 60)
    whole = chosen(dataset, 97)
    assert all(chosen(dataset, n) == whole[:n] for n in range(1, 97))


def test_purposes_choose_differently_and_each_the_same_again():
    dataset = sorted_by_class(50, 50)
    choices = {p: chosen(dataset, 20, p) for p in ("n_train", "n_real", "checked", "validation")}
    assert all(a != b for a, b in itertools.combinations(choices.values(), 2))
    torch.randn(3)
    assert choices == {p: chosen(dataset, 20, p) for p in choices}


def test_none_chooses_all_as_they_stand():
    dataset = sorted_by_class(3, 4)
    assert dataset.choose(None, "n_train") is dataset


def test_points_are_chosen_by_class_too():
    points = load("gaussians", "test")
    some = points.choose(60, "n_real")
    assert sorted(torch.bincount(some.labels).tolist()) == [2] * 15 + [3] * 10
    assert (some.samples - points.modes[some.labels]).abs().max() < 0.5
    assert some.modes is points.modes


@pytest.mark.parametrize("n", [-1, 0, 21])
def test_a_choice_of_too_few_or_too_many_is_refused_by_the_name_of_its_field(n):
    words = f"n_train={n} is not from 1 to 20, the samples of numbered: change it, or leave it out for all of them"
    with pytest.raises(DataError, match=rf"^{words}$"):
        numbered(20).choose(n, "n_train", "n_train")


def test_a_data_set_whose_content_has_changed_is_refused_with_a_remedy():
    dataset, digest = numbered(), numbered().digest
    check_same(dataset, digest, "run a")
    with pytest.raises(DataError) as refused:
        check_same(numbered(19), digest, "run a")
    assert str(refused.value) == (
        f"data set numbered (train) is not the one that run a was made with (its digest is {numbered(19).digest}, "
        f"not {digest}): use the versions of gendiff and torch that made it, or make run a anew"
    )
    with pytest.raises(DataError, match="restore its images, or give the changed folder another name"):
        check_same(replace(numbered(19), name="folder:x"), digest, "run a")


def test_a_data_set_is_known_by_its_content():
    assert numbered().digest == numbered().digest
    assert numbered().digest != numbered(19).digest
    relabelled = Dataset("numbered", "train", numbered().samples, torch.zeros(20).long(), ("a",), ImageBridge(4))
    assert relabelled.digest != numbered().digest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mnist", "'mnist' is unknown: there are cifar10, shapes"),
        ("shapes:7", "from 8 to 256"),
        ("shapes:257", "from 8 to 256"),
        ("shapes:big", "from 8 to 256"),
        ("shapes:٣٢", "from 8 to 256"),
        ("shapes:²", "from 8 to 256"),
        ("shapes:032", "from 8 to 256"),
        ("shapes:8\n", r"^shapes:8\\n is no data set"),
        ("gaussians:3", "takes no argument"),
        ("moons:3", "takes no argument"),
        ("cifar10:0", "must be from 1 to 9"),
        ("cifar10:10", "cifar10 alone has all"),
        ("cifar10:cat", "must be from 1 to 9"),
        ("folder:", "no folder"),
        ("folder:/no/such/place", "folder:/no/such/place is no folder"),
    ],
)
def test_a_name_that_is_no_data_set_is_refused(name, words):
    for ask in (load, data.count):
        with pytest.raises(DataError, match=words):
            ask(name)


def test_a_split_that_is_none_is_refused():
    with pytest.raises(DataError, match="split 'valid' is unknown"):
        load("moons", "valid")


def test_shapes_are_deterministic_and_balanced_and_differ_by_split():
    train, again = load("shapes:8"), DATASETS["shapes"]("train", "8")
    assert train.samples.shape == (10_000, 3, 8, 8)
    assert train.samples.dtype == torch.uint8
    assert train.digest == again.digest
    assert torch.bincount(train.labels).tolist() == [1000] * 10
    test = load("shapes:8", "test")
    assert len(test.samples) == 2000
    assert test.digest != train.digest
    assert load("shapes:8") is train


def test_generated_data_do_not_repeat_each_other():
    """Pictures of another split or side, and points of another set, are not the same draws once more."""
    names = ("shapes:8", "shapes:9", "gaussians", "moons")
    streams = [toy._data_stream(name, split) for name in names for split in ("train", "test")]
    assert len({torch.rand((), generator=rng, dtype=torch.float64).item() for rng in streams}) == 8
    train, test = load("gaussians"), load("gaussians", "test")
    assert not set(train.samples[:, 0].tolist()[:1000]) & set(test.samples[:, 0].tolist()[:1000])


def test_shapes_are_of_32_pixels_where_no_side_is_given():
    assert load("shapes", "test").digest == load("shapes:32", "test").digest


@pytest.mark.parametrize("name", ["shapes", "shapes:16", "gaussians", "moons"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_generated_data_sets_have_not_moved(name, split):
    """Where this fails, every run on the data set is of other data: see `check_same`."""
    assert load(name, split).digest == GOLDEN["digests"][f"{name} {split}"]


def test_the_order_of_the_first_batch_has_not_moved():
    indexed = replace(load("moons"), labels=torch.arange(20_000))
    _, order = next(batches(indexed, 16, seed=0, epoch=0))
    assert order.tolist() == GOLDEN["first batch of 20000, seed 0, epoch 0"]


@pytest.mark.parametrize("purpose", ["n_train", "n_real", "checked", "validation"])
def test_choices_have_not_moved(purpose):
    indexed = replace(load("moons"), samples=torch.arange(20_000))
    assert indexed.choose(16, purpose).samples.tolist() == GOLDEN["first choices of moons"][purpose]


def test_shapes_of_different_classes_differ_and_stand_out():
    labels = torch.arange(10).repeat(20)
    drawn = toy._draw(labels, 16, torch.Generator().manual_seed(0)).float()
    contrast = drawn.flatten(2).amax(2) - drawn.flatten(2).amin(2)
    assert contrast.amax(1).min() > 80  # no shape fades into its background
    away = (drawn - drawn[:, :, :1, :1]).abs().sum(1)  # from the corner, which is background
    mean = torch.stack([(away[labels == k] > 60).float().mean(0) for k in range(10)])
    distance = torch.cdist(mean.flatten(1), mean.flatten(1)) + 100 * torch.eye(10)
    assert distance.min() > 0.5


@pytest.mark.parametrize(("name", "n_labels"), [("gaussians", 25), ("moons", 2)])
def test_points_are_deterministic_balanced_and_of_about_unit_variance_inside(name, n_labels):
    train = load(name)
    assert train.samples.shape == (20_000, 2)
    assert len(load(name, "test").samples) == 10_000
    assert train.digest == DATASETS[name]("train", "").digest != load(name, "test").digest
    assert torch.bincount(train.labels).tolist() == [20_000 // n_labels] * n_labels
    inside = train.bridge.encode(train.samples, None)
    assert inside.mean(0).abs().max() < 0.05
    assert (inside.std() - 1).abs() < 0.15
    assert_close(train.bridge.decode(inside), train.samples)
    assert not train.is_image


def test_the_25_gaussians_are_where_they_are_said_to_be():
    points = load("gaussians")
    off = points.samples - points.modes[points.labels]
    assert sorted(points.modes[:, 0].unique().tolist()) == [-4, -2, 0, 2, 4]
    assert off.std().item() == pytest.approx(0.05, rel=0.02)


def test_bridges_tell_the_models_shape():
    assert ImageBridge(32).shape(None) == (3, 32, 32)
    assert ImageBridge(32).shape(64) == (3, 64, 64)
    assert ImageBridge(32).decode(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 32, 32)
    assert ImageBridge(32).encode(torch.zeros(1, 3, 32, 32).byte(), None).shape == (1, 3, 32, 32)
    assert ImageBridge(32).encode(torch.zeros(1, 3, 32, 32).byte(), 64).shape == (1, 3, 64, 64)
    assert PointBridge(2.0).shape(None) == (2,)
    with pytest.raises(DataError, match="image_size=32 does not apply to points in the plane: set image_size=none"):
        PointBridge(2.0).shape(32)


def test_cifar10_missing_from_the_named_folder_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=rf"CIFAR-10 is not in GENDIFF_DATA_DIR={tmp_path}"):
        load("cifar10")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_missing_cifar10_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    with pytest.raises(DataError, match="data_batch_1 is missing: restore"):
        load("cifar10")
    (folder / "data_batch_1").write_bytes(b"damaged")
    with pytest.raises(DataError, match=f"{folder}/data_batch_1 is damaged: restore"):
        load("cifar10")


def test_cifar10_is_read_from_the_folder_that_is_named_now(tmp_path, monkeypatch):
    sources = []
    for name in "ab":
        monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path / name))
        sources.append(data._source("cifar10", ""))
    assert sources == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_a_cifar10_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    from torchvision.datasets import utils

    def forbidden(path, md5):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(utils, "check_integrity", forbidden)
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match=r"data_batch_1 cannot be read \(Permission denied\): make it readable"):
        load("cifar10")


@pytest.mark.parametrize("variable", ["GENDIFF_DATA_DIR", "GENDIFF_RUNS"])
def test_a_path_may_begin_with_the_users_home(variable, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv(variable, "~/some where")
    assert paths.named_path(variable) == Path("/home/ada/some where")
    monkeypatch.setenv(variable, "")
    assert paths.named_path(variable) is None


def test_the_cache_is_where_xdg_says(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/kept")
    assert paths.cache_dir() == Path("/home/ada/kept/gendiff")
    for unset in (lambda: monkeypatch.setenv("XDG_CACHE_HOME", ""), lambda: monkeypatch.delenv("XDG_CACHE_HOME")):
        unset()
        assert paths.cache_dir() == Path("/home/ada/.cache/gendiff")
    assert paths.data_dir() == Path("/home/ada/.cache/gendiff/data")


def test_where_no_home_is_known_a_path_is_asked_for(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(DataError, match=r"^no home is known to keep the cache in: set XDG_CACHE_HOME to a folder$"):
        load("cifar10")
    monkeypatch.setenv("GENDIFF_DATA_DIR", "~/data")
    with pytest.raises(DataError, match=r"^GENDIFF_DATA_DIR=~/data names a home that is not known"):
        load("cifar10")


def test_a_home_that_is_a_file_gives_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(DataError, match=r"^CIFAR-10 is neither in .*home.* nor downloadable .*set GENDIFF_DATA_DIR"):
        load("cifar10")


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    def offline(self):
        raise OSError("no network")

    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(CIFAR10, "download", offline)
    with pytest.raises(DataError, match="set GENDIFF_DATA_DIR"):
        load("cifar10")


@pytest.mark.filterwarnings("ignore:dtype")
def test_cifar10_is_read_channels_first(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    assert folder.name == FOLDER
    folder.mkdir()

    def write(name, content):
        body = pickle.dumps(content)
        (folder / name).write_bytes(body)
        return [name, hashlib.md5(body).hexdigest()]

    rows = np.arange(3072, dtype=np.uint16).repeat(2).reshape(3072, 2).T.copy()
    rows = (rows // 1024 * 50 + rows % 32).astype(np.uint8)  # the channel and the column of every byte
    monkeypatch.setattr(CIFAR10, "train_list", [write("data_batch_1", {"data": rows, "labels": [3, 7]})])
    monkeypatch.setattr(CIFAR10, "test_list", [write("test_batch", {"data": rows[:1], "labels": [1]})])
    meta = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    train, test = DATASETS["cifar10"]("train", ""), DATASETS["cifar10"]("test", "")
    assert train.samples.shape == (2, 3, 32, 32)
    assert train.samples[1, :, 4, 9].tolist() == [9, 59, 109]
    assert train.labels.tolist() == [3, 7]
    assert test.labels.tolist() == [1]
    assert train.classes == tuple("abcdefghij")
    some = DATASETS["cifar10"]("train", "4")
    assert (some.name, some.labels.tolist(), some.classes) == ("cifar10:4", [3], tuple("abcd"))
    assert torch.equal(some.samples, train.samples[:1])


def test_images_of_some_classes_are_counted_without_the_data(tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    assert [data.count(name) for name in ("cifar10", "cifar10:1", "cifar10:3")] == [50_000, 5_000, 15_000]
    assert data.count("cifar10:3", "test") == 3_000
