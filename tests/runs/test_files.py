import errno
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib import paths
from gendiff_lib.runs import drafts, files, locks
from gendiff_lib.runs.files import StoreError

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(3).byte()}
BIG = torch.zeros(50_000)
# writer, reader, a value, and one that needs more than a few kilobytes
KINDS = {
    "json": (files.write_json, files.read_json, {"a": [1, 2.5, None]}, {"a": [0] * 50_000}),
    "csv": (files.write_table, lambda p: files.read_table(p, 4), [{"a": 0.1}] * 4, [{"a": 0.1}] * 50_000),
    "safetensors": (files.write_tensors, files.read_tensors, TENSORS, {"a": BIG}),
    "pt": (files.write_checkpoint, files.read_checkpoint, {"a": TENSORS, "n": [1, 2.5]}, {"a": BIG}),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@EVERY_KIND
def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path, kind):
    write, read, value, _ = KINDS[kind]
    path = tmp_path / "deep" / "down" / f"file.{kind}"
    write(path, value)
    assert_close(read(path), value, rtol=0, atol=0)
    assert os.listdir(path.parent) == [path.name]


def test_a_table_without_rows_is_read_as_one(tmp_path):
    files.write_table(tmp_path / "t.csv", [])
    assert files.read_table(tmp_path / "t.csv", 0) == []
    with pytest.raises(StoreError, match="it has 0 rows instead of 1"):
        files.read_table(tmp_path / "t.csv", 1)


def test_a_table_keeps_every_digit(tmp_path):
    rows = [{"loss": 0.1 + 0.2, "step": 1}, {"loss": 1e-300, "step": 2}]
    files.write_table(tmp_path / "t.csv", rows)
    assert files.read_table(tmp_path / "t.csv", 2) == rows
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == "loss,step"


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def broken_off():
        with files.writing(path) as draft:
            draft.write_text("half")
            raise error

    with pytest.raises(type(error)):
        broken_off()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_of_ours_is_passed_on_unchanged(tmp_path):
    mine = StoreError("already a sentence")
    with pytest.raises(StoreError, match=r"^already a sentence$"), files.writing(tmp_path / "file"):
        raise mine


@pytest.mark.parametrize("words", ["No space left on device", "unexpected pos 64", "file write failed"])
def test_a_full_disk_is_recognised_by_the_words_of_libraries(tmp_path, words):
    with (
        pytest.raises(StoreError, match=r"no space is left to write .*file.*GENDIFF_RUNS"),
        files.writing(tmp_path / "file"),
    ):
        raise RuntimeError(words)


def test_a_full_disk_is_told_with_the_remedy_that_helps_there(tmp_path):
    with (
        pytest.raises(StoreError, match=r"no space is left to write .*file: free some, or name another file by --out$"),
        files.writing(tmp_path / "file", "name another file by --out"),
    ):
        raise OSError(errno.ENOSPC, "full")


def test_a_full_disk_is_recognised_by_its_number(tmp_path):
    with pytest.raises(StoreError, match="no space is left"), files.writing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "voll")


@contextmanager
def small_files():
    """No file of this process may grow beyond 8 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@EVERY_KIND
def test_a_disk_that_takes_no_more_leaves_the_old_file_and_nothing_else(tmp_path, kind):
    write, read, value, big = KINDS[kind]
    path = tmp_path / f"file.{kind}"
    write(path, value)
    with pytest.raises(StoreError, match=f"{tmp_path}.*"), small_files():
        write(path, big)
    assert_close(read(path), value, rtol=0, atol=0)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("kind", ["json", "csv", "pt"])
def test_a_full_device_is_named_with_the_remedy(tmp_path, kind):
    path = tmp_path / f"file.{kind}"
    (tmp_path / f".{path.name}.{files.HOST}.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(StoreError, match=f"no space is left to write {path}: free some, or set GENDIFF_RUNS"):
        KINDS[kind][0](path, KINDS[kind][3])
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=f"{tmp_path}/file/runs cannot be written.*set GENDIFF_RUNS"):
        files.check_writable(tmp_path / "file" / "runs")


def test_what_is_published_is_moved_by_no_variable(published):
    full = pytest.raises(StoreError, match=r"no space is left to write .*run\.json: free some$")
    with full, files.writing(published / "a" / "run.json"):
        raise OSError(errno.ENOSPC, "full")
    (published / "b").write_text("in the way")
    with pytest.raises(StoreError, match=r"published/b cannot be written \(.*\): give yourself the right to$"):
        files.check_writable(published / "b")


def test_checking_a_folder_makes_it_and_leaves_it_empty(tmp_path):
    files.check_writable(tmp_path / "new" / "runs")
    assert os.listdir(tmp_path / "new" / "runs") == []


@EVERY_KIND
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_a_damaged_file_is_named_in_one_sentence_with_the_remedy(tmp_path, kind, damage):
    write, read, value, _ = KINDS[kind]
    path = tmp_path / f"file.{kind}"
    write(path, value)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"no such thing \xff" * 9}.get(damage, b""))
    if damage == "missing":
        path.unlink()
    with pytest.raises(StoreError) as told:
        read(path)
    sentence = str(told.value)
    assert sentence.startswith(f"{path} is damaged (")
    assert "delete" in sentence
    assert "\n" not in sentence


def test_a_damaged_checkpoint_is_deleted_alone_and_other_files_with_their_folder(tmp_path):
    told = {name: str(files.damaged(tmp_path / name, "why")) for name in ("checkpoint.pt", "run.json")}
    assert "(why): delete it, and" in told["checkpoint.pt"]
    assert f"(why): delete {tmp_path}, and" in told["run.json"]


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_json_that_is_nested_too_deeply_is_damaged(tmp_path, deep):
    (tmp_path / "deep.json").write_text(deep)
    with pytest.raises(StoreError, match=r"deep\.json is damaged \(it is no JSON\)"):
        files.read_json(tmp_path / "deep.json")


@pytest.mark.parametrize("text", ["a,b\n1\n", "a\n1,2\n", "a\nx\n", "a\n"])
def test_a_table_with_a_wrong_row_is_damaged(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(StoreError, match=r"t\.csv is damaged"):
        files.read_table(tmp_path / "t.csv", 1)


def test_a_table_cut_inside_its_last_number_is_damaged(tmp_path):
    files.write_table(tmp_path / "t.csv", [{"a": 0.123}])
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text()[:-3])
    with pytest.raises(StoreError, match=r"t\.csv is damaged"):
        files.read_table(tmp_path / "t.csv", 1)


class Malice:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-checkpoint",)


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Malice()}, tmp_path / "checkpoint.pt")
    with pytest.raises(StoreError, match=r"checkpoint\.pt is damaged \(UnpicklingError\): delete it"):
        files.read_checkpoint(tmp_path / "checkpoint.pt")
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_put_in_the_place_of_another(tmp_path, there):
    old = tmp_path / "old"
    if there:
        old.mkdir()
        (old / "stale").touch()
    with drafts.drafting(old) as new:
        new.mkdir()
        (new / "fresh").touch()
    assert os.listdir(tmp_path) == ["old"]
    assert os.listdir(old) == ["fresh"]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for part in ("gendiff_lib", "notebooks", "elsewhere"):
        (tmp_path / "checkout" / part).mkdir(parents=True)
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path / "user")
    return tmp_path / "checkout"


def test_runs_are_where_they_are_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "mine"))
    assert paths.runs_dir() == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENDIFF_RUNS", "relative")
    assert paths.runs_dir() == tmp_path / "relative"


@pytest.mark.parametrize("inside", [".", "notebooks", "elsewhere"])
def test_runs_are_in_the_checkout_around_the_working_directory(checkout, monkeypatch, inside):
    monkeypatch.delenv("GENDIFF_RUNS")
    monkeypatch.chdir(checkout / inside)
    assert paths.runs_dir() == checkout / ".runs"
    assert paths.published_dir() == checkout / "runs"


def test_without_a_checkout_runs_are_in_the_users_cache(checkout, tmp_path, monkeypatch):
    monkeypatch.delenv("GENDIFF_RUNS")
    monkeypatch.chdir(tmp_path)
    assert paths.runs_dir() == tmp_path / "user" / "runs"
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "site-packages" / "gendiff_lib" / "paths.py"))
    assert paths.published_dir() == tmp_path / "user" / "published"


def test_a_damaged_published_file_is_to_be_restored(published):
    path = published / "run-1" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(
        StoreError, match=r"run\.json is damaged \(it is no JSON\): it is tracked, so restore it with git"
    ):
        files.read_json(path)


# ---------------------------------------------------------------- drafts, locks, modes


@pytest.fixture
def dead():
    """The number of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_drafts_of_dead_processes_are_swept_and_those_of_living_ones_stay(tmp_path, dead):
    mine = f".run.json.{files.HOST}.{os.getpid()}"
    gone = (f"run/.run.json.{files.HOST}.{dead}", f".folder.{files.HOST}.{dead}/x", f".a.old.{files.HOST}.{dead}/y")
    kept = (mine, f"run/.run.json.elsewhere.{dead}", "run/.hidden", ".training-0123456789ab/checkpoint.pt", "run/a.b.1")
    for name in (*gone, *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    drafts.sweep(tmp_path)
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(kept)
    assert not list(tmp_path.glob(f".folder.{files.HOST}.*"))


def test_what_vanishes_while_it_is_swept_is_passed_over(tmp_path, dead, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / f".draft.{files.HOST}.{dead}").touch()
    asked = []

    def alive(pid):
        asked.append(pid)
        for name in "ab":  # as another process may, for which both were its own
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        return False

    monkeypatch.setattr(drafts, "alive", alive)
    drafts.sweep(tmp_path)
    assert asked == [dead]
    assert os.listdir(tmp_path) == []


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path):
    code = "from gendiff_lib.runs.locks import Busy, lock\n"
    code += "try:\n with lock('a', 'training a', wait=False): print('held')\nexcept Busy as error: print(error)"

    def other():
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    with locks.lock("a", "training a"):
        assert other() == "another process is training a"
    assert other() == "held"
    assert sorted(os.listdir(paths.runs_dir() / ".locks")) == ["a", "a.claims"]


@EVERY_KIND
@pytest.mark.parametrize(("umask", "mode", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_modes_follow_the_users_mask(tmp_path, kind, umask, mode, folder):
    write, _, value, _ = KINDS[kind]
    path, before = tmp_path / "new" / f"file.{kind}", os.umask(umask)
    try:
        write(path, value)
        files.copy(path, tmp_path / "copied" / path.name)
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in (path, tmp_path / "copied" / path.name)} == {mode}
    assert {p.stat().st_mode & 0o777 for p in (path.parent, tmp_path / "copied")} == {folder}


def test_the_sum_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(StoreError, match=r"missing is damaged \(it is missing\)"):
        files.sha256(tmp_path / "missing")
