"""A user's own picture as a square of one side."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # no format that starts another program, as EPS does


def square(path: str, side: int) -> Tensor:
    """The central square of a picture, brought to uint8 (3, side, side) by an antialiased bilinear filter.

    It is turned as its EXIF orientation says. What is transparent lies on white. 16-bit greys are scaled to 8 bits. Of
    several frames the first is taken. DataError naming the file for what is no picture, is damaged, has too many
    pixels (Pillow's limit, 89 million), or holds numbers whose range is not known.
    """
    with _opened(path) as picture:
        _check_range(picture, path)
        upright = _rgb(ImageOps.exif_transpose(picture))
        width, height = upright.size
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        cut = upright.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(cut)).permute(2, 0, 1)


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """A picture whose head is read; what goes wrong with it inside the block is a DataError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd but readable metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                yield picture
    except DataError:
        raise
    except Exception as error:  # for damaged files Pillow raises whatever its decoders ran into
        raise _refusal(path, error) from None


def _refusal(path: str, error: Exception) -> DataError:
    """What Pillow or the system said of a file, with the remedy."""
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return DataError(f"{path} is an image of more than {Image.MAX_IMAGE_PIXELS:,} pixels: shrink or remove it")
    if isinstance(error, UnidentifiedImageError):
        kinds = ", ".join(FORMATS)
        return DataError(f"{path} is no image of a kind that is read ({kinds}): convert or remove it")
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"{path} cannot be read ({error.strerror}): make it readable, or remove it")
    said = str(error) or type(error).__name__
    return DataError(f"{path} is no image that can be read ({said}): save it again without metadata, or remove it")


def shortest_side(path: str) -> int:
    """The shorter side of a picture, in pixels."""
    with _opened(path) as picture:
        return min(picture.size)


def _check_range(picture: Image.Image, path: str) -> None:
    """DataError for floats, and for whole numbers of 32 or signed 16 bits: nothing says which of them is white."""
    if picture.mode == "F" or (picture.mode == "I" and picture.format == "TIFF"):
        kind = {"F": "floats", "I": "signed or 32-bit whole numbers"}[picture.mode]
        raise DataError(f"{path} holds {kind}, whose white is not known: save it with 8 or 16 bits a channel")


def _rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode in 8-bit red, green and blue, on white where it is transparent."""
    if picture.mode.startswith("I"):
        return _of_16_bits(picture)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white.convert("RGB")


def _of_16_bits(picture: Image.Image) -> Image.Image:
    """Greys 0..65535 to 0..255, rounded; Pillow's own conversion would clip at 255."""
    value = np.asarray(picture)
    grey = np.round(value / 257)
    grey[value == picture.info.get("transparency", -1)] = 255
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
