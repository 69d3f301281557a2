import math

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, leaky_relu
from torch.testing import assert_close

from gendiff_lib.errors import ConfigError
from gendiff_lib.networks.r3gan import Block, Discriminator, Generator, Resample

SHAPE, WIDTHS, BLOCKS = (3, 16, 16), (32, 16, 16), (1, 2, 1)
FULL = {"widths": (768,) * 4, "blocks": (2,) * 4}


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def players(widths=WIDTHS, blocks=BLOCKS):
    torch.manual_seed(0)
    generator = Generator(SHAPE, nz=6, widths=widths, blocks=blocks)
    return generator, Discriminator(SHAPE, widths=widths, blocks=blocks)


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("n_classes", "g", "d"), [(None, 20_732_160, 20_683_776), (10, 20_781_952, 21_280_512)])
def test_full_size_is_the_papers_20_7_million_a_network(n_classes, g, d):
    w, inner, nz, k = 768, 2 * 768, 64, n_classes or 0
    latents, features = (2 * nz, w) if k else (nz, 1)
    block = 2 * w * inner + 9 * 16 * inner + 2 * inner
    with torch.device("meta"):
        generator = Generator((3, 32, 32), nz=nz, n_classes=n_classes, **FULL)
        discriminator = Discriminator((3, 32, 32), n_classes=n_classes, **FULL)
    assert count(generator) == 8 * block + 16 * w + latents * w + 3 * w + k * nz == g
    assert count(discriminator) == 8 * block + 3 * w + 16 * w + features * w + k * w == d


def test_classes_steer_images_and_logits():
    torch.manual_seed(0)
    options = {"widths": WIDTHS, "blocks": BLOCKS, "n_classes": 3}
    generator, discriminator = Generator(SHAPE, nz=6, **options), Discriminator(SHAPE, **options)
    z, y = noise(4, 6, 1, 1), torch.tensor([0, 1, 2, 0])
    x = generator(z, y)
    assert (generator(z, (y + 1) % 3) - x).flatten(1).std(1).min() > 0.01
    logits, other = discriminator(x, y), discriminator(x, (y + 1) % 3)
    assert (logits.shape, logits.dtype) == ((4,), torch.float32)
    assert (logits - other).abs().min() > 1e-4
    (logits - other).square().sum().backward()
    assert all(embed.weight.grad.abs().sum(1).min() > 0 for embed in (generator.embed, discriminator.embed))


def test_a_block_starts_as_the_identity():
    block, x = Block(16, 4), noise(2, 16, 5, 5)
    assert torch.equal(block(x), x)
    nn.init.normal_(block.narrow.weight)
    assert (block(x) - x).std() > 0.1


@pytest.mark.parametrize("n_blocks", [1, 16])
def test_a_branch_starts_with_the_variance_that_its_number_of_blocks_allows(n_blocks):
    torch.manual_seed(0)
    block = Block(64, n_blocks)
    h = leaky_relu(block.mix(leaky_relu(block.widen(noise(8, 64, 16, 16)), 0.2)), 0.2)
    assert h[:, :, 1:-1, 1:-1].square().mean().item() == pytest.approx(1 / n_blocks, rel=0.1)


def test_blocks_mix_groups_of_16_channels():
    mix = Block(16, 1).mix
    x = noise(1, 32, 6, 6)
    changed = (mix(x + torch.eye(32)[3][None, :, None, None]) - mix(x)).abs().amax((0, 2, 3)) > 0
    assert changed.tolist() == [True] * 16 + [False] * 16


def test_resampling_is_bilinear_inside_and_reads_zeros_outside():
    x = noise(2, 3, 8, 8)
    up, down = Resample(up=True)(x), Resample(up=False)(x)
    assert_close(up[:, :, 1:-1, 1:-1], interpolate(x, scale_factor=2.0, mode="bilinear")[:, :, 1:-1, 1:-1])
    smooth = interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
    assert_close(down[:, :, 1:-1, 1:-1], smooth[:, :, 1:-1, 1:-1])
    assert_close(Resample(up=False)(torch.ones(1, 1, 4, 4))[0, 0, 0], torch.tensor([49 / 64, 49 / 64]))
    assert_close(Resample(up=True)(torch.ones(1, 1, 2, 2))[0, 0, 0, :2], torch.tensor([9 / 16, 3 / 4]))


def test_signals_start_with_about_unit_variance():
    torch.manual_seed(0)
    generator, discriminator = players((64, 64, 64), (1, 1, 1))
    h = generator.basis * generator.scale(noise(256, 6).flatten(1))[:, :, None, None]
    assert h.var().item() == pytest.approx(1, rel=0.2)
    flat = noise(256, 3, 1, 1).expand(-1, -1, 16, 16)  # smooth images, as photographs are: filters keep them
    assert discriminator.main[0](flat).var().item() == pytest.approx(1, rel=0.3)
    x = generator(noise(256, 6, 1, 1))
    assert x.shape == (256, 3, 16, 16)
    assert 0.2 < x.std() < 1.5
    assert 0.2 < discriminator(flat).std() < 2


def test_gradients_reach_every_parameter_once_a_step_is_made():
    generator, discriminator = players()
    parameters = [*generator.parameters(), *discriminator.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3)
    for _ in range(2):  # the first step opens the blocks, which start shut
        optimizer.zero_grad()
        nn.functional.softplus(discriminator(generator(noise(4, 6, 1, 1)))).mean().backward()
        optimizer.step()
    names = [n for net in (generator, discriminator) for n, _ in net.named_parameters()]
    assert [n for n, p in zip(names, parameters, strict=True) if not p.grad.abs().max() > 0] == []


def test_the_slope_of_the_logits_can_be_penalised():
    _, discriminator = players()
    x = noise(2, *SHAPE).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert discriminator.main[0].weight.grad.abs().max() > 0


def test_logits_are_float32_where_convolutions_are_bfloat16():
    generator, discriminator = players()
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(generator(noise(4, 6, 1, 1)))
    exact = discriminator(generator(noise(4, 6, 1, 1)))
    assert (logits.shape, logits.dtype) == ((4,), torch.float32)
    assert_close(logits, exact, rtol=0.1, atol=0.1 * exact.abs().max().item())


@pytest.mark.parametrize(
    ("shape", "widths", "blocks", "words"),
    [
        (
            (3, 32, 32),
            WIDTHS,
            BLOCKS,
            "'r3gan' is built for images of 16x16 pixels.*: each width after the first doubles",
        ),
        (SHAPE, (12, 16, 16), BLOCKS, "widths=12 of r3gan makes no groups of 16"),
        (SHAPE, WIDTHS, (1, 1), "differ in length"),
    ],
)
def test_what_does_not_fit_is_refused(shape, widths, blocks, words):
    for build in (
        lambda: Generator(shape, nz=6, widths=widths, blocks=blocks),
        lambda: Discriminator(shape, widths=widths, blocks=blocks),
    ):
        with pytest.raises(ConfigError, match=words):
            build()


def test_the_scale_of_weights_is_their_fan_in():
    torch.manual_seed(0)
    block = Block(256, 8)
    gain = math.sqrt(2 / 1.04) * 8**-0.25
    assert block.widen.weight.std().item() == pytest.approx(gain / 16, rel=0.02)
    assert block.mix.weight.std().item() == pytest.approx(gain / 12, rel=0.02)
