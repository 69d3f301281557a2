"""Drawings of networks, made from the parts that one pass through the real module finds.

Which form fits follows from those parts: joined ones make a U, sizes that change a row of slabs, all else a column.
"""

import html
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .column import column
from .plan import FOLLOWERS, Plan, stages
from .svg import COLOURS, PITCH, TIME, Canvas, Point, slant, width
from .trace import Layer, size


def diagram(found: Plan, title: str) -> str:
    """An SVG drawing of a network, with `title` and a description for those who cannot see it.

    A row of slabs, a U with its skip connections, or a column of layers with their sums.
    """
    draw = u_shape if found.joined else slabs if found.resized else column
    return draw(found).svg(title, in_words(found))


def rows(found: Plan) -> list[dict[str, str]]:
    """The same network as a table: a row a part, in the order of their work."""
    return [
        {
            "part": layer.name,
            "what it is": layer.kind,
            "works on": ", ".join(layer.inputs),
            "output": size(layer.shape).replace(" ", "\xa0"),  # kept on one line
            "parameters": f"{layer.parameters:,}",
        }
        for layer in found.layers
    ]


def figure(drawing: str, caption: str) -> str:
    """A drawing as an HTML figure that scrolls sideways where it must, by keyboard too."""
    inside = f'<div class="wide" tabindex="0" role="group" aria-label="A drawing">{drawing}</div>'
    return f'<figure class="drawing">{inside}<figcaption>{html.escape(caption)}</figcaption></figure>'


def in_words(found: Plan) -> str:
    """What a drawing shows: every stage with the size that it gives."""
    words = [f"From {found.entry.name}, {size(found.entry.shape)}."]
    if found.aside:
        words.append(f"Beside it: {', '.join(layer.kind for layer in found.aside)}.")
    for stage in stages(found.main):
        of = f" of {' and '.join(stage[0].inputs)}" if len(stage[0].inputs) > 1 else ""
        words.append(f"{', '.join(layer.kind for layer in stage)}{of}: {size(stage[-1].shape)}.")
    return " ".join(words)


# ---------------------------------------------------------------- a row of slabs


def slabs(found: Plan) -> Canvas:
    """Feature maps from left to right as slabs, as high as their side and as thick as their channels."""
    canvas, x, right = Canvas(), 0.0, 0.0
    shown = [[found.entry], *stages(found.main)]
    faces = [_face(stage[0].shape) for stage in shown]
    base = max(h + slant(h) for _, h in faces)
    for stage, (w, h) in zip(shown, faces, strict=True):
        words = _words_below(stage)
        wide = max(*(width(line) for line in words), w + slant(h)) + 6
        left = x + (wide - w - slant(h)) / 2
        if x:
            canvas.line((right, base / 2), (left - 3, base / 2))
        canvas.slab(left, (base - h + slant(h)) / 2, w, h, COLOURS["Conv2d"] if x else "currentColor")
        right = left + w + slant(h) + 3
        for i, line in enumerate(words):
            canvas.text(x + wide / 2, base + 18 + i * PITCH, line, bold=not i)
        x += wide
    return canvas


def _face(shape: tuple[int, ...]) -> tuple[float, float]:
    """Thickness and height of a slab: logarithms, since sizes double."""
    channels, side = (*shape, 1)[:2]
    return 6 + 5 * math.log2(channels), 12 + 15 * math.log2(side)


def _words_below(stage: Sequence[Layer]) -> list[str]:
    first = stage[0]
    if first.type == "Input":
        return [size(first.shape), f"input {first.name}"]
    kinds = [line for layer in stage for line in _at_commas(layer.kind)]
    return [size(first.shape), *kinds, f"{sum(layer.parameters for layer in stage):,}", "parameters"]


def _at_commas(kind: str) -> list[str]:
    """A kind in lines of at most 15 letters; settings are not torn apart."""
    name, *settings = kind.split(", ")
    return textwrap.wrap(", ".join([name, *(s.replace(" ", "\xa0") for s in settings)]), 15)


# ---------------------------------------------------------------- a U


class Slot(NamedTuple):
    """Where a part is drawn."""

    x: float
    y: float
    wide: float
    high: float

    @property
    def middle(self) -> Point:
        """Of the slot."""
        return self.x + self.wide / 2, self.y + self.high / 2


def u_shape(found: Plan) -> Canvas:
    """Parts as slots, a row for each size of the feature maps, and a line over them for each skip connection."""
    canvas, x, last, waiting = Canvas(), 106.0, found.entry.name, ""
    rows, slots, joined = _rows(canvas, found), {}, Counter[float]()
    before: Slot | None = None
    for layer in found.main:
        if layer.type == "Concatenation":
            waiting = next(name for name in layer.inputs if name != last)
        elif layer.type not in FOLLOWERS or layer.parameters:
            y, high = rows[layer.shape[-1]]
            slot = slots[layer.name] = Slot(x, y, 13 if layer.type == "ResBlock" else 6, high)
            canvas.box(*slot, COLOURS.get(layer.type, "currentColor"), 0.6)
            _step(canvas, before, slot)
            if waiting:
                joined[y] += 1
                (source, _), (target, _), over = slots[waiting].middle, slot.middle, y - 6 * joined[y] - 4
                canvas.line((source, y), (source, over), (target, over), (target, y))
            x, waiting, before = x + slot.wide + 4, "", slot
        last = layer.name
    _ends(canvas, found, list(slots.values()))
    _legend(canvas, found, max(y + high for y, high in rows.values()) + 30)
    return canvas


def _rows(canvas: Canvas, found: Plan) -> dict[int, tuple[float, float]]:
    """The height at which each side's row begins, and how high it is; the sides stand at the left."""
    joins = Counter(layer.shape[-1] for layer in found.main if layer.type == "Concatenation")
    sizes = Counter(layer.shape for layer in found.main if layer.type != "Concatenation")
    channels = {shape[-1]: shape[0] for shape, _ in reversed(sizes.most_common())}
    rows, y = {}, 0.0
    for side in sorted(channels, reverse=True):
        y += 6 * joins[side] + 10
        rows[side] = (y, 12 + 6 * math.log2(side))
        canvas.text(0, y + rows[side][1] / 2 - PITCH / 2, f"{side} x {side}", anchor="start", bold=True)
        canvas.text(0, y + rows[side][1] / 2 + PITCH / 2, f"{channels[side]} channels", anchor="start")
        y += rows[side][1] + 10
    return rows


def _ends(canvas: Canvas, found: Plan, slots: Sequence[Slot]) -> None:
    """Arrows into the first slot and out of the last, with what goes in and comes out above all."""
    (_, y), (_, low), last = slots[0].middle, slots[-1].middle, slots[-1]
    canvas.line((slots[0].x - 16, y), (slots[0].x, y))
    canvas.line((last.x + last.wide, low), (last.x + last.wide + 16, low))
    entry = f"input {found.entry.name}, {size(found.entry.shape)}"
    canvas.text(0, -PITCH / 2, entry, anchor="start", bold=True)
    words = f"output, {size(found.main[-1].shape)}"
    edge = max(last.x + last.wide + 16, width(entry) + width(words) + 20)
    canvas.text(edge, -PITCH / 2, words, anchor="end", bold=True)


def _step(canvas: Canvas, a: Slot | None, b: Slot) -> None:
    """From one part to the next: straight on, down into a smaller size, or up into a larger one."""
    if a is None:
        return
    (ax, ay), (bx, by) = a.middle, b.middle
    if a.y == b.y:
        canvas.line((a.x + a.wide, ay), (b.x, by), arrow=False)
    elif a.y < b.y:
        canvas.line((ax, a.y + a.high), (ax, by), (b.x, by))
    else:
        canvas.line((a.x + a.wide, ay), (bx, ay), (bx, b.y + b.high))


def _legend(canvas: Canvas, found: Plan, y: float) -> None:
    kinds: dict[str, dict[str, int]] = {}
    for layer in found.main:
        if layer.type not in ("Concatenation", "SiLU"):
            counts = kinds.setdefault(layer.type, {})
            counts[layer.kind] = counts.get(layer.kind, 0) + 1
    for type_, counts in kinds.items():
        canvas.box(0, y - 6, 13, 12, COLOURS.get(type_, "currentColor"), 0.6)
        canvas.text(22, y, "; ".join(f"{n} x {kind}" for kind, n in counts.items()), anchor="start")
        y += 18
    n = sum(layer.type == "Concatenation" for layer in found.main)
    canvas.line((0, y + 4), (0, y - 4), (13, y - 4), (13, y + 4))
    canvas.text(22, y, f"{n} skip connections, joined as further channels", anchor="start")
    names = {layer.name for layer in found.aside}
    takers = Counter(layer.type for layer in found.main if names & set(layer.inputs))
    if takers:
        words = f"{', '.join(layer.kind for layer in found.aside)}: into "
        words += " and ".join(f"{n} x {type_}" for type_, n in takers.items())
        canvas.box(0, y + 12, 13, 12, TIME)
        canvas.text(22, y + 18, words, anchor="start")
