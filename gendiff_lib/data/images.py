"""uint8 outside, [-1, 1] inside, and one exact bridge between them."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, PngImagePlugin
from torch import Tensor

from ..errors import GendiffError


def check_images(images: Tensor) -> Tensor:
    """`images` itself if it is uint8 (N, 3, H, W) with N > 0; GendiffError otherwise."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise GendiffError(
            f"images must be uint8 of shape (N, 3, H, W), N at least 1, not {images.dtype} {tuple(images.shape)}: "
            "convert model output with images.to_images first"
        )
    return images


def to_model(images: Tensor, size: int | None = None) -> Tensor:
    """uint8 (N, 3, H, W) to float32 in [-1, 1], enlarged or shrunk (bilinear, antialiased) to `size` where given."""
    return resize(images.float().div(127.5).sub(1), size)


def to_images(x: Tensor, size: int | None = None) -> Tensor:
    """Float (N, 3, H, W) to uint8, rounded and clipped; the exact inverse of `to_model` on the 256 byte values."""
    return resize(x.float(), size).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def resize(x: Tensor, size: int | None) -> Tensor:
    """Bilinear, with an antialiasing filter when shrinking. `size` None, or the one it has, returns `x` itself."""
    if size is None or size == x.shape[-1]:
        return x
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False, antialias=size < x.shape[-1])


def sheet(images: Tensor, columns: int, gap: int = 2) -> Tensor:
    """One contact sheet: uint8 (N, 3, H, W) to (3, rows*(H+gap)+gap, columns*(W+gap)+gap) on white."""
    check_images(images)
    n, c, h, w = images.shape
    rows = -(-n // columns)
    canvas = torch.full((c, rows * (h + gap) + gap, columns * (w + gap) + gap), 255, dtype=torch.uint8)
    for i, image in enumerate(images.cpu()):
        top, left = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        canvas[:, top : top + h, left : left + w] = image
    return canvas


def save_png(image: Tensor, path: Path) -> None:
    """Write uint8 (3, H, W) as a PNG that says who made it; the same image gives the same bytes."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "gendiff")
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, format="PNG", optimize=True, pnginfo=text)


def is_ours(path: Path) -> bool:
    """Whether `path` is a PNG that `save_png` wrote; false for anything else, and for what cannot be read."""
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), Image.open(path) as picture:
        return picture.format == "PNG" and picture.info.get("Software") == "gendiff"
    return False


def read_png(path: Path) -> Tensor:
    """A PNG as uint8 (3, H, W)."""
    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


def cells(contact: Tensor, size: tuple[int, int], gap: int = 2) -> Tensor:
    """The images of a contact sheet (3, H, W), row by row: uint8 (N, 3, *size); the inverse of images.sheet."""
    h, w = size
    found = contact[:, gap:, gap:].unfold(1, h, h + gap).unfold(2, w, w + gap)
    return found.permute(1, 2, 0, 3, 4).flatten(0, 1)
