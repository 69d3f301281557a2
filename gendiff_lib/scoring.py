"""Extractors that need a run: the offline one is the project's own classifier, trained where it is missing."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .classifier import Classifier, ResNet9
from .config import ConfigError, GendiffError
from .experiments import classifier_for
from .features import Extractor, digest_of, inception, vgg16
from .images import to_model
from .machine import default_device
from .recorder import train


def offline(dataset: str, preset: str = "laptop") -> Extractor:
    """The classifier of `dataset` as an extractor, its weights rounded to the half precision they are published in."""
    run = train(classifier_for(dataset, preset))
    learner = run.learner
    assert isinstance(learner, Classifier)
    rounded = learner.net.to(torch.device("cpu")).half().float().eval()
    net = _fused(rounded).to(default_device())

    expected = tuple(run.record["sample_shape"])

    def features(images: Tensor) -> tuple[Tensor, Tensor]:
        if tuple(images.shape[1:]) != expected:
            raise GendiffError(
                f"images are {tuple(images.shape[1:])}, but the classifier of {dataset} judges {expected}: resize them"
            )
        found = net.features(to_model(images.to(default_device()), run.config.image_size))
        return found, net.head(found)

    name = f"{dataset.partition(':')[0]}-classifier"
    return Extractor(name, digest_of(rounded.state_dict()), features, own_classes=True)


def _fused(net: ResNet9) -> ResNet9:
    """The same function with each batch norm inside its convolution, and channels last: on a CPU twice as fast."""
    net = copy.deepcopy(net)
    for block in (module for module in net.modules() if isinstance(module, nn.Sequential)):
        convolution, norm = block[0], block[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block[0], block[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return net.to(memory_format=torch.channels_last)


EXTRACTORS: dict[str, Callable[[str, str], Extractor]] = {
    "classifier": offline,
    "inception": lambda dataset, preset: inception(),
    "vgg16": lambda dataset, preset: vgg16(),
}


def extractor(name: str, dataset: str, preset: str = "laptop") -> Extractor:
    """The extractor called `name` for samples of `dataset`; ConfigError lists those there are."""
    if name not in EXTRACTORS:
        raise ConfigError(f"extractor {name!r} is unknown: there are {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name](dataset, preset)
