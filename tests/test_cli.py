import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from gendiff_lib import paths
from gendiff_lib.cli import COMMANDS, main, training
from gendiff_lib.cli.ending import exit_code
from gendiff_lib.cluster.record import Record
from gendiff_lib.config import Sampling
from gendiff_lib.diffusion.config import TransformerNetwork
from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments import budget, get
from gendiff_lib.experiments.experiment import PRESETS
from gendiff_lib.runs.process import Process
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.train import train
from gendiff_lib.versions import VERSIONS

SMOKE = ["--preset", "smoke"]
TRAIN = ["train", "dcgan", "--preset", "smoke", "--set", "n_train=100", "--epochs", "1"]


@pytest.fixture(scope="module")
def _made(tmp_path_factory):
    """Runs that many tests look at, trained once."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENDIFF_RUNS", str(folder))
        patch.setenv("GENDIFF_DEVICE", "cpu")
        patch.setattr(paths, "published_dir", lambda: folder / "published")  # whatever the checkout has published
        for name in ("dcgan", "ddpm-conv", "live-gan-2d"):
            assert main(["train", name, "--preset", "smoke"]) == 0
    return folder


@pytest.fixture
def trained(_made, capsys):
    """Runs of dcgan, ddpm-conv and live-gan-2d in the preset smoke, for one test alone."""
    shutil.copytree(_made, paths.runs_dir())
    capsys.readouterr()
    return paths.runs_dir()


def one_sentence(capsys):
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("gendiff: ")
    return err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "dcgan", "--epochs", "0"], "epochs"),
        (["train", "dcgan", "--epochs", "x"], "epochs"),
        (["train", "ddpm-conv", "--set", "beta_minmax=1,2"], "beta_minmax"),
        (["train", "ddpm-conv", "--set", "beta_minmax=1"], "beta_minmax"),
        (["train", "dcgan", "--set", "lr=1"], "lr"),
        (["train", "dcgan", "--set", "lrG"], "lrG"),
        (["train", "dcgan", "--seed", "-1"], "seed"),
        (["train", "dcgan", "--set", "name=../x"], "name='../x'"),
        (["train", "dcgan", "--set", "name=.hidden"], "name='.hidden'"),
        (["train", "dcgan", "--set", "nz=99999999999999999999"], "nz must be at least 1, at most 2147483647"),
        (["train", "dcgan", "--seed", "99999999999"], "at least 0, at most 2147483647"),
        (["train", "dcgan", "--set", "epochs=3", "--epochs", "1"], "epochs is given twice"),
        (["train", "--all", "--preset", "big"], "--preset: invalid choice: 'big' (choose from"),
        (["train", "--all", "--seeds", "0"], "--seeds: it must be a whole number from 1 to 100, not '0'"),
        (["train", "--all", "--budget", ""], "--budget must be a span"),
        (["train", "--all", "--again"], "--again"),
        (["runs", "--preset", "big"], "--preset: invalid choice: 'big' (choose from"),
        (["runs", "--dataset", "cats"], "cats"),
        (["sample", "dcgan", "--preset", "smoke"], "`gendiff train dcgan --preset smoke` makes one"),
        (["train", "nothing"], "nothing"),
        (["train"], "--all"),
        (["train", "dcgan", "--preset", "big"], "big"),
        (["train", "dcgan", "--preset", "smoke", "--dataset", "cats"], "cats"),
        (
            ["train", "ddpm-conv", "--preset", "smoke", "--set", "schedule=spiral"],
            "schedule 'spiral' is unknown: there are linear",
        ),
        (
            ["train", "ddpm-conv", "--preset", "smoke", "--set", "network=dcgan"],
            "network must be one of mlp, conv, unet, transformer",
        ),
        (["train", "dcgan", "--preset", "smoke", "--set", "n_train=99999999"], "n_train"),
        (["sample", "dcgan"], "dcgan"),
        (["score", "no-such-run"], "no-such-run"),
        (["publish", "no-such-run"], "no-such-run"),
        (["fly"], "fly"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_sentence_that_names_it_and_leaves_nothing(words, named, capsys):
    assert main(words) == 2
    assert named in one_sentence(capsys)
    assert not paths.runs_dir().exists() or not list(paths.runs_dir().iterdir())


def test_unwritable_runs_folder_is_one_sentence(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "file" / "runs"))
    assert main(TRAIN) == 2
    assert "GENDIFF_RUNS" in one_sentence(capsys)


def test_train_sample_score_publish_and_runs(capsys, monkeypatch, tmp_path):
    published = tmp_path / "published"
    monkeypatch.setattr(paths, "published_dir", lambda: published)
    assert main(TRAIN) == 0
    assert "trained in" in capsys.readouterr().out
    assert main(TRAIN) == 0
    assert "is there" in capsys.readouterr().out
    run = next(paths.runs_dir().glob("dcgan-*")).name
    picture = tmp_path / "samples.png"
    assert main(["sample", run, "--n", "9", "--out", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert main(["sample", run, "--sampler", "ddim"]) == 2
    assert "sampler" in one_sentence(capsys)
    assert main(["publish", run, "--weights"]) == 0
    assert json.loads((published / run / "run.json").read_text())["config"]["n_train"] == 100
    assert list((published / run / "weights").iterdir())
    capsys.readouterr()
    assert main(["runs", "--preset", "smoke"]) == 0
    out = capsys.readouterr().out
    assert out.count(run) == 2
    assert get("dcgan", "smoke").digest in out  # missing


def test_solvers_and_grids_are_words_of_sampling(trained, capsys, tmp_path):
    out = tmp_path / "samples.png"
    for sampler, grid in (("heun", "rho"), ("dpmpp-2m", "quadratic"), ("unipc", "trailing")):
        words = ["--sampler", sampler, "--grid", grid, "--n-steps", "4", "--n", "4"]
        assert main(["sample", "ddpm-conv", *SMOKE, *words, "--out", str(out)]) == 0
        drawn = [json.loads(p.read_text())["sampling"] for p in trained.glob("ddpm-conv-*/samples/*/sampling.json")]
        (mine,) = [d for d in drawn if d["sampler"] == sampler]
        assert (mine["n_steps"], mine["grid"]) == (4, None if grid == "trailing" else grid)
    capsys.readouterr()
    assert main(["sample", "ddpm-conv", *SMOKE, "--sampler", "heun", "--grid", "even"]) == 2
    assert "grid 'even' is unknown: there are trailing, quadratic, rho" in one_sentence(capsys)


def test_score_prints_values_with_their_protocol(trained, capsys):
    assert main(["score", "dcgan", "--preset", "smoke", "--n", "50"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("cs ", "fd ", "kd ", "precision", "recall", "n = 50", "shapes-classifier"))
    assert "FID" not in out


def test_score_all_scores_every_run_that_is_there_and_leaves_out_what_cannot_be(capsys, published):
    assert main(["train", "dcgan", "--preset", "smoke", "--epochs", "4"]) == 0
    assert main(["train", "flow-unet", "--preset", "smoke"]) == 0
    assert main(["publish", "flow-unet", "--preset", "smoke"]) == 0
    shutil.rmtree(next(paths.runs_dir().glob("flow-unet-*")))
    capsys.readouterr()
    assert main(["score", "--all", "--preset", "smoke", "--reference", "test"]) == 0
    out = capsys.readouterr().out
    assert out.count("against 500 test images") == 2  # the GAN at 2 and at 4 epochs
    assert "left out: flow-unet-" in out
    assert len(list(paths.runs_dir().glob("dcgan-*/samples/*/scores-shapes-classifier-*-test-500.json"))) == 2


def test_score_again_makes_anew_what_older_versions_made(trained, monkeypatch):
    score = ["score", "dcgan", "--preset", "smoke", "--n", "50"]
    assert main(score) == 0
    (drawn,) = paths.runs_dir().glob("dcgan-*/samples/*/samples.safetensors")
    (kept,) = drawn.parent.glob("scores-*.json")
    then = drawn.stat().st_mtime_ns, kept.stat().st_mtime_ns

    def made():
        return drawn.stat().st_mtime_ns != then[0], kept.stat().st_mtime_ns != then[1]

    assert main([*score, "--again"]) == 0
    assert made() == (False, False)  # nothing is outdated
    monkeypatch.setitem(VERSIONS, "metrics", VERSIONS["metrics"] + 1)
    assert main(score) == 0
    assert made() == (False, False)
    assert main([*score, "--again"]) == 0
    assert made() == (False, True)
    monkeypatch.setitem(VERSIONS, "sampling", VERSIONS["sampling"] + 1)
    assert main([*score, "--again"]) == 0
    assert made() == (True, True)


def test_score_check_draws_once_more_and_holds_what_is_kept_against_it(trained, capsys):
    score = ["score", "dcgan", "--preset", "smoke", "--n", "50"]
    assert main([*score, "--check"]) == 0
    out = capsys.readouterr().out
    assert out.count("once more,") == out.count(": equal") == 7
    (kept,) = paths.runs_dir().glob("dcgan-*/samples/*/scores-*.json")
    before = set(kept.parent.iterdir())
    told = json.loads(kept.read_text())
    kept.write_text(json.dumps(told | {"frechet_distance": 2 * told["frechet_distance"]}))
    assert main([*score, "--check"]) == 2
    assert "fd of dcgan-" in capsys.readouterr().err
    assert set(kept.parent.iterdir()) == before


def test_score_check_of_a_run_without_weights_names_the_command_that_makes_them(trained, capsys, published):
    score = ["score", "dcgan", "--preset", "smoke", "--n", "50"]
    assert main(score) == 0
    assert main(["publish", "dcgan", "--preset", "smoke"]) == 0
    shutil.rmtree(next(paths.runs_dir().glob("dcgan-*")))
    assert main(score) == 0
    assert main([*score, "--check"]) == 2
    assert "without" in capsys.readouterr().err


def test_a_full_memory_is_one_sentence(capsys, monkeypatch):
    def full(*args, **more):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr("gendiff_lib.cli.training.train", full)
    assert main(["train", "dcgan", "--preset", "smoke"]) == 2
    assert "the memory is full: lower batch_size" in one_sentence(capsys)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["score"], "--all"),
        (["score", "dcgan", "--all"], "--all"),
        (["score", "--all", "--n", "5"], "--n "),
        (["score", "--all", "--n-steps", "5"], "--n-steps "),
        (["score", "--all", "--epoch", "5"], "--epoch "),
        (["score", "--all", "--n-real", "5"], "--n-real "),
        (["score", "--all", "--preset", "smoke", "--extractor", "mine"], "mine"),
        (["score", "dcgan", "--preset", "smoke", "--reference", "both"], "--reference: invalid choice: 'both'"),
        (["score", "dcgan", "--preset", "smoke", "--n-real", "-5"], "--n-real"),
        (["score", "dcgan", "--preset", "smoke", "--n-real", "²"], "--n-real"),
        (["score", "dcgan", "--preset", "smoke", "--n-real", "99999999"], "--n-real 99999999"),
        (["bits", "dcgan", "--preset", "smoke"], "has no bits per dimension"),
        (["bits", "dcgan", "--preset", "smoke", "--n", "-5"], "--n"),
        (["bits", "dcgan", "--preset", "smoke", "--n", "1"], "n=1"),
        (
            ["bits", "ddpm-conv", "--preset", "smoke", "--split", "both"],
            "--split: invalid choice: 'both' (choose from",
        ),
        (["score", "dcgan", "--preset", "smoke", "--n-real", ""], "--n-real: it must be a whole number from 1 to"),
        (["validate", "--preset", "smoke", "--extractor", "inception"], "GENDIFF_INCEPTION"),
        (["validate", "--preset", "smoke", "--dataset", "cats"], "cats"),
    ],
)
def test_bad_input_to_scores_is_one_sentence(words, named, trained, capsys, monkeypatch):
    monkeypatch.setenv("GENDIFF_INCEPTION", "no-such-file.pth")
    if named == "mine":
        assert main(["train", "dcgan", "--preset", "smoke", "--epochs", "4"]) == 0
        capsys.readouterr()
    assert main(words) == 2
    assert named in one_sentence(capsys)


@pytest.mark.parametrize("flag", ["--reference test", "--extractor vgg16", "--n-real 7"])
def test_points_are_not_scored_by_flags_of_images(flag, trained, capsys):
    assert main(["score", "live-gan-2d", "--preset", "smoke", *flag.split()]) == 2
    assert f"{flag.split()[0]} does not apply" in one_sentence(capsys)


def test_bits_are_printed_with_their_protocol(trained, capsys):
    assert main(["bits", "ddpm-conv", "--preset", "smoke", "--n", "20"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("bits per dimension", "20 test images", "T = 20", "raw weights", "decoder"))


def test_validate_shows_and_publishes(capsys, published):
    assert main(["validate", "--preset", "smoke", "--publish"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("blur 1.5", "9 classes dropped", "test, train", "shapes-classifier"))
    (path,) = (published / "validation").iterdir()
    assert str(path) in out
    again = next(paths.runs_dir().glob("validation/*.json"))
    assert json.loads(path.read_text()) == json.loads(again.read_text())
    again.unlink()
    assert main(["validate", "--preset", "smoke", "--publish"]) == 0
    assert "it is published already" in capsys.readouterr().out


def test_calibrate_shows_and_publishes(trained, published, capsys):
    words = ["calibrate", "dcgan", *SMOKE, "--n", "40", "--pool", "80", "--draws", "3"]
    assert main(words) == 0
    out = capsys.readouterr().out
    head, *rows, last = out.splitlines()
    assert head.split() == ["score", "error", "told", "spread", "told", "/", "spread"]
    assert [row.split()[0] for row in rows] == ["cs", "fd", "kd", "precision", "recall", "density", "coverage"]
    for row in rows:
        _, told, spread, ratio = row.split()
        near = 0.006 + 0.002 * float(ratio)  # it has two places, what it is made of four digits
        assert ratio == "nan" if spread == "0" else float(told) / float(spread) == pytest.approx(float(ratio), abs=near)
    assert "3 draws of 40 of 80 samples by shapes-classifier" in last
    assert not published.exists()
    assert main([*words, "--publish"]) == 0
    (path,) = (published / "validation").iterdir()
    again = capsys.readouterr().out
    assert again.splitlines()[: len(rows) + 1] == out.splitlines()[:-1]
    assert again.endswith(f"published {path}\n")


@pytest.mark.parametrize("flag", ["n", "pool", "draws"])
def test_calibrate_takes_whole_numbers_alone(flag, trained, capsys):
    assert main(["calibrate", "dcgan", *SMOKE, f"--{flag}", "1.5"]) == 2
    assert f"--{flag}: it must be a whole number from 1 to 2147483647, not '1.5'" in one_sentence(capsys)


def test_points_and_draws_without_spread_are_not_calibrated(trained, capsys):
    assert main(["calibrate", "live-gan-2d", *SMOKE]) == 2
    assert "makes points in the plane" in one_sentence(capsys)
    assert main(["calibrate", "dcgan", *SMOKE, "--n", "80", "--pool", "80"]) == 2
    assert "n=80 of 80 samples in 50 draws tell no spread" in capsys.readouterr().err


def test_list_names_what_there_is(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(w in out for w in ("ddpm-conv", "tutorial", "cosine", "unet", "gaussians", "inception", "beta_minmax"))


def test_list_tells_the_words_that_a_field_takes(capsys):
    assert main(["list"]) == 0
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert told["penalty"].endswith(": r1, r1+r2, wgan-gp, none")
    assert told["augment"].endswith(": color, translation, cutout")
    assert told["network.norm"].endswith(": batch, none")
    assert told["lrG"].endswith("learning rate of the generator")


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    assert "gendiff train dcgan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["publish", "dcgan"], "dcgan"),
        (["train", "dcgan", "--preset", "smoke", "--set", "dataset=cats"], "cats"),
        (["train", "dcgan", "--seed", "99999999999999999999"], "seed"),
        (["train", "live-gan-2d", "--preset", "smoke", "--set", "flip=true"], "flip"),
    ],
)
def test_more_bad_input_is_one_sentence(words, named, capsys):
    assert main(words) == 2
    assert named in one_sentence(capsys)


# ---------------------------------------------------------------- kinds of bad input, swept

OF_A_RUN = ("sample", "score", "bits", "replay", "publish", "calibrate")
SIZED = {
    "train": ["dcgan"], "sweep": ["dcgan"], **{c: ["dcgan"] for c in OF_A_RUN}, "runs": [], "validate": [], "list": [],
}  # fmt: skip
NO_NUMBERS = ["²", "٣", "1_000", "1e400", "nan", "inf", "abc", "0x10", "1,5", "9" * 5000]


def test_every_command_with_a_size_is_swept():
    assert SIZED.keys() == COMMANDS.keys() - {"prune", "fetch"}


@pytest.mark.parametrize("preset", ["big", "", "SMOKE", "a\nb"])
@pytest.mark.parametrize("command", SIZED)
def test_an_unknown_preset_is_refused_in_every_command(command, preset, capsys):
    assert main([command, *SIZED[command], "--preset", preset]) == 2
    said = one_sentence(capsys)
    assert f"--preset: invalid choice: {preset!r}" in said
    assert all(name in said for name in PRESETS)


@pytest.mark.parametrize("dataset", ["cats", "shapes:7", "shapes:٣٢", "gaussians:3", "folder:/no/such", "a\nb"])
@pytest.mark.parametrize("command", [c for c in SIZED if c != "list"])
def test_a_data_set_that_is_none_is_refused_in_every_command(command, dataset, capsys):
    assert main([command, *SIZED[command], *SMOKE, "--dataset", dataset]) == 2
    assert dataset.replace("\n", "\\n") in one_sentence(capsys)


@pytest.mark.parametrize("word", ["nothing", "", " ", "x" * 5000, "a\nb", "🎲", "../x", "/", "dcgan/", "DCGAN"])
@pytest.mark.parametrize("command", OF_A_RUN)
def test_a_word_that_names_no_run_is_refused_in_every_command(command, word, capsys):
    assert main([command, word, *SMOKE]) == 2
    said = one_sentence(capsys)
    assert "is neither an experiment nor a run: `gendiff runs` shows what there is" in said
    assert len(said) < 300


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize(
    "words",
    [
        ["train", "dcgan", "--epochs"], ["train", "dcgan", "--seed"], ["train", "dcgan", "--threads"],
        ["train", "--all", "--seeds"], ["train", "--all", "--budget"], ["train", "--all", "--epochs"],
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_every_flag_of_train(words, text, capsys):
    assert main([*words, text]) == 2
    assert words[-1].strip("-") in one_sentence(capsys)


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("field", ["n", "seed", "batch-size", "n-steps", "eta", "epoch", "clip-x0"])
def test_what_is_no_number_is_refused_by_every_flag_of_samples(field, text, trained, capsys):
    assert main(["sample", "ddpm-conv", *SMOKE, f"--{field}", text]) == 2
    assert field.replace("-", "_") in one_sentence(capsys)


@pytest.mark.parametrize("text", ["0", "-1", "1025", "999999999999"])
def test_threads_are_as_many_as_a_machine_may_have(text, capsys):
    assert main(["train", "dcgan", *SMOKE, "--threads", text]) == 2
    assert f"--threads: it must be a whole number from 1 to 1024, not {text!r}" in one_sentence(capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "dcgan", "--seed", "1", "--seed", "1"],
        ["train", "dcgan", "--preset", "smoke", "--preset", "smoke"],
        ["train", "dcgan", "--epochs", "1", "--epochs", "2"],
        ["sample", "dcgan", "--n", "3", "--n", "4"],
        ["score", "dcgan", "--reference", "test", "--reference", "train"],
        ["list", "--preset", "smoke", "--preset", "paper"],
    ],
)
def test_an_option_that_is_given_twice_is_refused(words, capsys):
    assert main(words) == 2
    assert f"{words[-2]} is given twice: leave one out" in one_sentence(capsys)


@pytest.mark.parametrize("word", ["seed=1", "epochs=1", "dataset=shapes", "nz=3"])
def test_a_field_that_is_given_twice_is_refused(word, capsys):
    flags = ["--seed", "2", "--epochs", "2", "--dataset", "shapes", "--set", "nz=4"]
    assert main(["train", "dcgan", *SMOKE, *flags, "--set", word]) == 2
    assert f"{word.partition('=')[0]} is given twice" in one_sentence(capsys)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--publish"], "give --preset overnight"),
        (["--publish", "--preset", "overnight", "--set", "nz=3"], "--set does not go with --publish"),
        (["--budget", "1m", "--again"], "--again does not go with --budget"),
        (["--budget", "soon"], "'soon'"),
        (["--seeds", "1"], "--seeds goes with --all"),
        (["--all"], "name experiments, or give --all"),
        (["ddpm-conv", "--set", "nz=3"], "nz"),
    ],
)
def test_what_does_not_go_with_named_experiments_is_refused_before_anything_is_trained(words, named, capsys):
    preset = [] if "--preset" in words else SMOKE
    assert main(["train", "dcgan", *words, *preset]) == 2
    assert named in one_sentence(capsys)
    assert not paths.runs_dir().exists()


def test_a_name_of_nothing_is_refused_before_those_beside_it_are_trained(capsys):
    assert main(["train", "dcgan", "nothing", *SMOKE]) == 2
    assert "'nothing' is neither an experiment nor a run" in one_sentence(capsys)
    assert not paths.runs_dir().exists()


def test_several_experiments_are_trained_in_turn_each_once_and_within_a_budget(capsys):
    words = ["train", "dcgan-32", "ddpm-mlp", "dcgan-32", *SMOKE]
    assert main([*words, "--budget", "0.001s"]) == 0
    left = capsys.readouterr().out
    assert left.startswith("left: dcgan-32, 2 epochs, seed 0")
    assert left.endswith("; ddpm-mlp, 2 epochs, seed 0\n")
    assert main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in told] == [f"{n}-{get(n, 'smoke').digest}" for n in words[1:3]]
    assert main([*words, "--budget", "1m"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing is left"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--cluster", "slurm", "--budget", "1m"], "--budget does not go with --cluster"),
        (["--cluster", "slurm", "--again"], "--again does not go with --cluster"),
        (["--cluster", "slurm", "--threads", "1"], "--threads does not go with --cluster"),
        (["--cluster", "cloud"], "invalid choice: 'cloud'"),
        (["--cluster", "slurm"], "--cluster slurm needs sbatch, which is not on this machine"),
        (["--gpus", "1"], "--gpus goes with --cluster"),
        (["--at-once", "0"], "it must be a whole number from 1"),
    ],
)
def test_what_does_not_go_to_a_cluster_is_refused(words, named, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["train", "dcgan", *SMOKE, *words]) == 2
    assert named in one_sentence(capsys)
    assert not paths.runs_dir().exists()


def test_runs_tells_of_jobs_and_of_their_whole_logs(trained, capsys):
    config, log = get("dcgan", "smoke"), "/a" * 200
    Record.of(config, "4_0", log).write()
    Record.of(config.but(seed=7), "", log, Process.of(os.getpid())).write()
    assert main(["runs", *SMOKE]) == 0
    told = capsys.readouterr().out.partition("\n\n")[2].splitlines()
    assert told[0].split() == ["job", "run", "epochs", "state", "log"]
    rows = {words[-2]: words for words in map(str.split, told[1:])}
    assert rows["done"] == ["4_0", f"dcgan-{config.digest}", "2", "done", log]
    assert rows["queued"] == [f"dcgan-{config.but(seed=7).digest}", "2", "queued", log]


@pytest.mark.parametrize("preset", ["laptop", "overnight"])
def test_all_that_is_too_long_is_refused_before_the_first_is_trained(preset, monkeypatch, capsys):
    monkeypatch.setattr(budget, "seconds_of_image", lambda config: 60.0)
    assert main(["train", "--all", "--preset", preset, "--dataset", "shapes"]) == 2
    assert "hours here: add --yes" in capsys.readouterr().err.splitlines()[-1]
    assert not paths.runs_dir().exists()


@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "overnight"])
def test_publishing_a_study_is_for_the_preset_that_has_its_protocol(preset, capsys):
    assert main(["train", "--all", "--preset", preset, "--publish"]) == 2
    assert "give --preset overnight" in one_sentence(capsys)


@pytest.mark.parametrize(
    ("bad", "remedy"),
    [
        (["ddpm-conv", "--set", "schedule=cosine"], ["--set", "beta_minmax=none"]),
        (
            ["ddpm-conv", "--set", "schedule=flow"],
            ["--set", "n_timesteps=none", "--set", "beta_minmax=none", "--set", "prediction=v"],
        ),
        (["ddpm-conv", "--set", "beta_minmax=none"], ["--set", "n_timesteps=1000", "--set", "beta_minmax=1e-4,2e-2"]),
        (["ddpm-conv", "--set", "n_timesteps=1"], ["--set", "n_timesteps=20"]),
        (["ddpm-conv", "--set", "beta_minmax=1e-9,1e-8"], ["--set", "beta_minmax=1e-4,0.9"]),
        (["ddpm-conv", "--set", "network.hidden_dim=9"], ["--set", "network.hidden_dim=16"]),
        (["ddpm-unet", "--set", "network.widths=3,4"], ["--set", "network.widths=4,4"]),
        (["ddpm-unet", "--set", "network.attention=9"], ["--set", "network.attention=1"]),
        (["ddpm-unet", "--set", "network.patch=3"], ["--set", "network.patch=2"]),
        (["dcgan", "--set", "image_size=33"], ["--set", "image_size=32"]),
        (["dcgan", "--set", "batch_size=401"], ["--set", "batch_size=400"]),
        (["dcgan", "--set", "n_train=999999"], ["--set", "n_train=none"]),
        (["dcgan", "--set", "network=mlp"], ["--set", "network=dcgan"]),
        (["classifier", "--set", "crop=32"], ["--set", "crop=31"]),
        (["live-gan-2d", "--set", "flip=true"], ["--set", "flip=false"]),
        (["live-gan-2d", "--set", "image_size=8"], ["--set", "image_size=none"]),
    ],
)
def test_what_a_sentence_tells_to_do_works(bad, remedy, capsys, monkeypatch):
    def begin(config, *, again):
        raise GendiffError("begun")

    monkeypatch.setattr("gendiff_lib.cli.training.train", begin)
    monkeypatch.setattr(budget, "seconds_left", lambda *_: 3600.0)  # so that nothing may be told before
    changed = {word.partition("=")[0] for word in remedy}
    kept = [w for w in bad[1:] if w.partition("=")[0] not in changed and w != "--set"]
    assert main(["train", bad[0], *SMOKE, *bad[1:]]) == 2
    assert "begun" not in one_sentence(capsys)
    assert main(["train", bad[0], *SMOKE, "--yes", *(f for w in kept for f in ("--set", w)), *remedy]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "gendiff: begun"


def test_a_long_training_wants_yes(capsys, monkeypatch):
    monkeypatch.setattr(budget, "seconds_left", lambda *_: 7200.0)
    assert main(TRAIN) == 2
    assert "dcgan to 1 epochs takes about 2.0 hours here: add --yes, or lower --epochs" in one_sentence(capsys)
    assert not paths.runs_dir().exists()
    assert main([*TRAIN, "--yes"]) == 0


# ---------------------------------------------------------------- --out


def draw(out):
    return main(["sample", "dcgan", *SMOKE, "--n", "4", "--out", str(out)])


def test_a_picture_of_ours_is_replaced(trained, tmp_path):
    out = tmp_path / "new" / "a.png"
    assert draw(out) == 0
    first = out.read_bytes()
    assert main(["sample", "dcgan", *SMOKE, "--n", "9", "--out", str(out)]) == 0
    assert out.read_bytes() != first
    assert draw(out) == 0
    assert out.read_bytes() == first


@pytest.mark.parametrize("what", ["folder", "text", "png", "link", "empty"])
def test_what_gendiff_has_not_made_stays(what, trained, tmp_path, capsys):
    out = tmp_path / "a.png"
    match what:
        case "folder":
            out.mkdir()
        case "text":
            out.write_text("mine")
        case "png":
            Image.new("RGB", (4, 4)).save(out)
        case "link":
            out.symlink_to(tmp_path / "nowhere")
        case "empty":
            out.touch()
    before = sorted(trained.rglob("*"))
    kept = out.read_bytes() if out.is_file() else None
    assert draw(out) == 2
    assert f"--out {out} is " in one_sentence(capsys)
    assert kept is None or out.read_bytes() == kept
    assert sorted(trained.rglob("*")) == before
    assert draw(out / "samples.png" if what == "folder" else tmp_path / "b.png") == 0  # the remedy


def test_more_than_a_sheet_holds_is_refused_before_it_is_drawn(trained, capsys):
    assert main(["sample", "dcgan", *SMOKE, "--n", "10001"]) == 2
    assert "--n 10001 is more than a contact sheet holds: give at most 10000" in one_sentence(capsys)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_drawn(trained, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("gendiff_lib.cli.samples.sample", lambda *_: pytest.fail("drawn"))
    assert draw(tmp_path / "file" / "a.png") == 2
    assert "name another file by --out" in one_sentence(capsys)


# ---------------------------------------------------------------- how a command ends


def test_interrupted_is_130(capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gendiff_lib.cli.training.train", interrupt)
    assert main(TRAIN) == 130
    assert "interrupted; the same command goes on" in one_sentence(capsys)


def test_terminated_is_143_in_the_same_words(capsys, monkeypatch):
    monkeypatch.setattr("gendiff_lib.cli.training.train", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    assert main(TRAIN) == 143
    assert "terminated; the same command goes on" in one_sentence(capsys)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_process_that_is_told_otherwise_by_sigterm_stays_so(monkeypatch):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        assert exit_code("gendiff", lambda: os.kill(os.getpid(), signal.SIGTERM), "") == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [True]


def test_what_the_system_refuses_is_one_sentence(capsys):
    def refuse():
        raise PermissionError(13, "Permission denied", "/a/file")

    assert exit_code("gendiff", refuse, "") == 2
    assert one_sentence(capsys) == ("gendiff: /a/file: Permission denied: mend that, and give the same command again\n")


def test_a_sentence_is_one_line_whose_words_end(capsys):
    def refuse():
        raise GendiffError(f"x={'a' * 9000!r} is no\nword\x1b[31m")

    assert exit_code("gendiff", refuse, "") == 2
    said = one_sentence(capsys)
    assert len(said) < 150
    assert "\\nword\\x1b[31m" in said


def test_a_stream_without_a_sign_shows_another(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert exit_code("gendiff", lambda: print("3.1 ± 0.2"), "") == 0
    assert narrow.buffer.getvalue() == b"3.1 ? 0.2\n"


def test_without_a_standard_error_the_output_stays_clean(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["fly"]) == 2
    assert capsys.readouterr().out == ""


def test_a_full_disk_behind_the_output_is_one_sentence(capsys):
    with open("/dev/full", "w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert main(["list"]) == 2
    assert "No space left on device" in one_sentence(capsys)


def test_a_reader_that_has_gone_is_no_traceback():
    root = Path(__file__).parents[1]
    command = f"{sys.executable} -m gendiff_lib list | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=root, env=os.environ, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")


# ---------------------------------------------------------------- the newer commands


def test_replay_tells_whether_todays_code_makes_the_run(trained, capsys, monkeypatch):
    assert main(["replay", "dcgan", "ddpm-conv", *SMOKE]) == 0
    out = capsys.readouterr().out
    assert out.count("bit-equal") == 2
    path = next(trained.glob("dcgan-*")) / "run.json"
    record = json.loads(path.read_text())
    record["first_losses"][3]["loss_d"] += 1
    path.write_text(json.dumps(record))
    assert main(["replay", "dcgan", *SMOKE]) == 2
    assert "today's code does not make dcgan" in capsys.readouterr().err


def test_replays_stop_at_their_budget_and_begin_elsewhere_at_another_commit(trained, capsys, monkeypatch):
    assert main(["replay", "dcgan", "ddpm-conv", *SMOKE, "--budget", "0.001s"]) == 0
    told = capsys.readouterr().out
    assert "dcgan: " in told  # one at least
    assert "left for another commit: ddpm-conv" in told
    runs = dict.fromkeys("abcdefgh")
    orders = set()
    for name in ("one", "two"):
        monkeypatch.setattr("gendiff_lib.cli.training.commit", lambda name=name: {"commit": name})
        orders.add(tuple(training._by_turns(runs)))
    assert len(orders) == 2
    assert all(set(order) == set(runs) for order in orders)


@pytest.mark.parametrize("command", ["replay", "publish"])
def test_a_wrong_word_behind_a_right_one_is_refused_first(command, trained, published, capsys):
    assert main([command, "dcgan", "nothing", *SMOKE]) == 2
    assert "'nothing' is neither" in one_sentence(capsys)
    assert not published.exists()


def test_prune_shows_and_removes(trained, capsys):
    assert main(["prune"]) == 0
    rows = {line.split()[0]: float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows.keys() == {"checkpoints", "samples", "trainings", "features"}
    assert rows["checkpoints"] > 0
    assert main(["prune", "checkpoints"]) == 0
    assert capsys.readouterr().out.count("removed") == 3
    assert not list(trained.glob("*/checkpoint.pt"))
    assert main(["prune", "checkpoints", "everything"]) == 2
    assert "'everything' is nothing to prune" in one_sentence(capsys)


def test_list_tells_what_a_preset_costs(capsys, monkeypatch):
    monkeypatch.setattr("gendiff_lib.cli.listing.seconds_of_image", lambda config, probed: 0.5)
    assert main(["list", "--preset", "smoke"]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    images = get("dcgan", "smoke").epochs * 400
    assert lines["dcgan"][2] == "2"
    assert float(lines["dcgan"][-1]) == pytest.approx(images * 0.5 / 3600, rel=0.05)


def test_fetch_tells_where_the_weights_are(capsys, monkeypatch):
    monkeypatch.setattr("gendiff_lib.cli.keeping.fetch", lambda file: Path("/cache/weights.pt"))
    assert main(["fetch", "inception"]) == 0
    assert capsys.readouterr().out == "inception is in /cache/weights.pt\n"


def test_every_field_of_a_sampling_is_an_option(trained, capsys):
    for name in Sampling.fields():
        assert main(["sample", "dcgan", *SMOKE, f"--{name.replace('_', '-')}", "\x7f"]) == 2
        assert name in one_sentence(capsys)


def changed():
    yield get("dcgan", "smoke").but(seed=7, epochs=1.5, dataset="shapes:16")
    small = TransformerNetwork(n_layers=2, hidden_dim=16, patch=4)
    yield get("ddpm-unet", "smoke").but(network=small, lr=1.5e-4, flip=True)
    yield get("live-gan-2d", "smoke").but(name="mine", dataset="moons")  # of no experiment


@pytest.mark.parametrize("config", list(changed()), ids=lambda c: c.name)
def test_the_command_of_a_run_trains_its_very_configuration(config, monkeypatch, tmp_path):
    run = train(config)
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "published")
    publish(run)
    asked = []

    def found(config, _again):
        asked.append(config)
        raise GendiffError("seen")

    monkeypatch.setattr(training, "found", found)
    program, *words = shlex.split(run.command)
    shutil.rmtree(run.folder)
    assert (program, main(words)) == ("gendiff", 2)
    assert [(c.digest, c.epochs, c.name) for c in asked] == [(config.digest, run.config.epochs, config.name)]
