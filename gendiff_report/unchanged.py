"""Which executed notebooks would be made again as they are, so that a build need not execute them."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from gendiff_lib import paths
from gendiff_lib.device import default_device, device_name
from gendiff_lib.runs import files, layout

NAME = "made-of.json"  # beside the executed notebooks: what they were made of
SOURCES = ("gendiff_lib/**/*.py", "gendiff_report/**/*.py", "book/*.py", "benchmarks/results/*.json")
WEIGHTS = ("GENDIFF_INCEPTION", "GENDIFF_VGG16")  # variables that name a file


class MadeOf:
    """What every page may depend on, as it is when this is made: before any of them is executed."""

    def __init__(self, executed: Path, notebooks: Sequence[Path], parameters: dict[str, Any]) -> None:
        self.executed, self.notebooks, self.parameters = executed, notebooks, parameters
        self.fixed, self.runs = self._fixed(), _runs()
        self.sources = {n.name: files.sha256(n) for n in notebooks}

    def changed(self) -> list[Path]:
        """The notebooks that were made of anything else than there is now, and those that are not as they were made."""
        kept: dict[str, Any] = {}
        with suppress(OSError, ValueError, TypeError):  # that is none, or none of ours
            kept = dict(json.loads((self.executed / NAME).read_bytes()))
        if [kept.get("fixed"), kept.get("runs")] != [self.fixed, _digest_of(self.runs)]:
            return list(self.notebooks)
        return [n for n in self.notebooks if kept["notebooks"].get(n.name) != self._made(n)]

    def _made(self, notebook: Path) -> list[str]:
        """Digests of its source and of what it became."""
        result = self.executed / notebook.name
        return [self.sources[notebook.name], files.sha256(result) if result.exists() else ""]

    def forget(self) -> None:
        """Before any is executed: one that fails must not be taken for what is remembered."""
        (self.executed / NAME).unlink(missing_ok=True)

    def remember(self) -> None:
        """Keep what they were made of, once all are executed; not where another process trained meanwhile.

        Pages add samples and scores to runs, so these are listed as they are left.
        """
        left = _runs()
        if _records(left) == _records(self.runs):
            made = {n.name: self._made(n) for n in self.notebooks}
            files.write_json(self.executed / NAME, {"fixed": self.fixed, "runs": _digest_of(left), "notebooks": made})

    def _fixed(self) -> str:
        """A digest of sources, data and weights at hand, packages, settings, machine and parameters."""
        root = self.notebooks[0].parents[1]
        kind, _, folder = str(self.parameters.get("dataset") or "").partition(":")
        named = [Path(os.environ[name]) for name in WEIGHTS if os.environ.get(name)]
        images = [Path(folder)] if kind == "folder" else []
        return _digest_of(
            [
                [[str(p.relative_to(root)), files.sha256(p)] for glob in SOURCES for p in sorted(root.glob(glob))],
                *_listed(paths.data_dir(), paths.cache_dir() / "weights", *images, *named),
                sorted(f"{d.name} {d.version}" for d in metadata.distributions()),
                sorted(f"{k}={v}" for k, v in os.environ.items() if k.startswith(("GENDIFF_", "OMP_", "CUDA_"))),
                [sys.version, device_name(default_device()), os.cpu_count(), self.parameters],
            ]
        )


Listed = tuple[str, int, int]


def _runs() -> list[Listed]:
    return list(_listed(paths.published_dir(), paths.runs_dir()))


def _records(runs: list[Listed]) -> list[Listed]:
    """Of the files of runs the records, which training alone writes."""
    return [found for found in runs if Path(found[0]).name == layout.RECORD]


def _listed(*places: Path) -> Iterator[Listed]:
    """Name, size and time of every file there and below; what begins with a dot is under way, and no page's."""
    for place in places:
        found = [place] if place.is_file() else []
        for folder, inside, names in os.walk(place, followlinks=True):
            inside[:] = [name for name in inside if not name.startswith(".")]
            found += [Path(folder) / name for name in names if not name.startswith(".")]
        for path in sorted(found):
            with suppress(FileNotFoundError):
                told = path.stat()
                yield str(path), told.st_size, told.st_mtime_ns


def _digest_of(told: Any) -> str:
    return hashlib.sha256(json.dumps(list(told), sort_keys=True).encode()).hexdigest()
