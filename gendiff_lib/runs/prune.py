"""Freeing space: what of the runs on this machine can be made again, and what it takes."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from ..errors import ConfigError
from ..paths import made_dir
from . import files, layout, locks


@dataclass(frozen=True)
class Kind:
    """One kind of file that may go: where it is, and what its loss costs."""

    pattern: str
    cost: str


KINDS: dict[str, Kind] = {
    "checkpoints": Kind(f"[!.]*/{layout.CHECKPOINT}", "a longer training of a finished run begins anew"),
    "samples": Kind(f"[!.]*/samples/*/{layout.SAMPLES}", "scores stay; a score that is not there yet draws anew"),
    "trainings": Kind(layout.training("*"), "trainings that were interrupted begin anew"),
    "features": Kind("", "the next scores extract them anew"),
}


def found(kind: str) -> list[Path]:
    """Files and folders of a kind on this machine; published runs are never among them. ConfigError for no kind."""
    if kind not in KINDS:
        raise ConfigError(f"{kind!r} is nothing to prune: there are {', '.join(KINDS)}")
    if kind == "features":
        cache = made_dir() / "features"
        return [cache] if cache.is_dir() else []
    return sorted(paths.runs_dir().glob(KINDS[kind].pattern))


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


def prune(kind: str) -> Iterator[tuple[Path, int]]:
    """Remove what is found of a kind, less what a process is at work on; yields each path with its bytes."""
    for path in found(kind):
        with suppress(locks.Busy), locks.lock(lock_of(kind, path), f"working on {path}", wait=False):
            freed = size(path)
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as error:
                why = error.strerror
                raise files.StoreError(f"{path} cannot be removed ({why}): give yourself the right to") from None
            yield path, freed


def lock_of(kind: str, path: Path) -> str:
    """The lock that whoever writes there holds."""
    if kind == "samples":
        images, _, sampling = path.parent.name.partition("-")
        return f"samples-{path.parents[2].name.removesuffix(layout.APART)}-{images.lstrip('0')}-{sampling}"
    digest = path.name.removeprefix(layout.training("")) if kind == "trainings" else path.parent.name.rpartition("-")[2]
    return f"training-{digest.partition('-')[0]}" if kind != "features" else "features"
