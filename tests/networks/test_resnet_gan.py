import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gendiff_lib.errors import ConfigError
from gendiff_lib.networks.resnet_gan import Discriminator, Generator

SHAPE = (3, 32, 32)


def count(net):
    return sum(p.numel() for p in net.parameters())


def latents(n, nz=6):
    return torch.randn(n, nz, 1, 1, generator=torch.Generator().manual_seed(1))


def images(n):
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(2)) * 2 - 1


def classes(n):
    return torch.arange(n) % 3


def generator(**options):
    torch.manual_seed(0)
    return Generator(SHAPE, nz=6, width=8, **options)


def discriminator(**options):
    torch.manual_seed(0)
    return Discriminator(SHAPE, width=8, **options)


@pytest.mark.parametrize(("n_classes", "expected"), [(None, 4_276_739), (10, 4_304_387)])
def test_the_papers_generator_has_as_many_parameters_as_studiogans(n_classes, expected):
    w, nz = 256, 128
    linear, blocks = (nz + 1) * 16 * w, 3 * (2 * (9 * w * w + w) + w * w + w)
    norms = 6 * 2 * w * (n_classes or 1) + 2 * w
    assert linear + blocks + norms + 27 * w + 3 == expected
    assert count(Generator(SHAPE, nz=nz, width=w, n_classes=n_classes)) == expected


@pytest.mark.parametrize(("n_classes", "expected"), [(None, 1_053_825), (10, 1_055_105)])
def test_the_papers_discriminator_has_as_many_parameters_as_studiogans(n_classes, expected):
    w = 128
    first, convolutions, skips = 27 * w + w + 3 * w + w, 7 * (9 * w * w + w), w * w + w
    assert first + convolutions + skips + w + 1 + w * (n_classes or 0) == expected
    assert count(Discriminator(SHAPE, width=w, n_classes=n_classes)) == expected


@pytest.mark.parametrize("n_classes", [None, 3])
@pytest.mark.parametrize("attention", [False, True])
def test_images_are_in_range_and_logits_are_numbers(n_classes, attention):
    options = {"n_classes": n_classes, "attention": attention}
    y = None if n_classes is None else classes(4)
    x = generator(**options)(latents(4), y)
    assert x.shape == (4, *SHAPE)
    assert x.abs().max() < 1
    assert x.std() > 0.05
    logits = discriminator(**options)(x, y)
    assert (logits.shape, logits.dtype) == ((4,), torch.float32)
    assert logits.std() > 0


def test_attention_sees_16x16_pixels_in_both():
    g, d, seen = generator(attention=True), discriminator(attention=True), []
    for attend in (g.attend, d.blocks[1]):
        attend.register_forward_hook(lambda module, given, out: seen.append(tuple(given[0].shape[2:])))
    d(g(latents(2)))
    assert seen == [(16, 16), (16, 16)]


def test_only_the_first_block_reads_negative_values():
    x = images(2)
    first, second, *_ = discriminator(spectral=False).blocks
    for block in (first, second):
        nn.init.zeros_(block.skip.weight)
    assert (first(x) - first(x.relu())).abs().max() > 0.05
    h = first(x)
    assert h.min() < 0
    assert torch.equal(second(h), second(h.relu()))


def test_without_embeddings_a_conditional_generator_is_the_plain_one():
    plain, conditional = generator(), generator(n_classes=3)
    left = conditional.load_state_dict(plain.state_dict(), strict=False)
    assert {name.split(".")[-2] for name in left.missing_keys} == {"gain", "bias"}
    z = latents(4)
    assert_close(conditional(z, classes(4)), plain(z))
    for name, p in conditional.named_parameters():
        if "gain" in name or "bias.weight" in name:
            nn.init.normal_(p, 0.0, 0.5)
    y = classes(4)
    assert (conditional(z, y) - conditional(z, (y + 1) % 3)).abs().max() > 0.05


def test_without_embeddings_a_conditional_discriminator_is_the_plain_one():
    plain, conditional = discriminator(spectral=False), discriminator(spectral=False, n_classes=3)
    assert conditional.load_state_dict(plain.state_dict(), strict=False).missing_keys == ["embed.weight"]
    x, y = images(4), classes(4)
    given = conditional(x, y)
    h = torch.relu(conditional.blocks(x)).sum((2, 3))
    assert_close(given - plain(x), torch.einsum("nc,nc->n", conditional.embed.weight[y], h), rtol=1e-4, atol=1e-4)
    nn.init.zeros_(conditional.embed.weight)
    assert_close(conditional(x, y), plain(x))


def test_normalised_weights_have_a_largest_singular_value_of_one_after_training():
    net, x, y = discriminator(attention=True, n_classes=3), images(8), classes(8)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(30):
        optimizer.zero_grad()
        torch.relu(1 - net(x, y)).mean().backward()
        optimizer.step()
    net.eval()
    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))]
    largest = torch.stack([torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2) for m in layers])
    assert len(largest) == 3 + 3 + 2 + 2 + 4 + 1 + 1
    assert_close(largest, torch.ones_like(largest), rtol=0.05, atol=0.0)
    raw = torch.stack([torch.linalg.matrix_norm(m.parametrizations.weight.original.flatten(1), 2) for m in layers])
    assert (raw - 1).abs().max() > 0.2  # it is the normalisation that does it
    assert not any("parametrizations" in name for name, _ in discriminator(spectral=False).named_parameters())


@pytest.mark.parametrize("spectral", [False, True])
def test_every_weight_is_trained(spectral):
    options = {"attention": True, "n_classes": 3}
    g, d = generator(**options), discriminator(spectral=spectral, **options)
    nn.init.ones_(g.attend.gate)
    nn.init.ones_(d.blocks[1].gate)
    d(g(latents(6), classes(6)), classes(6)).square().sum().backward()
    weights = [*g.named_parameters(), *d.named_parameters()]
    assert [n for n, p in weights if p.grad is None or not p.grad.abs().max() > 0] == []


def test_the_slope_of_the_logits_can_be_penalised():
    net, x = discriminator(attention=True), images(2).requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert net.blocks[0].conv1.parametrizations.weight.original.grad.abs().max() > 0


def test_logits_are_float32_where_convolutions_are_bfloat16():
    net, x, y = discriminator(n_classes=3), images(4), classes(4)
    exact = net.eval()(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = net.train()(x, y)
    assert coarse.dtype == torch.float32
    assert_close(coarse, exact, rtol=0.05, atol=0.05 * exact.abs().max().item())


@pytest.mark.parametrize("shape", [(3, 64, 64), (2,), (3, 32, 16)])
def test_other_sizes_are_refused(shape):
    for build in (lambda: Generator(shape, nz=6, width=8), lambda: Discriminator(shape, width=8)):
        with pytest.raises(ConfigError, match=r"'resnet' is built for images of 32x32 pixels"):
            build()
