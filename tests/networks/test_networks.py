import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gendiff_lib.diffusion.config import ConvNetwork, MLPNetwork, TransformerNetwork, UNetNetwork
from gendiff_lib.diffusion.model import DENOISERS, denoiser
from gendiff_lib.errors import ConfigError
from gendiff_lib.networks.layers import sinusoids, waves
from gendiff_lib.networks.unet import Attention, ResBlock

MLP = MLPNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4)
CONV = ConvNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4)
UNET = UNetNetwork(widths=(8, 16), n_blocks=1, attention=(1,))
TRANSFORMER = TransformerNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4, patch=2)
TRIED = {
    "mlp": (MLP, (2,)),
    "conv": (CONV, (3, 8, 8)),
    "unet": (UNET, (3, 8, 8)),
    "transformer": (TRANSFORMER, (3, 8, 8)),
}


def make(config, shape):
    """The network with every weight drawn, also those that start at zero."""
    torch.manual_seed(0)
    net = denoiser(config, shape)
    for p in net.parameters():
        nn.init.normal_(p, 0.0, 0.3)
    return net


def states(n, shape):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        *TRIED.values(),
        (MLP, (3, 8, 8)),
        (CONV, (3, 5, 7)),
        (CONV.but(n_layers=10), (1, 8, 8)),
        (UNET.but(patch=2), (3, 8, 8)),
        (UNET.but(widths=(8, 8, 8), attention=()), (3, 8, 8)),
        (UNET.but(widths=(8,), attention=(0,), n_blocks=2), (3, 6, 6)),
        (TRANSFORMER.but(hidden_dim=128, patch=1), (1, 4, 6)),
    ],
)
def test_the_output_has_the_inputs_shape_and_depends_on_it(config, shape):
    net = make(config, shape)
    x, s = states(2, shape), torch.tensor([3.0, 700.0])
    assert net(x, s).shape == x.shape
    assert difference(net(x, s), net(x + 0.1 * states(2, shape).sign(), s)) > 1e-4


def difference(a, b):
    """The largest in each sample, the smallest of those."""
    return (a - b).flatten(1).abs().amax(1).min()


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        TRIED["mlp"],
        TRIED["conv"],
        (UNET.but(widths=(36,), attention=()), (3, 8, 8)),
        (UNET.but(widths=(64,), attention=()), (3, 8, 8)),
        TRIED["unet"],
        TRIED["transformer"],
        (UNET.but(widths=(32,), attention=()), (3, 8, 8)),
    ],
)
def test_the_output_depends_on_time(config, shape):
    net, x, s = make(config, shape), states(2, shape), torch.tensor([3.0, 700.0])
    assert difference(net(x, s), net(x, s + 50)) > 1e-4


@pytest.mark.parametrize("name", DENOISERS)
def test_samples_do_not_see_each_other(name):
    config, shape = TRIED[name]
    net, x, s = make(config, shape), states(3, shape), torch.tensor([1.0, 2.0, 3.0])
    assert_close(net(x, s)[1:2], net(x[1:2], s[1:2]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", DENOISERS)
def test_every_weight_is_trained(name):
    config, shape = TRIED[name]
    net = make(config, shape)
    net(states(4, shape), torch.tensor([1.0, 20.0, 300.0, 999.0])).square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_the_embedding_of_time_is_sines_then_cosines():
    found = sinusoids(torch.tensor([0.0, 7.0]), 6)
    rates = [10_000 ** (-k / 2) for k in range(3)]
    expected = [[0.0] * 3 + [1.0] * 3, [math.sin(7 * r) for r in rates] + [math.cos(7 * r) for r in rates]]
    assert_close(found, torch.tensor(expected))


def test_a_unet_starts_as_a_constant():
    net = denoiser(UNET, (3, 8, 8))
    out = net(states(2, (3, 8, 8)), torch.tensor([1.0, 900.0]))
    assert_close(out, out[:1, :, :1, :1].expand_as(out))


def test_a_residual_block_starts_as_its_shortcut():
    block, x = ResBlock(8, 8, 4, 0.0), states(2, (8, 4, 4))
    nn.init.zeros_(block.conv2.bias)
    assert_close(block(x, torch.randn(2, 4)), x)


def test_attention_is_scaled_dot_product_attention():
    attend, x = make_attention(), states(2, (8, 3, 3))
    q, k, v = attend.qkv(attend.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
    seen = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
    assert_close(attend(x), x + attend.leave(seen), rtol=1e-4, atol=1e-5)


def make_attention():
    torch.manual_seed(0)
    attend = Attention(8)
    nn.init.normal_(attend.leave.weight)
    return attend


def test_folding_pixels_cuts_the_cost():
    def flops(config):
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            make(config, (3, 16, 16))(states(1, (3, 16, 16)), torch.tensor([1.0]))
        return counter.get_total_flops()

    plain = UNET.but(attention=())
    assert 3 < flops(plain) / flops(plain.but(patch=2)) < 4.2


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        (CONV, (2,), "'conv' works on images"),
        (UNET, (2,), "'unet' works on images"),
        (UNET, (3, 9, 9), "which 9 pixels do not allow"),
        (UNET.but(patch=4, widths=(8, 8, 8), attention=()), (3, 8, 8), "which 8 pixels do not allow"),
        (TRANSFORMER, (2,), "'transformer' works on images"),
        (TRANSFORMER.but(patch=3), (3, 8, 8), "patch=3 does not divide images of 8x8 pixels"),
        (TRANSFORMER.but(patch=3), (3, 8, 9), "patch=3 does not divide images of 8x9 pixels"),
        (TRANSFORMER.but(patch=3), (3, 9, 8), "patch=3 does not divide images of 9x8 pixels"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(config, shape, words):
    with pytest.raises(ConfigError, match=words):
        denoiser(config, shape)


def test_a_transformer_tells_the_places_of_its_tokens_apart():
    net = make(TRANSFORMER, (3, 8, 8))
    x, s = states(1, (3, 8, 8)), torch.tensor([3.0])
    assert difference(net(x, s).flip(-1), net(x.flip(-1), s)) > 1e-4
    swapped = x.roll(4, -1)  # whole tokens, so that only their places change
    assert difference(net(x, s).roll(4, -1), net(swapped, s)) > 1e-4


def test_a_transformer_begins_as_nothing_and_all_of_its_heads_have_64_channels():
    config = TRANSFORMER.but(hidden_dim=192)
    net = denoiser(config, (3, 8, 8))
    assert not net(states(2, (3, 8, 8)), torch.tensor([3.0, 700.0])).any()
    assert {block.heads for block in net.blocks} == {3}


def test_waves_are_the_point_and_sines_and_cosines_of_its_octaves():
    x = torch.tensor([[0.5, -1.0]])
    expected = torch.cat([x, x[0].outer(torch.tensor([1.0, 2.0])).flatten()[None].sin()], 1)
    torch.testing.assert_close(waves(x, 2)[:, :6], expected)
    torch.testing.assert_close(waves(x, 2)[:, 6:] ** 2, 1 - waves(x, 2)[:, 2:6] ** 2)
    torch.testing.assert_close(waves(x, 0), x)
