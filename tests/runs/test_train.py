import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from gendiff_lib import device, paths, versions
from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.config import Sampling
from gendiff_lib.data import load
from gendiff_lib.diffusion import model as diffusion
from gendiff_lib.diffusion.config import ConvNetwork, UNetNetwork
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.errors import ConfigError, GendiffError
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.progress import TrainingError
from gendiff_lib.runs import files, layout, locks
from gendiff_lib.runs import train as recorder
from gendiff_lib.runs.files import StoreError
from gendiff_lib.runs.run import find
from gendiff_lib.runs.samples import sample
from gendiff_lib.runs.train import OutOfTime, train
from gendiff_lib.streams import stream
from gendiff_lib.training import build, engine
from gendiff_lib.training.operations import operations_per_image

pytestmark = pytest.mark.usefixtures("published")
STEPS = 8  # in an epoch of the points


@pytest.fixture
def steps(monkeypatch):
    """The updates of diffusion models since, in a list; counting the operations of an update is one, too."""
    made, step = [], Diffusion.step

    def counted(self, x, *more):
        if len(x) > 2:
            made.append(len(x))
        return step(self, x, *more)

    monkeypatch.setattr(Diffusion, "step", counted)
    return made


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Train in another folder, where nothing is known of this one."""

    def straight(config):
        with monkeypatch.context() as patch:
            patch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
            return train(config)

    return straight


@pytest.fixture
def dropout(conv):
    network = UNetNetwork(widths=(8,), n_blocks=1, attention=(), patch=2, dropout=0.5)
    return conv.but(network=network, clip_grad=1.0, flip=True)


def same(run, other, *epochs):
    """Whether two runs have bit for bit the weights of these epochs and the history."""
    names = [weights(run, e) for e in epochs or (run.config.epochs,)] + ["history.csv"]
    return all((run.folder / n).read_bytes() == (other.folder / n).read_bytes() for n in names)


def weights(run, epochs):
    return layout.weights(run.at(epochs).images)


def interrupt(monkeypatch, config, after, error=KeyboardInterrupt):
    """Train until `after` updates are made, with a checkpoint after each."""
    cls = {"gan": "gendiff_lib.gan.model.GAN", "diffusion": "gendiff_lib.diffusion.model.Diffusion"}[config.kind]
    with monkeypatch.context() as patch:
        made, step = [], build.build(config, load(config.dataset)).step.__func__

        def limited(self, x, *more):
            if len(x) > 2:
                made.append(0)
            if len(made) > after:
                raise error
            return step(self, x, *more)

        patch.setattr(f"{cls}.step", limited)
        patch.setattr(recorder, "CHECKPOINT_SECONDS", -1)
        with pytest.raises(error):
            train(config)


def hidden(config):
    return paths.runs_dir() / layout.training(config.digest)


def trained_in_one_segment(run):
    """Whether all of its images are of one stretch, as they are where nothing that computes them changed."""
    (segment,) = run.record["segments"]
    return (segment["first_image"], segment["images"]) == (0, run.record["images"])


def test_to_train_twice_is_to_train_once(points, steps):
    first = train(points)
    assert len(steps) == 2 * STEPS
    second = train(points.but(name="another-label"))
    assert len(steps) == 2 * STEPS
    assert second.folder == first.folder == paths.runs_dir() / f"points-{points.digest}"
    assert [f.name for f in paths.runs_dir().iterdir() if not f.name.startswith(".lock")] == [first.id]


def test_another_identity_is_another_run(points, steps):
    assert train(points).folder != train(points.but(seed=1)).folder
    assert len(steps) == 4 * STEPS


def test_a_run_knows_what_made_it(conv):
    config = conv.but(epochs=3, snapshots=(1,))
    run = train(config)
    record = json.loads((run.folder / "run.json").read_text())
    assert record == run.record
    assert record["config"] == config.to_dict()
    assert record["digest"] == config.digest
    assert record["data"] == {
        "name": "shapes:8",
        "digest": load("shapes:8").choose(64, "n_train").digest,
        "samples": 64,
    }
    assert record["sample_shape"] == [3, 8, 8]
    assert record["parameters"] == {"net": sum(p.numel() for p in run.learner.net.parameters())}
    assert record["images"] == 3 * 64
    assert record["rows"] == 12
    assert record["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert record["versions"] == {"diffusion": diffusion.VERSION}
    assert record["format"] == 2
    assert record["operations"] == 3 * 64 * record["operations_per_image"]
    assert record["operations_per_image"] == operations_per_image(config, load("shapes:8"))
    assert 0 < record["snapshots"]["64"]["seconds"] < record["snapshots"]["192"]["seconds"] <= record["seconds"]
    assert record["processor_seconds"] > 0
    assert len(record["first_losses"]) == 12
    assert trained_in_one_segment(run)
    assert record["images_per_second"] == pytest.approx(192 / record["seconds"])
    assert record["snapshots"]["64"] | {"epochs": 1.0, "images": 64, "rows": 4} == record["snapshots"]["64"]
    for images, entry in record["snapshots"].items():
        assert files.sha256(run.folder / layout.weights(int(images))) == entry["sha256"]
        assert entry["operations"] == int(images) * record["operations_per_image"]
    assert run.epochs == (1, 3)
    assert len(run.history["loss"]) == 12
    assert len(run.at(1).history["loss"]) == 4


def test_contact_sheets_are_of_the_same_noise_at_every_epoch(conv, gan):
    run = train(gan.but(epochs=2, snapshots=(1,)))
    assert run.sheet().shape == (3, 4 * 10 + 2, 10 * 10 + 2)
    assert not torch.equal(run.sheet(), run.at(1).sheet())
    assert run.snapshot["sheet"] == run.at(1).snapshot["sheet"]
    assert run.snapshot["sheet"]["sampler"] == "generator"
    sheet = train(conv).snapshot["sheet"]
    assert (sheet["sampler"], sheet["n_steps"], sheet["n"]) == ("ddim", 50, 40)


@pytest.mark.parametrize("made_by", ["gan", "conv"])
def test_samples_and_sheets_are_of_noise_that_no_training_saw(made_by, request, monkeypatch):
    """Each batch of samples begins a stream of its own, and so does the sheet: the numbers kept rest on it."""
    config, begun = request.getfixturevalue(made_by), []
    method = type(build.build(config, load(config.dataset)))
    inner = method.sample

    def told(self, n, sampling, rng):
        begun.append(rng.get_state())
        return inner(self, n, sampling, rng)

    monkeypatch.setattr(method, "sample", told)
    run = train(config)
    sample(run, Sampling(n=4, batch_size=2, seed=3))
    wanted = stream("sheet", 0), stream("samples", 3, 0), stream("samples", 3, 1)
    assert all(torch.equal(a, b.get_state()) for a, b in zip(begun, wanted, strict=True))


def test_points_have_no_contact_sheet(points):
    assert not (train(points).folder / "sheets").exists()


def test_sheets_and_snapshots_do_not_change_the_training(gan, conv, elsewhere):
    for config in (gan, conv):
        assert same(train(config.but(epochs=3, snapshots=(1, 2))), elsewhere(config.but(epochs=3)))


def test_a_classifiers_snapshot_has_its_test_accuracy():
    config = ClassifierConfig(name="judge", dataset="shapes:16", n_train=32, batch_size=16, width=1)
    assert 0 <= train(config).snapshot["test_accuracy"] <= 1


KILLED = """
import json, os, signal, sys
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.runs import train as recorder
from gendiff_lib.training.build import from_dict
kind, values, after = json.loads(sys.argv[1])
recorder.CHECKPOINT_SECONDS = -1
step, made = Diffusion.step, []
def killed(self, x, *more):
    made.append(len(x))
    if sum(n > 2 for n in made) > after:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, x, *more)
Diffusion.step = killed
recorder.train(from_dict(kind, values))
"""


def test_a_run_that_was_killed_goes_on_and_equals_one_that_was_not_bit_for_bit(points, steps, elsewhere):
    arguments = json.dumps([points.kind, points.to_dict(), STEPS + 3])
    done = subprocess.run([sys.executable, "-c", KILLED, arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert hidden(points).exists()
    assert find(points) is None
    run = train(points)
    assert len(steps) == STEPS - 3
    assert trained_in_one_segment(run)
    assert not hidden(points).exists()
    assert same(run, elsewhere(points))


@pytest.mark.parametrize("name", ["points", "gan", "dropout"])
@pytest.mark.parametrize("after", [1, 4, 6])
def test_a_run_that_was_interrupted_anywhere_equals_one_that_was_not(request, monkeypatch, elsewhere, name, after):
    config = request.getfixturevalue(name).but(epochs=2, snapshots=(1,))
    interrupt(monkeypatch, config, after)
    torch.manual_seed(99)
    run = train(config)
    assert trained_in_one_segment(run)
    assert same(run, elsewhere(config), 1, 2)


def test_two_interruptions_are_no_worse_than_one(points, monkeypatch, elsewhere):
    interrupt(monkeypatch, points, 3)
    interrupt(monkeypatch, points, 7)
    run = train(points)
    assert trained_in_one_segment(run)
    assert same(run, elsewhere(points))


def test_a_run_that_broke_off_after_its_last_update_is_finished_without_another(points, monkeypatch, steps, elsewhere):
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_table", lambda path, rows: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(points)
    steps.clear()
    run = train(points)
    assert steps == []
    assert same(run, elsewhere(points))


def test_a_longer_run_goes_on_from_the_shorter_and_equals_one_in_a_single_piece(points, steps, elsewhere):
    short = train(points.but(epochs=1))
    history = short.history
    steps.clear()
    long = train(points.but(epochs=3))
    assert len(steps) == 2 * STEPS
    assert long.folder == short.folder
    assert long.epochs == (1, 3)
    assert same(long, elsewhere(points.but(epochs=3, snapshots=(1,))), 1, 3)
    assert repr(train(points.but(epochs=1)).history) == repr(history)


def test_a_run_in_hand_can_be_read_after_it_went_on(points):
    short = train(points.but(epochs=1))
    train(points.but(epochs=3))
    assert short.history["epoch"][-1] == 1


def test_a_run_that_goes_on_keeps_the_snapshots_that_were_added_to_it(points, steps):
    for epochs in (3, 2, 4):
        train(points.but(epochs=epochs))
    assert find(points.but(epochs=4)).epochs == (2, 3, 4)


def test_a_run_that_lost_its_checkpoint_keeps_its_snapshots_when_it_is_trained_longer(points):
    (train(points.but(epochs=1)).folder / "checkpoint.pt").unlink()
    assert train(points.but(epochs=2)).epochs == (1, 2)
    assert find(points.but(epochs=1)).learner


def test_what_is_made_of_a_run_while_a_longer_one_goes_on_is_there_in_the_end(conv):
    few = Sampling(n=8, n_steps=2)
    sample(train(conv.but(epochs=1)), few)
    with pytest.raises(OutOfTime):
        train(conv.but(epochs=2), deadline=1.0)  # long past
    short = find(conv.but(epochs=1))
    drawn, bits = sample(short, few.but(seed=1)), bits_of(short, 2)
    train(conv.but(epochs=2))
    again = find(conv.but(epochs=1))
    assert len(list(again.folder.glob(f"samples/{64:010d}-*/samples.safetensors"))) == 2
    assert torch.equal(sample(again, few.but(seed=1)), drawn)
    assert bits_of(again, 2) == bits


def test_a_crop_as_large_as_the_image_is_refused_before_anything_is_written():
    config = ClassifierConfig(name="judge", dataset="shapes", n_train=100, batch_size=50, width=8, crop=32)
    with pytest.raises(ConfigError, match="crop=32 shifts images of 32 pixels out of sight: give less than 32"):
        train(config)
    assert not list(paths.runs_dir().glob("*"))


def test_a_longer_run_answers_a_shorter_one_that_it_kept(points, steps):
    long = train(points.but(epochs=3, snapshots=(1,)))
    steps.clear()
    short = train(points.but(epochs=1))
    assert steps == []
    assert short.folder == long.folder
    assert short.snapshot["images"] == 256
    assert short.history["epoch"][-1] == 1


def test_a_shorter_run_that_was_not_kept_is_added_to_the_longer(points, steps, elsewhere):
    long = train(points.but(epochs=3))
    kept = (long.folder / weights(long, 3)).read_bytes()
    short = train(points.but(epochs=2))
    assert short.folder == long.folder
    assert find(points.but(epochs=3)).epochs == (2, 3)
    assert (long.folder / weights(long, 3)).read_bytes() == kept
    straight = elsewhere(points.but(epochs=2))
    name = weights(straight, 2)
    assert (short.folder / name).read_bytes() == (straight.folder / name).read_bytes()
    assert repr(short.history) == repr(straight.history)
    steps.clear()
    train(points.but(epochs=2))
    train(points.but(epochs=3))
    assert steps == []


@pytest.mark.parametrize("more", [0, 3])
def test_a_shorter_run_than_the_interrupted_one_has_its_snapshot(points, monkeypatch, elsewhere, more):
    interrupt(monkeypatch, points.but(epochs=3), STEPS + more)
    run = train(points.but(epochs=1))
    assert run.epochs == (1,)
    assert same(run, elsewhere(points.but(epochs=1)))


WAITED_FOR = """
import json, pathlib, sys, time
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.runs import train as recorder
from gendiff_lib.training.build import from_dict
kind, values, folder = json.loads(sys.argv[1])
step, folder = Diffusion.step, pathlib.Path(folder)
def slow(self, x, *more):
    (folder / "under way").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return step(self, x, *more)
Diffusion.step = slow
recorder.train(from_dict(kind, values))
"""


def test_of_two_processes_one_trains_and_the_other_waits_and_reads(points, steps, tmp_path, monkeypatch):
    said = []

    def say(text, file):
        said.append(text)
        (tmp_path / "go").touch()

    monkeypatch.setattr(locks, "print", say, raising=False)
    arguments = json.dumps([points.kind, points.to_dict(), str(tmp_path)])
    with subprocess.Popen([sys.executable, "-c", WAITED_FOR, arguments]) as first:
        try:
            while not (tmp_path / "under way").exists():
                assert first.poll() is None
                time.sleep(0.01)
            run = train(points)
        finally:
            (tmp_path / "go").touch()
    assert first.returncode == 0
    assert steps == []
    assert said == ["another process is training points (seed 0); waiting for it"]
    assert run.history["images"][-1] == 512


def nan_from(monkeypatch, after):
    patch, made, step = monkeypatch.context(), [], Diffusion.step

    def failing(self, x, *more):
        made.append(len(x))
        losses = step(self, x, *more)
        return {"loss": torch.tensor(math.nan)} if sum(n > 2 for n in made) > after else losses

    inner = patch.__enter__()
    inner.setattr(Diffusion, "step", failing)
    return patch


def test_a_loss_that_is_no_number_stops_the_run_and_the_last_good_checkpoint_stays(points, monkeypatch, elsewhere):
    config = points.but(epochs=3, snapshots=(1,))
    patch = nan_from(monkeypatch, STEPS + 2)
    with pytest.raises(TrainingError) as stopped:
        train(config)
    patch.__exit__(None, None, None)
    assert str(stopped.value) == (
        "points: loss became nan at step 3 of epoch 2: the likely cause is too high a learning rate (lr=0.001), "
        f"so lower it; the last good checkpoint is in {hidden(config)}"
    )
    state = files.read_checkpoint(hidden(config) / "checkpoint.pt")
    assert [state["counts"][k] for k in ("epoch", "step", "images")] == [1, 0, 256]
    assert find(config) is None
    assert same(train(config), elsewhere(config), 1, 3)


def test_no_checkpoint_is_written_once_a_loss_is_no_number(points, monkeypatch):
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", -1)
    patch = nan_from(monkeypatch, 5)
    with pytest.raises(TrainingError, match="at step 6 of epoch 1"):
        train(points)
    patch.__exit__(None, None, None)
    state = files.read_checkpoint(hidden(points) / "checkpoint.pt")
    assert [state["counts"][k] for k in ("epoch", "step", "images")] == [0, 5, 160]
    assert all(math.isfinite(row["loss"]) for row in state["losses"])


def test_what_cannot_be_made_is_refused_before_anything_is_written(points):
    with pytest.raises(ConfigError, match="'conv' works on images"):
        train(points.but(network=ConvNetwork()))
    with pytest.raises(GendiffError, match="n_train=20001 is not from 1 to 20000"):
        train(points.but(n_train=20_001))
    assert not paths.runs_dir().exists()


def test_a_folder_that_cannot_be_written_stops_before_the_training(points, steps, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "file" / "runs"))
    with pytest.raises(StoreError, match="cannot be written"):
        train(points)
    assert steps == []


def test_a_damaged_checkpoint_is_named_and_without_it_the_run_starts_again(points, monkeypatch, steps, elsewhere):
    interrupt(monkeypatch, points, 5)
    file = hidden(points) / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StoreError, match=f"{file} is damaged"):
        train(points)
    file.unlink()
    steps.clear()
    run = train(points)
    assert len(steps) == 2 * STEPS
    assert trained_in_one_segment(run)
    assert same(run, elsewhere(points))


def test_a_checkpoint_of_another_training_is_refused(points, monkeypatch):
    interrupt(monkeypatch, points, 2)
    interrupt(monkeypatch, points.but(seed=1), 3)
    file = hidden(points) / "checkpoint.pt"
    files.copy(hidden(points.but(seed=1)) / "checkpoint.pt", file)  # all of its shapes fit
    with pytest.raises(StoreError, match=rf"{file} is damaged \(it is of another training\): delete it, and"):
        train(points)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("history", "abc"),
        ("history", [1]),
        ("losses", [1]),
        ("losses", [{"loss": "a"}]),
        ("first", None),
        ("first", {"loss": 1.0}),
        ("counts", {"images": 64}),
        ("counts", {"epoch": 0, "step": "2", "images": 64, "operations": 9, "steps_per_epoch": STEPS}),
        ("counts", {"epoch": -1, "step": 2, "images": 64, "operations": 9, "steps_per_epoch": STEPS}),
        ("cuda_rng", 3),
        ("cuda_rng", ["a"]),
        ("rng", None),
        ("learner", [1]),
        ("learner", {"net": [1]}),
    ],
)
def test_a_checkpoint_with_a_part_of_another_type_is_damaged(points, monkeypatch, part, value):
    interrupt(monkeypatch, points, 2)
    file = hidden(points) / "checkpoint.pt"
    files.write_checkpoint(file, files.read_checkpoint(file) | {part: value})
    with pytest.raises(StoreError, match=rf"{file} is damaged \(it does not fit this code and device; it is of"):
        train(points)


@pytest.mark.parametrize("record", [None, [], {}, {"digest": "a", "data": 3, "device": "b"}])
def test_a_checkpoint_without_a_record_is_damaged(points, monkeypatch, record):
    interrupt(monkeypatch, points, 2)
    file = hidden(points) / "checkpoint.pt"
    files.write_checkpoint(file, files.read_checkpoint(file) | {"record": record})
    with pytest.raises(StoreError, match=f"{file} is damaged .*: delete it, and"):
        train(points)


def test_a_full_disk_stops_the_run_and_the_last_checkpoint_stays(points, monkeypatch, elsewhere):
    save, written = torch.save, []

    def full(state, path):
        written.append(path)
        save(state, path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        patch.setattr(recorder, "CHECKPOINT_SECONDS", -1)
        with pytest.raises(StoreError, match="no space is left to write"):
            train(points)
    assert os.listdir(hidden(points)) == ["checkpoint.pt"]
    assert files.read_checkpoint(hidden(points) / "checkpoint.pt")["counts"]["step"] == 2
    assert same(train(points), elsewhere(points))


def test_operations_are_counted_forwards_and_backwards(points):
    forwards = 4 * 8 + 8 * 8 + 2 * 8 + 8 * 8 + 8 * 2  # multiplications: time twice, in, block, out
    backwards = 2 * forwards - 4 * 8 - 2 * 8  # no gradient is asked for of the inputs
    assert operations_per_image(points, load("gaussians")) == 2 * (forwards + backwards)


# ---------------------------------------------------------------- segments, first losses, fractions of epochs


def segments_of(run):
    """Where each segment began and ended; its seconds add up to the record's."""
    found = run.record["segments"]
    for name in ("seconds", "processor_seconds"):
        assert sum(s[name] for s in found) == pytest.approx(run.record[name])
    assert sum(s["images"] for s in found) == run.record["images"]
    return [(s["first_image"], s["first_image"] + s["images"]) for s in found]


@pytest.mark.parametrize("changed", ["threads", "commit", "nothing"])
def test_a_record_tells_which_conditions_trained_which_stretch(points, monkeypatch, changed, elsewhere):
    straight = elsewhere(points)
    interrupt(monkeypatch, points, STEPS + 3)
    if changed == "threads":
        torch.set_num_threads(2)
        monkeypatch.setattr(engine, "WORTH_A_THREAD", 1.0)  # however small the steps
    if changed == "commit":
        monkeypatch.setattr(device, "commit", lambda: {"commit": "another", "dirty": False})
    run = train(points)
    here = (STEPS + 3) * 32
    expected = [(0, 512)] if changed == "nothing" else [(0, here), (here, 512)]
    assert segments_of(run) == expected
    last = run.record["segments"][-1]
    assert {k: run.record[k] for k in ("threads", "commit", "dirty", "device")} == {
        k: last[k] for k in ("threads", "commit", "dirty", "device")
    }
    if changed == "threads":
        assert [s["threads"] for s in run.record["segments"]] == [1, 2]
    assert run.record["first_losses"] == straight.record["first_losses"] or changed == "threads"
    assert segments_of(train(points.but(epochs=3))) == [*expected[:-1], (expected[-1][0], 768)]


def test_a_later_version_of_the_code_makes_what_it_goes_on_with_stale(points, monkeypatch):
    interrupt(monkeypatch, points, 3)
    monkeypatch.setitem(versions.VERSIONS, "diffusion", diffusion.VERSION + 1)
    assert train(points).stale


@pytest.mark.parametrize("after", [3, 11, 19, 21])
def test_the_first_twenty_losses_survive_a_kill_bit_for_bit(points, monkeypatch, elsewhere, after):
    config = points.but(epochs=3)
    straight = elsewhere(config).record["first_losses"]
    assert len(straight) == 20
    assert len({row["loss"] for row in straight}) == 20
    interrupt(monkeypatch, config, after)
    run = train(config)
    assert run.record["first_losses"] == straight
    assert train(config.but(epochs=4)).record["first_losses"] == straight


def test_snapshots_are_kept_at_fractions_of_epochs_and_named_by_their_images(points, elsewhere):
    run = train(points.but(epochs=1.5, snapshots=(0.25, 0.7)))
    assert run.epochs == (0.25, 0.75, 1.5)  # rounded to an eighth, as an epoch has eight batches
    assert sorted(map(int, run.record["snapshots"])) == [64, 192, 384]
    assert run.at(0.7).images == run.at(0.75).images == 192
    assert [len(run.at(e).history["loss"]) for e in run.epochs] == [2, 6, 12]
    name, straight = layout.weights(192), elsewhere(points.but(epochs=0.75))
    assert (run.folder / name).read_bytes() == (straight.folder / name).read_bytes()
    with pytest.raises(GendiffError, match=r"keeps no snapshot at epoch 1: it has 0\.25, 0\.75, 1\.5"):
        run.at(1)
    assert find(points.but(epochs=0.26)).images == 64


def test_a_training_shorter_than_a_row_has_its_losses_and_goes_on_as_one_in_a_single_piece(points, elsewhere):
    config = points.but(n_train=200, batch_size=2)  # a hundred updates, ten a row
    short = train(config.but(epochs=0.03))
    assert short.record["images"] == 6
    assert len(short.record["first_losses"]) == 3
    assert short.history["images"] == [6]
    long = train(config.but(epochs=0.25))
    straight = elsewhere(config.but(epochs=0.25))
    assert long.record["first_losses"] == straight.record["first_losses"]
    assert same(long, straight)
    assert long.record["first_losses"][:3] == short.record["first_losses"]
