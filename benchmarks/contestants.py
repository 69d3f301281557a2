"""What is timed: scoring new images against a known reference, by this library and by torch-fidelity.

`python -m benchmarks.contestants TASK` runs one task, given as JSON, in a process of its own and prints what it found
as a line of JSON. benchmarks.scoring starts these processes.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch_fidelity
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from gendiff_lib.config import GendiffError
from gendiff_lib.features import Extractor, extract
from gendiff_lib.machine import default_device, forget_peak, peak_memory
from gendiff_lib.metrics import kept_reference, score
from gendiff_lib.scoring import own_classifier
from gendiff_lib.store import read_tensors

# our name of a value -> torch-fidelity's
THEIR_NAMES = {
    "classifier_score": "inception_score_mean",
    "frechet_distance": "frechet_inception_distance",
    "kernel_distance": "kernel_inception_distance_mean",
    "precision": "precision",
    "recall": "recall",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One measurement. `cache` is a folder of its own, which GENDIFF_CACHE must name too."""

    contestant: str
    dataset: str
    preset: str
    images: str  # a file of `fake` and `real`, uint8 (N, 3, H, W), in the order in which ours scores them
    cache: str
    reference: str  # what torch-fidelity's cache calls `real`: it knows a set of images by this name alone
    n_fake: int
    n_real: int
    batch_size: int
    prc_batch_size: int
    kid_subset_size: int
    save_cpu_ram: bool


Values = dict[str, float]


def ours(task: Task, extractor: Extractor, fake: Tensor, real: Tensor) -> Values:
    """By this library; whether the reference is known is up to what the cache holds."""
    reference = kept_reference(extractor, real)
    found = score(extract(extractor, fake), reference, extractor, reference="train")
    return {name: getattr(found, name) for name in found.labels} | {f"{k} error": v for k, v in found.errors.items()}


def theirs(task: Task, extractor: Extractor, fake: Tensor, real: Tensor) -> Values:
    """By torch-fidelity without a cache."""
    options = _options(task, extractor, real) | {"cache": False}
    return _renamed(torch_fidelity.calculate_metrics(input1=_Images(fake), kid=True, prc=True, **options))


def theirs_cached(task: Task, extractor: Extractor, fake: Tensor, real: Tensor) -> Values:
    """By torch-fidelity with its cache, which holds or will hold the reference's features and statistics."""
    options = _options(task, extractor, real) | _cached(task)
    return _renamed(torch_fidelity.calculate_metrics(input1=_Images(fake), kid=True, prc=True, **options))


def prepare(task: Task, extractor: Extractor, fake: Tensor, real: Tensor) -> Values:
    """Put the reference, and nothing of the fakes, into both caches."""
    kept_reference(extractor, real)
    options = _options(task, extractor, real) | _cached(task) | {"save_cpu_ram": True}
    torch_fidelity.calculate_metrics(input1=_Images(fake[:20]), **options)
    return {}


CONTESTANTS: dict[str, Callable[[Task, Extractor, Tensor, Tensor], Values]] = {
    "prepare": prepare,
    "ours": ours,
    "theirs": theirs,
    "theirs cached": theirs_cached,
}


def measure(task: Task) -> dict[str, Any]:
    """Seconds, peak memory and values of a task. Imports and the loading of images and weights are not counted."""
    images, extractor = read_tensors(Path(task.images)), own_classifier(task.dataset, task.preset)
    device, cpu = default_device(), torch.device("cpu")
    with torch.no_grad():
        extractor.network(images["fake"][:2])  # what libraries set up at first use is not counted either
    forget_peak(device)
    loaded = peak_memory(cpu)
    started = time.perf_counter()
    values = CONTESTANTS[task.contestant](task, extractor, images["fake"], images["real"])
    return {
        "seconds": time.perf_counter() - started,
        "loaded_bytes": loaded,
        "peak_bytes": peak_memory(cpu),
        "gpu_peak_bytes": peak_memory(device) if device.type == "cuda" else None,
        "values": values,
        "threads": torch.get_num_threads(),
        "extractor": {"name": extractor.name, "digest": extractor.digest},
    }


class _Images(torch.utils.data.Dataset[Tensor]):
    """Images as torch-fidelity takes them."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.images[i]


def _registered(extractor: Extractor) -> str:
    """The name, holding the digest, under which torch-fidelity knows an extractor from now on."""

    class Wrapper(FeatureExtractorBase):  # type: ignore[misc]
        """The same network on the same device, as torch-fidelity takes it."""

        def __init__(self, name: str, features_list: list[str], **options: Any) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            found = dict(zip(self.get_provided_features_list(), extractor.network(images), strict=True))
            return tuple(found[name] for name in self.features_list)

    name = f"{extractor.name}-{extractor.digest}"
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor(name, Wrapper)
    return name


def _options(task: Task, extractor: Extractor, real: Tensor) -> dict[str, Any]:
    """What all of torch-fidelity's calls share: IS and FID, which ask for every layer; its own defaults elsewhere."""
    return {
        "input2": _Images(real),
        "feature_extractor": _registered(extractor),
        "isc": True,
        "fid": True,
        "kid_subset_size": task.kid_subset_size,
        "cuda": default_device().type == "cuda",
        "batch_size": task.batch_size,
        "prc_batch_size": task.prc_batch_size,
        "save_cpu_ram": task.save_cpu_ram,
        "verbose": False,
    }


def _cached(task: Task) -> dict[str, Any]:
    return {"cache": True, "cache_root": task.cache, "input2_cache_name": task.reference}


def _renamed(found: dict[str, float]) -> Values:
    return {name: found[their] for name, their in THEIR_NAMES.items()}


def main(words: list[str]) -> int:
    """Run the task given as JSON."""
    try:
        print(json.dumps(measure(Task(**json.loads(words[0])))))
    except GendiffError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
