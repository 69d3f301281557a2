"""The paper's generator and discriminator (Figs. 14 and 15)."""

from itertools import pairwise

from torch import Tensor, nn

from ..errors import ConfigError


def _stages(shape: tuple[int, ...]) -> int:
    """How often 4x4 is doubled to reach the image's side."""
    side = shape[-1]
    if len(shape) != 3 or side < 8 or side & (side - 1):
        raise ConfigError(f"network 'dcgan' makes images of 8, 16, 32, 64, … pixels, not samples of shape {shape}")
    return side.bit_length() - 3


def _up(c_in: int, c_out: int, resampling: str) -> list[nn.Module]:
    """Twice the side: by a transposed convolution of stride 2, or by nearest pixels and a 3x3 convolution."""
    if resampling == "stride":
        return [nn.ConvTranspose2d(c_in, c_out, 4, 2, 1, bias=False)]
    return [nn.Upsample(scale_factor=2.0), nn.Conv2d(c_in, c_out, 3, 1, 1, bias=False)]


def _down(c_in: int, c_out: int, resampling: str) -> list[nn.Module]:
    """Half the side: by a convolution of stride 2, or by a 3x3 convolution and a mean over 2x2 pixels."""
    if resampling == "stride":
        return [nn.Conv2d(c_in, c_out, 4, 2, 1, bias=False)]
    return [nn.Conv2d(c_in, c_out, 3, 1, 1, bias=False), nn.AvgPool2d(2)]


def _activation(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)


class Generator(nn.Module):
    """z (N, nz, 1, 1) to images in [-1, 1]; at 64x64 it is Fig. 15, each halving of the side drops one doubling.

    `slope` is that of negative values, `resampling` stride or pool.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        nz: int,
        ngf: int,
        norm: str = "batch",
        slope: float = 0.0,
        resampling: str = "stride",
    ) -> None:
        super().__init__()
        n = _stages(shape)
        widths = [ngf * 2 ** (n - 1 - i) for i in range(n)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(nz, widths[0], 4, 1, 0, bias=False)]
        for c_in, c_out in zip(widths, [*widths[1:], shape[0]], strict=True):
            layers += [nn.BatchNorm2d(c_in)] if norm == "batch" else []
            layers += [_activation(slope), *_up(c_in, c_out, resampling)]
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """(N, nz, 1, 1) to (N, 3, side, side)."""
        images: Tensor = self.main(z)
        return images


class Discriminator(nn.Module):
    """Images to logits, above 0 for what is taken to be real; at 64x64 it is Fig. 14, options as the generator's.

    Fig. 14's sigmoid, the last of `main`, is taken by the loss: in float32, where bfloat16 would round to 1 from 6 on.
    """

    def __init__(
        self, shape: tuple[int, ...], *, ndf: int, norm: str = "batch", slope: float = 0.2, resampling: str = "stride"
    ) -> None:
        super().__init__()
        widths = [ndf * 2**i for i in range(_stages(shape))]
        layers: list[nn.Module] = [*_down(shape[0], ndf, resampling), _activation(slope)]
        for c_in, c_out in pairwise(widths):
            layers += _down(c_in, c_out, resampling)
            layers += [nn.BatchNorm2d(c_out)] if norm == "batch" else []
            layers += [_activation(slope)]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, side, side) to float32 logits (N,)."""
        logits: Tensor = self.main[:-1](x).flatten().float()
        return logits


def dcgan_weights(module: nn.Module) -> None:
    """The DCGAN paper's weights (Radford et al. 2016, section 4)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
