"""The record of a training while it goes on, and its segments: stretches that one machine, commit and engine made."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .. import ranks
from ..config import Config
from ..data.dataset import Dataset
from ..device import conditions
from ..learner import Learner
from ..progress import Progress
from ..versions import result_versions

FORMAT = 2  # of run.json


def new_record(
    config: Config, dataset: Dataset, learner: Learner, steps_per_epoch: int, operations: int
) -> dict[str, Any]:
    """What run.json tells before the first update, which takes so many operations an image."""
    return {
        "format": FORMAT,
        "kind": config.kind,
        "name": config.name,
        "config": config.to_dict(),
        "digest": config.digest,
        "snapshots": {},
        "seconds": 0.0,
        "processor_seconds": 0.0,
        "segments": [],
        "data": {"name": dataset.name, "digest": dataset.digest, "samples": len(dataset.samples)},
        "sample_shape": list(dataset.samples.shape[1:]),
        "classes": list(dataset.classes),
        "parameters": {k: sum(p.numel() for p in m.parameters()) for k, m in learner.modules.items()},
        "operations_per_image": operations,
        "steps_per_epoch": steps_per_epoch,
        "versions": result_versions(config.kind),
    }


def begin_segment(record: dict[str, Any], device: torch.device, engine: str, images: int) -> dict[str, Any]:
    """The segment that begins after so many images, added to the record. One that nothing has changed since goes on."""
    told = conditions(device) | {"engine": engine, "processes": ranks.count()}
    record |= told  # which tells those of its last segment
    made = told | {"tf32": device.type == "cuda" and torch.backends.cudnn.allow_tf32}
    last = {"processes": 1} | record["segments"][-1] if record["segments"] else {}  # older ones do not tell it
    if any(last.get(k) != v for k, v in made.items()):
        counts = {"first_image": images, "images": 0, "seconds": 0.0, "processor_seconds": 0.0}
        record["segments"].append(made | counts)
    segment: dict[str, Any] = record["segments"][-1]
    return segment


class Clock:
    """Seconds of a segment, less what was spent aside on sheets and snapshots, which are no training.

    Processor seconds are those of all processes that share the training.
    """

    def __init__(self, segment: dict[str, Any], record: dict[str, Any]) -> None:
        self.segment, self.record = segment, record
        self.wall, self.processor = time.monotonic(), time.process_time()

    @contextmanager
    def aside(self, progress: Progress) -> Iterator[None]:
        """Book what was trained until now; what is done inside is not counted."""
        processor = sum(ranks.gathered(time.process_time() - self.processor))
        spent = {"seconds": time.monotonic() - self.wall, "processor_seconds": processor}
        for name, value in spent.items():
            self.segment[name] += value
            self.record[name] += value
        self.segment["images"] = progress.images - self.segment["first_image"]
        yield
        self.wall, self.processor = time.monotonic(), time.process_time()
