"""Drawings as SVG text for an HTML page: lines and words take the page's colour, so that they suit light and dark."""

import hashlib
import html
from collections.abc import Sequence

SIZE = 12.0
FONT = "system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"
MARGIN = 4.0
SHRINK = 0.85  # how far a drawing may shrink to fit its page; beyond that it scrolls
PITCH = SIZE * 1.45  # of lines of words
TIME = "#e69f00"
COLOURS = {"Conv2d": "#0072b2", "ConvTranspose2d": "#0072b2", "Linear": "#0072b2", "ResBlock": "#009e73"}
COLOURS |= {"Attention": "#d55e00", "TimeEmbedding": TIME, "Upsampling": "#56b4e9"}  # Okabe and Ito
Point = tuple[float, float]


def width(words: str) -> float:
    """How wide a line of words can get, whatever sans-serif font the reader has."""
    return 0.64 * SIZE * len(words)


class Canvas:
    """Marks on a plane without borders, in pixels, y downwards: `svg` cuts out what they cover."""

    def __init__(self) -> None:
        self.marks: list[str] = []
        self.corners: list[Point] = []

    def text(self, x: float, y: float, words: str, *, anchor: str = "middle", bold: bool = False) -> None:
        """A line of words whose middle is at height y; `anchor` is start, middle or end."""
        left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * width(words)
        self.corners += [(left, y - SIZE * 0.7), (left + width(words), y + SIZE * 0.7)]
        weight = ' font-weight="600"' if bold else ""
        place = f'x="{x:g}" y="{y + SIZE * 0.35:g}" text-anchor="{anchor}"'
        self.marks.append(f"<text {place}{weight}>{html.escape(words)}</text>")

    def shape(self, corners: Sequence[Point], colour: str = "currentColor", strength: float = 0.3) -> None:
        """A filled outline; the fill lets the page shine through."""
        self.corners += corners
        points = " ".join(f"{x:g},{y:g}" for x, y in corners)
        self.marks.append(f'<polygon points="{points}" fill="{colour}" fill-opacity="{strength:g}"/>')

    def box(self, x: float, y: float, w: float, h: float, colour: str = "currentColor", strength: float = 0.3) -> None:
        """A filled rectangle with its upper left corner at (x, y)."""
        self.shape([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], colour, strength)

    def slab(self, x: float, y: float, w: float, h: float, colour: str) -> None:
        """A slab seen from the left front, w thick, h high and wide; its front's upper left corner is at (x, y)."""
        o = slant(h)
        self.shape([(x, y), (x + o, y - o), (x + w + o, y - o), (x + w, y)], colour, 0.15)
        self.shape([(x + w, y), (x + w + o, y - o), (x + w + o, y + h - o), (x + w, y + h)], colour, 0.45)
        self.box(x, y, w, h, colour)

    def circle(self, x: float, y: float, radius: float) -> None:
        """An empty circle."""
        self.corners += [(x - radius, y - radius), (x + radius, y + radius)]
        self.marks.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="none"/>')

    def line(self, *points: Point, arrow: bool = True, dashed: bool = False) -> None:
        """A line through points, its last stretch level or upright; an arrow's tip is on the last one."""
        self.corners += points
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self.marks.append(f'<path d="{path}" fill="none"{dash}/>')
        if arrow:
            (x0, y0), (x, y) = points[-2:]
            dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
            tip = [(x, y), (x - 6 * dx - 3 * dy, y - 6 * dy - 3 * dx), (x - 6 * dx + 3 * dy, y - 6 * dy + 3 * dx)]
            self.shape(tip, strength=1)

    def svg(self, title: str, description: str) -> str:
        """The whole as one element that names and describes itself; its ids follow from what it shows."""
        left, top = (min(c[i] for c in self.corners) - MARGIN for i in (0, 1))
        w, h = (max(c[i] for c in self.corners) + MARGIN - low for i, low in ((0, left), (1, top)))
        body = "".join(self.marks)
        key = "d" + hashlib.sha256((title + description + body).encode()).hexdigest()[:10]
        style = f"display:block;max-width:100%;min-width:{SHRINK * w:.0f}px;height:auto"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{key}-t {key}-d" '
            f'width="{w:.0f}" height="{h:.0f}" viewBox="{left:g} {top:g} {w:g} {h:g}" style="{style}" '
            f'stroke="currentColor" font-size="{SIZE:g}" font-family="{FONT}">'
            f'<title id="{key}-t">{html.escape(title)}</title>'
            f'<desc id="{key}-d">{html.escape(description)}</desc>{body}</svg>'
        ).replace("<text ", '<text fill="currentColor" stroke="none" ')


def slant(side: float) -> float:
    """How far a slab's depth is drawn to the right and up."""
    return 0.35 * side
