import dataclasses
import hashlib
import importlib
import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
import torch_fidelity
import torchvision
from torch.testing import assert_close
from torch_fidelity import feature_extractor_inceptionv3

from benchmarks.common import cifar10_or_shapes
from gendiff_lib.data import load
from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation import inception as inception_module
from gendiff_lib.evaluation import weights
from gendiff_lib.evaluation.distances import frechet_distance
from gendiff_lib.evaluation.features import digest_of, extract, folded, image_keys
from gendiff_lib.evaluation.inception import convolutional, inception
from gendiff_lib.evaluation.metrics import kept_reference, score
from gendiff_lib.evaluation.statistics import published_statistics, record_path
from gendiff_lib.evaluation.uncertainty import draw_groups
from gendiff_lib.evaluation.vgg16 import vgg16

OUTSIDE = dict(os.environ)  # what the fixtures hide from every other test
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "inception.json").read_text())
FETCHED = weights.INCEPTION_FEATURES.cached
NETWORKS = {"inception": (inception, "INCEPTION"), "vgg16": (vgg16, "VGG16")}


def images(n=7, seed=0, side=4):
    return torch.randint(0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(seed)).byte()


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


# ---------------------------------------------------------------- weights of the right shapes, with random values


def inception_state():
    """Of torch-fidelity's network, as if it were trained: with norms that do something."""
    torch.manual_seed(0)
    state = {**inception_module._unfilled().state_dict()}
    for name, there in state.items():
        if name.endswith(("bn.bias", "running_mean")):
            there.normal_(std=0.1)
        elif name.endswith("running_var"):
            there.uniform_(0.5, 1.5)
    return state


def passes_for_published(variable, path, monkeypatch):
    """Let the file at `path` pass for the published one that the variable names."""
    constant = variable.removeprefix("GENDIFF_")
    known = dataclasses.replace(getattr(weights, constant), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    place = importlib.import_module(f"gendiff_lib.evaluation.{constant.lower()}")
    monkeypatch.setattr(place, constant, known)
    monkeypatch.setenv(variable, str(path))


def whole_file(path, monkeypatch, state=None):
    torch.save(state or inception_state(), path)
    passes_for_published("GENDIFF_INCEPTION", path, monkeypatch)


def fetched_file(state, monkeypatch, *, cut=0):
    """The same weights in the fetched file's form, where the command puts it."""
    parts = (".conv.weight", ".bn.bias", ".bn.running_mean", ".bn.running_var")
    layers = [name.removesuffix(parts[0]) for name in state if name.endswith(parts[0])]
    stored = [state[layer + part] for layer in layers for part in parts]
    path = weights.INCEPTION_FEATURES.cached
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for i, tensor in enumerate(stored[: len(stored) - cut]):
            archive.writestr(f"out_jit_module/data/{i}", tensor.numpy().tobytes())
    known = dataclasses.replace(weights.INCEPTION_FEATURES, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(inception_module, "INCEPTION_FEATURES", known)
    return path


@pytest.mark.parametrize(("name", "width", "classes"), [("inception", 2048, 1008), ("vgg16", 4096, 1000)])
def test_weights_are_read_from_the_named_file(tmp_path, monkeypatch, name, width, classes):
    torch.manual_seed(0)
    torch.save(
        inception_state() if name == "inception" else torchvision.models.vgg16().state_dict(), tmp_path / "w.pth"
    )
    passes_for_published(f"GENDIFF_{name.upper()}", tmp_path / "w.pth", monkeypatch)
    extractor = NETWORKS[name][0]()
    assert extractor.name == name
    assert not extractor.own_classes
    assert extractor.has_logits
    assert "bilinear" in extractor.resize
    found = extract(extractor, images(3))
    assert found.features.shape == (3, width)
    assert found.logits.shape == (3, classes)
    assert found.features.std() > 0


def test_both_files_are_one_space_and_the_fetched_one_has_no_logits(tmp_path, monkeypatch):
    state = inception_state()
    path = fetched_file(state, monkeypatch)
    without = inception()
    whole_file(tmp_path / "whole.pth", monkeypatch, state)
    whole = inception()
    assert (without.name, without.digest) == (whole.name, whole.digest)
    assert (without.has_logits, whole.has_logits) == (False, True)
    ours, theirs = without.network(images(2)), whole.network(images(2))
    assert_close(ours[0], theirs[0], rtol=1e-6, atol=1e-6)
    assert ours[1].shape == (2, 0)
    assert theirs[1].shape == (2, 1008)
    monkeypatch.setenv("GENDIFF_INCEPTION", str(path))  # the variable may name either
    assert not inception().has_logits


def test_the_digest_is_of_the_convolutions_alone(tmp_path, monkeypatch):
    state = inception_state()
    whole_file(tmp_path / "one.pth", monkeypatch, state)
    one = inception().digest
    state["fc.weight"] += 1
    whole_file(tmp_path / "two.pth", monkeypatch, state)
    assert inception().digest == one
    state["Mixed_7c.branch_pool.bn.bias"] += 1e-6
    whole_file(tmp_path / "three.pth", monkeypatch, state)
    assert inception().digest != one


def test_the_folded_network_is_the_same_function(monkeypatch):
    fetched_file(inception_state(), monkeypatch)
    net, _ = inception_module.load()
    fast = folded(net)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fast.modules())
    with torch.no_grad():
        assert_close(fast(images(2)), net(images(2)), rtol=1e-4, atol=1e-5)


def test_a_damaged_fetched_file_is_named(monkeypatch):
    path = fetched_file(inception_state(), monkeypatch)
    path.write_bytes(b"damaged")
    with pytest.raises(GendiffError, match=r"damaged or another file .*delete it, and `gendiff fetch inception`"):
        inception()


def test_a_fetched_file_with_fewer_tensors_is_refused(monkeypatch):
    fetched_file(inception_state(), monkeypatch, cut=1)
    with pytest.raises(GendiffError, match="holds no weights of this network"):
        inception()


WRONG = {"empty": b"", "no archive": b"PK\x03\x04 nonsense", "other keys": {"a": torch.zeros(1)}}
WRONG |= {"text": b"these are no weights", "a tensor": torch.zeros(3)}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("content", [pytest.param(v, id=k) for k, v in WRONG.items()])
def test_a_file_that_holds_no_such_weights_is_refused_in_one_sentence(tmp_path, monkeypatch, name, content):
    path = tmp_path / "wrong.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    passes_for_published(f"GENDIFF_{name.upper()}", path, monkeypatch)
    with pytest.raises(GendiffError, match=r"holds no weights of this network \(.+\): set GENDIFF_") as told:
        NETWORKS[name][0]()
    assert "\n" not in str(told.value)


# ---------------------------------------------------------------- against torch-fidelity, and against the truth


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
    whole_file(tmp_path / "weights.pth", monkeypatch)
    # smaller images than 299 px, on both sides, only to be quick
    monkeypatch.setattr(feature_extractor_inceptionv3.FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 96)
    fake, real = images(70, 1), images(74, 2) // 2
    theirs = torch_fidelity.calculate_metrics(
        input1=Images(fake), input2=Images(real), feature_extractor="inception-v3-compat", cuda=False, cache=False,
        feature_extractor_weights_path=str(tmp_path / "weights.pth"), batch_size=25, verbose=False, save_cpu_ram=True,
        isc=True, fid=True, kid=True, prc=True, feature_layer_fid="64", feature_layer_kid="64", feature_layer_prc="64",
        feature_layer_isc="logits_unbiased", kid_subset_size=70,
    )  # fmt: skip
    monkeypatch.setattr(inception_module, "FEATURES", "64")
    extractor = inception()
    ours = score(extract(extractor, fake), kept_reference(extractor, real), extractor, reference="train")
    assert ours.frechet_distance == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    assert ours.classifier_score == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert ours.classifier_score_std == pytest.approx(theirs["inception_score_std"], rel=1e-4)
    # theirs is a difference of float32 sums near 1, ours of float64 ones
    assert ours.kernel_distance == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3, abs=1e-6)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)


def outside(monkeypatch, *names):
    """The variables as they are outside the tests; skips where the weights or CIFAR-10 are not at hand there."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name in ("GENDIFF_INCEPTION", "GENDIFF_DATA_DIR", "XDG_CACHE_HOME", *names):
        if name in OUTSIDE:
            monkeypatch.setenv(name, OUTSIDE[name])
    if not ("GENDIFF_INCEPTION" in OUTSIDE or FETCHED.is_file()) or cifar10_or_shapes() != "cifar10":
        pytest.skip("needs CIFAR-10 and the weights, which `gendiff fetch inception` brings")


@pytest.mark.weights
def test_the_features_of_twenty_images_are_the_known_ones(monkeypatch):
    outside(monkeypatch)
    extractor = inception()
    found = extract(extractor, load("cifar10", "test").samples[:20]).features
    assert_close(found[:, :8], torch.tensor(GOLDEN["features"]), rtol=0, atol=1e-3)
    assert_close(found.mean(1), torch.tensor(GOLDEN["mean"]), rtol=0, atol=1e-4)
    assert_close(found.double().square().sum(1), torch.tensor(GOLDEN["squares"]).double(), rtol=1e-4, atol=0)
    assert published_statistics("cifar10", extractor, "train") is not None  # so its digest is that of the published
    assert digest_of(convolutional(inception_module.load()[0])) == extractor.digest


@pytest.mark.weights
def test_published_truths(monkeypatch):
    """FID of train against test, and IS of the train images 11.237 (torch-fidelity): many minutes, so by wish alone."""
    outside(monkeypatch, "GENDIFF_CACHE", "GENDIFF_DEVICE")
    if "GENDIFF_INCEPTION" not in OUTSIDE:
        pytest.skip("takes 10,000 images through the network: set GENDIFF_INCEPTION to wish it")
    extractor = inception()
    known = published_statistics("cifar10", extractor, "train")
    test = load("cifar10", "test").samples
    features = extract(extractor, test).features
    told = json.loads(record_path("cifar10", "inception").read_text())
    found = frechet_distance(features, draw_groups(len(features)), known).value
    assert found == pytest.approx(told["fid_train_test"], abs=1e-3)
    if extractor.has_logits:
        real = kept_reference(extractor, test)
        whole = score(extract(extractor, load("cifar10").samples), real, extractor, reference="test")
        assert whole.values["IS"] == pytest.approx(11.237, abs=0.03)  # the splits are ours, the images the same
