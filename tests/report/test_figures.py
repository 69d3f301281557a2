import io
import itertools

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

from gendiff_report import figures
from gendiff_report.figures import plots, style

WEIGHTS = (0.2126, 0.7152, 0.0722)


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed after each test: matplotlib warns of many that are open."""
    yield
    plt.close("all")


def test_pixels_are_enlarged_never_smoothed():
    image = torch.randint(0, 256, (3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = figures.pixels(image, zoom=3)
    assert picture.size == (15, 12)
    assert picture.getpixel((14, 11)) == tuple(image[:, 3, 4].tolist()) == picture.getpixel((12, 9))


def test_losses_wear_the_papers_colours_and_mark_epochs():
    history = {"epoch": [1.0, 2.0], "step": [1, 2], "images": [5, 9], "loss_d": [1.0, 0.5], "loss_g": [2.0, 3.0]}
    axes = plots.loss_curves(history, marks=[1]).axes[0]
    colours = {line.get_label(): line.get_color() for line in axes.lines}
    assert colours["generator"] == style.COLOURS["loss_g"]
    assert colours["discriminator"] == style.COLOURS["loss_d"]
    assert len({line.get_linestyle() for line in axes.lines[:2]}) == 2  # colour is not all that tells them apart
    assert [t.get_text() for t in axes.texts] == ["epoch 1"]


def test_marks_of_epochs_that_lie_upon_each_other_are_told_once():
    history = {"epoch": [1.0, 50.0], "loss": [1.0, 0.5]}
    axes = plots.loss_curves(history, marks=[49.98, 20, 19.94, 49]).axes[0]
    assert sorted(line.get_xdata()[0] for line in axes.lines[1:]) == [19.94, 20, 49, 49.98]
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [t.get_text() for t in axes.texts] == ["epoch 19.94", "epoch 49"]
    assert boxes[0].x1 < boxes[1].x0


def test_marks_that_are_far_enough_apart_are_all_told_and_do_not_overlap():
    axes = plots.loss_curves({"epoch": [1.0, 100.0], "loss": [1.0, 0.5]}, marks=[50, 54.1, 59]).axes[0]
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 3
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_lines_have_colours_of_their_own_where_they_are_given():
    lines = {"red": [1.0, 2.0], "other": [2.0, 1.0]}
    drawn = figures.curves([0, 1], lines, xlabel="x", ylabel="y", colours=figures.CHANNELS).axes[0].lines
    assert [line.get_color() for line in drawn] == [figures.CHANNELS["red"], style.CYCLE[1]]
    plain = figures.curves([0, 1], lines, xlabel="x", ylabel="y").axes[0].lines
    assert [line.get_color() for line in plain] == list(style.CYCLE[:2])


def drawn_pixels(figure):
    """All pixels (H, W, 4) of a figure as it is drawn, in 0 to 1."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=60)
    file.seek(0)
    return plt.imread(file)


def test_pictures_have_nothing_behind_them_and_words_that_are_read_on_light_and_dark_pages():
    image, frames = torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(2, 1, 3, 4, 4, dtype=torch.uint8)
    drawn = [
        figures.side_by_side({"one": image, "other": image}),
        plots.gallery({str(i): image for i in range(4)}),
        figures.strip(torch.tensor([1.0, 0.0]), {"x": frames}),
    ]
    for figure in drawn:
        pixels = drawn_pixels(figure)
        assert (pixels[..., 3] == 0).mean() > 0.1  # the page is seen between the pictures
        solid = pixels[pixels[..., 3] == 1][:, :3]
        assert solid.max() < 0.6  # and nothing is white
        words = [t for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()]
        colours = {matplotlib.colors.to_rgb(t.get_color()) for t in words}
        assert min(contrast(c, page) for c in colours for page in ((1, 1, 1), (18 / 255,) * 3)) > 4


def test_a_gallery_of_few_pictures_has_no_empty_columns():
    image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    assert len(plots.gallery({"one": image, "other": image}).axes) == 2


def contrast(one, other):
    """The contrast of two colours (r, g, b in 0 to 1) by WCAG."""
    linear = [[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb] for rgb in (one, other)]
    light = [sum(w * c for w, c in zip(WEIGHTS, rgb, strict=True)) for rgb in linear]
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize(
    "shade", [*(style.COLOURS[name] for name in ("loss_d", "loss_g", "loss")), *style.CHANNELS.values()]
)
def test_losses_and_channels_are_seen_on_white_and_in_dark_mode(shade):
    def dark(rgb):  # invert(0.92) hue-rotate(180deg), as the book's style has it
        turned = [0.92 - 0.84 * c for c in rgb]
        grey = 2 * sum(w * c for w, c in zip((0.213, 0.715, 0.072), turned, strict=True))
        return [min(max(grey - c, 0), 1) for c in turned]

    colour, white = matplotlib.colors.to_rgb(shade), (1, 1, 1)
    assert contrast(colour, white) > 3
    assert contrast(dark(colour), dark(white)) > 3


def test_a_figure_is_drawn_alike_each_time_and_closed():
    before, history = plt.get_fignums(), {"epoch": [1.0, 2.0], "loss": [1.0, 0.5]}
    one, two = (style.svg(plots.loss_curves(history)) for _ in range(2))
    assert one == two
    assert "<svg" in one
    assert plt.get_fignums() == before


def test_strip_lays_frames_from_left_to_right():
    frames = torch.zeros(3, 2, 3, 4, 4, dtype=torch.uint8)
    frames[2] = 255
    figure = figures.strip(torch.tensor([9.0, 5.0, 0.0]), {"x": frames})
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (8, 12, 3)
    assert shown[:, 8:].min() == 255
    assert shown[:, :8].max() == 0
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["9", "5", "0"]


def test_responses_have_a_panel_a_cause_and_no_bar_where_the_error_is_unknown():
    panels = {"blur": ([0.0, 1.0], [0.1, 2.0], [0.05, float("nan")]), "noise": ([0.0], [1.0], [0.1])}
    figure = figures.responses(panels, ylabel="fd", xlabels={"blur": "pixels", "noise": "bytes"}, level=1.0)
    shown = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title() for ax in shown] == ["blur", "noise"]
    assert [ax.get_xlabel() for ax in shown] == ["pixels", "bytes"]
    assert shown[0].lines[0].get_ydata().tolist() == [0.1, 2.0]


def test_distributions_share_bins_and_count_shares():
    groups = {"generated": torch.tensor([1.0, 1.0, 5.0]), "test": torch.tensor([0.0, 10.0])}
    (axes,) = figures.distributions({"model": groups}, xlabel="distance", bins=10).axes
    heights = [patch.get_xy()[:, 1].max() for patch in axes.patches]
    assert sorted(heights) == [0.5, 2 / 3]


@pytest.mark.parametrize(("x", "labels"), [((5, 50), ["5", "10", "20", "50"]), ((1, 1000), ["1", "10", "100", "1000"])])
def test_a_logarithmic_axis_has_few_labels_in_plain_digits(x, labels):
    axis = figures.scatter([("a", "one", x[0], 1.0), ("a", "two", x[1], 2.0)], xlabel="x", ylabel="y").axes[0].xaxis
    low, high = axis.get_view_interval()
    shown = [(t.get_text(), v) for t, v in zip(axis.get_majorticklabels(), axis.get_majorticklocs(), strict=True)]
    assert [text for text, v in shown if low <= v <= high] == labels
    assert {text.get_text() for text in axis.get_minorticklabels()} <= {""}


def test_convergence_is_measured_at_the_orders_of_the_solvers():
    axes = figures.convergence(["trailing", "rho"]).axes
    assert [a.get_title() for a in axes] == ["grid trailing", "grid rho"]
    lines = {line.get_label().split(", slope ")[0]: line for line in axes[1].lines}
    slopes = {name: float(line.get_label().split(" ")[-1]) for name, line in lines.items()}
    assert slopes == pytest.approx({"ddim": 1, "heun": 2, "dpmpp-2m": 2, "unipc": 3}, abs=0.3)
    assert lines["ddim"].get_xdata().tolist() == [5, 10, 20, 40, 80]
    assert lines["heun"].get_xdata().tolist() == [9, 19, 39, 79, 159]  # two evaluations a step, one in the last
    assert min(lines["unipc"].get_ydata()) < min(lines["ddim"].get_ydata()) / 20
    assert [a.get_yscale() for a in axes] == ["log", "log"]


def test_labels_of_points_at_nearly_one_place_are_apart():
    many = [("GAN", str(i), 0.125 * (1 + i / 1000), 50.0) for i in range(5)]
    axes = figures.scatter([*many, ("diffusion", "far", 0.25, 500.0)], xlabel="x", ylabel="y").axes[0]
    lifts = sorted(text.xyann[1] for text in axes.texts if text.get_text() != "far")
    assert all(b - a >= 8 for a, b in itertools.pairwise(lifts))  # the height of a letter, in points


def test_legends_stand_above_the_axes():
    lines = {"precision": [1.0, 2.0], "recall": [2.0, 1.0]}
    history = {"epoch": [1.0, 2.0], "step": [1, 2], "images": [5, 9], "loss_d": [1.0, 0.5], "loss_g": [2.0, 3.0]}
    drawn = [
        plots.loss_curves(history),
        plots.curves([1, 2], lines, xlabel="x", ylabel="y"),
        plots.traces({name: ([1, 2], y) for name, y in lines.items()}, xlabel="x", ylabel="y"),
        plots.bars(lines, ["one", "two"], xlabel="x"),
    ]
    for figure in drawn:
        (legend,) = figure.legends
        assert len(legend.get_texts()) == 2
        figure.draw_without_rendering()
        assert legend.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1
    plots.curves([1, 2], {}, xlabel="x", ylabel="y")  # nothing to tell apart
