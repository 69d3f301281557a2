import json
import os
import subprocess

import pytest

from gendiff_lib import paths
from gendiff_lib.cluster import slurm
from gendiff_lib.cluster.record import Record, key, records
from gendiff_lib.errors import GendiffError
from gendiff_lib.runs.process import Process
from gendiff_lib.runs.train import train

pytestmark = pytest.mark.usefixtures("published")


def record_of(config):
    """The last job that was to train it."""
    return next((record for record in records() if key(record.config) == key(config)), None)


@pytest.fixture
def dead():
    with subprocess.Popen(["sleep", "60"]) as process:
        told = Process.of(process.pid)
        process.kill()
    return told


@pytest.mark.parametrize(
    ("queue", "state"),
    [
        ({"4_0": "PENDING"}, "queued"),
        ({"4_0": "REQUEUED"}, "queued"),
        ({"4_0": "RUNNING", "4_1": "PENDING"}, "running"),
        ({"4_0": "COMPLETING"}, "running"),
        ({"4_1": "RUNNING"}, "failed"),
        ({}, "failed"),
        (None, "submitted"),
    ],
)
def test_a_job_of_slurm_is_what_slurm_says_of_it(points, queue, state):
    assert Record.of(points, "4_0", "log").state(queue) == state


def test_a_job_whose_run_is_there_is_done_whatever_is_said_of_it(points, dead):
    train(points)
    for record in (Record.of(points, "4", "log"), Record.of(points, "4", "log", dead)):
        assert record.state({}) == "done"
        assert record.state(None) == "done"
    assert Record.of(points.but(epochs=3), "4", "log").state({}) == "failed"  # a longer one is another job


def test_a_job_here_is_what_its_process_says(points, dead):
    me = Process.of(os.getpid())
    assert Record.of(points, "12", "log", me).state({}) == "running"
    assert Record.of(points, "", "", me).state({}) == "queued"
    assert Record.of(points, "12", "log", dead).state({}) == "failed"
    assert Record.of(points, "12", "log", Process("node7", "another boot", 1, "1")).state({}) == "running"


def test_records_are_kept_beside_the_runs_one_for_each_run_and_length(points, conv):
    assert records() == []
    assert record_of(points) is None
    written = [Record.of(c, "1", "log").write() for c in (conv, points, points.but(epochs=3))]
    Record.of(conv, "2", "log").write()
    assert [r.id for r in records()] == ["2", "1", "1"]
    assert record_of(points) == written[1]
    assert record_of(points).config == points


@pytest.mark.parametrize("text", ["{", json.dumps({"id": 1}), "[]"])
def test_a_damaged_record_is_named(points, text):
    path = Record.of(points, "1", "log").write().path
    path.write_text(text)
    with pytest.raises(GendiffError, match=rf"{path} is damaged"):
        records()


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_queue_is_read_from_slurm(tmp_path, monkeypatch):
    program(tmp_path, "squeue", "echo '4_0 PENDING'; echo '7 RUNNING'; echo $@ >" + str(tmp_path / "words"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert slurm.queue() == {"4_0": "PENDING", "7": "RUNNING"}
    assert f"--user={os.getuid()}" in (tmp_path / "words").read_text()


def test_where_slurm_is_not_or_does_not_answer_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.queue() is None
    program(tmp_path, "squeue", "exit 1")
    assert slurm.queue() is None
    assert not paths.runs_dir().exists()
