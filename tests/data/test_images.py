import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gendiff_lib.data import images
from gendiff_lib.errors import GendiffError

BYTES = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(1, 3, 1, 1)


def test_all_256_byte_values_survive_the_bridge():
    assert_close(images.to_images(images.to_model(BYTES)), BYTES, rtol=0, atol=0)


def test_the_model_sees_minus_one_to_one():
    x = images.to_model(BYTES)
    assert x.dtype == torch.float32
    assert x.min() == -1
    assert x.max() == 1
    assert (x.flatten()[:256].diff() > 0).all()


def test_what_is_out_of_range_is_clipped_and_the_rest_rounded():
    x = torch.tensor([-7.0, -1.0, -0.0001, 0.0, 0.999, 1.0, 7.0]).reshape(1, 1, 1, 7).expand(1, 3, 1, 7)
    assert images.to_images(x)[0, 0, 0].tolist() == [0, 0, 127, 128, 255, 255, 255]


def test_bfloat16_output_is_taken():
    assert_close(images.to_images(torch.ones(1, 3, 2, 2, dtype=torch.bfloat16)), torch.full((1, 3, 2, 2), 255).byte())


@pytest.mark.parametrize("size", [None, 16])
def test_resizing_to_the_same_side_changes_nothing(size):
    x = torch.rand(1, 3, 16, 16)
    assert images.resize(x, size) is x


def test_enlarging_and_shrinking_back_almost_keeps_a_smooth_image():
    ramp = torch.linspace(20, 230, 32).round().byte().expand(1, 3, 32, 32)
    back = images.to_images(images.to_model(ramp, 64), 32)
    assert back.shape == ramp.shape
    assert (back.int() - ramp.int())[..., 2:-2].abs().max() <= 1


def test_shrinking_has_an_antialiasing_filter():
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    small = images.resize(board.expand(1, 3, 32, 32), 8)
    assert small[..., 1:-1, 1:-1].abs().max() < 0.01
    columns = (torch.arange(32) % 4 == 1).float().expand(1, 3, 32, 32)  # plain bilinear by 4 reads two columns of four
    assert_close(images.resize(columns, 8)[..., 2:-2], torch.full((1, 3, 8, 4), 0.25), rtol=0, atol=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 3, 4, 4),
        torch.zeros(3, 4, 4).byte(),
        torch.zeros(1, 1, 4, 4).byte(),
        torch.zeros(0, 3, 4, 4).byte(),
    ],
)
def test_what_is_no_batch_of_images_is_refused(wrong):
    with pytest.raises(GendiffError, match="images"):
        images.check_images(wrong)


def test_sheet_lays_images_out_by_row_on_white():
    three = torch.stack([torch.full((3, 4, 5), v, dtype=torch.uint8) for v in (10, 20, 30)])
    sheet = images.sheet(three, columns=2, gap=1)
    assert sheet.shape == (3, 2 * 5 + 1, 2 * 6 + 1)
    assert sheet[0, 1:5, 1:6].unique().tolist() == [10]
    assert sheet[0, 1:5, 7:12].unique().tolist() == [20]
    assert sheet[0, 6:10, 1:6].unique().tolist() == [30]
    assert sheet[0, 6:10, 7:12].unique().tolist() == [255]
    assert (sheet == 255).sum() == 3 * (11 * 13 - 3 * 20)


def test_png_keeps_every_byte(tmp_path):
    image = torch.randint(0, 256, (3, 5, 7), generator=torch.Generator().manual_seed(0)).byte()
    images.save_png(image, tmp_path / "a.png")
    assert_close(images.read_png(tmp_path / "a.png"), image, rtol=0, atol=0)


def test_a_png_tells_who_made_it_and_is_the_same_each_time(tmp_path):
    image = torch.arange(3 * 4 * 4, dtype=torch.uint8).reshape(3, 4, 4)
    for name in ("a.png", "b.png"):
        images.save_png(image, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert images.is_ours(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", None])
def test_what_is_no_png_of_ours(content, tmp_path):
    path = tmp_path / "a.png"
    if content is None:
        Image.new("RGB", (4, 4)).save(path)
    else:
        path.write_bytes(content)
    assert not images.is_ours(path)
    assert not images.is_ours(tmp_path)
    assert not images.is_ours(tmp_path / "missing.png")
