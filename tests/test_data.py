import hashlib
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gendiff_lib import data
from gendiff_lib.data import DATASETS, DataError, Dataset, ImageBridge, PointBridge, batches, load


@pytest.fixture(autouse=True)
def _forget():
    """Folders differ from test to test under names that may not."""
    yield
    if load.cache_info().currsize > 2:
        load.cache_clear()


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


def test_the_first_n_samples():
    few = numbered().first(7)
    assert few.labels.tolist() == list(range(7))
    assert len(few.samples) == 7
    assert len(numbered().first(0).samples) == 20
    with pytest.raises(DataError, match="n=-1 is no number of samples"):
        numbered(20).first(-1)
    with pytest.raises(DataError, match="n=21 is more than the 20 samples"):
        numbered().first(21)


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
        ("shapes:big", "from 8 to 256"),
        ("gaussians:3", "takes no argument"),
        ("moons:3", "takes no argument"),
        ("cifar10:3", "takes no argument"),
        ("folder:", "no folder"),
        ("folder:/no/such/place", "folder:/no/such/place is no folder"),
    ],
)
def test_a_name_that_is_no_data_set_is_refused(name, words):
    with pytest.raises(DataError, match=words):
        load(name)
    with pytest.raises(DataError, match=words):
        data.at_hand(name)


def test_a_split_that_is_none_is_refused():
    with pytest.raises(DataError, match="split 'valid' is unknown"):
        load("moons", "valid")


def test_what_is_at_hand_has_no_complaint():
    assert data.at_hand("moons") == ""


def test_shapes_are_deterministic_and_balanced_and_differ_by_split():
    train, again = load("shapes:8"), DATASETS["shapes"]("train", "8")
    assert train.samples.shape == (10_000, 3, 8, 8)
    assert train.samples.dtype == torch.uint8
    assert train.digest == again.digest
    assert torch.bincount(train.labels).tolist() == [1000] * 10
    assert torch.bincount(train.first(100).labels).tolist() == [10] * 10
    test = load("shapes:8", "test")
    assert len(test.samples) == 2000
    assert test.digest != train.digest
    assert load("shapes:8") is train


def test_shapes_of_different_classes_differ_and_stand_out():
    labels = torch.arange(10).repeat(20)
    drawn = data._draw(labels, 16, torch.Generator().manual_seed(0)).float()
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
    inside = train.bridge.encode(train.samples, 0)
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
    assert ImageBridge(32).shape(0) == (3, 32, 32)
    assert ImageBridge(32).shape(64) == (3, 64, 64)
    assert ImageBridge(32).decode(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 32, 32)
    assert PointBridge(2.0).shape(0) == (2,)
    with pytest.raises(DataError, match="image_size=32 does not apply to points"):
        PointBridge(2.0).shape(32)


def paint(path, colour, size=(12, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_a_folder_of_images_is_a_data_set(tmp_path):
    for i in range(7):
        paint(tmp_path / "cats" / f"{i}.png", (200 + i, 0, 0))
        paint(tmp_path / "dogs" / f"{i}.png", (0, 100 + i, 0), size=(14, 30))
    train, test = load(f"folder:{tmp_path}"), load(f"folder:{tmp_path}", "test")
    assert train.classes == ("cats", "dogs")
    assert train.samples.shape == (12, 3, 10, 10)
    assert train.labels.tolist() == [0] * 6 + [1] * 6
    assert train.samples[0, :, 5, 5].tolist() == [200, 0, 0]
    assert test.samples[:, :, 5, 5].tolist() == [[205, 0, 0], [0, 105, 0]]  # every sixth of each class
    assert 205 not in train.samples[:, 0]
    assert train.bridge == ImageBridge(10)


def test_a_folder_may_bring_its_own_splits(tmp_path):
    paint(tmp_path / "train" / "a" / "1.png", (1, 1, 1))
    paint(tmp_path / "test" / "a" / "1.png", (9, 9, 9))
    assert load(f"folder:{tmp_path}").samples.unique().tolist() == [1]
    assert load(f"folder:{tmp_path}", "test").samples.unique().tolist() == [9]


def test_large_images_are_cut_to_their_central_square_and_brought_to_64(tmp_path):
    (tmp_path / "a").mkdir()
    wide = np.zeros((128, 256, 3), np.uint8)
    wide[:, 64:192] = 250
    Image.fromarray(wide).save(tmp_path / "a" / "wide.png")
    samples = load(f"folder:{tmp_path}").samples
    assert samples.shape == (1, 3, 64, 64)
    assert samples.min() == 250


def test_a_folder_without_sub_folders_of_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images in sub-folders"):
        load(f"folder:{tmp_path}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        load(f"folder:{tmp_path}")


def test_a_folder_too_small_for_a_test_split_is_refused(tmp_path):
    paint(tmp_path / "a" / "1.png", (1, 1, 1))
    with pytest.raises(DataError, match="at least six images a class"):
        load(f"folder:{tmp_path}", "test")


def test_a_file_that_is_no_image_is_named(tmp_path):
    paint(tmp_path / "a" / "1.png", (1, 1, 1))
    (tmp_path / "a" / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png is no image"):
        load(f"folder:{tmp_path}")


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


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    def offline(self):
        raise OSError("no network")

    monkeypatch.setattr(data, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(CIFAR10, "download", offline)
    with pytest.raises(DataError, match="set GENDIFF_DATA_DIR"):
        load("cifar10")


@pytest.mark.filterwarnings("ignore:dtype")
def test_cifar10_is_read_channels_first(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
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
