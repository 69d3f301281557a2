"""A small residual classifier."""

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError


def _conv(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class ResNet9(nn.Module):
    """Nine layers with two residual pairs, the shape that airbench's forerunners made known (Page 2018).

    Features are the average-pooled last maps, 8 * width of them.
    """

    def __init__(self, width: int, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        if len(shape) != 3 or shape[-1] < 16:
            raise ConfigError(f"the classifier needs images of at least 16 pixels, not samples of shape {shape}")
        w = width
        self.enter, self.layer1 = _conv(shape[0], w), _conv(w, 2 * w)
        self.pair1 = nn.Sequential(_conv(2 * w, 2 * w), _conv(2 * w, 2 * w))
        self.layer2, self.layer3 = _conv(2 * w, 4 * w), _conv(4 * w, 8 * w)
        self.pair2 = nn.Sequential(_conv(8 * w, 8 * w), _conv(8 * w, 8 * w))
        self.head = nn.Linear(8 * w, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N, 8 * width)."""
        h = F.max_pool2d(self.layer1(self.enter(x)), 2)
        h = F.max_pool2d(self.layer2(h + self.pair1(h)), 2)
        h = F.max_pool2d(self.layer3(h), 2)
        features: Tensor = (h + self.pair2(h)).float().mean((2, 3))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to logits (N, n_classes)."""
        logits: Tensor = self.head(self.features(x))
        return logits
