"""What is submitted: to programs that answer as Slurm's do, and to processes of this machine."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from gendiff_lib import paths
from gendiff_lib.autoencoder import AutoencoderConfig
from gendiff_lib.cluster import here
from gendiff_lib.cluster.record import Record, key, records
from gendiff_lib.cluster.submit import submit
from gendiff_lib.errors import ConfigError, GendiffError
from gendiff_lib.runs import layout
from gendiff_lib.runs.process import Process
from gendiff_lib.runs.run import find
from gendiff_lib.runs.train import train

pytestmark = pytest.mark.usefixtures("published")


def record_of(config):
    """The last job that was to train it."""
    return next((record for record in records() if key(record.config) == key(config)), None)


SBATCH = """
n=$(($(cat {here}/count 2>/dev/null || echo 0) + 1)); echo $n >{here}/count; cp $1 {here}/script-$n
echo "Submitted batch job $n"
"""


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder of programs that take jobs and never run them."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    program(folder, "sbatch", SBATCH.format(here=folder))
    program(folder, "srun", "")
    program(folder, "squeue", f"cat {folder}/queue 2>/dev/null")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def latent(conv):
    first = AutoencoderConfig(name="first", dataset="shapes:8", n_train=64, batch_size=16, widths=(4, 8))
    return conv.but(name="latent", latent=first)


def asked(folder, n):
    """The options of the n-th submission."""
    return set(re.findall(r"#SBATCH (\S+)", (folder / f"script-{n}").read_text()))


def to_slurm(*configs, gpus=1, at_once=None):
    return list(submit(configs, "slurm", gpus=gpus, at_once=at_once))


# ---------------------------------------------------------------- Slurm


def test_runs_without_needs_are_one_array_of_a_job_each(points, conv, gan, slurm):
    news = to_slurm(points, conv, gan)
    told = asked(slurm, 1)
    assert {"--array=0-2%3", "--gpus-per-node=1", "--time=15", "--signal=USR1@90", "--requeue"} <= told
    assert not any("dependency" in word for word in told)
    assert [r.id for r in map(record_of, (points, conv, gan))] == ["1_0", "1_1", "1_2"]
    folder = paths.runs_dir() / ".cluster"
    assert news[0] == (
        f"points-{points.digest} (seed 0), 2 epochs: submitted (job 1_0, {folder}/1_0_0_log.out), at most 0.25 hours"
    )
    assert not (slurm / "script-2").exists()


def test_what_is_needed_comes_first_and_is_waited_for(latent, points, slurm):
    news = to_slurm(latent, points)
    assert asked(slurm, 1) >= {"--array=0-1%2"}  # the autoencoder and the points
    assert asked(slurm, 2) >= {"--dependency=afterok:1_0", "--kill-on-invalid-dep=yes"}
    assert record_of(latent.needs).id == "1_0"
    assert news[-1].startswith(f"latent-{latent.digest} (seed 0), 1 epochs: submitted (job 2, ")
    assert news[-1].endswith(", at most 0.25 hours, after job 1_0")


def test_what_is_needed_and_there_or_on_its_way_is_not_submitted(latent, slurm):
    train(latent.needs)
    to_slurm(latent)
    assert not any("dependency" in word for word in asked(slurm, 1))
    other = latent.but(seed=1, latent=latent.latent.but(seed=1))
    to_slurm(other.needs)
    (slurm / "queue").write_text("1 PENDING\n2 RUNNING\n")
    to_slurm(other)
    assert "--dependency=afterok:2" in asked(slurm, 3)


def test_what_is_queued_running_or_done_is_not_submitted_again_and_what_failed_is(points, conv, gan, slurm):
    train(points)
    to_slurm(points, conv, gan)
    (slurm / "queue").write_text("1_0 PENDING\n1_1 RUNNING\n")
    news = to_slurm(points, conv, gan)
    assert [re.search(r": (\w+ \w+)", line)[1] for line in news[:3]] == [
        "is there",
        "queued already",
        "running already",
    ]
    assert news[3:] == ["nothing is left to submit"]
    (slurm / "queue").write_text("1_1 RUNNING\n")
    assert next(line for line in to_slurm(points, conv, gan) if "submitted" in line).startswith("conv-")
    assert record_of(conv).id == "2"
    assert record_of(gan).id == "1_1"


def test_a_run_that_comes_with_a_longer_training_of_it_has_no_job_of_its_own(points, slurm):
    long = points.but(epochs=4, snapshots=(1, 2))
    news = to_slurm(points, long)
    assert news[0] == f"points-{points.digest} (seed 0), 2 epochs: comes with the training to 4 epochs"
    assert len(records()) == 1
    (slurm / "queue").write_text("1 RUNNING\n")
    assert to_slurm(points) == [news[0], "nothing is left to submit"]
    (slurm / "queue").write_text("")
    assert "submitted" in to_slurm(points)[0]


def test_a_longer_training_of_a_run_waits_for_the_shorter_one_that_it_goes_on_from(points, begun, slurm):
    longer = [points.but(epochs=e) for e in (4, 3, 5)]
    to_slurm(longer[0], points, *longer[1:])
    assert [record_of(config).id for config in (points, *longer[1:])] == ["1", "2", "4"]
    assert ["--dependency=afterok:2" in asked(slurm, 3), "--dependency=afterok:3" in asked(slurm, 4)] == [True, True]
    (slurm / "queue").write_text("")  # all have failed
    locally(longer[0], points, *longer[1:], at_once=4)
    assert [name for name, _ in begun.seen] == ["points"] * 4
    assert [len(states) for _, states in begun.seen] == [4] * 4
    assert [states.count("queued") for _, states in begun.seen] == [4, 3, 2, 1]


def test_limits_that_differ_make_arrays_that_differ(points, conv, gan, slurm):
    long = conv.but(epochs=10.0**9)
    to_slurm(points, gan, long)
    assert "--array=0-1%2" in asked(slurm, 1)
    (limit,) = (int(word.partition("=")[2]) for word in asked(slurm, 2) if word.startswith("--time="))
    assert limit > 15


def test_no_gpus_and_few_at_a_time(points, conv, gan, slurm):
    to_slurm(points, conv, gan, gpus=0, at_once=2)
    assert "--array=0-2%2" in asked(slurm, 1)
    assert not any(word.startswith("--gpu") for word in asked(slurm, 1))


def test_what_sbatch_refuses_is_told_in_its_words(points, slurm):
    program(slurm, "sbatch", "echo 'sbatch: error: invalid partition' >&2; exit 1")
    with pytest.raises(GendiffError, match=r"^sbatch refuses \(sbatch: error: invalid partition\): mend that"):
        to_slurm(points)
    assert records() == []


def test_without_slurm_or_submitit_one_sentence_says_so(points, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GendiffError, match=r"^--cluster slurm needs sbatch, .* or give --cluster local$"):
        to_slurm(points)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(GendiffError, match=r"^--cluster needs submitit: pip install 'gendiff\[cluster\]'$"):
        to_slurm(points)
    assert not paths.runs_dir().exists()


# ---------------------------------------------------------------- here


def locally(*configs, gpus=0, at_once=None):
    return list(submit(configs, "local", gpus=gpus, at_once=at_once))


@pytest.fixture
def ended():
    """Ends what a test began, should it fail."""
    yield
    for record in (r for r in records() if r.process and r.id):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(record.id), signal.SIGTERM)


def task_of(record):
    """The process that trains, which the job's own process has begun."""
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", record.id], capture_output=True, text=True).stdout
    return [int(word) for word in told.split()]


def test_a_job_here_is_a_process_that_makes_room_and_its_run_is_that_trained_alone(
    points, ended, tmp_path, monkeypatch
):
    long, told = points.but(epochs=120), False
    with monkeypatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(tmp_path / "alone"))
        alone = train(long)
    for line in submit([long], "local", gpus=0, at_once=None):
        if not told:
            record = record_of(long)
            log = paths.runs_dir() / layout.CLUSTER / f"{record.id}_0_log.out"
            assert f"submitted (job {record.id}, {log})" in line
            while not list(paths.runs_dir().glob(".training-*")):
                time.sleep(0.01)
            os.kill(*task_of(record), signal.SIGUSR1)
            told = True
    assert re.findall(r"making room: \S+ of 120 epochs", log.read_text())
    assert log.read_text().count("training points (seed 0), 120 epochs") == 2
    made, weights = find(long), layout.weights(alone.images)
    for part in (weights, layout.HISTORY):
        assert (made.folder / part).read_bytes() == (alone.folder / part).read_bytes()
    assert record.state({}) == "done"
    assert locally(long)[-1] == "nothing is left to submit"


@pytest.fixture
def begun(monkeypatch):
    """The jobs in the order in which they begin, which train here at once, but for those in `fail`."""
    seen = []

    class Ended:
        def done(self):
            return True

    def begin(config, executor, gpus):
        seen.append((config.name, [record.state({}) for record in records()]))
        if config.name not in begin.fail:
            train(config)
        return here._Begun(config, Record.of(config, "1", "log", Process.of(os.getpid())).write(), Ended(), gpus)

    begin.fail = ()
    monkeypatch.setattr(here, "_begin", begin)
    begin.seen = seen
    return begin


def test_what_is_needed_begins_first_however_many_may_run(latent, points, begun):
    news = locally(latent, points, at_once=3)
    assert [name for name, _ in begun.seen] == ["first", "points", "latent"]
    assert begun.seen[0][1] == ["queued"] * 3
    assert news[-1].endswith("done (job 1, log)")


def test_one_that_fails_is_told_and_what_needs_it_is_left_out(latent, points, begun):
    begun.fail, news = ("first",), []
    with pytest.raises(GendiffError, match=r"^2 of 3 runs are not there: the logs of their jobs tell why$"):
        news.extend(submit([latent, points], "local", gpus=0, at_once=1))
    assert any(line.endswith(": left out, since first failed, which it needs") for line in news)
    assert any(line.startswith("first") and "failed (job 1, log)" in line for line in news)
    begun.fail = ()
    assert find(points)
    assert [name for name, _ in begun.seen] == ["first", "points"]
    assert [record.config.name for record in records()] == ["first", "points"]


def test_what_is_not_begun_is_forgotten(points, conv, monkeypatch):
    seen = []

    def interrupted(config, *_):
        seen.extend(record.state({}) for record in records())
        raise KeyboardInterrupt

    monkeypatch.setattr(here, "_begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        locally(points, conv)
    assert seen == ["queued", "queued"]
    assert records() == []


def test_what_another_command_sees_to_is_left_to_it(points):
    Record.of(points, process=Process.of(os.getpid())).write()
    assert locally(points) == [
        f"points-{points.digest} (seed 0), 2 epochs: queued already",
        "nothing is left to submit",
    ]


@pytest.mark.parametrize(
    ("gpus", "at_once", "named", "slots"),
    [
        (0, None, "", [[]]),
        (0, 3, "", [[], [], []]),
        (1, None, "2,5,7", [[2], [5], [7]]),
        (1, 2, "2,5,7", [[2], [5]]),
        (2, None, "2,5,7", [[2, 5]]),
    ],
)
def test_each_job_has_gpus_of_its_own(gpus, at_once, named, slots, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert here.slots(gpus, at_once) == slots


def test_more_gpus_than_there_are_are_refused(points, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ConfigError, match=r"^--gpus 2 is more than the 1 of this machine: lower it$"):
        locally(points, gpus=2)
    assert not paths.runs_dir().exists()
