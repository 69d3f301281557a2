"""Publishing: the light half of a run goes into runs/, tracked, with everything its pages show."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from .. import paths
from ..errors import GendiffError
from . import drafts, files, layout
from .prune import size
from .record import read_record, same_weights
from .run import Run

READERS: dict[str, Callable[[Path], Any]] = {
    ".json": files.read_json, ".png": files.read_picture, ".safetensors": files.read_tensors
}  # fmt: skip
BUDGET = 29 * 2**20  # bytes of everything in runs/; the rest of the tracked tree takes some 1.3 MiB


def publish(run: Run, *, weights: bool = False, without: Collection[str] = ()) -> Path:
    """Read the light half of `run` and copy it into runs/; what was published of it before is replaced.

    `without` are patterns of files that no page shows of this run. `weights` adds the last snapshot's in half
    precision, the averaged ones alone where there are such; those that were published before stay where the snapshot
    is the same one.
    Of a run that is a published one itself, what was made of it here since is added. GendiffError where nothing was,
    for a run that lacks a part, or where runs/ would outgrow its budget.
    """
    if run.published:
        return _add(run, without)
    target = paths.published_dir() / run.id
    files.check_writable(target.parent)
    drafts.sweep(target.parent)
    with drafts.drafting(target) as draft:
        for path in _light(run.folder, without):
            if path.suffix in READERS:
                READERS[path.suffix](path)
            files.copy(path, draft / path.relative_to(run.folder))
        record = read_record(draft)
        _forget_sheets(record, without)
        for seen in map(int, record["snapshots"]):
            _weights(run, draft, record, seen, make=weights and seen == record["images"])
        files.write_json(draft / layout.RECORD, record)
        _check(run, draft, record)
        weigh(run.id, draft, run.id)
    return target


def _light(folder: Path, without: Collection[str]) -> list[Path]:
    """The files in `folder` that are published, but for those that a pattern of `without` leaves out."""
    there = (path for pattern in layout.LIGHT for path in folder.glob(pattern))
    return [path for path in there if not any(path.relative_to(folder).match(p) for p in without)]


def _forget_sheets(record: dict[str, Any], without: Collection[str]) -> None:
    """A record tells of the contact sheets that are published with it, and of no others."""
    for seen, entry in record["snapshots"].items():
        if any(layout.sheet(int(seen)).match(pattern) for pattern in without):
            entry.pop("sheet", None)


def _add(run: Run, without: Collection[str]) -> Path:
    """Copy samples' scores, bits and the like of a published run into its folder, where they are not there yet."""
    there = _light(run.made, (*without, layout.RECORD, layout.HISTORY))
    places = {path: run.folder / path.relative_to(run.made) for path in there}
    fresh = {path: target for path, target in places.items() if not target.exists()}
    if not fresh or (run.made / layout.RECORD).exists():  # a training of the same weights is published as a whole
        raise GendiffError(f"{run.id} is published already: delete {run.folder} first to publish it anew")
    for path in fresh:
        READERS[path.suffix](path)
    _check_budget(run.id, sum(path.stat().st_size for path in fresh) + size(run.folder.parent))
    for path, target in fresh.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        files.copy(path, target)
    return run.folder


def _weights(run: Run, draft: Path, record: dict[str, Any], seen: int, *, make: bool) -> None:
    """Half-precision weights of a snapshot: made anew, or those of the very same that were published before."""
    part, published = layout.weights(seen), paths.published_dir() / run.id
    before, full, half = published / part, run.folder / part, draft / part
    if make:
        if files.sha256(full) != record["snapshots"][str(seen)]["sha256"]:
            raise files.damaged(full, "its SHA-256 is not the one that the record tells")
        files.write_tensors(half, halved(files.read_tensors(full)))
    elif before.exists() and same_weights(read_record(published), record, seen):
        files.copy(before, half)
    if half.exists():
        record["snapshots"][str(seen)]["half_sha256"] = files.sha256(half)


def halved(full: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in half precision, of averaged ones those alone. Batch statistics and counts stay whole: no bound."""
    averaged = {k: v for k, v in full.items() if k.startswith("ema.")}
    whole = ("running_mean", "running_var")
    halves = {k for k, v in full.items() if v.is_floating_point() and not k.endswith(whole)}
    return {k: v.half() if k in halves else v for k, v in (averaged or full).items()}


def publish_validation(path: Path) -> Path:
    """Copy an extractor's validation into runs/, where the pages find it."""
    target = paths.published_dir() / "validation" / path.name
    files.write_json(target, files.read_json(path))
    return target


def _check(run: Run, draft: Path, record: dict[str, Any]) -> None:
    """That the draft has no holes, and weights that are numbers in half precision too."""
    files.read_table(draft / layout.HISTORY, record["rows"])
    for seen, entry in record["snapshots"].items():
        if "sheet" in entry and not (draft / layout.sheet(int(seen))).exists():
            raise files.damaged(run.folder / layout.sheet(int(seen)), "it is missing")
    for path in draft.glob(f"{layout.WEIGHTS}/*.safetensors"):
        for name, tensor in files.read_tensors(path).items():
            if not torch.isfinite(tensor).all():
                raise GendiffError(f"{name} of {run.id} is not finite in half precision: publish it without weights")


def weigh(what: str, draft: Path, name: str) -> None:
    """GendiffError where runs/ would outgrow its budget once a draft in it takes the place of the folder `name`."""
    others = sum(size(path) for path in draft.parent.iterdir() if path.name not in (name, draft.name))
    _check_budget(what, size(draft) + others)


def _check_budget(what: str, total: int) -> None:
    """GendiffError where runs/ would hold so many bytes, more than its budget."""
    if total > BUDGET:
        raise GendiffError(
            f"runs/ would hold {total / 2**20:.1f} MiB with {what}, more than {BUDGET / 2**20:.0f}: "
            "publish it without weights, or take an older run out"
        )
