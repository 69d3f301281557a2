import multiprocessing
import os
from pathlib import Path

import pytest

from gendiff_lib import paths
from gendiff_lib.config import Sampling
from gendiff_lib.errors import ConfigError
from gendiff_lib.runs import layout, locks
from gendiff_lib.runs.files import StoreError
from gendiff_lib.runs.prune import KINDS, found, prune, size
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import sample
from gendiff_lib.runs.train import train

FEW = Sampling(n=6, batch_size=3)


@pytest.fixture
def run(gan):
    """A finished run with samples, an interrupted training of another, and features."""
    run = train(gan)
    sample(run, FEW)
    other = paths.runs_dir() / layout.training("0123456789ab")
    other.mkdir()
    (other / layout.CHECKPOINT).write_bytes(b"12345")
    features = Path(os.environ["GENDIFF_CACHE"]) / "features"
    features.mkdir(parents=True)
    (features / "a.safetensors").write_bytes(b"1234567")
    return run


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".locks" not in p.parts}


def test_each_kind_is_found_with_its_size(run):
    assert found("checkpoints") == [run.folder / "checkpoint.pt"]
    assert size(found("checkpoints")[0]) == (run.folder / "checkpoint.pt").stat().st_size
    assert [p.name for p in found("samples")] == ["samples.safetensors"]
    assert list(map(size, found("trainings"))) == [5]
    assert list(map(size, found("features"))) == [7]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_goes_alone_and_what_was_freed_is_told(kind, run):
    before = files(paths.runs_dir().parent)
    gone = {p for place in found(kind) for p in (files(place) if place.is_dir() else [place])}
    assert sum(freed for _, freed in prune(kind)) == sum(len(before[p]) for p in gone) > 0
    assert files(paths.runs_dir().parent) == {p: v for p, v in before.items() if p not in gone}
    assert found(kind) == []
    assert list(prune(kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_was_made_there_is_nothing_and_nothing_is_made(kind, tmp_path):
    assert found(kind) == []
    assert list(prune(kind)) == []
    assert not paths.runs_dir().exists()


def test_what_is_pruned_is_made_again_as_it_was(gan, run):
    before = sample(run, FEW)
    for kind in KINDS:
        list(prune(kind))
    again = train(gan)
    assert again.folder == run.folder
    assert sample(again, FEW).equal(before)
    longer = train(gan.but(epochs=2))  # from the start, since its checkpoint is gone
    assert longer.epochs == (1.0, 2.0)


@pytest.mark.parametrize("word", ["", "everything", "..", "checkpoint", "samples "])
def test_a_kind_that_is_none_is_refused_with_those_there_are(word):
    with pytest.raises(ConfigError, match="is nothing to prune: there are checkpoints, samples, trainings, features"):
        found(word)


def test_published_runs_stay(run, published):
    folder = published / run.id
    (folder / "samples" / "1-a").mkdir(parents=True)
    (folder / "samples" / "1-a" / "samples.safetensors").touch()
    (folder / "checkpoint.pt").touch()
    for kind in KINDS:
        list(prune(kind))
    assert len(files(folder)) == 2


def _hold(name, held, done):
    with locks.lock(name, "holding"):
        held.set()
        done.wait(60)


@pytest.mark.parametrize("kind", ["checkpoints", "samples", "trainings"])
def test_what_a_process_is_at_work_on_stays(kind, run):
    resolved = run.resolve(FEW).digest
    name = {
        "checkpoints": f"training-{run.config.digest}",
        "samples": f"samples-{run.id}-{run.images}-{resolved}",  # as Run.samples calls it
        "trainings": "training-0123456789ab",
    }[kind]
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(name, held, done))
    process.start()
    try:
        assert held.wait(60)
        assert list(prune(kind)) == []
        assert len(found(kind)) == 1
    finally:
        done.set()
        process.join()
    assert len(list(prune(kind))) == 1


def test_a_folder_of_another_name_is_no_obstacle(run):
    odd = run.folder / "samples" / "mine"
    odd.mkdir()
    (odd / "samples.safetensors").write_bytes(b"1")
    assert len(list(prune("samples"))) == 2


def test_what_cannot_be_removed_is_one_sentence(run, monkeypatch):
    unlink = Path.unlink

    def refuse(path, **more):
        if path.name == "checkpoint.pt":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, **more)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match=r"checkpoint.pt cannot be removed \(Permission denied\)"):
        list(prune("checkpoints"))
    assert Run.read(run.folder).id == run.id
