import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.evaluation.efficientnet import efficientnet, load
from gendiff_lib.evaluation.features import extract
from gendiff_lib.evaluation.metrics import Reference, score
from gendiff_lib.experiments.extractors import EXTRACTORS

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "efficientnet.json").read_text())


@pytest.fixture(scope="module")
def extractor():
    return efficientnet()


def pictures(n=2):
    """Images with structure at several scales, the same in every release of every package."""
    at = torch.arange(n * 3 * 32 * 32)
    return ((at * 37 + (at // 96) ** 2) % 256).byte().reshape(n, 3, 32, 32)


def test_features_and_logits_are_the_golden_ones(extractor):
    found = extract(extractor, pictures())
    assert found.features.shape == (2, 1280)
    assert found.logits.shape == (2, 1000)
    assert_close(found.features[:, :8], torch.tensor(GOLDEN["features"]), rtol=0, atol=2e-4)
    assert_close(found.features.mean(1), torch.tensor(GOLDEN["mean"]), rtol=0, atol=2e-5)
    assert_close(found.logits[:, :8], torch.tensor(GOLDEN["logits"]), rtol=0, atol=2e-4)


def test_the_digest_is_of_the_published_weights(extractor):
    assert extractor.digest == "dcbc410e8935"
    assert extractor.resize == "bilinear, 128 px"


def test_the_folded_network_is_the_same_function(extractor):
    net = load()
    with torch.no_grad():
        features = net.features(pictures())
        assert_close(extractor.network(pictures()), (features, net.head(features)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [16, 128, 200])
def test_images_of_any_side_are_brought_to_the_networks_own(extractor, side):
    images = torch.nn.functional.interpolate(pictures().float(), (side, side)).byte()
    features, _ = extractor.network(images)
    assert features.shape == (2, 1280)
    assert features.isfinite().all()


def test_its_frechet_distance_is_never_called_fid(extractor):
    assert EXTRACTORS["efficientnet"]("cifar10", "paper").name == extractor.name == "efficientnet"
    assert not extractor.own_classes  # ImageNet's classes are not the data set's
    images = pictures(44)
    real = Reference.of(extract(extractor, images[:22]))
    found = score(extract(extractor, images[22:]), real, extractor, reference="test")
    assert list(found.values)[:3] == ["cs", "fd", "kd"]
