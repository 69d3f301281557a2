"""Several processes that share a command, over gloo on the CPU: those of torchrun, and forks, which begin at once."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib import paths, ranks
from gendiff_lib.cli import main
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import extract
from gendiff_lib.experiments import get
from gendiff_lib.runs import files, layout, locks
from gendiff_lib.runs.record import images_in
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import sample
from gendiff_lib.runs.train import train

from ..forking import outcome, started, together
from .together import CONFIGS, JUDGE, UNET, WAY, command, first_updates, run, steps

ROOT = Path(__file__).parents[2]
WORDS = ["train", "dcgan-32", "--preset", "smoke", "--set", "n_train=80", "--set", "batch_size=20"]
WORDS += ["--set", "network.ngf=4", "--set", "network.ndf=4"]
SETTINGS = {"n_train": 80, "batch_size": 20, "network.ngf": 4, "network.ndf": 4}


# ---------------------------------------------------------------- steps


def shared_steps(n, names, folder):
    codes, _, err = together(n, lambda: steps(folder / "found.json", names), folder)
    assert codes == [0] * n, err
    return json.loads((folder / "found.json").read_text())


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return shared_steps(2, list(CONFIGS), tmp_path_factory.mktemp("two"))


def compare(name, found):
    told, _ = first_updates(CONFIGS[name])
    assert len(told) == len(found["told"])
    for alone, shared in zip(told, found["told"], strict=True):
        assert alone.keys() == shared.keys()
        for key, value in alone.items():
            assert shared[key] == pytest.approx(value, rel=1e-4 if "grad" in key else 2e-5, abs=1e-6, nan_ok=True), key
    assert any(value for key, value in told[-1].items() if key.startswith("loss") and not math.isnan(value))
    assert len(set(found["states"])) == 1  # all have the same weights, buffers and dropout's generator, bit for bit


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_have_the_losses_of_one_to_rounding(name, two):
    compare(name, two[name])


def test_parts_need_not_be_equal(tmp_path):
    names = "GAN with batch norm", "classifier", "MeanFlow"  # in batches of 16, a quarter of which have intervals
    found = shared_steps(3, names, tmp_path)
    for name in names:
        assert len(found[name]["states"]) == 3
        compare(name, found[name])


# ---------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its samples and its scores, made by two processes, of which one would end if the other were to write."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("runs", "cache"):
            patch.setenv(f"GENDIFF_{name.upper()}", str(tmp_path_factory.mktemp(name)))
        patch.setenv("GENDIFF_DEVICE", "cpu")
        patch.setenv("OMP_NUM_THREADS", "1")
        codes, out, err = together(2, run, tmp_path_factory.mktemp("output"))
    assert codes == [0, 0], err
    return json.loads(out)  # one of them speaks


def test_the_record_names_the_processes_and_the_digest_does_not(made):
    run = Run.read(Path(made["run"]))
    assert run.config.digest == UNET.digest
    assert [(s["processes"], s["threads"]) for s in run.record["segments"]] == [(2, 1)]
    assert run.record["processes"] == 2


def test_one_process_makes_the_same_files(made):
    alone = train(UNET.but(name="unet", epochs=1.0))
    evaluate(alone, WAY, JUDGE)
    names = [{str(p.relative_to(f)) for p in f.rglob("*")} for f in (alone.folder, Path(made["run"]))]
    assert names[0] == names[1]
    shared = Run.read(Path(made["run"]))
    for key, column in alone.history.items():
        assert shared.history[key] == pytest.approx(column, rel=1e-3, nan_ok=True), key
    assert alone.record["processes"] == 1


def test_samples_features_and_scores_are_those_of_one_process(made, monkeypatch, tmp_path):
    shared = Run.read(Path(made["run"]))
    way = shared.resolve(WAY)
    (drawn,) = (shared.folder / layout.SAMPLE_SETS).glob("*")
    images = files.read_tensors(drawn / layout.SAMPLES)["samples"]
    drawn.rename(tmp_path / "drawn")
    assert torch.equal(sample(shared, way), images)
    assert made["n"] == len(images) == 25
    assert evaluate(shared, way, JUDGE).frechet_distance == made["distance"]
    for path in (shared.folder.parent.parent).glob("cache*/features/*/*.pt"):
        kept = torch.load(path, weights_only=True)["tensors"]
        if len(kept.get("keys", ())) == len(images):
            assert_close(extract(JUDGE, images).features, kept["features"], rtol=0, atol=0)
            break
    else:
        pytest.fail("the features of the samples are not kept")


# ---------------------------------------------------------------- ends


def children(process):
    """The processes that torchrun started, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            status = (path.parent / "status").read_text()
            told = dict(word.split("=", 1) for word in path.read_text().split("\0") if "=" in word)
        except OSError:
            continue
        if f"PPid:\t{process.pid}\n" in status and "RANK" in told:
            found[int(told["RANK"])] = int(path.parent.name)
    return found


def wait_for(images, checkpoint, seconds=600.0):
    stop = time.monotonic() + seconds
    while images_in(checkpoint) < images:
        assert time.monotonic() < stop
        time.sleep(0.05)


def killed(pid):
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def finished(words, folder):
    codes, out, err = together(2, lambda: command(*words), folder)
    assert codes == [0, 0], err
    assert out.count("trained in") == 1
    return next(Run.read(path.parent) for path in paths.runs_dir().glob("dcgan*/run.json"))


def test_whoever_is_killed_all_end_and_the_same_command_goes_on_bit_for_bit(tmp_path, monkeypatch):
    words, digest = [*WORDS, "--epochs", "6"], get("dcgan-32", "smoke", **SETTINGS).digest
    checkpoint = paths.runs_dir() / layout.training(digest) / layout.CHECKPOINT
    sentence = f"gendiff: one of the 2 processes has ended, so all of them end: {ranks.GOES_ON}"

    pids = started(2, lambda: command(*words), tmp_path)
    wait_for(60, checkpoint)
    before = killed(pids[1])
    assert outcome(pids, tmp_path) == ([2, -signal.SIGKILL], "", sentence + "\n")
    assert time.monotonic() - before < 20

    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tests.training.together"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, *torchrun, *words], cwd=ROOT, text=True, **pipes)
    wait_for(160, checkpoint)
    before = killed(children(process)[0])
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - before < 20
    assert process.returncode != 0
    assert out == ""
    assert [line for line in err.splitlines() if "gendiff: " in line] == [sentence]  # beside torchrun's own report
    assert 160 <= images_in(checkpoint) < 480

    again = finished(words, tmp_path)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "straight"))
    straight = finished(words, tmp_path)
    assert repr(again.history) == repr(straight.history)
    assert again.snapshot["sha256"] == straight.snapshot["sha256"]
    assert len(again.record["segments"]) == 1


def test_a_run_goes_on_with_another_number_of_processes(made, monkeypatch, tmp_path):
    shutil.copytree(Path(made["run"]).parent, tmp_path / "copy")
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "copy"))
    run = train(UNET.but(name="unet", epochs=2.0))
    assert [(s["processes"], s["first_image"], s["images"]) for s in run.record["segments"]] == [
        (2, 0, 96),
        (1, 96, 96),
    ]


def test_an_unknown_name_is_refused_once(tmp_path):
    codes, out, err = together(2, lambda: main(["train", "nonsense"]), tmp_path)
    assert codes == [2, 2]
    assert out == ""
    assert err == "gendiff: 'nonsense' is neither an experiment nor a run: `gendiff runs` shows what there is\n"


@pytest.mark.parametrize(("words", "named"), [(["runs"], "`gendiff runs`"), (["train", "--all"], "--all")])
def test_what_is_not_shared_is_refused(words, named, monkeypatch, capsys):
    monkeypatch.setattr(ranks, "count", lambda: 2)
    assert main(words) == 2
    assert named in capsys.readouterr().err


def test_where_another_process_trains_the_run_that_is_said_once(tmp_path):
    config = get("dcgan-32", "smoke", **SETTINGS)
    with locks.lock(f"training-{config.digest}", "training it"):
        codes, out, err = together(2, lambda: main(WORDS), tmp_path)
    assert codes == [2, 2]
    assert (out, err) == ("", "gendiff: another process is training dcgan-32 (seed 0)\n")
    assert not (paths.runs_dir() / layout.training(config.digest)).exists()
