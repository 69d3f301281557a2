import math
import shutil
import subprocess

import pytest

from gendiff_lib import paths
from gendiff_lib.cli import main
from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments import get, queue
from gendiff_lib.runs import files, handover, layout, locks, publish
from gendiff_lib.runs.files import StoreError, sha256
from gendiff_lib.runs.record import images_in
from gendiff_lib.runs.run import all_runs, find
from gendiff_lib.runs.train import OutOfTime, train

MARK = 10_000.0  # seconds


@pytest.fixture
def begun(conv):
    """A training of two epochs that was interrupted after one, of which it keeps a snapshot; its folder."""
    config, looks = conv.but(epochs=2.0, snapshots=(1.0,)), iter([math.inf] * 4)  # an epoch of updates without deadline
    with pytest.raises(OutOfTime):
        train(config, lambda: next(looks, 0.0))
    (folder,) = handover.interrupted()
    return config, folder


def mark(folder):
    """Let a checkpoint tell of seconds that no training here takes, which tell who has gone on from it."""
    state = files.read_checkpoint(folder / layout.CHECKPOINT)
    state["record"]["seconds"] += 2 * MARK
    files.write_checkpoint(folder / layout.CHECKPOINT, state)


def leave():
    """What happens to all that this machine has and did not commit."""
    shutil.rmtree(paths.runs_dir())


def test_another_machine_goes_on_with_a_training_and_makes_the_same_run_bit_for_bit(begun, published):
    config, folder = begun
    seen = images_in(folder / layout.CHECKPOINT)
    assert 0 < seen < 128
    there = handover.hand_over(folder)
    leave()
    assert all_runs() == []  # nothing that is begun is a run
    mark(there)
    run = train(config)
    assert run.record["seconds"] > MARK
    assert run.epochs == (1.0, 2.0)
    weights = {epochs: sha256(run.folder / layout.weights(run.at(epochs).images)) for epochs in run.epochs}
    assert (there / layout.CHECKPOINT).exists()  # until the run is published
    assert handover.forget(config) == [there]
    assert not there.exists()
    leave()
    alone = train(config)
    assert alone.record["seconds"] < MARK
    assert {e: sha256(alone.folder / layout.weights(alone.at(e).images)) for e in alone.epochs} == weights


def test_what_is_further_on_is_gone_on_from_and_nothing_beyond_what_is_asked_for(begun, published):
    config, folder = begun
    mark(handover.hand_over(folder))
    seen = images_in(folder / layout.CHECKPOINT)
    leave()
    short = train(config.but(epochs=0.25))
    assert short.images == 16
    assert short.record["seconds"] < MARK  # of what was handed over it needs nothing
    leave()
    with pytest.raises(OutOfTime):
        train(config, lambda: 0.0)
    assert images_in(folder / layout.CHECKPOINT) == seen + config.batch_size  # and it is not taken up again
    with pytest.raises(OutOfTime):
        train(config, lambda: 0.0)
    assert images_in(folder / layout.CHECKPOINT) == seen + 2 * config.batch_size


def test_the_command_hands_over_what_was_interrupted_and_refuses_what_it_cannot(begun, published, capsys, monkeypatch):
    _, folder = begun
    assert main(["publish", "--begun"]) == 0
    assert capsys.readouterr().out.startswith(f"published {published / folder.name} (")
    (folder / ".checkpoint.pt.elsewhere.1").write_bytes(b"half")
    assert main(["publish", "--begun"]) == 0  # anew, without drafts
    assert {p.name for p in (published / folder.name).iterdir()} == {"checkpoint.pt", "weights", "sheets"}
    for words in (["--begun", "--real"], ["--begun", "conv"], []):
        assert main(["publish", *words]) == 2
        assert "--begun for interrupted trainings" in capsys.readouterr().err
    monkeypatch.setattr(publish, "BUDGET", 100)
    with pytest.raises(GendiffError, match=r"runs/ would hold .* MiB with the training of conv"):
        handover.hand_over(folder)
    (folder / layout.CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(StoreError, match="damaged"):
        handover.hand_over(folder)


def test_one_that_cannot_be_handed_over_keeps_back_no_other(begun, published, capsys):
    config, folder = begun
    assert main(["publish", "--begun"]) == 0
    damaged = folder.with_name(layout.training("000000000000"))  # sorted before it
    shutil.copytree(folder, damaged)
    (damaged / layout.CHECKPOINT).write_bytes(b"no checkpoint")
    shutil.rmtree(published)
    capsys.readouterr()
    assert main(["publish", "--begun"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"published {published / folder.name} (")
    assert "damaged" in err
    assert err.count("\n") == 1
    shutil.rmtree(damaged)
    with locks.lock(f"training-{config.digest}", "training it"):
        assert main(["publish", "--begun"]) == 0
    assert capsys.readouterr().out == f"left out, since another process is working on {folder}\n"
    leave()
    assert main(["publish", "--begun"]) == 0
    assert capsys.readouterr().out == "no training was interrupted here\n"


def test_what_was_handed_over_is_told_where_runs_are_and_where_it_is_taken_up(published, capsys):
    config = get("dcgan", "smoke", n_train=256)
    looks = iter([math.inf] * 2)
    with pytest.raises(OutOfTime):
        train(config, lambda: next(looks, 0.0))
    (folder,) = handover.interrupted()
    seen = images_in(folder / layout.CHECKPOINT)
    there = handover.hand_over(folder)
    leave()
    plain = get("dcgan", "smoke").digest
    (published / layout.training(plain)).mkdir()
    assert main(["runs", "--preset", "smoke"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"dcgan-{plain}")]
    assert told
    assert all("handed over" in line for line in told)
    with pytest.raises(OutOfTime):
        train(config, lambda: 0.0)
    assert f"going on from {seen:,} images, handed over in {there}\n" in capsys.readouterr().err


def test_the_commit_of_the_run_takes_away_what_was_handed_over(begun, published, tmp_path):
    def git(*words):
        return subprocess.run(["git", "-C", str(tmp_path), *words], capture_output=True, text=True, check=True).stdout

    config, folder = begun
    git("init", "-q")
    git("config", "user.name", "a")
    git("config", "user.email", "a@b.invalid")
    there = handover.hand_over(folder)
    run = train(config)
    target = publish.publish(run)
    assert list(queue._commit(run, target, handover.forget(config))) == ["committed: Publish conv, 2 epochs, seed 0"]
    shutil.rmtree(target)
    there.mkdir(parents=True)  # as committed
    (there / layout.CHECKPOINT).write_bytes(b"a checkpoint")
    git("add", "-f", str(there))
    git("commit", "-q", "-m", "begun", "--", str(there))
    target = publish.publish(run)
    assert list(queue._commit(run, target, handover.forget(config))) == ["committed: Publish conv, 2 epochs, seed 0"]
    tracked = git("ls-files", str(published)).splitlines()
    assert any("run.json" in path for path in tracked)
    assert not any(".training" in path for path in tracked)
    assert find(config, published=True)
