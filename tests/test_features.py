import dataclasses
import hashlib
import os
from pathlib import Path

import pytest
import torch
import torch_fidelity
import torchvision
from torch.testing import assert_close
from torch_fidelity import feature_extractor_inceptionv3

from gendiff_lib import features
from gendiff_lib.config import GendiffError
from gendiff_lib.data import at_hand, load
from gendiff_lib.experiments import classifier_for
from gendiff_lib.features import Extractor, digest_of, extract, image_keys
from gendiff_lib.images import to_model
from gendiff_lib.metrics import kept_reference, score
from gendiff_lib.recorder import train
from gendiff_lib.scoring import offline
from gendiff_lib.sources import metrics_digest

OUTSIDE = dict(os.environ)  # what the fixtures hide from every other test


class Counting:
    """An extractor's network that counts the images it has seen."""

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        x = images.float().flatten(1)
        return x[:, :5], x[:, -2:]


@pytest.fixture
def network():
    return Counting()


def images(n=7, seed=0):
    return torch.randint(0, 256, (n, 3, 4, 4), generator=torch.Generator().manual_seed(seed)).byte()


def test_features_are_extracted_in_batches_and_in_order(network):
    found = extract(Extractor("test", "d1", network), images(), batch_size=3)
    assert_close(found.features, images().float().flatten(1)[:, :5])
    assert_close(found.logits, images().float().flatten(1)[:, -2:])


def test_the_same_images_are_extracted_once_whatever_they_are_called(network, tmp_path):
    first = extract(Extractor("test", "d1", network), images())
    again = extract(Extractor("test", "d1", network), images().clone())
    assert network.seen == 7
    assert_close(again[:3], first[:3], rtol=0, atol=0)
    assert again.source == first.source == "test d1 of 3x4x4"
    assert len(list((tmp_path / "cache" / "features" / f"test-d1-{metrics_digest()}").iterdir())) == 1


def test_other_images_another_order_and_another_shape_are_other_images(network):
    extractor = Extractor("test", "d1", network)
    for other in (images(), images(seed=1), images().flip(0), images().reshape(7, 3, 2, 8)):
        extract(extractor, other)
    assert network.seen == 28


def test_other_weights_are_another_extractor(network):
    extract(Extractor("test", "d1", network), images())
    extract(Extractor("test", "d2", network), images())
    assert network.seen == 14


def spoil(file, damage):
    """Write bytes over a cached file, or what passes for one."""
    if isinstance(damage, bytes):
        file.write_bytes(damage)
        return
    kept = torch.load(file)
    if damage == "another dict":
        kept = {"a": 1}
    elif damage == "a flipped bit":
        kept["tensors"]["features"].view(torch.int32)[0, 0] ^= 1
    else:
        kept["tensors"] = {k: v[:3] for k, v in kept["tensors"].items()}
    torch.save(kept, file)


def test_a_cache_that_cannot_be_used_is_no_loss(network, tmp_path, monkeypatch):
    extractor = Extractor("test", "d1", network)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / "file"))
    first = extract(extractor, images())
    monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / "cache"))
    extract(extractor, images())
    (file,) = (tmp_path / "cache" / "features" / f"test-d1-{metrics_digest()}").iterdir()
    file.unlink()
    file.mkdir()  # a folder in its place
    assert_close(extract(extractor, images())[:3], first[:3])
    assert network.seen == 21


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"PK\x03\x04 no archive",
        b"garbage",
        bytes(range(256)) * 9,
        pytest.param("another dict", id="another dict"),
        pytest.param("a flipped bit", id="a flipped bit"),
        pytest.param("fewer rows", id="fewer rows"),
    ],
)
def test_a_damaged_cache_is_made_again(network, tmp_path, damage):
    extractor = Extractor("test", "d1", network)
    first = extract(extractor, images())
    (file,) = (tmp_path / "cache" / "features" / f"test-d1-{metrics_digest()}").iterdir()
    spoil(file, damage)
    assert_close(extract(extractor, images())[:3], first[:3])
    assert network.seen == 14
    extract(extractor, images())
    assert network.seen == 14


def test_what_is_no_batch_of_images_is_refused(network):
    with pytest.raises(GendiffError, match="images must be uint8"):
        extract(Extractor("test", "d1", network), torch.zeros(2, 3, 4, 4))


def test_bytes_that_are_zero_and_one_are_taken_for_floats_that_were_cast(network):
    with pytest.raises(GendiffError, match="no byte but 0 and 1: if they were floats"):
        extract(Extractor("test", "d1", network), images() % 2)
    assert extract(Extractor("test", "d1", network), images() * 0).features.max() == 0  # black is an image


def test_the_digest_is_of_names_and_weights():
    state = {"a": torch.ones(2), "b": torch.zeros(2)}
    assert digest_of(state) == digest_of(dict(reversed(state.items())))
    assert digest_of(state) != digest_of({"a": torch.zeros(2), "b": torch.ones(2)})
    assert digest_of(state) != digest_of(state | {"b": torch.full((2,), 1e-7)})


def test_only_inception_is_inception(network):
    assert Extractor("inception", "d", network).is_inception
    assert not Extractor("classifier", "d", network).is_inception


NETWORKS = {"inception": (features.inception, features.INCEPTION), "vgg16": (features.vgg16, features.VGG16)}


def random_weights(name, path, monkeypatch):
    """A file of weights of the right shapes, which then passes for the published one."""
    if name == "inception":
        kept, network = {}, feature_extractor_inceptionv3.FeatureExtractorInceptionV3
        with monkeypatch.context() as patch:
            patch.setattr(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *a, **k: None)
            patch.setattr(network, "load_state_dict", lambda self, state: kept.update(self.state_dict()))
            network("inception", ["2048"])
    else:
        kept = torchvision.models.vgg16().state_dict()
    torch.save(kept, path)
    return known_as_published(name, path, monkeypatch)


def known_as_published(name, path, monkeypatch):
    file = NETWORKS[name][1]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(features, name.upper(), dataclasses.replace(file, sha256=sha256))
    monkeypatch.setenv(file.variable, str(path))


@pytest.mark.parametrize(("name", "width", "classes"), [("inception", 2048, 1008), ("vgg16", 4096, 1000)])
def test_weights_are_read_from_the_named_file(tmp_path, monkeypatch, name, width, classes):
    torch.manual_seed(0)
    random_weights(name, tmp_path / "weights.pth", monkeypatch)
    extractor = NETWORKS[name][0]()
    assert extractor.is_inception == (name == "inception")
    assert not extractor.own_classes
    assert "bilinear" in extractor.resize
    found = extract(extractor, images(3))
    assert found.features.shape == (3, width)
    assert found.logits.shape == (3, classes)
    assert found.features.std() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_weights_file_is_named(tmp_path, monkeypatch, name):
    make, file = NETWORKS[name]
    monkeypatch.setenv(file.variable, str(tmp_path / "none.pth"))
    with pytest.raises(GendiffError, match=rf"{file.variable}=.*none\.pth is no file: set {file.variable} to the file"):
        make()


@pytest.mark.parametrize("named", ["~nobody-of-this-name/x.pth", "."])
def test_a_path_that_is_no_file_is_named(monkeypatch, named):
    monkeypatch.setenv("GENDIFF_VGG16", named)
    with pytest.raises(GendiffError, match="is no file: set GENDIFF_VGG16"):
        features.vgg16()


@pytest.mark.parametrize("name", NETWORKS)
def test_another_file_than_the_published_one_is_refused_by_its_digest(tmp_path, monkeypatch, name):
    make, file = NETWORKS[name]
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setenv(file.variable, str(tmp_path / "other.pth"))
    with pytest.raises(
        GendiffError, match=rf"damaged or another file \(its SHA-256 begins \w+, not {file.sha256[:8]}\)"
    ):
        make()


WRONG = {"empty": b"", "no archive": b"PK\x03\x04 nonsense", "other keys": {"a": torch.zeros(1)}}
WRONG |= {"text": b"these are no weights", "a tensor": torch.zeros(3)}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("content", [pytest.param(v, id=k) for k, v in WRONG.items()])
def test_a_file_that_holds_no_such_weights_is_refused_in_one_sentence(tmp_path, monkeypatch, name, content):
    path = tmp_path / "wrong.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    known_as_published(name, path, monkeypatch)
    with pytest.raises(GendiffError, match=r"holds no weights of this network \(.+\): set GENDIFF_") as told:
        NETWORKS[name][0]()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_cannot_be_downloaded_are_asked_for(tmp_path, monkeypatch, name):
    make, file = NETWORKS[name]

    def offline(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(GendiffError, match=rf"{file.name} could not be downloaded .*set {file.variable}"):
        make()
    assert not list(tmp_path.rglob("*.pth"))


def test_a_download_is_checked_and_used(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda url, path, *a, **k: Path(path).write_bytes(b"weights")
    )
    sha256 = hashlib.sha256(b"weights").hexdigest()
    path = features.weights_path(dataclasses.replace(features.INCEPTION, sha256=sha256))
    assert path == tmp_path / "hub" / "checkpoints" / features.INCEPTION.name
    with pytest.raises(GendiffError, match="damaged or another file"):
        features.weights_path(features.INCEPTION)


class Images(torch.utils.data.Dataset):
    """Images as torch-fidelity takes them, in the order in which ours are scored."""

    def __init__(self, images):
        self.images = images[image_keys(images).argsort()]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i]


def test_the_whole_path_agrees_with_torch_fidelitys_calculate_metrics(tmp_path, monkeypatch):
    """Random weights, and a layer that is narrower than the sets are large, so that covariances have full rank."""
    torch.manual_seed(0)
    random_weights("inception", tmp_path / "weights.pth", monkeypatch)
    # smaller images than 299 px, on both sides, only to be quick
    monkeypatch.setattr(feature_extractor_inceptionv3.FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 96)
    fake, real = images(70, 1), images(74, 2) // 2
    theirs = torch_fidelity.calculate_metrics(
        input1=Images(fake), input2=Images(real), feature_extractor="inception-v3-compat", cuda=False, cache=False,
        feature_extractor_weights_path=str(tmp_path / "weights.pth"), batch_size=25, verbose=False, save_cpu_ram=True,
        isc=True, fid=True, kid=True, prc=True, feature_layer_fid="64", feature_layer_kid="64", feature_layer_prc="64",
        feature_layer_isc="logits_unbiased", kid_subset_size=70,
    )  # fmt: skip
    extractor = features.inception("64")
    ours = score(extract(extractor, fake), kept_reference(extractor, real), extractor, reference="train")
    assert ours.extractor == "inception-64"
    assert ours.frechet_distance == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    assert ours.classifier_score == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert ours.classifier_score_std == pytest.approx(theirs["inception_score_std"], rel=1e-4)
    # theirs is a difference of float32 sums near 1, ours of float64 ones
    assert ours.kernel_distance == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3, abs=1e-6)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)


@pytest.mark.weights
def test_published_truths(monkeypatch):
    """With the real network: IS of the train images 11.237, FID of train against test 3.151 (torch-fidelity)."""
    for name in ("GENDIFF_INCEPTION", "GENDIFF_DATA_DIR", "GENDIFF_CACHE", "GENDIFF_DEVICE"):
        if name in OUTSIDE:
            monkeypatch.setenv(name, OUTSIDE[name])
    if "GENDIFF_INCEPTION" not in OUTSIDE or at_hand("cifar10"):
        pytest.skip("needs GENDIFF_INCEPTION and CIFAR-10")
    extractor = features.inception()
    found = score(
        extract(extractor, load("cifar10").samples),
        kept_reference(extractor, load("cifar10", "test").samples),
        extractor,
        reference="test",
    )
    assert found.values["IS"] == pytest.approx(11.237, abs=0.03)  # the splits are ours, the images the same
    assert found.values["FID"] == pytest.approx(3.151, abs=0.005)


def test_keys_are_of_the_bytes_alone():
    one = image_keys(images())
    assert one.dtype == torch.int64
    assert one.unique().numel() == 7
    assert_close(image_keys(images().flip(0)), one.flip(0))
    changed = images()
    changed[2, 1, 3, 0] ^= 1
    assert (image_keys(changed) != one).tolist() == [i == 2 for i in range(7)]
    assert image_keys(images().reshape(7, 3, 2, 8)).tolist() == one.tolist()


def test_features_in_order_are_sorted_by_key_whatever_their_order_was(network):
    a = extract(Extractor("test", "d1", network), images()).in_order()
    b = extract(Extractor("test", "d1", network), images().flip(0)).in_order()
    assert_close(a[:3], b[:3], rtol=0, atol=0)
    assert (a.keys.diff() > 0).all()


def test_the_offline_extractor_is_the_trained_network_in_half_precision():
    judge, pictures = offline("shapes", "smoke"), load("shapes", "test").samples[:40]
    net = train(classifier_for("shapes", "smoke")).learner.net.to("cpu").half().float().eval()
    with torch.no_grad():
        found = judge.network(pictures)
        expected = net.features(to_model(pictures)), net(to_model(pictures))
    assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert judge.digest == digest_of(net.state_dict())
