"""A real Slurm of one node, on loopback: `make test-cluster`. No part of `make test`, since it needs its programs.

Debian's packages are installed where they are missing and that is allowed; all else is gone when it ends.
"""

import contextlib
import getpass
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
CONFIGURATION = """
ClusterName=gendiff
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={place}/munge/socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=here Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:2
"""
SWEEP = ("sweep", "dcgan-32", "--preset", "smoke", "--seeds", "3", "--epochs", "60")
LATENT = ("train", "ddpm-latent", "--preset", "smoke", "--epochs", "1")
ON_IT = ("--cluster", "slurm", "--gpus", "0")


def call(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def install():
    """The programs, from Debian's packages."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if all(map(shutil.which, PROGRAMS)):
        return
    if os.getuid() or not shutil.which("apt-get"):
        pytest.fail(f"{', '.join(PROGRAMS)} are needed: give `apt-get install {' '.join(PACKAGES)}` as root")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    call("apt-get", "update", "-qq")
    call("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES)


def until(true, seconds=600):
    """Wait until `true()` is, and return that."""
    end = time.monotonic() + seconds
    while not (told := true()):
        assert time.monotonic() < end, f"waited for {true.__doc__ or true} in vain"
        time.sleep(0.5)
    return told


def free_ports(n):
    with contextlib.ExitStack() as stack:
        return [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(n)]


@pytest.fixture
def place(monkeypatch):
    """A folder of its own with a Slurm that runs in it."""
    install()
    host = socket.gethostname().partition(".")[0]
    with tempfile.TemporaryDirectory(prefix="gendiff-slurm-") as name, contextlib.ExitStack() as stack:
        place = Path(name)
        for folder in ("munge", "state", "spool"):
            (place / folder).mkdir(mode=0o700)
        key, told = place / "munge" / "key", place / "slurm.conf"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        user, cores = getpass.getuser(), os.cpu_count()
        told.write_text(CONFIGURATION.format(host=host, user=user, place=place, ports=free_ports(2), cores=cores))
        if call("slurmctld", "-V").split()[1] >= "23.11":
            (place / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        monkeypatch.setenv("SLURM_CONF", str(told))
        munge = {"key-file": key, "socket": place / "munge/socket", "pid-file": place / "munge/pid"}
        munge |= {"log-file": place / "munge/log", "seed-file": place / "munge/seed"}
        daemons = {
            "munged": ["--foreground", "--force", *(f"--{k}={v}" for k, v in munge.items())],
            "slurmctld": ["-D", "-c", "-f", str(told)],
            "slurmd": ["-D", "-f", str(told), "-N", host],
        }
        stack.callback(end_jobs)
        for program, words in daemons.items():
            log = stack.enter_context((place / f"{program}.log").open("w"))
            stack.callback(end, subprocess.Popen([program, *words], stdout=log, stderr=log))
            if program == "munged":
                until((place / "munge/socket").exists, 20)
        try:
            until(lambda: "idle" in call("sinfo", "--noheader", check=False), 60)
            yield place
        except BaseException:
            for log in place.glob("slurm*.log"):
                print(f"== {log.name}", *log.read_text().splitlines()[-20:], sep="\n", file=sys.stderr)
            raise
        finally:
            end_jobs()


def end_jobs():
    """Cancel what is left, and wait until it is gone, since a job's processes are no children of the daemon's."""
    if call("squeue", "--noheader", check=False):
        call("scancel", f"--user={getpass.getuser()}", "--full", check=False)
        until(lambda: not call("squeue", "--noheader", check=False), 60)


def end(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def gendiff(runs, *words):
    """What a command says, over the runs in a folder."""
    env = {**os.environ, "GENDIFF_RUNS": str(runs), "OMP_NUM_THREADS": "1"}
    out = [] if words[0] != "sweep" else ["--out", str(runs / "sweep")]
    words = [sys.executable, "-m", "gendiff_lib", *words, *out]
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout.partition("\n\n")[2] if words[3] == "runs" else done.stdout  # what there is of jobs
    print(f"$ gendiff {' '.join(words[3:])}\n{shown}", flush=True)
    return done.stdout


def states(runs):
    """State and log of each job, by number, as `gendiff runs` tells them."""
    rows = gendiff(runs, "runs", "--preset", "smoke").partition("\njob ")[2].splitlines()[1:]
    return {words[0]: (words[-2], Path(words[-1])) for words in map(str.split, rows)}


def stops(log):
    """The epochs that were done, of how many, whenever a job made room."""
    return re.findall(r"making room: (\S+) of (\S+) epochs", log.read_text())


def results(runs):
    """The bytes of all weights and histories, by the run's name."""
    paths = sorted([*runs.glob("[!.]*/weights/*"), *runs.glob("[!.]*/history.csv")])
    return {str(p.relative_to(runs)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_runs_on_a_real_slurm_are_those_that_are_trained_without_it(place):
    runs, alone = place / "runs", place / "alone"
    told = gendiff(runs, *SWEEP, *ON_IT)
    one, two, three = re.findall(r"submitted \(job (\d+_\d+), .*at most 0\.25 hours", told)
    assert len({job.partition("_")[0] for job in (one, two, three)}) == 1  # an array
    later = gendiff(runs, *LATENT, *ON_IT)
    first, after = re.findall(r"submitted \(job (\d+), ", later)
    assert f"after job {first}" in later
    assert f"Dependency=afterok:{first}" in call("scontrol", "show", "job", after)

    logs = {job: log for job, (_, log) in states(runs).items()}
    until(lambda: all(logs[job].exists() and "epochs" in logs[job].read_text() for job in (one, two)))
    time.sleep(5)  # in the middle of it
    call("scancel", "--signal=USR1", one)  # as when it has to make room for another
    call("scontrol", "requeue", two)  # as when its node has failed
    seen = {job: state for job, (state, _) in states(runs).items()}
    assert set(seen.values()) <= {"queued", "running", "done"}
    assert seen[two] == "queued"
    assert gendiff(runs, *SWEEP, *ON_IT).count(" already (job ") >= 2  # nothing is submitted twice
    ((done, whole),) = until(lambda: stops(logs[one]))
    assert 0 < float(done) < float(whole)
    for job in (one, two):
        assert re.search(r"Restarts=1\b", call("scontrol", "show", "job", job))

    until(lambda: {state for state, _ in states(runs).values()} == {"done"})
    assert gendiff(runs, *LATENT, *ON_IT).endswith("nothing is left to submit\n")
    assert "nothing is left to submit\n" in gendiff(runs, *SWEEP, *ON_IT)
    assert not call("squeue", "--noheader")
    for words in (SWEEP, LATENT):
        gendiff(alone, *words)
    assert results(runs) == results(alone)
    assert len(list(runs.glob("[!.]*/run.json"))) == 5


def test_a_job_that_was_cancelled_has_failed_and_is_submitted_again(place):
    words = ("train", "dcgan-32", "--preset", "smoke", "--epochs", "1000")
    gendiff(place, *words, *ON_IT)
    ((job, (state, log)),) = states(place).items()
    assert state in ("queued", "running")
    until(lambda: "training dcgan-32" in (log.read_text() if log.exists() else ""))
    call("scancel", "--full", job)
    until(lambda: states(place)[job][0] == "failed")
    assert "submitted (job " in gendiff(place, *words, *ON_IT)
    assert set(states(place)) != {job}
