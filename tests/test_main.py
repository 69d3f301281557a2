import json
import shutil

import pytest
import torch

from gendiff_lib import runs, store
from gendiff_lib.__main__ import main
from gendiff_lib.experiments import get

TRAIN = ["train", "dcgan", "--preset", "smoke", "--set", "n_train=100", "--epochs", "1"]


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
        (["train", "dcgan", "--set", "nz=99999999999999999999"], "nz must be between 1 and 2147483647"),
        (["train", "dcgan", "--seed", "99999999999"], "between 0 and 2147483647"),
        (["train", "dcgan", "--set", "epochs=3", "--epochs", "1"], "epochs is given twice"),
        (["train", "--all", "--preset", "big"], "preset 'big'"),
        (["train", "--all", "--seeds", "0"], "--seeds must be between 1 and 100"),
        (["train", "--all", "--budget", ""], "--budget must be a span"),
        (["train", "--all", "--again"], "--again"),
        (["runs", "--preset", "big"], "preset 'big'"),
        (["runs", "--dataset", "cats"], "cats"),
        (["sample", "dcgan", "--preset", "smoke"], "`gendiff train dcgan --preset smoke` makes one"),
        (["train", "nothing"], "nothing"),
        (["train"], "--all"),
        (["train", "dcgan", "--preset", "big"], "big"),
        (["train", "dcgan", "--preset", "smoke", "--dataset", "cats"], "cats"),
        (["train", "ddpm-conv", "--preset", "smoke", "--set", "path=spiral"], "spiral"),
        (["train", "ddpm-conv", "--preset", "smoke", "--set", "denoiser=unet"], "n_layers"),
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
    assert not store.runs_dir().exists() or not list(store.runs_dir().iterdir())


def test_unwritable_runs_folder_is_one_sentence(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "file" / "runs"))
    assert main(TRAIN) == 2
    assert "GENDIFF_RUNS" in one_sentence(capsys)


def test_train_sample_score_publish_and_runs(capsys, monkeypatch, tmp_path):
    published = tmp_path / "published"
    monkeypatch.setattr(store, "published_dir", lambda: published)
    assert main(TRAIN) == 0
    assert "trained in" in capsys.readouterr().out
    assert main(TRAIN) == 0
    assert "is there" in capsys.readouterr().out
    run = next(store.runs_dir().glob("dcgan-*")).name
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


def test_score_prints_values_with_their_protocol(capsys):
    assert main(["train", "dcgan", "--preset", "smoke"]) == 0
    assert main(["score", "dcgan", "--preset", "smoke", "--n", "50"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("cs ", "fd ", "kd ", "precision", "recall", "n = 50", "shapes-classifier"))
    assert "FID" not in out


def test_score_all_scores_every_run_that_is_there_and_leaves_out_what_cannot_be(capsys, published):
    assert main(["train", "dcgan", "--preset", "smoke", "--epochs", "4"]) == 0
    assert main(["train", "flow-unet", "--preset", "smoke"]) == 0
    assert main(["publish", "flow-unet", "--preset", "smoke"]) == 0
    shutil.rmtree(next(store.runs_dir().glob("flow-unet-*")))
    capsys.readouterr()
    assert main(["score", "--all", "--preset", "smoke", "--reference", "test"]) == 0
    out = capsys.readouterr().out
    assert out.count("against 500 test images") == 2  # the GAN at 2 and at 4 epochs
    assert "left out: flow-unet-" in out
    assert len(list(store.runs_dir().glob("dcgan-*/samples/*/scores-shapes-classifier-*-test-500.json"))) == 2


def test_score_again_makes_anew_what_older_sources_made(capsys, monkeypatch):
    score = ["score", "dcgan", "--preset", "smoke", "--n", "50"]
    assert main(["train", "dcgan", "--preset", "smoke"]) == main(score) == 0
    (drawn,) = store.runs_dir().glob("dcgan-*/samples/*/samples.safetensors")
    (kept,) = drawn.parent.glob("scores-*.json")
    then = drawn.stat().st_mtime_ns, kept.stat().st_mtime_ns

    def made():
        return drawn.stat().st_mtime_ns != then[0], kept.stat().st_mtime_ns != then[1]

    assert main([*score, "--again"]) == 0
    assert made() == (False, False)  # nothing is outdated
    monkeypatch.setattr(runs, "metrics_digest", lambda: "another")
    assert main(score) == 0
    assert made() == (False, False)
    assert main([*score, "--again"]) == 0
    assert made() == (False, True)
    monkeypatch.setattr(runs, "sampler_digest", lambda: "another")
    assert main([*score, "--again"]) == 0
    assert made() == (True, True)


def test_a_full_memory_is_one_sentence(capsys, monkeypatch):
    def full(*args, **more):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr("gendiff_lib.__main__.train", full)
    assert main(["train", "dcgan", "--preset", "smoke"]) == 2
    assert "the memory is full: lower batch_size" in one_sentence(capsys)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["score"], "--all"),
        (["score", "dcgan", "--all"], "--all"),
        (["score", "--all", "--n", "5"], "--n"),
        (["score", "--all", "--epoch", "5"], "--epoch"),
        (["score", "--all", "--preset", "smoke", "--extractor", "mine"], "mine"),
        (["score", "dcgan", "--preset", "smoke", "--reference", "both"], "both"),
        (["score", "dcgan", "--preset", "smoke", "--n-real", "-5"], "--n-real"),
        (["score", "dcgan", "--preset", "smoke", "--n-real", "²"], "--n-real"),
        (["score", "dcgan", "--preset", "smoke", "--n-real", "99999999"], "--n-real 99999999"),
        (["bits", "dcgan", "--preset", "smoke"], "has no bits per dimension"),
        (["bits", "dcgan", "--preset", "smoke", "--n", "-5"], "--n"),
        (["bits", "dcgan", "--preset", "smoke", "--n", "1"], "n=1"),
        (["validate", "--preset", "smoke", "--extractor", "inception"], "GENDIFF_INCEPTION"),
        (["validate", "--preset", "smoke", "--dataset", "cats"], "cats"),
    ],
)
def test_bad_input_to_scores_is_one_sentence(words, named, capsys, monkeypatch):
    monkeypatch.setenv("GENDIFF_INCEPTION", "no-such-file.pth")
    if "dcgan" in words and len(words) > 3:
        assert main(["train", "dcgan", "--preset", "smoke"]) == 0
        capsys.readouterr()
    if named == "mine":
        assert main(["train", "dcgan", "--preset", "smoke", "--epochs", "4"]) == 0
        capsys.readouterr()
    assert main(words) == 2
    assert named in one_sentence(capsys)


@pytest.mark.parametrize("flag", ["--reference test", "--extractor vgg16", "--n-real 7"])
def test_points_are_not_scored_by_flags_of_images(flag, capsys):
    assert main(["train", "live-gan-2d", "--preset", "smoke"]) == 0
    capsys.readouterr()
    assert main(["score", "live-gan-2d", "--preset", "smoke", *flag.split()]) == 2
    assert f"{flag.split()[0]} does not apply" in one_sentence(capsys)


def test_bits_are_printed_with_their_protocol(capsys):
    assert main(["train", "ddpm-conv", "--preset", "smoke"]) == 0
    assert main(["bits", "ddpm-conv", "--preset", "smoke", "--n", "20"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("bits per dimension", "20 test images", "T = 20", "raw weights", "decoder"))


def test_validate_shows_and_publishes(capsys, published):
    assert main(["validate", "--preset", "smoke", "--publish"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("blur 1.5", "9 classes dropped", "test, train", "shapes-classifier"))
    (path,) = (published / "validation").iterdir()
    assert str(path) in out
    again = next(store.runs_dir().glob("validation/*.json"))
    assert json.loads(path.read_text()) == json.loads(again.read_text())
    again.unlink()
    assert main(["validate", "--preset", "smoke", "--publish"]) == 0
    assert "it is published already" in capsys.readouterr().out


def test_list_names_what_there_is(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(w in out for w in ("ddpm-conv", "tutorial", "cosine", "unet", "gaussians", "inception", "beta_minmax"))


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
