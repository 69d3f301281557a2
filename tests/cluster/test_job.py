import os
import signal
import threading

import pytest

from gendiff_lib import paths
from gendiff_lib.cluster import job as job_module
from gendiff_lib.cluster.job import Job
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.runs import files, layout, locks
from gendiff_lib.runs.run import find
from gendiff_lib.runs.train import OutOfTime, train

pytestmark = pytest.mark.usefixtures("published")


@pytest.fixture
def requeued():
    """How often submitit's own handler, which ends the process, was called: here it does nothing."""
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda *told: calls.append(told))
    yield calls
    signal.signal(signal.SIGUSR1, before)


def told_after(monkeypatch, steps):
    """The signal comes in the middle of an update."""
    made, step = [], Diffusion.step

    def telling(self, x, *more):
        made.append(len(x))
        if sum(n > 2 for n in made) == steps:  # the others count operations
            os.kill(os.getpid(), signal.SIGUSR1)
        return step(self, x, *more)

    monkeypatch.setattr(Diffusion, "step", telling)


def test_a_job_trains_its_run_where_it_was_submitted(points, requeued, tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    assert Job(points, tmp_path / "runs")() == f"points-{points.digest}"
    assert paths.runs_dir() == tmp_path / "runs"
    assert find(points)
    assert not requeued


def test_at_the_signal_it_leaves_a_checkpoint_is_requeued_and_goes_on_bit_for_bit(
    points, requeued, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(tmp_path / "alone"))
        alone = train(points)
    submitted = Job(points, paths.runs_dir())
    with monkeypatch.context() as patch:
        told_after(patch, 5)
        with pytest.raises(OutOfTime):
            submitted()
    assert requeued == [(signal.SIGUSR1, None)]
    (hidden,) = paths.runs_dir().glob(".training-*")
    assert files.read_checkpoint(hidden / layout.CHECKPOINT)["counts"]["images"] == 5 * 32
    again = submitted.checkpoint().function
    assert again is submitted
    assert again() == alone.id
    run = find(points)
    weights = layout.weights(run.images)
    assert (run.folder / weights).read_bytes() == (alone.folder / weights).read_bytes()
    assert (run.folder / layout.HISTORY).read_bytes() == (alone.folder / layout.HISTORY).read_bytes()
    assert len(requeued) == 1


def test_a_signal_in_the_last_update_ends_the_training_as_ever(points, requeued, monkeypatch):
    told_after(monkeypatch, 16)
    assert Job(points, paths.runs_dir())() == f"points-{points.digest}"
    assert not requeued


def test_a_job_that_waits_for_another_process_gives_up_at_the_signal(points, requeued, monkeypatch):
    monkeypatch.setattr(job_module, "PATIENCE", 0.05)
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
    with (
        locks.lock(f"training-{points.digest}", "training points"),
        pytest.raises(OutOfTime, match="another process is training points"),
    ):
        Job(points, paths.runs_dir())()
    assert len(requeued) == 1
