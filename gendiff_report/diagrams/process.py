"""Drawings of what the two methods do: two players (the paper's Fig. 2), and noise that comes and goes (its Fig. 3)."""

from collections.abc import Sequence

from .svg import COLOURS, PITCH, TIME, Canvas
from .trace import size

WIDE, HIGH = 150.0, 4 * PITCH + 8


def game(noise: tuple[int, ...], image: tuple[int, ...], generator: int, discriminator: int) -> str:
    """A GAN as an SVG: the shapes of one draw of noise and of one image, and both networks' numbers of parameters."""
    canvas = Canvas()
    _card(canvas, 0, 120, ["noise z", size(noise), "drawn at random"])
    _card(
        canvas, 178, 120, ["generator", f"{generator:,}", "parameters; learns", "to pass for real"], COLOURS["Linear"]
    )
    _card(canvas, 356, 120, ["generated image", size(image)])
    _card(canvas, 356, 0, ["real image", size(image), "from the data set"])
    learns = ["discriminator", f"{discriminator:,}", "parameters; learns", "to tell them apart"]
    _card(canvas, 534, 60, learns, COLOURS["Attention"])
    for x in (WIDE, 178 + WIDE):
        canvas.line((x, 120 + HIGH / 2), (x + 28, 120 + HIGH / 2))
    into, back = 534 + WIDE / 2, 60 + HIGH / 2
    canvas.line((506, HIGH / 2), (into, HIGH / 2), (into, 60))
    canvas.line((506, 120 + HIGH / 2), (into, 120 + HIGH / 2), (into, 60 + HIGH))
    canvas.line((534, back), (178 + WIDE / 2, back), (178 + WIDE / 2, 120), dashed=True)
    canvas.text(345, back - 10, "gradient", anchor="end")
    return canvas.svg(
        "The two players of a GAN",
        f"Noise of {size(noise)} enters the generator, which makes an image of {size(image)}. The discriminator sees "
        "such images and real ones, and learns to tell them apart. The generator learns to pass for real from the "
        "gradient that comes back through the discriminator.",
    )


def process(times: Sequence[float], scale: Sequence[float], std: Sequence[float], network: str) -> str:
    """A diffusion process as an SVG: at some times, by how much the image and the noise are multiplied.

    `network` names what takes the noise away.
    """
    canvas, step, wide, high = Canvas(), 134.0, 104.0, 34.0
    for i, (t, a, b) in enumerate(zip(times, scale, std, strict=True)):
        x, share = i * step, a * a / (a * a + b * b)
        canvas.box(x, 0, wide * share, high, COLOURS["Linear"], 0.4)
        canvas.box(x + wide * share, 0, wide * (1 - share), high, TIME, 0.4)
        if not 0.2 < share < 0.8:
            canvas.text(x + wide / 2, high / 2, "image" if share > 0.5 else "noise")
        words = [f"t = {t:g}", f"image x {a:.2f}", f"noise x {b:.2f}"]
        for k, line in enumerate(words):
            canvas.text(x + wide / 2, high + 16 + k * PITCH, line, bold=not k)
    far = step * (len(times) - 1) + wide
    canvas.text(far / 2, -44, "forward: noise is added, nothing is learned")
    canvas.line((0, -28), (far, -28))
    below = high + 16 + 3 * PITCH
    canvas.line((far, below + 4), (0, below + 4))
    canvas.text(far / 2, below + 20, f"backward: {network} takes noise away, step by step")
    found = "; ".join(f"t = {t:g}: {a:.2f} and {b:.2f}" for t, a, b in zip(times, scale, std, strict=True))
    return canvas.svg(
        "A diffusion process, forward and backward",
        f"From an image to noise and back. What the image and the noise are multiplied by: {found}.",
    )


def _card(canvas: Canvas, x: float, y: float, words: Sequence[str], colour: str = "currentColor") -> None:
    canvas.box(x, y, WIDE, HIGH, colour, 0.08 if colour == "currentColor" else 0.3)
    for i, line in enumerate(words):
        canvas.text(x + WIDE / 2, y + HIGH / 2 + (i - (len(words) - 1) / 2) * PITCH, line, bold=not i)
