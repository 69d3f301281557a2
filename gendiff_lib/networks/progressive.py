"""A generator and a discriminator that grow from 8x8 over 16x16 to 32x32 pixels (Karras et al. 2018)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from .layers import Layer, channels_at, drawn

SIDES = (8, 16, 32)  # pixels of the images of each stage
BOTTOM = 4  # pixels of the smallest feature maps
SLOPE = 0.2


class Scaled(nn.Module):
    """A weight times a constant: what is stored has variance 1, so that Adam moves all layers alike (section 4.1)."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """The same shape."""
        return weight * self.scale


def _he(layer: Layer, equalised: bool, gain: float = math.sqrt(2)) -> Layer:
    """The layer itself, its weights drawn from N(0, gain^2 / fan_in), its biases zero."""
    scale = gain / math.sqrt(layer.weight[0].numel())
    drawn(layer, 1.0 if equalised else scale)
    if equalised:
        register_parametrization(layer, "weight", Scaled(scale))
    return layer


def pixel_norm(x: Tensor) -> Tensor:
    """(N, C, ...) to the same shape: over the channels, each place has a mean square of 1 (section 4.2)."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def minibatch_deviation(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C + 1, H, W): one more map holds the batch's mean standard deviation (section 3)."""
    deviation = (x.var(0, correction=0) + 1e-8).sqrt().mean()
    return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], 1)


class Deviation(nn.Module):
    """`minibatch_deviation` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 1, H, W)."""
        return minibatch_deviation(x)


def _conv(c_in: int, c_out: int, equalised: bool) -> nn.Conv2d:
    return _he(nn.Conv2d(c_in, c_out, 3, padding=1), equalised)


class Normed(nn.Module):
    """A leaky ReLU, then a pixel norm: what follows each of the generator's layers."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to the same shape."""
        return pixel_norm(F.leaky_relu(x, SLOPE))


class Growing(nn.Module):
    """A network whose stage depends on the images that it was trained with, which a buffer of its own remembers.

    The first stage lasts `fade` images; each later one fades in over as many, its `alpha` going from 0 to 1, and stays
    for as many more, the last for ever (section 2).
    """

    def __init__(self, fade: int) -> None:
        super().__init__()
        self.fade = fade
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))

    def grow(self, images: int) -> None:
        """Be as after so many images."""
        self.get_buffer("images").fill_(images)

    def faded(self, x: Tensor) -> Tensor:
        """Real images (N, 3, 32, 32) as young as the fakes of the moment: mixed with their halved selves, enlarged."""
        stage, alpha = self.stage
        if stage == 0 or alpha == 1:
            return x
        side = SIDES[stage - 1]
        return torch.lerp(F.interpolate(F.avg_pool2d(x, SIDES[-1] // side), SIDES[-1]), x, alpha)

    @property
    def stage(self) -> tuple[int, float]:
        """The stage, an index of SIDES, and its alpha."""
        return self.stage_after(int(self.get_buffer("images")))

    def stage_after(self, images: int) -> tuple[int, float]:
        """The stage after so many images."""
        periods = images / self.fade
        stage = min(int((periods + 1) // 2), len(SIDES) - 1)
        return stage, min(periods - (2 * stage - 1), 1.0) if stage else 1.0


class Generator(Growing):
    """z (N, nz, 1, 1) to images of 32x32 pixels, which nothing bounds: those of its stage, enlarged."""

    def __init__(self, shape: tuple[int, ...], *, nz: int, width: int, fade: int, equalised: bool = True) -> None:
        super().__init__(fade)
        channels = channels_at(shape, SIDES[-1], "progressive")
        dense = _he(nn.Linear(nz, width * BOTTOM**2), equalised, math.sqrt(2) / 4)  # a quarter, as in the authors' code
        unfold = nn.Unflatten(1, (width, BOTTOM, BOTTOM))
        self.enter = nn.Sequential(dense, unfold, Normed(), _conv(width, width, equalised), Normed())
        self.blocks = nn.ModuleList()
        for _ in SIDES:
            layers = [m for _ in range(2) for m in (_conv(width, width, equalised), Normed())]
            self.blocks.append(nn.Sequential(nn.Upsample(scale_factor=2.0), *layers))
        self.to_rgb = nn.ModuleList(_he(nn.Conv2d(width, channels, 1), equalised, 1.0) for _ in SIDES)

    def forward(self, z: Tensor) -> Tensor:
        """(N, nz, 1, 1) to (N, 3, 32, 32)."""
        images = self.at(z, *self.stage)
        return F.interpolate(images, SIDES[-1])

    def at(self, z: Tensor, stage: int, alpha: float = 1.0) -> Tensor:
        """(N, nz, 1, 1) to (N, 3, SIDES[stage], SIDES[stage]), mixed with those of the stage before, enlarged."""
        before = self.enter(pixel_norm(z.flatten(1)))
        for i in range(stage):
            before = self.blocks[i](before)
        images: Tensor = self.to_rgb[stage](self.blocks[stage](before))
        if stage == 0 or alpha == 1:
            return images
        return torch.lerp(F.interpolate(self.to_rgb[stage - 1](before), scale_factor=2.0), images, alpha)


class Discriminator(Growing):
    """Images of 32x32 pixels, averaged to those of its stage, to logits; `deviation` adds a map of the batch's."""

    def __init__(
        self, shape: tuple[int, ...], *, width: int, fade: int, equalised: bool = True, deviation: bool = True
    ) -> None:
        super().__init__(fade)
        channels = channels_at(shape, SIDES[-1], "progressive")
        self.deviate = Deviation() if deviation else nn.Identity()
        self.from_rgb, self.blocks = nn.ModuleList(), nn.ModuleList()
        for _ in SIDES:
            self.from_rgb.append(nn.Sequential(_he(nn.Conv2d(channels, width, 1), equalised), nn.LeakyReLU(SLOPE)))
            layers = [m for _ in range(2) for m in (_conv(width, width, equalised), nn.LeakyReLU(SLOPE))]
            self.blocks.append(nn.Sequential(*layers, nn.AvgPool2d(2)))
        last, dense = _conv(width + deviation, width, equalised), _he(nn.Linear(width * BOTTOM**2, width), equalised)
        head = [last, nn.LeakyReLU(SLOPE), nn.Flatten(), dense, nn.LeakyReLU(SLOPE)]
        self.leave = nn.Sequential(*head, _he(nn.Linear(width, 1), equalised, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) to logits (N,), float32 whatever the arithmetic of the convolutions."""
        stage, alpha = self.stage
        return self.at(F.avg_pool2d(x, SIDES[-1] // SIDES[stage]), stage, alpha)

    def at(self, x: Tensor, stage: int, alpha: float = 1.0) -> Tensor:
        """(N, 3, SIDES[stage], SIDES[stage]) to logits (N,), mixed as the generator's images are."""
        h = self.blocks[stage](self.from_rgb[stage](x))
        if stage and alpha < 1:
            h = torch.lerp(self.from_rgb[stage - 1](F.avg_pool2d(x, 2)), h, alpha)
        for i in reversed(range(stage)):
            h = self.blocks[i](h)
        logits: Tensor = self.leave(self.deviate(h))
        return logits.squeeze(1).float()
