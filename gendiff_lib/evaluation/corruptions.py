"""Images damaged by known amounts, ever harsher."""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..streams import stream


def blur(images: Tensor, level: float) -> Tensor:
    """Gaussian blur; `level` is its deviation in pixels."""
    from torchvision.transforms import functional as TF  # two seconds to import

    blurred: Tensor = TF.gaussian_blur(images, [2 * int(3 * level + 0.5) + 1] * 2, [level] * 2)
    return blurred


def noise(images: Tensor, level: float) -> Tensor:
    """Gaussian noise; `level` is its deviation, in the 255 steps of a byte."""
    noisy: Tensor = images + level * torch.randn(images.shape, generator=stream("validation", 0, 1))
    return noisy.round().clamp(0, 255).byte()


def jpeg(images: Tensor, level: float) -> Tensor:
    """JPEG; `level` is 100 minus Pillow's quality."""
    done = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=int(100 - level))
        done.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(done)


def quantisation(images: Tensor, level: float) -> Tensor:
    """Fewer values a channel; `level` is the number of bits that are taken from each byte."""
    step = 2 ** int(level)
    coarse: Tensor = images // step * step + step // 2
    return coarse


# family -> (what is done, its levels, ever harsher)
CORRUPTIONS: dict[str, tuple[Callable[[Tensor, float], Tensor], tuple[float, ...]]] = {
    "blur": (blur, (0.5, 0.75, 1.0, 1.5)),
    "noise": (noise, (5, 10, 20, 40)),
    "jpeg": (jpeg, (25, 50, 75, 90)),
    "quantisation": (quantisation, (4, 5, 6, 7)),
}


def corrupted(images: Tensor, family: str, level: float) -> Tensor:
    """uint8 images (N, 3, H, W) with a corruption of CORRUPTIONS applied; level 0 is none."""
    return CORRUPTIONS[family][0](images, level) if level else images
