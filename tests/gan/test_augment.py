import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.errors import ConfigError
from gendiff_lib.gan import augment as module
from gendiff_lib.gan.augment import AUGMENTATIONS, augment, brightness, contrast, cutout, saturation, translation

ALL = tuple(AUGMENTATIONS)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=64, side=16):
    return torch.rand(n, 3, side, side, generator=rng(9)) * 2 - 1


def uniform(n, seed=0):
    return torch.rand(n, 1, 1, 1, generator=rng(seed))


def test_no_augmentation_gives_the_very_images():
    x = images()
    assert augment(x, (), rng()) is x


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ConfigError, match="augment='flip' is unknown: choose from color, translation, cutout"):
        augment(images(), ("color", "flip"), rng())


@pytest.mark.parametrize("policy", [*((name,) for name in ALL), ALL])
def test_augmentations_come_from_the_generator_alone(policy):
    x = images()
    state = torch.get_rng_state()
    first = augment(x, policy, rng())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, images())
    assert torch.equal(first, augment(x, policy, rng()))
    assert not torch.equal(first, augment(x, policy, rng(1)))
    assert first.shape == x.shape


def test_augmentations_follow_the_policys_order():
    x = images()
    shared = rng()
    by_hand = cutout(contrast(saturation(brightness(x, shared), shared), shared), shared)
    assert torch.equal(augment(x, ("color", "cutout"), rng()), by_hand)


@pytest.mark.parametrize("policy", [*((name,) for name in ALL), ALL])
def test_gradients_reach_the_generators_images(policy):
    x = images(4, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, policy, rng(3)), (x,))
    (gradient,) = torch.autograd.grad(augment(x, policy, rng(3)).sum(), x)
    assert (gradient.flatten(1).abs().amax(1) > 0).all()


def test_brightness_by_hand():
    x = images(200)
    shift = (brightness(x, rng()) - x)[:, 0, 0, 0]
    assert_close(brightness(x, rng()), x + uniform(200) - 0.5)
    assert -0.5 <= shift.min() < -0.45
    assert 0.45 < shift.max() <= 0.5


def test_saturation_stretches_each_pixels_colour_about_its_grey():
    x = images()
    made, grey = saturation(x, rng()), x.mean(1, keepdim=True)
    assert_close(made.mean(1, keepdim=True), grey)
    assert_close(made - grey, (x - grey) * 2 * uniform(64))


def test_contrast_stretches_each_image_about_its_mean():
    x = images()
    made = contrast(x, rng())
    assert_close(made.mean((1, 2, 3)), x.mean((1, 2, 3)))
    assert_close(made.std((1, 2, 3)), x.std((1, 2, 3)) * (0.5 + uniform(64)).flatten())


def test_translation_by_hand(monkeypatch):
    moves = iter([torch.tensor([[1], [0]]), torch.tensor([[-2], [1]])])  # down, then right
    monkeypatch.setattr(module, "_whole", lambda *a: next(moves))
    x = images(2, 4)
    made = translation(x, rng())
    expected = torch.zeros(2, 3, 4, 4)
    expected[0, :, 1:, :2] = x[0, :, :3, 2:]
    expected[1, :, :, 1:] = x[1, :, :, :3]
    assert torch.equal(made, expected)


def test_translation_goes_up_to_an_eighth_either_way():
    x = torch.zeros(600, 3, 16, 16)
    x[:, :, 8, 8] = 1
    rows, columns = (translation(x, rng()).sum((1, dim)).argmax(1) - 8 for dim in (3, 2))
    assert rows.unique().tolist() == columns.unique().tolist() == [-2, -1, 0, 1, 2]
    assert len({(a, b) for a, b in zip(rows.tolist(), columns.tolist(), strict=True)}) == 25


@pytest.mark.parametrize("side", [8, 10, 16])
def test_cutout_zeroes_a_square_of_half_the_side_whose_middle_is_in_the_image(side):
    holes = cutout(torch.ones(2000, 3, side, side), rng()) == 0
    assert torch.equal(holes, holes[:, :1].expand_as(holes))
    heights, widths = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(heights * widths, holes[:, 0].sum((1, 2)))  # one block
    least = side // 2 - side // 4
    for sides in (heights, widths):
        assert sides.unique().tolist() == list(range(least, side // 2 + 1))
        whole = (side // 2 + 1) / (side + 1 - side // 2 % 2)  # of so many places, so many leave the square whole
        assert (sides == side // 2).float().mean().item() == pytest.approx(whole, abs=0.05)
    x = images(8, side)
    made = cutout(x, rng())
    assert torch.equal(made[made != 0], x[made != 0])
