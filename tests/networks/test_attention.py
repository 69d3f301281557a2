import pytest
import torch
from torch.nn.functional import max_pool2d, scaled_dot_product_attention
from torch.testing import assert_close

from gendiff_lib.errors import ConfigError
from gendiff_lib.networks.attention import SelfAttention


@pytest.fixture
def attend():
    torch.manual_seed(0)
    return SelfAttention(16)


@pytest.fixture
def x():
    return torch.randn(2, 16, 6, 4, generator=torch.Generator().manual_seed(1))


def test_it_starts_as_the_identity_and_its_gate_learns_first(attend, x):
    out = attend(x)
    assert torch.equal(out, x)
    out.square().sum().backward()
    assert attend.gate.grad.abs().item() > 1e-3
    assert not attend.query.weight.grad.any()  # a closed gate lets nothing else learn


def test_an_open_gate_adds_dot_product_attention_to_pooled_keys_and_values(attend, x):
    torch.nn.init.constant_(attend.gate, 0.7)
    q, k, v = attend.query(x), max_pool2d(attend.key(x), 2), max_pool2d(attend.value(x), 2)
    q, k, v = (t.flatten(2).transpose(1, 2) for t in (q, k, v))
    assert (q.shape, k.shape, v.shape) == ((2, 24, 2), (2, 6, 2), (2, 6, 8))
    seen = scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).reshape(2, 8, 6, 4)
    assert_close(attend(x), x + 0.7 * attend.leave(seen))


def test_channels_without_eighths_are_refused():
    with pytest.raises(ConfigError, match="width=12 has not"):
        SelfAttention(12)
