import torch

from gendiff_lib import plots


def test_pixels_are_enlarged_never_smoothed():
    image = torch.randint(0, 256, (3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = plots.pixels(image, zoom=3)
    assert picture.size == (15, 12)
    assert picture.getpixel((14, 11)) == tuple(image[:, 3, 4].tolist()) == picture.getpixel((12, 9))


def test_losses_wear_the_papers_colours_and_mark_epochs():
    history = {"epoch": [1.0, 2.0], "step": [1, 2], "images": [5, 9], "loss_d": [1.0, 0.5], "loss_g": [2.0, 3.0]}
    axes = plots.losses(history, marks=[1]).axes[0]
    colours = {line.get_label(): line.get_color() for line in axes.lines}
    assert colours["generator"] == plots.COLOURS["loss_g"]
    assert colours["discriminator"] == plots.COLOURS["loss_d"]
    assert [t.get_text() for t in axes.texts] == ["epoch 1"]


def test_strip_lays_frames_from_left_to_right():
    frames = torch.zeros(3, 2, 3, 4, 4, dtype=torch.uint8)
    frames[2] = 255
    figure = plots.strip(torch.tensor([9.0, 5.0, 0.0]), {"x": frames})
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (8, 12, 3)
    assert shown[:, 8:].min() == 255
    assert shown[:, :8].max() == 0
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["9", "5", "0"]
