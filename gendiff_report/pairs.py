"""Blind pairs: an image of each of two models side by side, on sides that a stream has drawn, and the key to them.

Both are complete without a script: a reader ticks the pairs, opens the key and counts. The book's pairs.js does the
counting. What a plain notebook needs to show them well stands in style attributes.
"""

import html
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gendiff_lib.data.images import sheet
from gendiff_lib.errors import GendiffError
from gendiff_lib.streams import stream

from .exhibit import Exhibit, details
from .viewers import picture

SIDES = ("left", "right")


@dataclass(frozen=True, repr=False)
class Pairs:
    """Images of two models, uint8 (N, 3, H, W) each, and whether the first model's is on the left, bool (N,)."""

    first: Tensor
    second: Tensor
    on_left: Tensor

    def __len__(self) -> int:
        return len(self.on_left)

    def __repr__(self) -> str:
        return f"<{len(self)} pairs>"

    def _repr_html_(self) -> str:
        return as_html(self)

    @property
    def sides(self) -> list[str]:
        """On which side of each pair the first model's image is."""
        return [SIDES[0 if left else 1] for left in self.on_left.tolist()]

    @property
    def shown(self) -> Tensor:
        """Left and right image of each pair, uint8 (N, 2, 3, H, W)."""
        left = self.on_left[:, None, None, None]
        return torch.stack(
            [torch.where(left, self.first, self.second), torch.where(left, self.second, self.first)], dim=1
        )


def blind(first: Tensor, second: Tensor, seed: int = 0) -> Pairs:
    """The images of two models, uint8 (N, 3, H, W), in their order; a fair coin for each pair decides the sides.

    GendiffError where there are not as many of one size of each.
    """
    if first.shape != second.shape:
        raise GendiffError(f"images of {tuple(first.shape)} and {tuple(second.shape)} make no pairs: give one shape")
    return Pairs(first, second, torch.rand(len(first), generator=stream("pairs", seed)) < 0.5)


# ---------------------------------------------------------------- what guessing gives


class Guessing(NamedTuple):
    """Counts of n pairs, from `low` to `high`, in which guessing ends with probability `share`."""

    low: int
    high: int
    share: float


def guessing(n: int, at_least: float = 0.95) -> Guessing:
    """The central interval of the binomial distribution of n fair coins that has `at_least` this probability."""
    from scipy.stats import binom  # a second to import

    low, high = (int(end) for end in binom.interval(at_least, n, 0.5))
    return Guessing(low, high, _inside(n, low, high, 0.5))


def noticed(n: int, right: float) -> float:
    """How probably a reader who is right with probability `right` in each of n pairs ends where guessing does not."""
    low, high, _ = guessing(n)
    return 1 - _inside(n, low, high, right)


def _inside(n: int, low: int, high: int, p: float) -> float:
    from scipy.stats import binom

    return float(binom.cdf(high, n, p) - binom.cdf(low - 1, n, p))


# ---------------------------------------------------------------- HTML


def as_html(pairs: Pairs, zoom: int = 4) -> str:
    """Every pair with a place to tick on either side, each pixel `zoom` wide where there is room.

    No word, name or form of it depends on the sides: a pair is one picture.
    """
    boxes = "".join(_box(i, sheet(two, columns=2), zoom) for i, two in enumerate(pairs.shown, 1))
    return f'<div class="pairs" style="display:flex;flex-wrap:wrap;gap:1em 1.5em">{boxes}</div>'


def _box(number: int, both: Tensor, zoom: int) -> str:
    """A group of two radio buttons; each label covers its half of the picture, so that the picture can be ticked."""
    size = f"width:{both.shape[2] * zoom}px;max-width:100%;min-width:0;border:0;margin:0;padding:0"
    grid = "display:grid;grid-template-columns:1fr 1fr;grid-template-rows:auto 2em"
    picked = "display:flex;align-items:end;justify-content:center;gap:.4em;cursor:pointer"
    halves = "".join(
        f'<label style="grid-area:1/{column}/3/{column + 1};{picked}">'
        f'<input type="radio" name="pair-{number}" value="{side}">{side}</label>'
        for column, side in enumerate(SIDES, 1)
    )
    image = picture(both, f"Pair {number}: two generated images side by side", "grid-area:1/1/2/3;")
    return (
        f'<fieldset style="{size}"><legend>Pair {number}</legend><div style="{grid}">{image}{halves}</div></fieldset>'
    )


def closed_key(pairs: Pairs, first: str, second: str) -> Exhibit[Pairs]:
    """A closed box that tells which image of each pair is whose, and what guessing would have given."""
    return Exhibit(details("The key: open it once you have ticked", key(pairs, first, second)), pairs)


def key(pairs: Pairs, first: str, second: str) -> str:
    """The key to pairs of these models: the side of the first one's image in each, what guessing gives, all images."""
    answers = "".join(f'<li data-pair="{i}" data-side="{side}">{side}</li>' for i, side in enumerate(pairs.sides, 1))
    low, high, share = guessing(len(pairs))
    chance = (
        f"Guessing finds it in {len(pairs) / 2:g} of {len(pairs)} pairs on average, and in {low} to {high} of them in "
        f"{share:.1%} of all tries. Whoever finds it less often can tell the models apart too, under swapped names."
    )
    blocks = "".join(
        f'<div style="flex:1 1 15em;min-width:0"><p>{html.escape(name)}</p>'
        + picture(sheet(images, columns=5), f"All {len(pairs)} images of {name}, in the order of the pairs")
        + "</div>"
        for name, images in ((first, pairs.first), (second, pairs.second))
    )
    name = html.escape(first)
    return (
        f'<div class="key" data-name="{name}"><p>Where the image of {name} is, pair by pair:</p>'
        f'<ol style="columns:13em;column-gap:2em">{answers}</ol><p>{chance}</p>'
        f'<div style="display:flex;flex-wrap:wrap;gap:1em">{blocks}</div></div>'
    )
