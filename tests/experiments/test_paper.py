import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from gendiff_lib.diffusion.config import ConvNetwork, TransformerNetwork, UNetNetwork
from gendiff_lib.diffusion.model import denoiser
from gendiff_lib.gan.config import DCGANNetwork, GANConfig
from gendiff_lib.gan.model import GAN
from gendiff_lib.networks.dcgan import Discriminator, Generator
from gendiff_report.diagrams.drawings import Probability
from gendiff_report.diagrams.trace import layers

PAPER_GAN = DCGANNetwork(ngf=64, ndf=64)
PAPER_CONV = ConvNetwork(n_layers=8, hidden_dim=256, timestep_embedding_dim=256)


def count(net):
    return sum(p.numel() for p in net.parameters())


def on_paper(make, *arguments, **named):
    """A network without memory for its weights."""
    with torch.device("meta"):
        return make(*arguments, **named)


def conv_layer(layer):
    return (layer.in_channels, layer.out_channels, *layer.kernel_size, layer.stride[0], layer.padding[0], layer.bias)


def test_figure_15_the_generator_layer_by_layer():
    layers = list(on_paper(Generator, (3, 64, 64), nz=100, ngf=PAPER_GAN.ngf).main)
    transposed, norm, relu = nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU
    assert [type(m) for m in layers] == [transposed, norm, relu] * 4 + [transposed, nn.Tanh]
    assert [conv_layer(m) for m in layers if isinstance(m, transposed)] == [
        (100, 512, 4, 4, 1, 0, None),
        (512, 256, 4, 4, 2, 1, None),
        (256, 128, 4, 4, 2, 1, None),
        (128, 64, 4, 4, 2, 1, None),
        (64, 3, 4, 4, 2, 1, None),
    ]
    assert [m.num_features for m in layers if isinstance(m, norm)] == [512, 256, 128, 64]


def test_figure_14_the_discriminator_layer_by_layer():
    layers = list(on_paper(Discriminator, (3, 64, 64), ndf=PAPER_GAN.ndf).main)
    conv, norm, leaky = nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU
    assert [type(m) for m in layers] == [conv, leaky] + [conv, norm, leaky] * 3 + [conv, nn.Sigmoid]
    assert [conv_layer(m) for m in layers if isinstance(m, conv)] == [
        (3, 64, 4, 4, 2, 1, None),
        (64, 128, 4, 4, 2, 1, None),
        (128, 256, 4, 4, 2, 1, None),
        (256, 512, 4, 4, 2, 1, None),
        (512, 1, 4, 4, 1, 0, None),
    ]
    assert [m.num_features for m in layers if isinstance(m, norm)] == [128, 256, 512]
    assert {m.negative_slope for m in layers if isinstance(m, leaky)} == {0.2}


def test_the_dcgans_parameters_are_the_papers():
    assert count(on_paper(Generator, (3, 64, 64), nz=100, ngf=PAPER_GAN.ngf)) == 3_576_704
    assert count(on_paper(Discriminator, (3, 64, 64), ndf=PAPER_GAN.ndf)) == 2_765_568


def test_the_drawn_tables_are_the_papers_figures():
    generator = layers(on_paper(Generator, (3, 64, 64), nz=100, ngf=PAPER_GAN.ngf), torch.empty(1, 100, 1, 1))
    up = "ConvTranspose2d 4x4, stride 2, padding 1, no bias"
    assert [layer.kind for layer in generator] == [
        *("ConvTranspose2d 4x4, stride 1, no bias", "BatchNorm2d", "ReLU"),
        *(up, "BatchNorm2d", "ReLU") * 3,
        *(up, "Tanh"),
    ]
    assert [layer.shape for layer in generator[::3]] == [(512 >> i, 4 << i, 4 << i) for i in range(4)] + [(3, 64, 64)]
    judge = Probability(on_paper(Discriminator, (3, 64, 64), ndf=PAPER_GAN.ndf))
    discriminator = layers(judge, torch.empty(1, 3, 64, 64))
    down = "Conv2d 4x4, stride 2, padding 1, no bias"
    assert [layer.kind for layer in discriminator] == [
        *(down, "LeakyReLU 0.2"),
        *(down, "BatchNorm2d", "LeakyReLU 0.2") * 3,
        *("Conv2d 4x4, stride 1, no bias", "Sigmoid"),
    ]
    conv = layers(on_paper(denoiser, PAPER_CONV, (3, 32, 32)), torch.empty(1, 3, 32, 32), torch.empty(1))
    totals = [sum(layer.parameters for layer in found) for found in (generator, discriminator, conv)]
    assert totals == [3_576_704, 2_765_568, 4_900_611]


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_both_players_work_at_every_power_of_two(side):
    g, d = Generator((3, side, side), nz=5, ngf=4), Discriminator((3, side, side), ndf=4)
    fake = g(torch.randn(2, 5, 1, 1))
    assert fake.shape == (2, 3, side, side)
    assert fake.abs().max() <= 1
    assert d(fake).shape == (2,)


def test_the_discriminators_answer_is_its_layers_in_order():
    d, x = Discriminator((3, 16, 16), ndf=4), torch.randn(3, 3, 16, 16)
    assert_close(d(x).sigmoid(), d.main(x).flatten())


def test_weights_start_as_in_the_dcgan_paper():
    torch.manual_seed(0)
    gan = GAN(GANConfig(network=DCGANNetwork(ngf=16, ndf=16)), (3, 32, 32))
    for net in gan.modules.values():
        for m in net.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                assert m.weight.std().item() == pytest.approx(0.02, rel=0.15)
            if isinstance(m, nn.BatchNorm2d):
                assert m.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert 0 < m.weight.std() < 0.04
                assert m.bias.abs().max() == 0


def test_figure_17s_denoiser_has_its_parameters_and_dilations():
    net = on_paper(denoiser, PAPER_CONV, (3, 32, 32))
    assert count(net) == 4_900_611
    assert [conv.dilation[0] for conv in net.convs] == [1, 1, 1, 3, 3, 9, 9, 27]
    assert {(c.in_channels, c.out_channels, c.kernel_size) for c in net.convs} == {(256, 256, (3, 3))}
    assert net.enter.kernel_size == (7, 7)
    assert net.leave.kernel_size == (3, 3)


def test_the_denoiser_is_the_tutorials_recipe_step_by_step():
    config = PAPER_CONV.but(n_layers=4, hidden_dim=16, timestep_embedding_dim=8)
    torch.manual_seed(0)
    net = denoiser(config, (3, 12, 12))
    x, t = torch.randn(2, 3, 12, 12), torch.tensor([0, 999])
    w = net.state_dict()
    angles = t[:, None] * 10_000 ** (-torch.arange(4) / 3)
    e = F.linear(torch.cat([angles.sin(), angles.cos()], 1), w["time.first.weight"], w["time.first.bias"])
    e = F.linear(e * e.sigmoid(), w["time.second.weight"], w["time.second.bias"])
    y = F.conv2d(x, w["enter.weight"], w["enter.bias"], padding=3)
    for i, dilation in enumerate((1, 1, 1, 3)):
        h = y + e[:, :, None, None]
        y = h + F.conv2d(h, w[f"convs.{i}.weight"], w[f"convs.{i}.bias"], padding=dilation, dilation=dilation)
        if i > 0:
            y = F.silu(F.group_norm(y, 8, w[f"norms.{i - 1}.weight"], w[f"norms.{i - 1}.bias"]))
    expected = F.conv2d(y, w["leave.weight"], w["leave.bias"], padding=1)
    assert_close(net(x, t.double()), expected, rtol=1e-4, atol=1e-5)


def test_an_image_costs_the_tutorials_denoiser_4_9_billion_multiplications():
    from torch.utils.flop_counter import FlopCounterMode

    net = on_paper(denoiser, PAPER_CONV, (3, 32, 32))
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, 32, 32, device="meta"), torch.empty(1, device="meta"))
    assert counter.get_total_flops() / 2 == pytest.approx(4.9e9, rel=0.03)


def test_dits_transformer_has_its_parameters():
    """DiT-XL/2 has 675M (Peebles and Xie 2023, Table 1), among them what ours lacks: classes and learned variances."""
    config = TransformerNetwork(n_layers=28, hidden_dim=1152, timestep_embedding_dim=256, patch=2)
    ours = count(on_paper(denoiser, config, (4, 32, 32)))
    classes, variances, fixed_places = 1001 * 1152, 16 * (1152 + 1), 256 * 1152
    assert round((ours + classes + variances + fixed_places) / 1e6) == 675


def test_ddpms_unet_has_its_parameters():
    config = UNetNetwork(widths=(128, 256, 256, 256), n_blocks=2, attention=(1,), patch=1, dropout=0.1)
    assert count(on_paper(denoiser, config, (3, 32, 32))) == 35_746_307
