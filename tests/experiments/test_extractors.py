import hashlib
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gendiff_lib import paths, versions
from gendiff_lib.data import load
from gendiff_lib.data.images import to_model
from gendiff_lib.errors import ConfigError, DataError, GendiffError
from gendiff_lib.evaluation.features import digest_of
from gendiff_lib.experiments import classifier_for, extractors
from gendiff_lib.experiments.extractors import (
    EXTRACTORS,
    INSTRUMENTS,
    classifier_name,
    extractor,
    offline,
    offline_kind,
    offline_name,
    own_classifier,
)
from gendiff_lib.runs import files, layout
from gendiff_lib.runs import run as runs
from gendiff_lib.runs import train as recorder
from gendiff_lib.runs.train import train

CIFAR10_SHA256 = "c7df732d615a160214d3c3303c98b87eff6f72583da57f82f62f6ea520ef4893"


def test_cifar10_is_judged_by_efficientnet_and_generated_data_by_their_classifier(monkeypatch):
    asked = []
    monkeypatch.setattr(extractors, "EXTRACTORS", {k: lambda *of, k=k: asked.append((k, *of)) for k in EXTRACTORS})
    offline("cifar10", "smoke")
    offline("shapes:16", "smoke")
    assert asked == [("efficientnet", "cifar10", "smoke"), ("classifier", "shapes:16", "smoke")]
    assert {offline_kind(name) for name in ("shapes", "folder:/pictures", "cifar10")} <= EXTRACTORS.keys()


@pytest.mark.parametrize("dataset", ["cifar10", "shapes"])
def test_an_extractor_bears_the_name_that_its_scores_are_kept_under(dataset):
    assert offline(dataset, "smoke").name == offline_name(dataset)
    assert own_classifier(dataset, "smoke").name == classifier_name(dataset)


def test_the_offline_extractor_is_the_trained_network_in_half_precision():
    judge, pictures = offline("shapes", "smoke"), load("shapes", "test").samples[:40]
    net = train(classifier_for("shapes", "smoke")).learner.net.to("cpu").half().float().eval()
    with torch.no_grad():
        found = judge.network(pictures)
        expected = net.features(to_model(pictures)), net(to_model(pictures))
    assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert judge.digest == digest_of(net.state_dict())


def test_a_classifier_of_images_that_changed_since_is_refused(monkeypatch):
    def changed():
        raise DataError("folder:x has changed")

    there = SimpleNamespace(check_data=changed)
    monkeypatch.setattr(extractors, "find", lambda config: there)
    monkeypatch.setattr(recorder, "found", lambda config, again: there)
    with pytest.raises(DataError, match="folder:x has changed"):
        own_classifier("shapes", "smoke")


def instrument():
    return paths.published_dir() / INSTRUMENTS["cifar10"]


def test_the_published_classifier_is_the_pinned_file():
    """By it every published score was taken: another file would be another measure."""
    path = instrument() / layout.weights(1_198_080)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == CIFAR10_SHA256


def test_the_published_classifier_is_read_whatever_trained_it(monkeypatch):
    monkeypatch.setattr(extractors, "classifier_for", lambda *a: pytest.fail("its configuration was asked for"))
    monkeypatch.setattr(extractors, "train", lambda *a: pytest.fail("it was looked for, or trained"))
    monkeypatch.setitem(versions.VERSIONS, "classifier", 99)
    assert not runs.Run.read(instrument()).stale
    for preset in ("laptop", "smoke"):
        judge = own_classifier("cifar10", preset)
        assert (judge.name, judge.digest) == ("cifar10-classifier", "38e8bddf7ecd")
    found, logits = judge.network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert (found.shape, logits.shape) == ((1, 256), (1, 10))


def judged(accuracy, n_classes):
    """Take a classifier of this accuracy for a measure."""
    run = SimpleNamespace(record={"classes": ["a"] * n_classes}, snapshot={"test_accuracy": accuracy})
    extractors._check_measure("mine", run)


@pytest.mark.parametrize(("accuracy", "n_classes"), [(0.2, 10), (0.67, 3), (0.75, 2)])
def test_twice_chance_and_more_is_a_measure(accuracy, n_classes):
    judged(accuracy, n_classes)


@pytest.mark.parametrize(("accuracy", "n_classes"), [(0.199, 10), (0.66, 3), (0.74, 2)])
def test_less_than_twice_chance_is_refused(accuracy, n_classes):
    sentence = rf"right about {accuracy:.1%} of the test images of {n_classes} classes, less than .* no measure: give"
    with pytest.raises(GendiffError, match=sentence):
        judged(accuracy, n_classes)


def test_offline_refuses_what_is_no_measure():
    run = train(classifier_for("shapes", "smoke"))
    record = files.read_json(run.folder / "run.json")
    record["snapshots"][str(run.images)]["test_accuracy"] = 0.11
    files.write_json(run.folder / "run.json", record)
    with pytest.raises(GendiffError, match=r"the classifier of shapes is right about 11.0% .*less than 20.0%"):
        offline("shapes", "smoke")


def test_one_class_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    (tmp_path / "pictures" / "cats").mkdir(parents=True)
    for i in range(12):
        Image.new("RGB", (16, 16), (i, 2 * i, 3 * i)).save(tmp_path / "pictures" / "cats" / f"{i}.png")
    monkeypatch.setattr(extractors, "train", lambda *a: pytest.fail("trained"))
    with pytest.raises(GendiffError, match="has 1 class, so a classifier of it learns nothing to measure by: give two"):
        offline(f"folder:{tmp_path / 'pictures'}", "smoke")


def test_an_unknown_extractor_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="'mine' is unknown: there are classifier, inception, vgg16, efficientnet"):
        extractor("mine", "cifar10")
