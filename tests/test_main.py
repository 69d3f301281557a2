import json

import pytest

from gendiff_lib import store
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
