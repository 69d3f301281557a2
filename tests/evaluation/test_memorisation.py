import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation import memorisation as memorisation_module
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.memorisation import Memorisation, memorisation, nearest

EXTRACTOR = Extractor("pixels", "d", lambda x: (x.float().flatten(1)[:, ::5], x.float().flatten(1)[:, :2]))


def images(n, seed):
    return torch.randint(0, 256, (n, 3, 8, 8), generator=torch.Generator().manual_seed(seed)).byte()


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_nearest_neighbours_are_those_of_all_distances(monkeypatch, chunk):
    monkeypatch.setattr(memorisation_module, "CHUNK", chunk)
    queries, training = images(40, 1), images(90, 2)
    expected = torch.cdist(queries.double().flatten(1), training.double().flatten(1)).min(1)
    found = nearest(queries, training)
    assert found.place.tolist() == expected.indices.tolist()
    assert_close(found.distance, expected.values, rtol=1e-12, atol=0)


def test_a_training_set_of_many_blocks_is_searched_whole():
    training = torch.zeros(25_001, 1, 1, 1).byte()
    training[:, 0, 0, 0] = 200
    training[24_999] = 3
    found = nearest(torch.tensor([[[[4]]], [[[199]]]]).byte(), training)
    assert found.distance.tolist() == [1, 1]
    assert found.place[0] == 24_999


def test_a_copy_is_at_distance_zero_and_suspect():
    training, test = images(300, 0), images(100, 1)
    fresh = memorisation(images(100, 2), training, test, EXTRACTOR)
    copied = memorisation(torch.cat([training[40:90], images(50, 3)]), training, test, EXTRACTOR)
    assert (copied.pixel[:50] == 0).all()
    assert (copied.pixel[50:] > 0).all()
    for space in ("pixel", "feature"):
        assert copied.suspects(space) == pytest.approx(0.5, abs=0.05)
        assert copied.nearer(space) == pytest.approx(0.75, abs=0.06)
        assert fresh.suspects(space) < 0.06
        assert fresh.nearer(space) == pytest.approx(0.5, abs=0.1)


def test_test_images_themselves_are_neither_nearer_nor_farther():
    training, test = images(50, 0), images(30, 1)
    same = memorisation(test, training, test, EXTRACTOR)
    assert same.nearer("pixel") == same.nearer("feature") == 0.5


def test_the_closest_are_shown_beside_their_neighbours():
    training, fake = images(60, 0), images(20, 2)
    fake[7] = training[31]
    fake[7, 0, 0, 0] ^= 1
    fake[3] = training[5]
    found = memorisation(fake, training, images(20, 1), EXTRACTOR, shown=4)
    assert found.closest.shape == (4, 2, 3, 8, 8)
    assert torch.equal(found.closest[0, 0], fake[3])
    assert torch.equal(found.closest[0, 1], training[5])
    assert torch.equal(found.closest[1, 0], fake[7])
    assert torch.equal(found.closest[1, 1], training[31])
    assert torch.equal(found.closest_features[0, 1], training[5])


def test_what_are_no_images_is_refused():
    with pytest.raises(GendiffError, match="images must be uint8"):
        memorisation(images(3, 0).float(), images(3, 1), images(3, 2), EXTRACTOR)
    with pytest.raises(GendiffError, match=r"N at least 1, not torch\.uint8"):
        memorisation(images(3, 0), images(3, 1)[:0], images(3, 2), EXTRACTOR)


def test_images_of_unlike_sizes_are_refused():
    with pytest.raises(GendiffError, match=r"have no distance: bring them to one size"):
        memorisation(images(3, 0)[:, :, :4], images(3, 1), images(3, 2), EXTRACTOR)


def test_ties_count_half():
    found = Memorisation(*[torch.tensor(v) for v in ([1.0, 2.0], [1.0, 2.0], [2.0, 3.0], [0.0, 1.0], [0.0], [0.0])])
    assert found.nearer("pixel") == (1 + 1 + 0.5 + 1) / 4
    assert found.nearer("feature") == 0.5 / 4
