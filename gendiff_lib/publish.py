"""Publishing: the light half of a run goes into runs/, tracked, with everything its pages show."""

import shutil
from pathlib import Path

import torch

from . import store
from .config import GendiffError
from .images import read_png
from .runs import Run, read_record

LIGHT = ("run.json", "history.csv", "sheets/*.png", "bits/*.json", "samples/*/sampling.json")
LIGHT_SAMPLES = ("scores-*.json", "sheet.png", "trajectory-*.safetensors", "neighbours-*.safetensors")
BUDGET = 25 * 2**20  # bytes of everything in runs/


def publish(run: Run, *, weights: bool = False) -> Path:
    """Copy the light half of `run` into runs/ and read it back; what was published of it before is replaced.

    `weights` adds the last snapshot's in half precision, the averaged ones alone where there are such.
    GendiffError for a run that is a published one itself, or where runs/ would outgrow 25 MB.
    """
    if run.published:
        raise GendiffError(f"{run.id} is published already: delete {run.folder} first to publish it anew")
    target = store.published_dir() / run.id
    store.check_writable(target.parent, "give yourself the right to")
    draft = target.with_name(f".draft-{run.id}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for pattern in (*LIGHT, *(f"samples/*/{name}" for name in LIGHT_SAMPLES)):
            for path in run.folder.glob(pattern):
                copy = draft / path.relative_to(run.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        if weights:
            name = f"weights/epoch-{max(run.epochs):04d}.safetensors"
            full = store.read_tensors(run.folder / name)
            averaged = {k: v for k, v in full.items() if k.startswith("ema.")}
            half = {k: v.half() if v.is_floating_point() else v for k, v in (averaged or full).items()}
            store.write_tensors(draft / name, half)
        _check(run, draft)
        store.replace_folder(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def publish_validation(path: Path) -> Path:
    """Copy an extractor's validation into runs/, where the pages find it."""
    target = store.published_dir() / "validation" / path.name
    store.write_json(target, store.read_json(path))
    return target


def _check(run: Run, draft: Path) -> None:
    """Read the draft back as a run, and weigh what runs/ would hold."""
    record = read_record(draft)
    store.read_table(draft / "history.csv", record["rows"])
    for path in draft.rglob("*.json"):
        store.read_json(path)
    for path in draft.rglob("*.png"):
        try:
            read_png(path)
        except OSError:
            raise store.damaged(run.folder / path.relative_to(draft), "it is no picture") from None
    for path in draft.glob("samples/*/*.safetensors"):
        store.read_tensors(path)
    for path in draft.glob("weights/*.safetensors"):
        for name, tensor in store.read_tensors(path).items():
            if not torch.isfinite(tensor).all():
                raise GendiffError(f"{name} of {run.id} is not finite in half precision: publish it without weights")
    others = [p for p in store.published_dir().rglob("*") if p.is_file() and run.id not in p.parts]
    total = sum(p.stat().st_size for p in (*others, *draft.rglob("*")) if p.is_file())
    if total > BUDGET:
        raise GendiffError(
            f"runs/ would hold {total / 2**20:.1f} MiB with {run.id}, more than {BUDGET / 2**20:.0f}: "
            "publish it without weights, or take an older run out"
        )
