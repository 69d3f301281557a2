"""What is on disk survives kills, longer and shorter trainings, and several processes at once."""

import fcntl
import json
import os
import shutil

import pytest
import torch

from gendiff_lib import paths
from gendiff_lib.config import Sampling
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.evaluation.evaluate import evaluate, read_scores
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.runs import drafts, files, layout, locks
from gendiff_lib.runs import drawing as drawing_module
from gendiff_lib.runs import samples as samples_module
from gendiff_lib.runs import train as recorder
from gendiff_lib.runs.run import find
from gendiff_lib.runs.samples import sample
from gendiff_lib.runs.train import OutOfTime, train

from ..forking import begin, end

pytestmark = pytest.mark.usefixtures("published")
FEW = Sampling(n=7, batch_size=3)
KILLED = 9


def pixels(images):
    x = images.float().flatten(1)
    return x[:, :4], x[:, -3:]


JUDGE = Extractor("pixels", "d1", pixels)


def tree(folder):
    """Every file below, by its name: what is in it, less what tells of time. Locks stay behind by design."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and ".locks" not in p.parts):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text()))
        elif path.name == layout.CHECKPOINT:
            state = files.read_checkpoint(path)
            found[name] = repr([timeless({k: v for k, v in state.items() if k != "cuda_rng"})])
        else:
            found[name] = path.read_bytes()
    return found


TIME = {"seconds", "processor_seconds", "images_per_second", "peak_memory", "finished", "sampling_seconds"}
TIME |= {"training_seconds"}


def timeless(value):
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in TIME}
    return [timeless(v) for v in value] if isinstance(value, list) else value


# ---------------------------------------------------------------- killed anywhere


def everything(config):
    """A training, samples of it, a longer training, and a shorter one in between."""
    sample(train(config.but(epochs=1.0)), FEW)
    sample(train(config.but(epochs=2.0)), FEW)
    train(config.but(epochs=1.5))


CALLS = ("replace", "rename", "rmdir")


def killed_at(k, work):
    """Do `work` in another process, killed before it moves a file or removes a folder for the k-th time."""

    def limited():
        done = 0

        def counted(call):
            def made(*arguments, **more):
                nonlocal done
                done += not str(arguments[-1]).endswith("probe")  # of a folder that can be written
                if done >= k:
                    os._exit(KILLED)
                return call(*arguments, **more)

            return made

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        recorder.CHECKPOINT_SECONDS = -1
        work()

    return end(begin(limited))


def test_whoever_is_killed_at_any_write_goes_on_to_what_an_uninterrupted_one_makes(gan, tmp_path, monkeypatch):
    config = gan.but(n_train=32)  # two updates an epoch
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", -1)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "whole"))
    everything(config)
    whole = tree(tmp_path / "whole")
    assert len([name for name in whole if name.endswith(".safetensors")]) == 3 + 2
    assert not [name for name in whole if "/." in name or name.startswith(".")]
    for k in range(1, 200):
        monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "cut"))
        status = killed_at(k, lambda: everything(config))
        if status == 0:
            break
        assert status == KILLED
        everything(config)
        assert tree(tmp_path / "cut") == whole, k
        shutil.rmtree(tmp_path / "cut")
    assert k > 35


def test_a_half_removed_training_is_swept_by_the_next_command(points):
    run = train(points)

    def remove():
        with drafts.removing(run.folder):
            pass

    assert killed_at(1, remove) == KILLED
    assert run.folder.exists()
    assert killed_at(2, remove) == KILLED  # it is away, and its files are
    assert not run.folder.exists()
    (draft,) = paths.runs_dir().glob(".*.[0-9]*")
    assert list(draft.iterdir())
    train(points.but(seed=1))
    assert not draft.exists()


# ---------------------------------------------------------------- longer and shorter trainings


def broken_off(config):
    with pytest.raises(OutOfTime):
        train(config, deadline=1.0)  # long past: it stops after an update


@pytest.mark.parametrize("lost", ["nothing", "run.json", "checkpoint.pt", "history.csv"])
def test_what_is_made_while_a_longer_training_goes_on_survives_it(conv, lost):
    sampling = Sampling(n=24, n_steps=2)
    run = train(conv.but(epochs=1))
    before = sample(run, sampling)
    broken_off(conv.but(epochs=2))
    drawn, scores, bits = sample(run, sampling.but(seed=1)), evaluate(run, sampling, JUDGE, 24), bits_of(run, 2)
    if lost != "nothing":
        (run.folder / lost).unlink()
    train(conv.but(epochs=2))
    again = find(conv.but(epochs=1))
    assert torch.equal(sample(again, sampling), before)
    assert torch.equal(sample(again, sampling.but(seed=1)), drawn)
    assert [read_scores(path) for path in again.folder.glob("samples/*/scores-*")] == [scores]
    assert bits_of(again, 2) == bits
    assert again.learner
    assert len(again.history["loss"]) == 4
    assert find(conv.but(epochs=2)).learner
    assert not list(paths.runs_dir().glob(".training-*"))


@pytest.mark.parametrize("name", ["points", "gan"])
def test_a_shorter_training_takes_nothing_from_a_longer_one(request, name, tmp_path, monkeypatch):
    config = request.getfixturevalue(name)
    with monkeypatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
        straight = train(config.but(epochs=6, snapshots=(3, 4)))
    train(config.but(epochs=4))
    longest = (find(config.but(epochs=4)).folder / layout.CHECKPOINT).read_bytes()
    three = train(config.but(epochs=3))
    assert (three.folder / layout.CHECKPOINT).read_bytes() == longest
    assert find(config.but(epochs=4)).config.epochs == 4
    steps, step = [], type(three.learner).step

    def counted(self, x, *more):
        steps.extend([0] if len(x) > 2 else [])
        return step(self, x, *more)

    monkeypatch.setattr(type(three.learner), "step", counted)
    six = train(config.but(epochs=6))
    assert len(steps) == 2 * six.record["steps_per_epoch"]
    assert six.epochs == straight.epochs == (3, 4, 6)
    assert (six.folder / layout.HISTORY).read_bytes() == (straight.folder / layout.HISTORY).read_bytes()
    for epochs in (3, 4, 6):
        part = layout.weights(six.at(epochs).images)
        assert (six.folder / part).read_bytes() == (straight.folder / part).read_bytes()


def test_a_shorter_training_beside_an_interrupted_longer_one_leaves_it_alone(points, monkeypatch):
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", -1)
    steps, step = [], Diffusion.step

    def limited(self, x, *more):
        steps.extend([0] if len(x) > 2 else [])
        if len(steps) > 20:
            raise KeyboardInterrupt
        return step(self, x, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Diffusion, "step", limited)
        with pytest.raises(KeyboardInterrupt):
            train(points.but(epochs=4))
    (hidden,) = paths.runs_dir().glob(".training-*")
    interrupted = (hidden / layout.CHECKPOINT).read_bytes()
    assert train(points.but(epochs=1)).epochs == (1,)
    assert (hidden / layout.CHECKPOINT).read_bytes() == interrupted
    steps.clear()
    monkeypatch.setattr(Diffusion, "step", lambda self, x, *more: steps.append(len(x)) or step(self, x, *more))
    assert train(points.but(epochs=4)).epochs == (1, 4)
    assert len([n for n in steps if n > 2]) == 4 * 8 - 20


def test_a_shorter_training_of_a_run_that_lost_its_record_leaves_the_longer_checkpoint(points):
    four = train(points.but(epochs=4))
    (four.folder / layout.RECORD).unlink()
    assert train(points.but(epochs=1)).folder == four.folder
    state = files.read_checkpoint(four.folder / layout.CHECKPOINT)
    assert state["counts"]["images"] == four.images


# ---------------------------------------------------------------- several processes


@pytest.mark.parametrize("n", [2, 4])
def test_of_several_processes_one_draws_and_all_have_the_same_samples(conv, tmp_path, monkeypatch, n):
    with monkeypatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
        alone = sample(train(conv), FEW)
    run, drawing = train(conv), samples_module._make

    def told(run, sampling, held):
        (tmp_path / f"drawn-{os.getpid()}").touch()
        return drawing(run, sampling, held)

    monkeypatch.setattr(samples_module, "_make", told)

    def draw(i):
        while not (tmp_path / "go").exists():
            pass
        torch.save(sample(find(conv), FEW), tmp_path / f"found-{i}.pt")

    started = [begin(lambda i=i: draw(i)) for i in range(n)]
    (tmp_path / "go").touch()
    assert [end(pid) for pid in started] == [0] * n
    for i in range(n):
        assert torch.equal(torch.load(tmp_path / f"found-{i}.pt"), alone)
    assert len(list(tmp_path.glob("drawn-*"))) == 1
    assert torch.equal(sample(run, FEW), alone)
    (place,) = (run.folder / "samples").iterdir()
    assert sorted(os.listdir(place)) == ["samples.safetensors", "sampling.json", "sheet.png"]


@pytest.mark.parametrize("flock", [fcntl.flock, lambda *_: None])  # network file systems may make it nothing
def test_of_several_processes_one_trains_and_all_have_the_run(points, tmp_path, monkeypatch, flock):
    monkeypatch.setattr(fcntl, "flock", flock)

    def work(i):
        torch.save(train(points).record["finished"], tmp_path / f"found-{i}.pt")

    started = [begin(lambda i=i: work(i)) for i in range(3)]
    assert [end(pid) for pid in started] == [0] * 3
    assert len({torch.load(tmp_path / f"found-{i}.pt") for i in range(3)}) == 1
    assert len(list(paths.runs_dir().glob("[!.]*"))) == 1


def test_a_process_that_is_not_to_wait_is_told_who_is_busy(points):
    pid = None
    try:
        with locks.lock(f"training-{points.digest}", "training points (seed 0)"):
            pid = begin(lambda: busy(points))
            assert end(pid) == 0
    finally:
        assert pid
    assert train(points, wait=False).epochs == (2,)


def busy(config):
    with pytest.raises(locks.Busy, match=r"another process is training points \(seed 0\)"):
        train(config, wait=False)


# ---------------------------------------------------------------- what is not whole


def test_a_drawing_that_counts_other_than_it_holds_is_refused_and_made_anew(conv):
    run = train(conv)
    whole = sample(run, FEW)
    (place,) = (run.folder / "samples").iterdir()
    (place / layout.SAMPLES).unlink()
    like = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    stream = drawing_module.Stream(place / layout.DRAWING, like.dtype, like.shape[1:], 1)
    stream.append(like, 0.1)  # a batch of one where there are three
    with pytest.raises(GendiffError, match=rf"5 of 7 samples of {run.id} were drawn: draw them once more"):
        sample(run, FEW)
    assert torch.equal(sample(run, FEW), whole)


def test_weights_that_were_changed_are_refused_in_one_sentence(points):
    run = train(points)
    file = run.folder / layout.weights(run.images)
    weights = files.read_tensors(file)
    weights["ema.leave.bias"] += 1e-3
    files.write_tensors(file, weights)
    with pytest.raises(files.StoreError) as told:
        sample(find(points), FEW)
    assert str(told.value) == (
        f"{file} is damaged (its SHA-256 is not the one that the record tells): "
        f"delete {run.folder}, and the same command makes it again"
    )


def test_samples_that_were_changed_are_refused_in_one_sentence(points):
    run = train(points)
    sample(run, FEW)
    (file,) = run.folder.glob(f"samples/*/{layout.SAMPLES}")
    files.write_tensors(file, {"samples": torch.zeros(7, 2)})
    with pytest.raises(files.StoreError, match=r"its SHA-256 is not the one that sampling\.json tells"):
        sample(run, FEW)


def test_a_sampling_that_was_killed_leaves_a_draft_that_the_next_sweeps(conv, tmp_path, monkeypatch):
    run = train(conv)
    whole = sample(run, FEW)
    (place,) = (run.folder / "samples").iterdir()
    shutil.rmtree(place)

    def until_written():
        save = files.save
        files.save = lambda tensors: (place / f".x.{files.HOST}.{os.getpid()}").touch() or save(tensors)
        os.replace = lambda old, new: os._exit(KILLED) if str(new).endswith(layout.SAMPLES) else os.rename(old, new)
        sample(run, FEW)

    assert end(begin(until_written)) == KILLED
    assert list(place.glob(".*"))
    living = place / f".living.{files.HOST}.{os.getpid()}"
    living.touch()
    assert torch.equal(sample(run, FEW), whole)
    assert list(place.glob(".*")) == [living]
