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
        self.path, self.dtype, self.shape = path, dtype, tuple(shape)
        self.counts: dict[str, Any] = {"batches": 0, "seconds": 0.0, "size": 0, "source": source}
        with suppress(OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
            kept = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            if kept.get("source") == source and path.stat().st_size >= kept["size"]:
                self.counts = kept
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.truncate(self.counts["size"])

    def append(self, batch: Tensor, seconds: float) -> None:
        """Write a batch; `seconds` is what it took to make."""
        data = batch.to(self.dtype).contiguous().numpy().tobytes()
        with explained(self.path), self.path.open("ab") as file:
            file.write(data)
        for name, more in (("batches", 1), ("seconds", seconds), ("size", len(data))):
            self.counts[name] += more
        write_json(self.path.with_suffix(".json"), self.counts)

    def read(self) -> Tensor:
        """All items, (N, *shape)."""
        data = bytearray(self.path.read_bytes())
        return torch.frombuffer(data, dtype=self.dtype).reshape(-1, *self.shape)

    def forget(self) -> None:
        """Remove what was written."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".json").unlink(missing_ok=True)
