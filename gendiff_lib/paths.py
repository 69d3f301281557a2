"""Where things are: the user's cache, CIFAR-10, the runs of this machine and the published ones."""

import os
from pathlib import Path

from .errors import DataError


def named_path(variable: str) -> Path | None:
    """The path that an environment variable names, ~ for the user's home; None where it is unset or empty.

    DataError where it begins with ~ and there is no such home.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    path = os.path.expanduser(named)
    if path.startswith("~"):
        raise DataError(f"{variable}={named} names a home that is not known: give the whole path")
    return Path(path)


def cache_dir() -> Path:
    """The per-user cache, by the XDG rule. It may not exist; DataError where the user has no home to keep it in."""
    if named := named_path("XDG_CACHE_HOME"):
        return named / "gendiff"
    home = os.path.expanduser("~")
    if home == "~":
        raise DataError("no home is known to keep the cache in: set XDG_CACHE_HOME to a folder")
    return Path(home) / ".cache" / "gendiff"


def made_dir() -> Path:
    """Where what can be made again is kept: GENDIFF_CACHE, else the user's cache."""
    return named_path("GENDIFF_CACHE") or cache_dir()


def data_dir() -> Path:
    """Where CIFAR-10 is looked for: GENDIFF_DATA_DIR, else the user's cache."""
    return named_path("GENDIFF_DATA_DIR") or cache_dir() / "data"


def _checkout(start: Path) -> Path | None:
    """The nearest folder at or above `start` that is a checkout of this project."""
    places = (start, *start.parents)
    return next((p for p in places if (p / "gendiff_lib").is_dir() and (p / "notebooks").is_dir()), None)


def runs_dir() -> Path:
    """Where training writes: GENDIFF_RUNS, else .runs of the checkout around the working directory, else the cache."""
    if named := named_path("GENDIFF_RUNS"):
        return named.absolute()
    root = _checkout(Path.cwd())
    return root / ".runs" if root else cache_dir() / "runs"


def published_dir() -> Path:
    """Where published runs are: runs/ of the checkout that holds the working directory, else of the library's own."""
    root = _checkout(Path.cwd()) or _checkout(Path(__file__).parent)
    return root / "runs" if root else cache_dir() / "published"
