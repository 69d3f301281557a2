"""Published statistics of real images, so that a Fréchet distance needs the features of the generated ones alone.

A record is two files in runs/reference/: DATASET-EXTRACTOR.safetensors with the means of both splits and the upper
triangle of the training split's covariance, and a JSON file that tells how they were made and what they give.
"""

from pathlib import Path

import torch
from torch import Tensor

from .. import paths
from ..runs import files
from .distances import Statistics
from .features import VERSION, Extractor


def record_path(dataset: str, extractor: str) -> Path:
    """The JSON file of the record of a data set's features by the extractor of this name."""
    return paths.published_dir() / "reference" / f"{dataset.replace(':', '-')}-{extractor}.json"


def published_statistics(dataset: str, extractor: Extractor, split: str) -> Statistics | None:
    """Of all images of a split.

    None where they are not published, or for other weights or another version of extraction. StoreError where the
    record is damaged.
    """
    path = record_path(dataset, extractor.name)
    if split != "train" or not path.exists():
        return None
    told = files.read_json(path)
    with files.understanding(path):
        if (told["extractor_digest"], told["version"]) != (extractor.digest, VERSION):
            return None
        n, sha256 = int(told["n"]["train"]), told["sha256"]
    path = path.with_suffix(".safetensors")
    tensors = files.read_tensors(path)
    if files.sha256(path) != sha256:
        raise files.damaged(path, f"its SHA-256 does not begin {sha256[:8]}")
    with files.understanding(path):
        mean = tensors["train_mean"].double()
        return Statistics(mean, from_triangle(tensors["train_covariance"], len(mean)).double(), n)


def from_triangle(triangle: Tensor, size: int) -> Tensor:
    """The symmetric matrix (size, size) whose upper triangle, row by row, this is; ValueError for another size."""
    if triangle.shape != (size * (size + 1) // 2,):
        raise ValueError(f"a triangle of {len(triangle)} numbers is of no {size} by {size} matrix")
    symmetric = triangle.new_empty(size, size)
    rows, columns = torch.triu_indices(size, size)
    symmetric[rows, columns] = symmetric[columns, rows] = triangle
    return symmetric
