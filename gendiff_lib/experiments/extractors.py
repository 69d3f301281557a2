"""Extractors by name. Two need no download: EfficientNet-Lite0, and a data set's own classifier, trained where it is
missing. The first is the offline extractor of CIFAR-10, the second that of every other data set.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import paths
from ..classifier import Classifier
from ..data import check_name, load
from ..data.images import to_model
from ..device import default_device
from ..errors import ConfigError, GendiffError
from ..evaluation.efficientnet import efficientnet
from ..evaluation.features import Extractor, digest_of, folded
from ..evaluation.inception import inception
from ..evaluation.vgg16 import vgg16
from ..runs import layout
from ..runs.run import Run, find
from ..runs.train import train
from . import classifier_for

# The published classifiers are instruments: read as they are, whatever has become of the code that trained them.
# Of NAME:ARGUMENT they are those of NAME.
INSTRUMENTS = {"cifar10": "classifier-dba9206a4ea5"}

# What judges a data set where no other extractor is named; page 08 says why. Of all others it is their own classifier.
OFFLINE = {"cifar10": "efficientnet"}


def offline_kind(dataset: str) -> str:
    """The name in EXTRACTORS of the extractor that judges a data set where none is named."""
    return OFFLINE.get(check_name(dataset)[0], "classifier")


def classifier_name(dataset: str) -> str:
    """The name of a data set's own classifier as an extractor."""
    return f"{check_name(dataset)[0]}-classifier"


def offline_name(dataset: str) -> str:
    """The name of the extractor that judges a data set where no other is named."""
    kind = offline_kind(dataset)
    return classifier_name(dataset) if kind == "classifier" else kind


def offline(dataset: str, preset: str = "laptop") -> Extractor:
    """The extractor that judges `dataset` where none is named. GendiffError as own_classifier where it is that one."""
    return extractor(offline_kind(dataset), dataset, preset)


def own_classifier(dataset: str, preset: str = "laptop") -> Extractor:
    """The classifier of `dataset` as an extractor, its weights rounded to the half precision they are published in.

    GendiffError where it tells its classes apart too seldom to be a measure.
    """
    run = _classifier(dataset, preset)
    _check_measure(dataset, run)
    learner = run.learner
    assert isinstance(learner, Classifier)
    rounded = learner.net.to(torch.device("cpu")).half().float().eval()
    net = folded(rounded).to(default_device())

    expected = tuple(run.record["sample_shape"])

    def features(images: Tensor) -> tuple[Tensor, Tensor]:
        if tuple(images.shape[1:]) != expected:
            raise GendiffError(
                f"images are {tuple(images.shape[1:])}, but the classifier of {dataset} judges {expected}: resize them"
            )
        found = net.features(to_model(images.to(default_device()), run.config.image_size))
        return found, net.head(found)

    return Extractor(classifier_name(dataset), digest_of(rounded.state_dict()), features, own_classes=True)


def _classifier(dataset: str, preset: str) -> Run:
    """The run of the classifier: the published instrument where there is one, else trained where it is missing."""
    if (base := check_name(dataset)[0]) in INSTRUMENTS:
        folder = paths.published_dir() / INSTRUMENTS[base]
        if (folder / layout.RECORD).exists():
            return Run.read(folder)
    config = classifier_for(dataset, preset)
    if find(config) is None and (n_classes := len(load(dataset).classes)) < 2:
        raise GendiffError(
            f"{dataset} has {n_classes} class, so a classifier of it learns nothing to measure by: "
            "give two classes or more, or --extractor efficientnet"
        )
    return train(config)


def _check_measure(dataset: str, run: Run) -> None:
    """GendiffError for accuracy below twice chance; of two classes, where that would be all, below three quarters."""
    n_classes, accuracy = len(run.record["classes"]), float(run.snapshot["test_accuracy"])
    least = min(2 / n_classes, (1 + 1 / n_classes) / 2)
    if accuracy < least:
        raise GendiffError(
            f"the classifier of {dataset} is right about {accuracy:.1%} of the test images of {n_classes} classes, "
            f"less than {least:.1%}, and no measure: give it more images, or --extractor efficientnet"
        )


EXTRACTORS: dict[str, Callable[[str, str], Extractor]] = {
    "classifier": own_classifier,
    "inception": lambda dataset, preset: inception(),
    "vgg16": lambda dataset, preset: vgg16(),
    "efficientnet": lambda dataset, preset: efficientnet(),
}


def extractor(name: str, dataset: str, preset: str = "laptop") -> Extractor:
    """The extractor called `name` for samples of `dataset`; ConfigError lists those there are."""
    if name not in EXTRACTORS:
        raise ConfigError(f"extractor {name!r} is unknown: there are {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name](dataset, preset)
