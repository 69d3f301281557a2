"""Extractors that need a run: the offline one is the project's own classifier, trained where it is missing."""

from collections.abc import Callable

import torch
from torch import Tensor

from .classifier import Classifier
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
    net = learner.net.to(torch.device("cpu")).half().float().to(default_device()).eval()

    expected = tuple(run.record["sample_shape"])

    def features(images: Tensor) -> tuple[Tensor, Tensor]:
        if tuple(images.shape[1:]) != expected:
            raise GendiffError(
                f"images are {tuple(images.shape[1:])}, but the classifier of {dataset} judges {expected}: resize them"
            )
        found = net.features(to_model(images.to(default_device()), run.config.image_size))
        return found, net.head(found)

    name = f"{dataset.partition(':')[0]}-classifier"
    return Extractor(name, digest_of(net.state_dict()), features, own_classes=True)


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
