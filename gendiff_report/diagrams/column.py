"""A network drawn as a column: layers below each other, and the sums that carry time and earlier results into them."""

import re
import textwrap
from collections.abc import Sequence

from .plan import Plan, stages
from .svg import COLOURS, PITCH, TIME, Canvas, width
from .trace import Layer, size

GAP, HIGH, RADIUS, TAP = 5.0, 20.0, 6.0, 2.0  # a stretch of line, a box, a sum, a pixel of a kernel


def column(found: Plan) -> Canvas:
    """Layers below each other, with their sums."""
    return _Column(found).draw()


class _Column:
    """Draws nodes downwards: boxes, and sums as circles. What was put by comes back from the right, time from the left.

    `y` is how far the drawing has come, `exits` where the output of each node may be taken from.
    """

    def __init__(self, found: Plan) -> None:
        self.canvas, self.found, self.y, self.last = Canvas(), found, 0.0, found.entry.name
        self.way, self.detours = _straight(found)
        self.widest = max(_dilation(stage) for stage in self.way)
        self.half = max(width(self._words(stage)) + self._fan(stage) + 20 for stage in self.way) / 2
        bypass = max((width(_short(stage)) / 2 + 10 for stage in self.detours.values()), default=0.0)
        self.lane = self.half + 14 + bypass
        self.outer = self.lane + bypass + 14
        self.exits: dict[str, float] = {}
        self.taken: list[float] = []

    def draw(self) -> Canvas:
        """The whole column."""
        self._end(f"input {self.found.entry.name}, {size(self.found.entry.shape)}")
        self._leave(self.found.entry.name)
        for stage in self.way:
            if stage[0].type == "Sum":
                self._sum(stage[0])
            else:
                self._box(stage)
            self._leave(stage[-1].name)
        self.canvas.line((0, self.y), (0, self.y + 8))
        self.y += 8
        self._end(f"output, {size(self.way[-1][-1].shape)}")
        if self.found.aside:
            self._beside()
        return self.canvas

    def _end(self, words: str) -> None:
        self.canvas.text(0, self.y + PITCH / 2, words, bold=True)
        self.y += PITCH

    def _leave(self, name: str) -> None:
        users = [stage for stage in (*self.way, *self.detours.values()) if name in stage[0].inputs]
        step = GAP * (2 if len(users) > 1 else 1)  # room for a branch
        self.canvas.line((0, self.y), (0, self.y + step), arrow=False)
        self.exits[name] = self.y + GAP
        self.last, self.y = name, self.y + step

    def _box(self, stage: list[Layer]) -> None:
        middle = self.y + HIGH / 2
        colour = COLOURS.get(stage[0].type, "currentColor")
        strength = 0.3 if stage[0].type in COLOURS else 0.08
        self.canvas.box(-self.half, self.y, 2 * self.half, HIGH, colour, strength)
        self.canvas.text(10 - self.half, middle, self._words(stage), anchor="start")
        for tap in (-1, 0, 1) if self._fan(stage) else ():  # what a 3x3 kernel looks at, in a row
            x = self.half - self._fan(stage) / 2 + TAP * (tap * _dilation(stage) - 0.5)
            self.canvas.box(x, middle - 4, TAP, 8, strength=1)
        self._note_parameters(stage, middle)
        self.y += HIGH

    def _words(self, stage: Sequence[Layer]) -> str:
        """What stands in a box: kinds, and the shape where it is a new one."""
        before = {layer.name: layer.shape for layer in (self.found.entry, *self.found.main)}
        new = before.get(stage[0].inputs[0]) != stage[-1].shape and stage[0].type != "Linear"
        return _short(stage) + (f", to {size(stage[-1].shape)}" if new else "")

    def _fan(self, stage: Sequence[Layer]) -> float:
        """The room for the picture of a kernel, which only a column with dilated ones shows."""
        return TAP * (2 * self.widest + 1) + 20 if self.widest > 1 and "3x3" in stage[0].kind else 0.0

    def _note_parameters(self, stage: list[Layer], y: float) -> None:
        if parameters := sum(layer.parameters for layer in stage):
            self.canvas.text(self.outer, y, f"{parameters:,} parameters", anchor="start")

    def _sum(self, layer: Layer) -> None:
        middle = self.y + RADIUS
        self.canvas.circle(0, middle, RADIUS)
        self.canvas.line((-RADIUS, middle), (RADIUS, middle), arrow=False)
        self.canvas.line((0, self.y), (0, self.y + 2 * RADIUS), arrow=False)
        aside = {part.name for part in self.found.aside}
        for name in layer.inputs:
            if name in aside:
                self.taken.append(middle)
            elif name != self.last:
                self._branch(name, middle)
        self.y += 2 * RADIUS

    def _branch(self, name: str, y: float) -> None:
        """From where `name` left, over the lane on the right, into the sum at height y."""
        stage = self.detours.get(name, [])
        start = self.exits[stage[0].inputs[0] if stage else name]
        self.canvas.box(-1.5, start - 1.5, 3, 3, strength=1)
        if not stage:
            self.canvas.line((0, start), (self.lane, start), (self.lane, y), (RADIUS, y))
            return
        half = self.lane - self.half - 14
        top = next((m for m in self.taken if start < m < y), (start + y) / 2) - HIGH / 2  # beside a sum stands no text
        self.canvas.line((0, start), (self.lane, start), (self.lane, top), arrow=False)
        self.canvas.line((self.lane, top + HIGH), (self.lane, y), (RADIUS, y))
        self.canvas.box(self.lane - half, top, 2 * half, HIGH, COLOURS.get(stage[0].type, "currentColor"))
        self.canvas.text(self.lane, top + HIGH / 2, _short(stage))
        self._note_parameters(stage, top + HIGH / 2)

    def _beside(self) -> None:
        """What is aside, as a box on the left whose output enters every sum that takes it."""
        names = {layer.name for layer in self.found.aside}
        given = dict.fromkeys(i for layer in self.found.aside for i in layer.inputs if i not in names)
        words = [
            f"input {', '.join(given)}",
            *(line for s in stages(self.found.aside) for line in textwrap.wrap(_short(s), 22)),
        ]
        words.append(f"{sum(layer.parameters for layer in self.found.aside):,} parameters")
        wide, high = max(map(width, words)) + 16, len(words) * PITCH + 8
        bus, first = -self.half - 16, self.taken[0] if self.taken else high / 2
        top = max(PITCH + GAP, first - high / 2)
        self.canvas.box(bus - 16 - wide, top, wide, high, TIME)
        for i, line in enumerate(words):
            self.canvas.text(bus - 8 - wide, top + 4 + (i + 0.5) * PITCH, line, anchor="start", bold=not i)
        self.canvas.line((bus - 16, first), (bus, first), (bus, max(self.taken, default=first)), arrow=False)
        for y in self.taken:
            self.canvas.line((bus, y), (-RADIUS, y))


def _straight(found: Plan) -> tuple[list[list[Layer]], dict[str, list[Layer]]]:
    """The stages that follow on each other, and those that go round some of these, by their last part's name."""
    left = {stage[-1].name: stage for stage in stages(found.main)}
    order, name = list(left), found.output[0]
    way: list[list[Layer]] = []
    while name in left:  # back from the output; of several inputs, the last that was made
        way.insert(0, left.pop(name))
        name = max(way[0][0].inputs, key=lambda n: order.index(n) if n in order else -1)
    return way, left


def _short(stage: Sequence[Layer]) -> str:
    """The kinds of a stage without the settings that keep the size."""
    return ", ".join(re.sub(r", (stride 1|padding \d+)", "", layer.kind) for layer in stage)


def _dilation(stage: Sequence[Layer]) -> int:
    found = re.search(r"dilation (\d+)", stage[0].kind)
    return int(found[1]) if found else 1
