"""Files: writing and reading that leaves nothing half-done behind."""

import csv
import errno
import hashlib
import json
import math
import os
import pickle
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from .. import paths
from ..data.images import read_png
from ..errors import GendiffError
from . import layout


class StoreError(GendiffError):
    """A file is damaged, missing, or cannot be written."""


HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())

ELSEWHERE = "set GENDIFF_RUNS to a folder elsewhere"
TRACKED = "give yourself the right to"  # published runs are of the checkout: no variable moves them


# what torch and safetensors say where the system has said that the disk is full
_FULL = ("No space left", "unexpected pos", "file write failed")


def draft_of(path: Path, what: str = "") -> Path:
    """The hidden name beside `path` of what this process makes, or takes away, in its place; see drafts.sweep."""
    return path.with_name(f".{path.name}{what}.{HOST}.{os.getpid()}")


@contextmanager
def writing(path: Path, remedy: str = ELSEWHERE) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and is removed when it does not.

    A full disk or a folder that cannot be written is a StoreError that names the folder, and `remedy`.
    """
    draft = draft_of(path)
    with explained(path, remedy):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            os.replace(draft, path)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


@contextmanager
def explained(path: Path, remedy: str = ELSEWHERE) -> Iterator[None]:
    """Turn what the system or a library says of a failed write into a StoreError with the remedy."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        raise StoreError(_failure(error, path, remedy)) from error


def _failure(error: Exception, path: Path, remedy: str) -> str:
    text, code = str(error), getattr(error, "errno", None)
    if remedy == ELSEWHERE and paths.published_dir() in path.parents:
        remedy = TRACKED
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(words in text for words in _FULL):
        return f"no space is left to write {path}: free some" + (f", or {remedy}" if remedy != TRACKED else "")
    if isinstance(error, OSError):
        return f"{path.parent} cannot be written ({error.strerror}): {remedy}"
    return f"{path} could not be written ({text.splitlines()[0]}): {remedy}"


def sha256(path: Path, remedy: str = "") -> str:
    """The SHA-256 of a file, in hexadecimal digits; StoreError, with the remedy, where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        if remedy:
            raise StoreError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
        raise unreadable(path) or damaged(path, "it is missing") from None


def copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    with writing(target) as draft:
        shutil.copyfile(source, draft)


def check_writable(folder: Path, remedy: str = ELSEWHERE) -> None:
    """StoreError, with the remedy, if nothing can be written to `folder`, which is made where it is missing."""
    with writing(folder / "probe", remedy) as draft:
        draft.write_bytes(b"")
    (folder / "probe").unlink(missing_ok=True)


def damaged(path: Path, why: str) -> StoreError:
    """The sentence for a file that cannot be read back."""
    if path.name == layout.CHECKPOINT:
        return StoreError(f"{path} is damaged ({why}): delete it, and the same command trains from the start")
    if paths.published_dir() in path.parents:
        return StoreError(f"{path} is damaged ({why}): it is tracked, so restore it with git checkout {path}")
    folder = path.parent.parent if path.parent.name in (layout.WEIGHTS, layout.SHEETS) else path.parent
    return StoreError(f"{path} is damaged ({why}): delete {folder}, and the same command makes it again")


@contextmanager
def understanding(path: Path) -> Iterator[None]:
    """While what was read from `path` is given its meaning: StoreError where it holds another thing than it should."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error).partition("\n")[0]
        raise damaged(path, why) from None


def unreadable(path: Path) -> StoreError | None:
    """The sentence for a file that is there and must not be read, which says nothing of what is in it."""
    if path.exists() and not os.access(path, os.R_OK):
        return StoreError(f"{path} cannot be read (Permission denied): give yourself the right to")
    return None


@contextmanager
def _reading(path: Path, why: str = "") -> Iterator[None]:
    """While `path` is read: StoreError where it is missing, or is damaged (`why`, else in the reader's words)."""
    try:
        yield
    except OSError:
        raise unreadable(path) or damaged(path, "it is missing") from None
    except (TypeError, ValueError, AttributeError, RecursionError, csv.Error, SafetensorError) as error:
        raise damaged(path, why or str(error)) from None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON."""
    with writing(path) as draft:
        draft.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON; StoreError where it is missing or damaged."""
    with _reading(path, "it is no JSON"):  # or too deep to be anything of ours
        return json.loads(path.read_text(encoding="utf-8"))


def write_table(path: Path, rows: list[dict[str, float]]) -> None:
    """Write rows of numbers as CSV; floats keep every digit, and what a row lacks is nan. Without rows no names."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([repr(row.get(name, math.nan)) for name in names] for row in rows)


def read_table(path: Path, n_rows: int) -> list[dict[str, float]]:
    """The first `n_rows` rows of a CSV of numbers, which a longer training only adds to.

    StoreError where it is missing, damaged or has fewer rows.
    """
    with _reading(path, "a value is no number"):
        text = path.read_text(encoding="utf-8")
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(text.splitlines())]
    if not text.endswith("\n"):
        raise damaged(path, "its last line is cut")
    if len(rows) < n_rows:
        raise damaged(path, f"it has {len(rows)} rows instead of {n_rows}")
    return rows[:n_rows]


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors as safetensors."""
    with writing(path) as draft:
        whole = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        draft.write_bytes(save(whole))  # safetensors' own files are for their owner alone, whatever the umask


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors; StoreError where the file is missing or damaged."""
    with _reading(path):
        return load_file(path)


def read_picture(path: Path) -> Tensor:
    """Read a PNG as uint8 (3, H, W); StoreError where it is missing or damaged."""
    try:
        return read_png(path)
    except OSError:
        raise damaged(path, "it is no picture" if path.exists() else "it is missing") from None


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write nested tensors, numbers and lists with torch.save."""
    with writing(path) as draft:
        torch.save(state, draft)


def read_checkpoint(path: Path, *, whole: bool = True) -> dict[str, Any]:
    """Read a checkpoint; StoreError where it is damaged. Only data is unpickled, never code.

    Without `whole`, tensors stay on disk: for whoever wants its counts alone.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=not whole)
        return state
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        raise damaged(path, type(error).__name__) from None
