import itertools

import pytest
import torch

from gendiff_lib.errors import ConfigError
from gendiff_lib.streams import PURPOSES, stream


def test_no_two_purposes_seeds_or_indices_share_their_numbers():
    drawn = {
        key: torch.randn(64, generator=stream(*key)).tolist()
        for key in itertools.product(PURPOSES, (0, 1, 2, 1234), (0, 1, 2))
    }
    seen = [value for numbers in drawn.values() for value in numbers]
    assert len(set(seen)) == len(seen)


def test_a_stream_is_the_same_each_time_and_is_not_the_global_one():
    before = torch.get_rng_state()
    first, second = (torch.randn(8, generator=stream("samples", 3, 1)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_stream_is_that_of_a_small_seed():
    plain = {torch.randn((), generator=torch.Generator().manual_seed(k)).item() for k in range(100)}
    assert not plain & {torch.randn((), generator=stream(p, 0)).item() for p in PURPOSES}


def test_an_unknown_purpose_is_refused_by_name():
    with pytest.raises(ConfigError, match="purpose 'weight' is unknown: there are data, weights"):
        stream("weight", 0)
