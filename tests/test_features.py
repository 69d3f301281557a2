import pytest
import torch
from torch.testing import assert_close

from gendiff_lib import features
from gendiff_lib.config import GendiffError
from gendiff_lib.features import Extractor, Features, digest_of, extract


class Counting:
    """An extractor's network that counts the images it has seen."""

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        x = images.float().flatten(1)
        return Features(x[:, :5], x[:, -2:])


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
    assert_close(again, first, rtol=0, atol=0)
    assert len(list((tmp_path / "cache" / "features" / "test-d1").iterdir())) == 1


def test_other_images_another_order_and_another_shape_are_other_images(network):
    extractor = Extractor("test", "d1", network)
    for other in (images(), images(seed=1), images().flip(0), images().reshape(7, 3, 2, 8)):
        extract(extractor, other)
    assert network.seen == 28


def test_other_weights_are_another_extractor(network):
    extract(Extractor("test", "d1", network), images())
    extract(Extractor("test", "d2", network), images())
    assert network.seen == 14


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"PK\x03\x04 no archive",
        b"garbage",
    ],
)
def test_a_damaged_cache_is_made_again(network, tmp_path, damage):
    extractor = Extractor("test", "d1", network)
    first = extract(extractor, images())
    (file,) = (tmp_path / "cache" / "features" / "test-d1").iterdir()
    file.write_bytes(damage)
    assert_close(extract(extractor, images()), first)
    assert network.seen == 14
    extract(extractor, images())
    assert network.seen == 14


def test_what_is_no_batch_of_images_is_refused(network):
    with pytest.raises(GendiffError, match="images must be uint8"):
        extract(Extractor("test", "d1", network), torch.zeros(2, 3, 4, 4))


def test_the_digest_is_of_names_and_weights():
    state = {"a": torch.ones(2), "b": torch.zeros(2)}
    assert digest_of(state) == digest_of(dict(reversed(state.items())))
    assert digest_of(state) != digest_of({"a": torch.zeros(2), "b": torch.ones(2)})
    assert digest_of(state) != digest_of(state | {"b": torch.full((2,), 1e-7)})


def test_only_inception_is_inception(network):
    assert Extractor("inception", "d", network).is_inception
    assert not Extractor("classifier", "d", network).is_inception


def test_inceptions_weights_are_read_from_the_named_file(tmp_path, monkeypatch):
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity

    path, kept = tmp_path / "inception.pth", {}

    def untrained(self, state):
        kept.update(self.state_dict())

    with monkeypatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *a, **k: None)
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", untrained)
        net = fidelity.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    torch.save(kept, path)
    monkeypatch.setenv("GENDIFF_INCEPTION", str(path))
    extractor = features.inception()
    assert extractor.is_inception
    assert extractor.digest == digest_of(kept)
    found = extract(extractor, images(4))
    assert found.features.shape == (4, 2048)
    assert found.logits.shape == (4, 1008)
    assert_close(found.features, net(images(4))[0])
    assert found.features.std() > 0


def test_a_missing_weights_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_INCEPTION", str(tmp_path / "none.pth"))
    with pytest.raises(GendiffError, match=r"GENDIFF_INCEPTION=.*none\.pth is no file: set GENDIFF_INCEPTION to"):
        features.inception()


WRONG = {"empty": b"", "no archive": b"PK\x03\x04 nonsense", "other weights": {"a": torch.zeros(1)}}
UNCAUGHT = {"text": b"these are no weights", "a tensor": torch.zeros(3)}


@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(v, id=k) for k, v in WRONG.items()),
        *(pytest.param(v, id=k) for k, v in UNCAUGHT.items()),
    ],
)
def test_a_wrong_weights_file_is_refused_in_one_sentence(tmp_path, monkeypatch, content):
    path = tmp_path / "wrong.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    monkeypatch.setenv("GENDIFF_INCEPTION", str(path))
    with pytest.raises(
        GendiffError, match=r"Inception-v3's weights cannot be used \(.*\): set GENDIFF_INCEPTION to"
    ) as told:
        features.inception()
    assert "\n" not in str(told.value)


def test_weights_that_cannot_be_downloaded_are_asked_for(monkeypatch):
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity

    def offline(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(fidelity, "load_state_dict_from_url", offline)
    with pytest.raises(GendiffError, match=r"could not be downloaded.*set GENDIFF_INCEPTION"):
        features.inception()
