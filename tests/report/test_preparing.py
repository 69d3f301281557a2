import os

import pytest
import torch

from gendiff_lib.errors import GendiffError
from gendiff_report.preparing import side_by_side


def told(item):
    if item < 0:
        raise GendiffError(f"{item} is none")
    return f"{item} {os.getpid()} {torch.get_num_threads()}"


def test_side_by_side_tells_in_order_what_processes_of_one_thread_said(capfd):
    side_by_side(told, [3, 1, 2], 2)
    items, processes, threads = zip(*(line.split() for line in capfd.readouterr().out.splitlines()), strict=True)
    assert items == ("3", "1", "2")
    assert str(os.getpid()) not in processes
    assert set(threads) == {"1"}


def test_one_job_is_done_here(capfd):
    side_by_side(told, [5], 1)
    assert capfd.readouterr().out == f"5 {os.getpid()} {torch.get_num_threads()}\n"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_comes_through(jobs):
    with pytest.raises(GendiffError, match="-1 is none"):
        side_by_side(told, [1, -1, 2], jobs)
