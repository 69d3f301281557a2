"""Generated data sets: shapes as images, and points in the plane."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..errors import DataError
from ..parsing import whole_number
from ..streams import stream
from . import images
from .dataset import Dataset, ImageBridge, PointBridge, no_argument

N_SHAPES = {"train": 10_000, "test": 2_000}


def shapes(split: str, argument: str) -> Dataset:
    """Ten classes of one big coloured shape on a flat background, drawn from a seed; 10,000 and 2,000 images.

    The argument is the side in pixels (32 where left out).
    """
    size, n = side_of(argument), N_SHAPES[split]
    rng = _data_stream(f"shapes:{size}", split)
    labels = torch.arange(n) % len(SHAPES)
    drawn = [_draw(labels[i : i + 100], size, rng) for i in range(0, n, 100)]
    name = f"shapes:{size}" if argument else "shapes"
    return Dataset(name, split, torch.cat(drawn), labels, tuple(SHAPES), ImageBridge(size))


def side_of(argument: str) -> int:
    """The side of shapes:ARGUMENT in pixels; DataError where that is none."""
    size = whole_number(argument) if argument else 32
    if size is None or not 8 <= size <= 256:
        raise DataError(f"shapes:{argument} is no data set: the side must be a whole number from 8 to 256")
    return size


def _draw(labels: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Images uint8 (N, 3, size, size) of the classes `labels`, antialiased by drawing at four times the side.

    In float64, as are the points in the plane: processors differ in the last bit of a cosine, which float32 would let
    decide about pixels, and the data set would have another digest on another machine.
    """
    n, fine = len(labels), 4 * size
    uniform = partial(torch.rand, generator=rng, dtype=torch.float64)
    radius = 0.75 + 0.15 * uniform(n, 1, 1)
    centre = (uniform(n, 2, 1, 1) * 2 - 1) * (1 - radius[:, None])
    axis = (torch.arange(fine, dtype=torch.float64) + 0.5) / fine * 2 - 1
    u = (axis[None, None, :] - centre[:, 0]) / radius
    v = (axis[None, :, None] - centre[:, 1]) / radius
    mask = torch.zeros(n, fine, fine)  # of 0 and 1, whose means of 16 are exact
    for k, inside in enumerate(SHAPES.values()):
        mine = labels == k
        mask[mine] = inside(u[mine], v[mine]).float()
    alpha = torch.nn.functional.avg_pool2d(mask[:, None], 4)
    # Two colours at opposite hues, one bright and one dark, so that no shape fades into its background.
    hue = uniform(n, 1) + torch.tensor([0.0, 0.5])
    light = uniform(n, 2) * 0.25 + torch.tensor([0.65, 0.1])
    swap = uniform(n) < 0.5
    light[swap] = light[swap].flip(-1)
    angle = 2 * math.pi * (hue[..., None] + torch.arange(3) / 3)
    colour = (light[..., None] * (1 + 0.45 * torch.cos(angle))).clamp(0, 1)[..., None, None]
    return images.to_images(2 * (alpha * colour[:, 0] + (1 - alpha) * colour[:, 1]) - 1)


def _star(u: Tensor, v: Tensor) -> Tensor:
    turn = torch.remainder(torch.atan2(u, -v) / (2 * math.pi) * 5 + 0.5, 1) - 0.5  # -0.5..0.5 around each point
    return (u**2 + v**2).sqrt() < 0.42 + 0.58 * (1 - 2 * turn.abs()) ** 1.5


SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # whether a point lies inside
    "circle": lambda u, v: u**2 + v**2 < 0.81,
    "ring": lambda u, v: ((u**2 + v**2) < 0.9) & ((u**2 + v**2) > 0.3),
    "square": lambda u, v: (u.abs() < 0.8) & (v.abs() < 0.8),
    "frame": lambda u, v: (torch.maximum(u.abs(), v.abs()) < 0.85) & (torch.maximum(u.abs(), v.abs()) > 0.5),
    "triangle": lambda u, v: (v < 0.75) & (u.abs() < (v + 0.95) * 0.58),
    "diamond": lambda u, v: u.abs() + v.abs() < 1,
    "cross": lambda u, v: torch.minimum(u.abs(), v.abs()).lt(0.27) & torch.maximum(u.abs(), v.abs()).lt(0.95),
    "star": _star,
    "heart": lambda u, v: (
        ((1.15 * u) ** 2 + (1.15 * v - 0.2) ** 2 - 0.65) ** 3 * 1.0 + (1.15 * u) ** 2 * (1.15 * v - 0.2) ** 3 < 0
    ),
    "crescent": lambda u, v: (u**2 + v**2 < 0.9) & ((u - 0.4) ** 2 + v**2 > 0.5),
}


def gaussians(split: str, argument: str) -> Dataset:
    """25 Gaussians of standard deviation 0.05 on the grid {-4, -2, 0, 2, 4}^2; 20,000 and 10,000 points."""
    no_argument("gaussians", argument)
    n, rng = N_POINTS[split], _data_stream("gaussians", split)
    grid = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
    modes = torch.cartesian_prod(grid, grid)
    labels = torch.arange(n) % len(modes)
    samples = (modes[labels] + _noise(n, rng)).float()
    return Dataset("gaussians", split, samples, labels, tuple(map(str, range(25))), PointBridge(2.83), modes)


def moons(split: str, argument: str) -> Dataset:
    """Two interleaved half circles of unit radius with Gaussian noise of 0.05; 20,000 and 10,000 points."""
    no_argument("moons", argument)
    n, rng = N_POINTS[split], _data_stream("moons", split)
    labels = torch.arange(n) % 2
    turn = math.pi * torch.rand(n, generator=rng, dtype=torch.float64)
    upper = torch.stack([turn.cos() - 0.5, turn.sin() - 0.25], 1)
    samples = (torch.where(labels[:, None] == 0, upper, -upper) + _noise(n, rng)).float()
    return Dataset("moons", split, samples, labels, ("upper", "lower"), PointBridge(0.7))


N_POINTS = {"train": 20_000, "test": 10_000}


def _noise(n: int, rng: torch.Generator) -> Tensor:
    """Gaussian noise (n, 2) of standard deviation 0.05, float64."""
    return 0.05 * torch.randn(n, 2, generator=rng, dtype=torch.float64)


def _data_stream(name: str, split: str) -> torch.Generator:
    """The random numbers of one split of one generated data set: the index of its stream spells both."""
    return stream("data", 0, int.from_bytes(f"{name} {split}".encode(), "big"))
