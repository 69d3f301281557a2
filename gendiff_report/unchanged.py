"""Which executed notebooks would be made again as they are, so that a build need not execute them."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from gendiff_lib import paths
from gendiff_lib.device import default_device, device_name
from gendiff_lib.runs import files

NAME = "made-of.json"  # beside the executed notebooks: what they were made of
SOURCES = ("gendiff_lib/**/*.py", "gendiff_report/**/*.py", "book/*.py", "benchmarks/results/*.json")


def changed(executed: Path, notebooks: Sequence[Path], parameters: dict[str, Any]) -> list[Path]:
    """Those of the notebooks that are not executed, or were made of anything else than there is now."""
    made_of: dict[str, Any] = {}
    with suppress(OSError, ValueError, TypeError):  # that is none, or none of ours
        made_of = dict(json.loads((executed / NAME).read_bytes()))
    if made_of.get("all") != _of_all(notebooks[0].parents[1], parameters):
        return list(notebooks)
    known = made_of["notebooks"]
    return [n for n in notebooks if known.get(n.name) != _digest(n) or not (executed / n.name).exists()]


def remember(executed: Path, notebooks: Sequence[Path], parameters: dict[str, Any]) -> None:
    """Keep what these notebooks were made of, once all of them are executed."""
    told = {"all": _of_all(notebooks[0].parents[1], parameters), "notebooks": {n.name: _digest(n) for n in notebooks}}
    files.write_json(executed / NAME, told)


def forget(executed: Path) -> None:
    """Before any of them is executed: one that fails must not be taken for what is remembered."""
    (executed / NAME).unlink(missing_ok=True)


def _of_all(root: Path, parameters: dict[str, Any]) -> str:
    """A digest of all that every page may depend on: sources, runs, data and weights at hand, packages, settings."""
    told = {
        "sources": [[str(p.relative_to(root)), _digest(p)] for glob in SOURCES for p in sorted(root.glob(glob))],
        "runs": [*_listed(paths.published_dir()), *_listed(paths.runs_dir())],
        "data": [*_listed(paths.data_dir()), *_listed(paths.cache_dir() / "weights")],
        "packages": sorted(f"{d.name} {d.version}" for d in metadata.distributions()),
        "settings": sorted(f"{k}={v}" for k, v in os.environ.items() if k.startswith("GENDIFF_")),
        "device": device_name(default_device()),
        "parameters": parameters,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _listed(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every file below; what begins with a dot is under way, and no page's."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            found = path.stat()
            yield str(path), found.st_size, found.st_mtime_ns


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
