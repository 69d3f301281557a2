"""Batches that go to a file one by one."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .files import explained, write_json


class Stream:
    """Batches of one kind, appended to a file; whoever was interrupted goes on after the last whole batch.

    What was written under another `source` (the version of the code that makes the batches) is thrown away.
    """

    def __init__(self, path: Path, dtype: torch.dtype, shape: Sequence[int], source: int) -> None:
        """`shape` is of one item. Makes the file, or takes it up where it is."""
        self.path, self.dtype, self.shape, self.source = path, dtype, tuple(shape), source
        self.batches, self.seconds, self.size = 0, 0.0, 0
        kept: Any = None
        with suppress(OSError, ValueError, RecursionError):
            kept = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        there = path.stat().st_size if path.exists() else -1
        if isinstance(kept, dict) and kept.get("source") == source and there >= kept["size"]:
            self.batches, self.seconds, self.size = kept["batches"], kept["seconds"], kept["size"]
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.truncate(self.size)

    def append(self, batch: Tensor, seconds: float) -> None:
        """Write a batch; `seconds` is what it took to make."""
        data = batch.to(self.dtype).contiguous().numpy().tobytes()
        with explained(self.path), self.path.open("ab") as file:
            file.write(data)
        self.batches, self.seconds, self.size = self.batches + 1, self.seconds + seconds, self.size + len(data)
        state = {k: getattr(self, k) for k in ("batches", "seconds", "size", "source")}
        write_json(self.path.with_suffix(".json"), state)

    def read(self) -> Tensor:
        """All items, (N, *shape)."""
        data = bytearray(self.path.read_bytes())
        return torch.frombuffer(data, dtype=self.dtype).reshape(-1, *self.shape)


def forget_stream(path: Path) -> None:
    """Remove what a Stream wrote."""
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
