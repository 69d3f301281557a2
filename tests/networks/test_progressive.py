import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.testing import assert_close

from gendiff_lib.errors import ConfigError
from gendiff_lib.networks.progressive import (
    SIDES,
    Discriminator,
    Generator,
    Scaled,
    minibatch_deviation,
    pixel_norm,
)

SHAPE = (3, 32, 32)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def generator(**options):
    torch.manual_seed(0)
    return Generator(SHAPE, nz=6, width=8, fade=100, **options)


def discriminator(**options):
    torch.manual_seed(0)
    return Discriminator(SHAPE, width=8, fade=100, **options)


@pytest.mark.parametrize("stage", range(3))
def test_each_stage_has_its_side(stage):
    x = generator().at(noise(4, 6, 1, 1), stage, 0.5)
    assert x.shape == (4, 3, SIDES[stage], SIDES[stage])
    logits = discriminator().at(x, stage, 0.5)
    assert (logits.shape, logits.dtype) == ((4,), torch.float32)
    assert logits.std() > 0


@pytest.mark.parametrize("stage", range(2))
def test_a_switch_of_stage_changes_nothing_at_alpha_0(stage):
    z, net = noise(4, 6, 1, 1), generator()
    before, after = net.at(z, stage), net.at(z, stage + 1, 0.0)
    assert torch.equal(after, interpolate(before, scale_factor=2.0))
    x, judge = noise(4, 3, SIDES[stage + 1], SIDES[stage + 1]), discriminator()
    assert torch.equal(judge.at(x, stage + 1, 0.0), judge.at(avg_pool2d(x, 2), stage))
    assert (net.at(z, stage + 1, 1.0) - after).std() > 0.1
    assert (judge.at(x, stage + 1, 1.0) - judge.at(x, stage + 1, 0.0)).abs().max() > 1e-3


def test_stages_come_with_images():
    net, told = generator(), []
    for images in (0, 99, 100, 150, 200, 299, 300, 350, 400, 10_000):
        net.grow(images)
        told.append(net.stage)
    assert told == [
        (0, 1.0), (0, 1.0), (1, 0.0), (1, 0.5), (1, 1.0), (1, 1.0), (2, 0.0), (2, 0.5), (2, 1.0), (2, 1.0)
    ]  # fmt: skip


def test_the_stage_goes_with_the_weights():
    net, fresh, z = generator(), generator(), noise(4, 6, 1, 1)
    net.grow(150)
    fresh.load_state_dict(net.state_dict())
    assert fresh.stage == (1, 0.5)
    assert torch.equal(fresh(z), net(z))
    assert_close(net(z), interpolate(net.at(z, 1, 0.5), 32))


@pytest.mark.parametrize(("images", "young"), [(0, 0.0), (100, 1.0), (150, 0.5), (200, 0.0), (350, 0.5), (900, 0.0)])
def test_real_images_are_as_young_as_the_fakes_of_the_moment(images, young):
    judge, x = discriminator(), noise(4, *SHAPE)
    judge.grow(images)
    side = SIDES[judge.stage[0] - 1]
    assert_close(judge.faded(x), (1 - young) * x + young * interpolate(avg_pool2d(x, 32 // side), 32))
    small = avg_pool2d(judge.faded(x), 32 // SIDES[judge.stage[0]])
    assert_close(avg_pool2d(small, 2), avg_pool2d(x, 64 // SIDES[judge.stage[0]]))  # fading leaves what was seen before


@pytest.mark.parametrize("images", [100, 300])
def test_nothing_changes_at_the_moment_of_a_switch(images):
    net, judge, z, x = generator(), discriminator(), noise(4, 6, 1, 1), noise(4, *SHAPE)
    seen = []
    for n in (images - 1, images):
        net.grow(n)
        judge.grow(n)
        seen.append((net.stage[0], net(z), judge(x)))
    assert seen[0][0] == seen[1][0] - 1
    assert_close(seen[0][1:], seen[1][1:])


def test_images_fade_in_linearly():
    z, net = noise(4, 6, 1, 1), generator()
    none, some, full = (net.at(z, 2, alpha) for alpha in (0.0, 0.3, 1.0))
    assert_close(some, 0.7 * none + 0.3 * full)


@pytest.mark.parametrize("build", [generator, discriminator])
def test_equalised_weights_compute_as_plain_ones_but_are_stored_at_variance_one(build):
    equalised, plain = build(equalised=True), build(equalised=False)
    given = noise(4, 6, 1, 1) if build is generator else noise(4, *SHAPE)
    assert_close(equalised.at(given, 2, 0.5), plain.at(given, 2, 0.5))
    stored = [p for n, p in equalised.named_parameters() if n.endswith("original")]
    assert len(stored) == sum(isinstance(m, Scaled) for m in equalised.modules()) > 5
    assert torch.cat([p.flatten() for p in stored]).std().item() == pytest.approx(1, rel=0.1)
    if build is generator:  # its dense layer is scaled down by 4, as the authors' code has it
        assert equalised.enter[0].parametrizations.weight[0].scale == pytest.approx((2 / 6) ** 0.5 / 4)
    assert plain.blocks[0][1 if build is generator else 0].weight.std().item() == pytest.approx(
        (2 / 72) ** 0.5, rel=0.1
    )


def test_every_weight_of_the_last_two_stages_is_trained_while_fading():
    net, judge = generator(), discriminator()
    judge.at(net.at(noise(4, 6, 1, 1), 2, 0.5), 2, 0.5).square().sum().backward()
    unused = {n for n, p in [*net.named_parameters(), *judge.named_parameters()] if p.grad is None}
    assert {n.split(".parametrizations")[0].removesuffix(".bias") for n in unused} == {"to_rgb.0", "from_rgb.0.0"}
    used = [p for p in [*net.parameters(), *judge.parameters()] if p.grad is not None]
    assert all(p.grad.abs().max() > 0 for p in used)


def test_pixel_norm_makes_every_place_a_mean_square_of_one():
    x = pixel_norm(5 * noise(2, 8, 3, 3))
    assert_close(x.square().mean(1), torch.ones(2, 3, 3))


def test_the_deviation_map_tells_a_collapsed_batch():
    x = noise(6, 4, 3, 3)
    assert_close(minibatch_deviation(x)[:, :4], x)
    assert_close(minibatch_deviation(x)[:, 4], x.std(0, correction=0).mean().expand(6, 3, 3))
    assert minibatch_deviation(x[:1].expand(6, -1, -1, -1))[:, 4].max() < 1e-3
    x, judge = noise(4, 3, 8, 8), discriminator()
    assert (judge.at(x, 0)[:1] - judge.at(x[:1], 0)).abs() > 1e-4  # images see each other by it alone
    assert_close(discriminator(deviation=False).at(x, 0)[:1], discriminator(deviation=False).at(x[:1], 0))


def test_the_slope_of_the_logits_can_be_penalised():
    judge, x = discriminator(), noise(2, *SHAPE).requires_grad_()
    (slope,) = torch.autograd.grad(judge.at(x, 2, 0.5).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in judge.parameters() if p.grad is not None)
    assert judge.leave[0].parametrizations.weight.original.grad.abs().max() > 0


def test_parameters_are_counted_by_formula():
    w, nz = 8, 6
    conv = 9 * w * w + w
    assert count(generator()) == (nz + 1) * 16 * w + 7 * conv + 3 * (3 * w + 3)
    dense = 16 * w * w + w
    assert count(discriminator()) == 3 * (3 * w + w) + 6 * conv + (conv + 9 * w) + dense + w + 1
    assert count(discriminator(deviation=False)) == count(discriminator()) - 9 * w


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_other_sizes_are_refused():
    for build in (lambda: Generator((3, 64, 64), nz=6, width=8, fade=9), lambda: Discriminator((2,), width=8, fade=9)):
        with pytest.raises(ConfigError, match="'progressive' is built for images of 32x32 pixels"):
            build()
