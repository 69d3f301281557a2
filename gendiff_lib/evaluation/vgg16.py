"""VGG16 with ImageNet weights, whose 4096 features precision and recall were first defined on: torch-fidelity's."""

import torch
from torch import Tensor

from ..device import default_device
from .features import Extractor, digest_of
from .weights import VGG16, loading, weights_path


def vgg16() -> Extractor:
    """4096 features, and the logits of the last layer, which torch-fidelity leaves out.

    GendiffError where the file of weights is not to be had.
    """
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

    path = weights_path(VGG16)
    with loading(path, VGG16.remedy):
        net = FeatureExtractorVGG16("vgg16", ["fc2_relu"], str(path)).to(default_device())
        last = torch.load(path, weights_only=True, map_location=default_device())
        weight, bias = last["classifier.6.weight"], last["classifier.6.bias"]

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        (features,) = net(images.to(default_device()))
        return features, torch.nn.functional.linear(features, weight, bias)

    return Extractor("vgg16", digest_of(net.state_dict()), run, "bilinear as in TensorFlow 1, 224 px")
