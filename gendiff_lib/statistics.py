"""Published statistics of real images, so that a Fréchet distance needs the features of the generated ones alone.

A record is two files in runs/reference/: DATASET-EXTRACTOR.safetensors with the means of both splits and the upper
triangle of the training split's covariance, and a JSON file that tells how they were made and what they give.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import store
from .features import VERSION, Extractor

# The distance of CIFAR-10's training images to its test images, as the table in the README of the package
# pytorch-gan-metrics (github.com/w86763777/pytorch-image-generation-metrics, commit 0d34197) prints it.
PRINTED = {"the original code, in TensorFlow": 3.1508, "a port to PyTorch": 3.1517}


class Statistics(NamedTuple):
    """Of the features of n images: mean (D,) and sample covariance (D, D), divided by n - 1, in float64."""

    mean: Tensor
    covariance: Tensor
    n: int


@dataclass(frozen=True)
class Record:
    """What is published of a data set's features by an extractor: all of the training split, the mean of the test's.

    `told` is the JSON file: provenance, n of both splits, digest of the extractor, and their Fréchet distance.
    """

    train: Statistics
    test_mean: Tensor
    told: dict[str, Any]


def published_statistics(dataset: str, extractor: Extractor, split: str) -> Statistics | None:
    """Mean, covariance and n of all images of a split, None where they are not published for this very extractor.

    StoreError where the record is damaged.
    """
    record = read_record(dataset, extractor) if split == "train" else None
    return record.train if record else None


def read_record(dataset: str, extractor: Extractor) -> Record | None:
    """The published record; None where there is none, or one of other weights or another version of extraction.

    StoreError where it is damaged.
    """
    tensors_path, told_path = _paths(dataset, extractor)
    if not told_path.exists():
        return None
    told = store.read_json(told_path)
    with store.understanding(told_path):
        if (told["extractor_digest"], told["version"]) != (extractor.digest, VERSION):
            return None
        n, sha256 = int(told["n"]["train"]), told["sha256"]
    tensors = store.read_tensors(tensors_path)
    if store.sha256(tensors_path) != sha256:
        raise store.damaged(tensors_path, f"its SHA-256 does not begin {sha256[:8]}")
    with store.understanding(tensors_path):
        mean, test_mean = tensors["train_mean"].double(), tensors["test_mean"].double()
        train = Statistics(mean, from_triangle(tensors["train_covariance"], len(mean)).double(), n)
        return Record(train, test_mean, told)


def told_of(dataset: str, extractor: str) -> dict[str, Any] | None:
    """What the published record tells of itself, whatever extractor is at hand; None where there is none."""
    path = _path(dataset, extractor).with_suffix(".json")
    return store.read_json(path) if path.exists() else None


def write_record(dataset: str, extractor: Extractor, train: Statistics, test: Statistics, told: dict[str, Any]) -> Path:
    """Publish the statistics, in float32, with what is `told` of them; returns the JSON file's path."""
    tensors_path, told_path = _paths(dataset, extractor)
    tensors = {"train_mean": train.mean, "train_covariance": triangle_of(train.covariance), "test_mean": test.mean}
    store.write_tensors(tensors_path, {name: tensor.float() for name, tensor in tensors.items()})
    known = {
        "dataset": dataset,
        "n": {"train": train.n, "test": test.n},
        "extractor": extractor.name,
        "extractor_digest": extractor.digest,
        "version": VERSION,
        "resize": extractor.resize,
        "sha256": store.sha256(tensors_path),
        "mean_distance": float((train.mean.float().double() - test.mean.float().double()).square().sum()),
    }
    store.write_json(told_path, told | known)
    return told_path


def triangle_of(symmetric: Tensor) -> Tensor:
    """The upper triangle of (D, D), row by row, (D (D + 1) / 2,)."""
    rows, columns = torch.triu_indices(*symmetric.shape)
    return symmetric[rows, columns]


def from_triangle(triangle: Tensor, size: int) -> Tensor:
    """The symmetric matrix (size, size) whose upper triangle this is; ValueError where it is of another size."""
    if triangle.shape != (size * (size + 1) // 2,):
        raise ValueError(f"a triangle of {len(triangle)} numbers is of no {size} by {size} matrix")
    symmetric = triangle.new_empty(size, size)
    rows, columns = torch.triu_indices(size, size)
    symmetric[rows, columns] = symmetric[columns, rows] = triangle
    return symmetric


def _paths(dataset: str, extractor: Extractor) -> tuple[Path, Path]:
    stem = _path(dataset, extractor.name)
    return stem.with_suffix(".safetensors"), stem.with_suffix(".json")


def _path(dataset: str, extractor: str) -> Path:
    return store.published_dir() / "reference" / f"{dataset.replace(':', '-')}-{extractor}"
