import io

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation import features
from gendiff_lib.evaluation.features import Extractor, digest_of, extract, folded, image_keys


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
    found = extract(Extractor("test", "d1", network, batch_size=3), images())
    assert_close(found.features, images().float().flatten(1)[:, :5])
    assert_close(found.logits, images().float().flatten(1)[:, -2:])


def test_the_same_images_are_extracted_once_whatever_they_are_called(network, tmp_path):
    first = extract(Extractor("test", "d1", network), images())
    again = extract(Extractor("test", "d1", network), images().clone())
    assert network.seen == 7
    assert_close(again[:3], first[:3], rtol=0, atol=0)
    assert again.source == first.source == "test d1 of 3x4x4"
    assert len(list((tmp_path / "cache" / "features" / f"test-d1-v{features.VERSION}").iterdir())) == 1


def test_other_images_another_order_and_another_shape_are_other_images(network):
    extractor = Extractor("test", "d1", network)
    for other in (images(), images(seed=1), images().flip(0), images().reshape(7, 3, 2, 8)):
        extract(extractor, other)
    assert network.seen == 28


def test_other_weights_are_another_extractor(network):
    extract(Extractor("test", "d1", network), images())
    extract(Extractor("test", "d2", network), images())
    assert network.seen == 14


class Broken(Counting):
    """One that breaks off once it has seen so many images."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def __call__(self, images):
        if self.seen >= self.after:
            raise KeyboardInterrupt
        return super().__call__(images)


@pytest.fixture
def broken_off(monkeypatch, tmp_path):
    """An extraction of 7 images in parts of 2, broken off after 4; gives what lies in its folder."""
    monkeypatch.setattr(features, "PART_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        extract(Extractor("test", "d1", Broken(4), batch_size=2), images())
    return tmp_path / "cache" / "features" / f"test-d1-v{features.VERSION}"


def test_an_interrupted_extraction_goes_on_after_the_last_whole_part(network, broken_off):
    assert len(list(broken_off.iterdir())) == 2
    found = extract(Extractor("test", "d1", network, batch_size=2), images())
    assert network.seen == 3
    assert_close(found.features, images().float().flatten(1)[:, :5])
    assert_close(found.logits, images().float().flatten(1)[:, -2:])
    assert_close(found.keys, image_keys(images()))
    assert len(list(broken_off.iterdir())) == 1  # the whole alone


def test_a_damaged_part_is_made_again(network, broken_off):
    next(broken_off.glob("*-from-2.pt")).write_bytes(b"damaged")
    found = extract(Extractor("test", "d1", network, batch_size=2), images())
    assert network.seen == 5
    assert_close(found.features, images().float().flatten(1)[:, :5])


def test_parts_are_of_one_set_of_images_and_one_network(network, broken_off):
    extract(Extractor("test", "d1", network, batch_size=2), images(seed=1))
    extract(Extractor("test", "d2", network, batch_size=2), images())
    assert network.seen == 14
    assert len(list(broken_off.glob("*-from-*"))) == 2


def test_another_version_computes_anew(network, monkeypatch):
    extract(Extractor("test", "d1", network), images())
    monkeypatch.setattr(features, "VERSION", features.VERSION + 1)
    extract(Extractor("test", "d1", network), images())
    assert network.seen == 14


def test_the_network_sees_as_many_images_at_once_as_its_extractor_says():
    sizes = []

    def network(batch):
        sizes.append(len(batch))
        return batch.float().flatten(1), batch.float().flatten(1)[:, :0]

    found = extract(Extractor("test", "d1", network, has_logits=False, batch_size=3), images())
    assert sizes == [3, 3, 1]
    assert found.logits.shape == (7, 0)


def test_what_was_kept_without_logits_is_not_given_to_who_has_them(network):
    bare = Extractor("test", "d1", lambda x: (network(x)[0], x.new_empty(len(x), 0)), has_logits=False)
    assert extract(bare, images()).logits.shape == (7, 0)
    assert extract(Extractor("test", "d1", network), images()).logits.shape == (7, 2)
    assert extract(bare, images()).logits.shape == (7, 0)
    assert network.seen == 14


def test_a_terminal_is_shown_how_far_it_is(network, monkeypatch, broken_off):
    shown = []

    class Bar(features.tqdm):
        def __init__(self, **options):
            super().__init__(**options | {"disable": False, "delay": 0.0, "file": io.StringIO()})

        def update(self, n=1):
            shown.append((self.initial, n))
            return super().update(n)

    monkeypatch.setattr(features, "tqdm", Bar)
    extract(Extractor("test", "d1", network, batch_size=2), images())
    assert shown == [(2, 2), (4, 2), (4, 2), (4, 1)]


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
    (file,) = (tmp_path / "cache" / "features" / f"test-d1-v{features.VERSION}").iterdir()
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
    (file,) = (tmp_path / "cache" / "features" / f"test-d1-v{features.VERSION}").iterdir()
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


def trained(norm):
    """A norm as it is after a training."""
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
        tensor.normal_(1, 0.2)
    norm.running_var.uniform_(0.5, 2)
    return norm


class Named(nn.Module):
    """A convolution and its norm as parts of a module, beside a convolution that has none."""

    def __init__(self):
        super().__init__()
        self.alone = nn.Conv2d(3, 4, 1)
        self.conv, self.bn = nn.Conv2d(4, 5, 3, bias=False), trained(nn.BatchNorm2d(5, eps=1e-3))

    def forward(self, x):
        return self.bn(self.conv(self.alone(x)))


@pytest.mark.parametrize("make", [Named, lambda: nn.Sequential(nn.Conv2d(3, 5, 3), trained(nn.BatchNorm2d(5)))])
def test_a_folded_network_is_the_same_function_without_norms_and_leaves_the_other_alone(make):
    torch.manual_seed(0)
    net, x = make().eval(), torch.randn(2, 3, 8, 8)
    before = digest_of(net.state_dict())
    fast = folded(net)
    assert_close(fast(x).contiguous(), net(x), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    assert fast(x).is_contiguous(memory_format=torch.channels_last)
    assert digest_of(net.state_dict()) == before
