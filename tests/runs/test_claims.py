"""Locks hold across hosts, where the system's lock may not: here it is made to do nothing, or hosts are made up."""

import fcntl
import json
import multiprocessing
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gendiff_lib import paths
from gendiff_lib.runs import claims, locks
from gendiff_lib.runs.claims import Claim, Watch, newest
from gendiff_lib.runs.process import Process


def hold(held, done):
    with locks.lock("a", "training a"):
        held.set()
        done.wait(60)


@pytest.fixture
def holder():
    """Another process, which holds the lock `a` until it is told to let go, or killed."""
    fork = multiprocessing.get_context("fork")
    held, done = fork.Event(), fork.Event()
    process = fork.Process(target=hold, args=(held, done))

    def start():
        process.start()
        assert held.wait(60)
        return process

    process.let_go = done.set
    yield start
    process.kill()
    process.join()


@pytest.fixture
def no_flock(monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)


@pytest.fixture
def quick(monkeypatch):
    """As if a second were long."""
    monkeypatch.setattr(claims, "BEAT", 0.05)
    monkeypatch.setattr(claims, "SILENCE", 0.6)
    monkeypatch.setattr(locks, "POLL", 0.01)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "a.claims"


def held_elsewhere(folder, number=1, state="0", **more):
    """A claim of a holder on another host."""
    holder = {"host": "node7", "here": "another boot", "pid": 1, "began": "1"} | more
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / str(number)
    path.write_bytes(claims._first_line(state) + json.dumps({"holder": holder, "flocked": True}).encode())
    return Claim(path)


def taken(folder, within=5.0):
    """A claim on `folder`, and how long it had to be waited for."""
    watch, began = Watch(folder), time.monotonic()
    while (claim := watch.take(True)) is None:
        assert time.monotonic() - began < within
        time.sleep(0.01)
    return claim, time.monotonic() - began


# ---------------------------------------------------------------- without the system's lock


def test_of_two_processes_without_flock_one_holds_and_the_other_skips(no_flock, holder):
    holder()
    with pytest.raises(locks.Busy, match=r"^another process is training a$"), locks.lock("a", "training a", wait=False):
        pass


def test_of_two_processes_without_flock_the_other_waits(no_flock, holder, capsys):
    other = holder()
    threading.Timer(0.3, other.let_go).start()
    with locks.lock("a", "training a"):
        other.join(10)
        assert other.exitcode == 0
    assert capsys.readouterr().err == "another process is training a; waiting for it\n"


def test_of_many_that_want_it_at_once_one_holds_it_at_a_time(folder, quick):
    inside, most = [], []

    def work(i):
        for _ in range(5):
            with taken(folder)[0].kept():
                inside.append(i)
                most.append(len(inside))
                time.sleep(0.002)
                inside.remove(i)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert most == [1] * 40
    assert os.listdir(folder) == ["40"]


# ---------------------------------------------------------------- holders that die


def test_a_holder_on_this_host_that_was_killed_is_noticed_at_once(no_flock, holder):
    other = holder()
    known = Process.of(other.pid)
    os.kill(other.pid, signal.SIGKILL)
    while known.lives:
        time.sleep(0.01)
    began = time.monotonic()
    with locks.lock("a", "training a", wait=False):  # nobody has asked how it ended: its number is still taken
        assert time.monotonic() - began < 1


def test_a_process_that_has_a_dead_holders_number_is_not_taken_for_it(folder):
    held_elsewhere(folder, here=Process.of(os.getpid()).here, pid=os.getpid(), began="1")
    assert taken(folder)[0].path.name == "2"
    assert os.listdir(folder) == ["2"]


def test_a_silent_holder_on_another_host_counts_as_dead_by_the_waiters_own_clock(folder, quick, monkeypatch):
    held_elsewhere(folder)
    os.utime(folder / "1", (2e9, 2e9))  # its clock is years ahead
    claim, waited = taken(folder)
    assert waited > 0.6
    assert claim.path.name == "2"


def test_a_holder_on_another_host_that_shows_life_is_waited_for_though_its_clock_be_wrong(folder, quick):
    with held_elsewhere(folder).kept():
        os.utime(folder / "1", (1, 1))
        watch, began = Watch(folder), time.monotonic()
        while time.monotonic() - began < 1.5:
            assert watch.take(True) is None
            time.sleep(0.01)
        assert watch.alive
        assert watch.host == "node7"
    assert taken(folder)[1] < 0.2  # released


def test_who_is_not_to_wait_is_told_when_a_holder_elsewhere_shows_life_and_takes_over_when_not(quick):
    claim = held_elsewhere(paths.runs_dir() / ".locks" / "a.claims")
    with (
        claim.kept(),
        pytest.raises(locks.Busy, match=r"^another process on node7 is training a$"),
        locks.lock("a", "training a", wait=False),
    ):
        pass
    held_elsewhere(claim.path.parent)
    with locks.lock("a", "training a", wait=False) as held:
        assert held.path.name == "2"


def test_who_was_stopped_while_it_looked_does_not_take_that_for_silence(folder, quick, monkeypatch):
    claim, clock = held_elsewhere(folder), [0.0]
    monkeypatch.setattr(claims.time, "monotonic", lambda: clock[0])
    watch = Watch(folder)
    assert watch.take(True) is None
    read = claims._read

    def slow(text):
        clock[0] += 100  # and meanwhile the holder has shown life
        return read(text)

    monkeypatch.setattr(claims, "_read", slow)
    assert watch.take(True) is None
    claim._tell("1")
    assert watch.take(True) is None


def test_of_many_that_find_a_dead_holder_one_takes_over(folder):
    held_elsewhere(folder, here=Process.of(os.getpid()).here, pid=os.getpid(), began="1")
    ready = threading.Barrier(8)

    def one(_):
        watch = Watch(folder)
        ready.wait()
        return watch.take(True)

    with ThreadPoolExecutor(8) as pool:
        assert len(list(filter(None, pool.map(one, range(8))))) == 1


def test_one_that_slept_between_its_look_and_its_claim_is_not_let_in(folder, monkeypatch):
    """It found 1 over, and meanwhile others had 2 and have 3, so that 2 is free to be made again."""
    held_elsewhere(folder, 3)
    monkeypatch.setattr(claims, "newest", lambda folder: 3)
    assert Watch(folder)._make(2, True) is None
    assert os.listdir(folder) == ["3"]


def test_a_lost_answer_to_a_link_is_not_taken_for_a_refusal(folder, monkeypatch):
    link = os.link

    def lost(*paths):
        link(*paths)
        raise FileExistsError

    monkeypatch.setattr(os, "link", lost)
    assert taken(folder)[0].path.name == "1"


def test_one_who_was_taken_over_is_told_before_it_writes(folder, quick):
    claim, _ = taken(folder)
    claim.check()
    held_elsewhere(folder, 2)
    with pytest.raises(claims.Lost, match=r"another process has taken over a, since this one had shown no sign"):
        claim.check()
    claim._tell(claims.RELEASED)  # changes nothing for the other
    assert newest(folder) == 2


@pytest.mark.parametrize("text", ["", "{", "0\n[]", "released"])
def test_a_damaged_claim_is_nobodys_and_over_when_it_stays_as_it_is(folder, quick, text):
    folder.mkdir()
    (folder / "4").write_text(text)
    assert taken(folder)[0].path.name == "5"


# ---------------------------------------------------------------- with the system's lock


def test_a_process_of_an_earlier_version_holds_the_systems_lock_alone(quick, capsys):
    with locks.lock("a", "training a"):
        pass
    with open(paths.runs_dir() / ".locks" / "a", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(locks.Busy), locks.lock("a", "training a", wait=False):
            pass
        threading.Timer(0.3, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
        with locks.lock("a", "training a"):
            pass
    assert capsys.readouterr().err == "another process is training a; waiting for it\n"


def test_what_the_system_keeps_for_a_dead_host_is_in_vain(quick):
    """As a server of network files may, until that host is there again: the next ones do without."""
    held_elsewhere(paths.runs_dir() / ".locks" / "a.claims")
    with open(paths.runs_dir() / ".locks" / "a", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for _ in range(2):
            with locks.lock("a", "training a", wait=False):
                pass


def test_where_the_system_has_no_locks_claims_alone_hold(monkeypatch, holder):
    def refused(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    holder()
    with pytest.raises(locks.Busy, match=r"^another process is training a$"), locks.lock("a", "training a", wait=False):
        pass


def test_where_links_are_refused_one_sentence_says_so(monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    told = re.escape("a.claims cannot be written (Operation not permitted): set GENDIFF_RUNS to a folder elsewhere")
    with pytest.raises(locks.GendiffError, match=told), locks.lock("a", "training a"):
        pass
