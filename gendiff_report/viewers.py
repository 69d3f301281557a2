"""Views: pictures that a reader moves through, as HTML that holds them and is complete without a script.

Without JavaScript a view is a static picture: a strip that scrolls sideways, or two pictures side by side. The book's
views.js makes a slider of it. What a plain notebook needs to show it well stands in style attributes.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from gendiff_lib.data.images import sheet
from gendiff_lib.errors import GendiffError

LARGEST_WEBP = 16_383  # pixels a side
LARGEST_CSV = 100_000  # bytes


def frames(
    tracks: Mapping[str, Tensor],
    labels: Sequence[str],
    *,
    name: str,
    alt: str,
    said: Sequence[str] = (),
    columns: int = 2,
    zoom: int = 2,
    start: int | None = None,
    caption: str | None = None,
) -> str:
    """A slider over F frames; every track, uint8 (F, n, 3, H, W) under its heading ("" for none), moves with it.

    A frame is a contact sheet of `columns`. `labels` (F) stand under the frames of the strip, whose pixels are `zoom`
    wide; `said` (F) are their longer names beside the slider, which is called `name` and begins at frame
    `start`, else at the last.
    GendiffError where counts or shapes differ.
    """
    for heading, track in tracks.items():
        if len(track) != len(labels) or (said and len(said) != len(labels)):
            raise GendiffError(f"track {heading!r} has {len(track)} frames: give as many labels, not {len(labels)}")
    rows = [torch.cat([sheet(f, min(columns, len(f))) for f in track], dim=2) for track in tracks.values()]
    if len({row.shape for row in rows}) != 1:
        raise GendiffError(f"tracks {', '.join(tracks)} differ in shape: give as many images of one size to each")
    inside = _strip(torch.cat(rows, dim=1), list(tracks), labels, said or labels, name, alt, zoom)
    width, height = rows[0].shape[2] // len(labels), rows[0].shape[1]
    sizes = {"frames": len(labels), "tracks": len(rows), "width": width, "height": height}
    sizes["start"] = len(labels) - 1 if start is None else range(len(labels))[start]
    return _figure("frames", name, sizes, inside, caption)


def _strip(
    sprite: Tensor, headings: Sequence[str], labels: Sequence[str], said: Sequence[str], name: str, alt: str, zoom: int
) -> str:
    """What shows the frames where no script runs: a box that scrolls sideways, a row a track, a label a frame."""
    heads = "".join(
        f'<span class="track" style="grid-row:{i};padding-right:.5em">{html.escape(heading)}</span>'
        for i, heading in enumerate(headings, 1)
    )
    spans = "".join(
        f'<span data-said="{html.escape(long)}">{html.escape(short)}</span>'
        for short, long in zip(labels, said, strict=True)
    )
    n_rows, n = len(headings), len(labels)
    columns = f"grid-template-columns:fit-content(6em) {sprite.shape[2] * zoom}px"
    under = f"grid-column:2;display:grid;grid-template-columns:repeat({n},1fr);font-size:.8em;text-align:center"
    return (
        f'<div class="static" tabindex="0" role="group" aria-label="{html.escape(name)}: all {n} side by side" '
        'style="overflow-x:auto">'
        f'<div class="strip" style="display:grid;{columns};grid-template-rows:repeat({n_rows},1fr) auto">{heads}'
        + picture(sprite, alt, f"grid-column:2;grid-row:1/{n_rows + 1};max-width:none;")
        + f'<div class="labels" style="{under}">{spans}</div></div></div>'
    )


def compare(
    before: Tensor, after: Tensor, labels: tuple[str, str], *, name: str, alt: str, caption: str | None = None
) -> str:
    """Two pictures uint8 (3, H, W) of one shape: side by side, or one over the other with a divider that moves.

    GendiffError where the shapes differ.
    """
    if before.shape != after.shape:
        raise GendiffError(f"{labels[0]} is {tuple(before.shape)}, {labels[1]} {tuple(after.shape)}: give one shape")
    sides = "".join(
        f'<div style="flex:1 1 18em;min-width:0">{picture(image, f"{alt}, {label}")}'
        f'<span class="label">{html.escape(label)}</span></div>'
        for image, label in zip((before, after), labels, strict=True)
    )
    inside = f'<div class="static" style="display:flex;flex-wrap:wrap;gap:1em">{sides}</div>'
    return _figure("compare", name, {"width": before.shape[2], "height": before.shape[1]}, inside, caption)


def _figure(kind: str, name: str, sizes: Mapping[str, int], inside: str, caption: str | None) -> str:
    style = "".join(f";--{k}:{v}" for k, v in sizes.items())
    told = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    opening = f'<figure class="view {kind}" data-name="{html.escape(name)}" style="margin:.5em 0{style}">'
    return f"{opening}{inside}{told}</figure>"


def picture(image: Tensor, alt: str, style: str | None = None) -> str:
    """An image uint8 (3, H, W) across its column, never smoothed."""
    style = f"{style or ''}width:100%;image-rendering:pixelated"
    return f'<img class="samples" alt="{html.escape(alt)}" src="{picture_uri(image)}" style="{style}">'


def picture_uri(pixels: Tensor) -> str:
    """uint8 (3, H, W), loss-free, as a data: URI: WebP or PNG, whichever is smaller."""
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    found = {"image/png": _encoded(image, "PNG", optimize=True)}
    if max(image.size) <= LARGEST_WEBP:
        found["image/webp"] = _encoded(image, "WEBP", lossless=True, quality=80, method=4)  # harder: 36 times as long
    media = min(found, key=lambda k: len(found[k]))
    return _uri(media, found[media])


def _encoded(image: Image.Image, form: str, **how: bool | int) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()


def _uri(media: str, data: bytes) -> str:
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def plot(svg: str, alt: str, note: str | None = None) -> str:
    """A drawing, given as SVG text, with a line of HTML under it."""
    image = (
        f'<img class="plot" alt="{html.escape(alt)}" src="{_uri("image/svg+xml", svg.encode())}" style="width:100%">'
    )
    return f'{image}<p class="data">{note}</p>' if note else image


def columns_csv(columns: Mapping[str, Sequence[float]], largest: int = LARGEST_CSV) -> tuple[str, int]:
    """Columns of numbers as CSV with every digit, and k: it has every k-th row, so that it fits in `largest` bytes.

    The last row is always there.
    """
    head = ",".join(columns) + "\n"
    rows = [",".join(map(_digits, row)) + "\n" for row in zip(*columns.values(), strict=True)]
    every = 1
    while len(head) + sum(map(len, kept := rows[::-every][::-1])) > largest and every < len(rows):
        every += 1
    return head + "".join(kept), every


def _digits(value: float) -> str:
    return repr(int(value) if float(value).is_integer() else float(value))
