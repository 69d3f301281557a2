"""Files: where runs live, and writing and reading that leaves nothing half-done behind."""

import csv
import errno
import hashlib
import json
import os
import pickle
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from .config import GendiffError
from .data import cache_dir, named_path


class StoreError(GendiffError):
    """A file is damaged, missing, or cannot be written."""


class Busy(GendiffError):
    """Another process holds what was asked for."""


def _checkout(start: Path) -> Path | None:
    """The nearest folder at or above `start` that is a checkout of this project."""
    for folder in (start, *start.parents):
        if (folder / "gendiff_lib").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return None


def runs_dir() -> Path:
    """Where training writes: GENDIFF_RUNS, else .runs of the checkout around the working directory, else the cache."""
    if named := named_path("GENDIFF_RUNS"):
        return named.absolute()
    root = _checkout(Path.cwd())
    return root / ".runs" if root else cache_dir() / "runs"


def benchmark_results() -> list[Path]:
    """The tracked results of the benchmarks, in the checkout that published_dir is of."""
    return sorted((published_dir().parent / "benchmarks" / "results").glob("*.json"))


def published_dir() -> Path:
    """Where published runs are: runs/ of the checkout that holds the working directory, else of the library's own."""
    root = _checkout(Path.cwd()) or _checkout(Path(__file__).parent)
    return root / "runs" if root else cache_dir() / "published"


_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
_DRAFT = re.compile(rf"\..+\.{re.escape(_HOST)}\.(\d+)")
ELSEWHERE = "set GENDIFF_RUNS to a folder that can"
TRACKED = "give yourself the right to"  # published runs are of the checkout: no variable moves them


@contextmanager
def writing(path: Path, remedy: str = ELSEWHERE) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and is removed when it does not.

    A full disk or a folder that cannot be written is a StoreError that names the folder, and `remedy`.
    """
    draft = path.with_name(f".{path.name}.{_HOST}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        os.replace(draft, path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, (OSError, SafetensorError, RuntimeError)):
            raise _explained(error, path, remedy) from error
        raise


def _explained(error: Exception, path: Path, remedy: str = ELSEWHERE) -> GendiffError:
    text = str(error)
    if remedy == ELSEWHERE and published_dir() in path.parents:
        remedy = TRACKED
    code = error.errno if isinstance(error, OSError) else None
    # torch and safetensors wrap the system's error in their own, so its words are looked for too
    if (
        code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        or "No space left" in text
        or "unexpected pos" in text
        or "file write failed" in text
    ):
        other = {ELSEWHERE: ", or set GENDIFF_RUNS to a folder on another disk", TRACKED: ""}.get(
            remedy, f", or {remedy}"
        )
        return StoreError(f"no space is left to write {path}: free some{other}")
    if isinstance(error, OSError):
        return StoreError(f"{path.parent} cannot be written ({error.strerror}): {remedy}")
    if isinstance(error, GendiffError):
        return error
    return StoreError(f"{path} could not be written ({text.splitlines()[0]}): {remedy}")


def sweep(folder: Path) -> None:
    """Remove the drafts that processes of this machine left in `folder`, or below it, when they were killed."""
    for place, folders, files in os.walk(folder):  # which passes over what vanishes meanwhile
        for path in (Path(place, name) for name in (*folders, *files)):
            told = _DRAFT.fullmatch(path.name)
            if told and not _alive(int(told[1])):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def lock(name: str, doing: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock called `name`, which is kept beside the runs; the system frees it when a process dies.

    `doing` says for what, in the note to a user who has to wait, or in Busy where `wait` is false. Lock files stay
    behind, since removing one is a race.
    """
    folder = runs_dir() / ".locks"
    check_writable(folder)
    held = FileLock(folder / name, mode=0o666)
    try:
        held.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise Busy(f"another process is {doing}") from None
        print(f"another process is {doing}; waiting for it", file=sys.stderr)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def sha256(path: Path, remedy: str = "") -> str:
    """The SHA-256 of a file, in hexadecimal digits; StoreError, with the remedy, where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        if remedy:
            raise StoreError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
        raise _unreadable(path) or damaged(path, "it is missing") from None


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
    if path.name == "checkpoint.pt":
        return StoreError(f"{path} is damaged ({why}): delete it, and the same command trains from the start")
    if published_dir() in path.parents:
        return StoreError(f"{path} is damaged ({why}): it is tracked, so restore it with git checkout {path}")
    folder = path.parent.parent if path.parent.name in ("weights", "sheets") else path.parent
    return StoreError(f"{path} is damaged ({why}): delete {folder}, and the same command makes it again")


@contextmanager
def understanding(path: Path) -> Iterator[None]:
    """While what was read from `path` is given its meaning: StoreError where it holds another thing than it should."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error).partition("\n")[0]
        raise damaged(path, why) from None


def _unreadable(path: Path) -> StoreError | None:
    """The sentence for a file that is there and must not be read, which says nothing of what is in it."""
    if path.exists() and not os.access(path, os.R_OK):
        return StoreError(f"{path} cannot be read (Permission denied): give yourself the right to")
    return None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON."""
    with writing(path) as draft:
        draft.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON; StoreError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise _unreadable(path) or damaged(path, "it is missing") from None
    except (ValueError, RecursionError):  # too deep to be anything of ours
        raise damaged(path, "it is no JSON") from None


def write_table(path: Path, rows: list[dict[str, float]]) -> None:
    """Write rows of numbers as CSV; floats keep every digit. Without rows there are no names either."""
    with writing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0] if rows else [])
        writer.writerows([repr(v) for v in row.values()] for row in rows)


def read_table(path: Path, n_rows: int) -> list[dict[str, float]]:
    """The first `n_rows` rows of a CSV of numbers, which a longer training only adds to.

    StoreError where it is missing, damaged or has fewer rows.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(text.splitlines())]
    except FileNotFoundError:
        raise damaged(path, "it is missing") from None
    except (TypeError, ValueError, AttributeError, csv.Error):
        raise damaged(path, "a value is no number") from None
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
    try:
        return load_file(path)
    except OSError:
        raise _unreadable(path) or damaged(path, "it is missing") from None
    except (SafetensorError, ValueError) as error:
        raise damaged(path, str(error)) from None


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
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.truncate(self.size)

    def append(self, batch: Tensor, seconds: float) -> None:
        """Write a batch; `seconds` is what it took to make."""
        data = batch.to(self.dtype).contiguous().numpy().tobytes()
        with _told(self.path), self.path.open("ab") as file:
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


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system says of a failed write into a sentence."""
    try:
        yield
    except OSError as error:
        raise _explained(error, path) from error


def tensor_names(path: Path) -> list[str]:
    """The names in a safetensors file; StoreError where it is missing or damaged."""
    try:
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except FileNotFoundError:
        raise damaged(path, "it is missing") from None
    except (SafetensorError, ValueError, OSError) as error:
        raise damaged(path, str(error)) from None


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


def replace_folder(new: Path, old: Path) -> None:
    """Put folder `new` in the place of `old`, which may exist."""
    grave = old.with_name(f".{old.name}.old.{_HOST}.{os.getpid()}")
    if old.exists():
        os.replace(old, grave)
    os.replace(new, old)
    shutil.rmtree(grave, ignore_errors=True)


@contextmanager
def removing(folder: Path) -> Iterator[None]:
    """Take a folder away, and remove it at the end: who is interrupted leaves a draft, which is swept."""
    grave = folder.with_name(f".{folder.name}.{_HOST}.{os.getpid()}")
    os.replace(folder, grave)
    try:
        yield
    finally:
        shutil.rmtree(grave, ignore_errors=True)


@contextmanager
def drafting(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, removed at the end; what is to stay is put in its place before."""
    draft = folder.with_name(f".{folder.name}.{_HOST}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
