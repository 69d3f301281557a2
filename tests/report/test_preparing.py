import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from gendiff_lib.errors import GendiffError
from gendiff_report.preparing import side_by_side


def told(item):
    if item < 0:
        raise GendiffError(f"{item} is none")
    return f"{item} {os.getpid()} {torch.get_num_threads()}"


def test_side_by_side_tells_what_processes_said_that_share_the_cores(capfd, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    side_by_side(told, [3, 1, 2], 2)
    items, processes, threads = zip(*(line.split() for line in capfd.readouterr().out.splitlines()), strict=True)
    assert sorted(items) == ["1", "2", "3"]
    assert str(os.getpid()) not in processes
    assert set(threads) == {"3"}


def test_one_job_is_done_here(capfd):
    side_by_side(told, [5], 1)
    assert capfd.readouterr().out == f"5 {os.getpid()} {torch.get_num_threads()}\n"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_comes_through(jobs):
    with pytest.raises(GendiffError, match="-1 is none"):
        side_by_side(told, [1, -1, 2], jobs)


def gone(group):
    """Whether nothing of a group of processes is left, once the system has cleared up."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("items", "end", "told"),
    [
        ("[900.0] * 3", lambda process: os.killpg(process.pid, signal.SIGINT), "KeyboardInterrupt"),
        ("[900.0] * 3", lambda process: process.kill(), ""),  # the parent alone
        ("[900.0, -1.0, 900.0]", None, "must be non-negative"),
    ],
)
def test_all_end_at_once_where_one_fails_or_all_are_interrupted_or_their_parent_is_killed(items, end, told):
    code = f"""
import signal, time
from gendiff_report.preparing import side_by_side
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who was started in the background ignores it
    print("begun", flush=True)
    side_by_side(time.sleep, {items}, 2)
"""
    words = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", code], **words) as process:
        assert process.stdout.readline() == "begun\n"
        if end:
            time.sleep(5.0)
            end(process)
        _, err = process.communicate(timeout=300)
    assert process.returncode != 0
    assert told in err
    assert gone(process.pid)
