"""The Makefile, constraints.txt and environment.yml: what they refuse, and that they say the same."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from gendiff_lib.experiments.experiment import PRESETS

ROOT = Path(__file__).parents[1]
TARGETS = [
    "help", "env", "book", "pdf", "serve", "test", "lint", "runs", "status", "train", "bench", "lab", "hooks", "clean",
    "linkcheck",
]  # fmt: skip
WITH_TORCH = {"torch", "torchvision"}  # whose builds differ from machine to machine


@pytest.fixture
def checkout(tmp_path):
    """A folder with all that the Makefile itself reads."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder, *words, **variables):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "VENV", "PYTHON")}
    done = subprocess.run(["make", *words], cwd=folder, env={**env, **variables}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def made(checkout):
    """A checkout whose environment is there: its python only tells the words that it is given."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$1" in -c) exit 0;; esac\nfor w in "$@"; do echo "<$w>"; done\n')
    python.chmod(0o755)
    for name in ("", "-browser", "-bench", "-lab", "-hooks"):
        (checkout / ".venv" / f".gendiff{name}-installed").touch()
    return checkout


def interpreter(checkout, then):
    """A Python that is new enough, and does `then` in place of all else that it is asked for."""
    python = checkout / "interpreter"
    python.write_text(f'#!/bin/sh\ncase "$1" in -c) exit 0;; esac\n{then}\n')
    python.chmod(0o755)
    return "PYTHON=./interpreter"


@pytest.mark.parametrize("target", ["help", "env", "train", "clean"])
@pytest.mark.parametrize(
    "word",
    [
        "VENV=", "VENV= ", "VENV=a b", "VENV=~nobody", "VENV=~", "VENV=a:b", "VENV=.", "VENV=/", "VENV=a'b",
        "PYTHON=", "PYTHON= ", "PRESET=big", "PRESET=smoke big", "EPOCHS=x", "EPOCHS=-1", "EPOCHS=²", "EPOCHS=1e3",
        "PORT=x", "PORT=", "PORT=-1", "PORT=1 2", "PORT=٣", "TRAIN=maybe", "YES=maybe",
    ],
)  # fmt: skip
def test_a_wrong_variable_is_one_sentence_and_makes_nothing(word, target, checkout):
    before = sorted(checkout.iterdir())
    code, out, err = make(checkout, target, word)
    assert code == 2
    assert out == ""
    assert re.fullmatch(r"Makefile:\d+: \*\*\* [^\n]+\.  Stop\.\n", err)
    assert word.partition("=")[0] + "=" in err
    assert sorted(checkout.iterdir()) == before


@pytest.mark.parametrize("python", ["nonsense", "/no/such/python", "true", "false"])  # true makes no environment
def test_a_python_that_is_none_is_one_sentence_and_makes_nothing(python, checkout):
    before = sorted(checkout.iterdir())
    code, _, err = make(checkout, "env", f"PYTHON={python}")
    assert code == 2
    said = [line for line in err.splitlines() if not line.startswith("make: *** ")]
    assert len(said) == 1
    assert "VENV=path" in said[0] if python == "true" else said[0].startswith(f"[env] {python} is no Python 3.11")
    assert sorted(checkout.iterdir()) == before


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_environment_is_not_written_to(kind, checkout):
    place = checkout / "mine"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "thesis.tex").write_text("mine")
    code, out, err = make(checkout, "env", "VENV=mine")
    assert code == 2
    assert out == ""
    assert err.splitlines()[0] == "[env] VENV=mine is there and no virtual environment: name another folder"
    assert [p.name for p in checkout.rglob("*") if "mine" in str(p)] == (
        ["mine"] if kind == "file" else ["mine", "thesis.tex"]
    )


def test_a_failed_attempt_leaves_no_environment(checkout):
    half = interpreter(checkout, "mkdir -p .venv/bin; touch .venv/bin/python; exit 1")
    code, _, err = make(checkout, "env", half)
    assert code == 2
    assert "could not make .venv" in err
    assert not (checkout / ".venv").exists()


def test_what_an_interrupted_attempt_has_left_is_made_anew(checkout):
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "pyvenv.cfg").touch()
    code, out, _ = make(checkout, "env", interpreter(checkout, 'echo "$@"; exit 1'))
    assert code == 2
    assert "-m venv --clear .venv" in out


def test_a_tilde_in_venv_is_the_users_home(made):
    (made / ".venv").rename(made / "mine")
    code, out, _ = make(made, "test", "VENV=~/mine", HOME=str(made))
    assert code == 0
    assert out.startswith("<-m>\n<pytest>\n<-q>\n")


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["train"], "-m gendiff_lib train --all --preset laptop --dataset |"),
        (["train", "NAME=dcgan", "PRESET=smoke", "EPOCHS=1.5"],
         "-m gendiff_lib train dcgan --preset smoke --dataset | --epochs 1.5"),
        (["train", "NAME=$$(touch x)"], "-m gendiff_lib train $(touch|x) --preset laptop --dataset |"),
        (["train", 'NAME="; touch x; "'], '-m gendiff_lib train ";|touch|x;|" --preset laptop --dataset |'),
        (["runs", "DATASET=a b"], "-m gendiff_lib runs --preset laptop --dataset a|b"),
        (["status"], "-m gendiff_lib runs --preset laptop --dataset |"),
        (["book", "TRAIN=1"], "book/build.py --preset | --epochs | --dataset | --train"),
        (["book", "TRAIN=0"], "book/build.py --preset | --epochs | --dataset |"),
        (["book", "PRESET=overnight", "EPOCHS=60", "TRAIN=1", "YES=1"],
         "book/build.py --preset overnight --epochs 60 --dataset | --train --yes"),
        (["train", "NAME=dcgan", "YES=yes"], "-m gendiff_lib train dcgan --preset laptop --dataset | --yes"),
        (["train", "YES=0"], "-m gendiff_lib train --all --preset laptop --dataset |"),
        (["lab"], "-m jupyterlab notebooks"),
        (["hooks"], "-m pre_commit install"),
        (["bench"], "-m benchmarks speed"),
        (["test"], "-m pytest -q -n logical --dist loadfile --no-loadscope-reorder"),
    ],
)  # fmt: skip
def test_targets_hand_their_words_on_as_they_are(words, given, made):
    code, out, err = make(made, *words)
    assert (code, err) == (0, "")
    assert [w[1:-1] for w in out.splitlines()] == ["" if w == "|" else w.replace("|", " ") for w in given.split(" ")]
    assert not (made / "x").exists()


def test_a_name_in_the_environment_is_the_computers_own(made):
    _, out, _ = make(made, "train", NAME="DESKTOP")
    assert "<--all>" in out.splitlines()


@pytest.mark.parametrize("target", ["serve", "linkcheck"])
def test_without_a_book_there_is_nothing_to_serve_or_to_check(target, made):
    code, out, err = make(made, target)
    assert (code, out) == (2, "")
    assert "there is no built book at book/_build/html/index.html: run make book first" in err


def test_help_lists_the_targets_that_people_expect(checkout):
    code, out, err = make(checkout)
    assert (code, err) == (0, "")
    listed = re.findall(r"^  ([a-z-]+) +\S", out, re.MULTILINE)
    assert set(TARGETS) <= set(listed)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(phony[1].split())


def test_make_knows_the_presets():
    text = (ROOT / "Makefile").read_text()
    assert re.search(r"^PRESETS := (.*)$", text, re.MULTILINE)[1].split() == list(PRESETS)
    assert "|".join(PRESETS) in text


def test_clean_removes_what_was_built_and_nothing_else(made):
    for part in ("book/_build/html", "book/executed", "gendiff_lib/__pycache__", ".runs/a", ".venv/lib/__pycache__"):
        (made / part).mkdir(parents=True)
    assert make(made, "clean") == (0, "", "")
    assert (made / ".runs" / "a").exists()
    assert (made / ".venv" / "lib" / "__pycache__").exists()
    assert not any((made / part).exists() for part in ("book/_build", "book/executed", "gendiff_lib/__pycache__"))


# ---------------------------------------------------------------- what is installed


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)( ; .*)?", line).groups() for line in lines]


def name_of(requirement):
    return re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower().replace("_", "-")


def test_each_package_is_asked_for_once():
    names = list(map(name_of, project()["dependencies"]))
    assert len(names) == len(set(names))


def test_whatever_is_asked_for_is_pinned_save_torch():
    extras = [r for group in project()["optional-dependencies"].values() for r in group]
    asked = {name_of(r) for r in (*project()["dependencies"], *extras)} - {"gendiff"}
    pinned = {name for name, _, _ in pins()}
    assert asked - pinned == WITH_TORCH
    assert not {p for p in pinned if p.startswith(("nvidia", "cuda", "triton"))}


def test_a_pin_is_exact_and_one_where_it_applies():
    told = [(name, marker) for name, _, marker in pins()]
    assert len(told) == len(set(told))
    everywhere = [name for name, marker in told if marker is None]
    assert all(name not in everywhere for name, marker in told if marker)


def test_the_conda_environment_is_the_one_of_make():
    described = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda, (pip,) = (
        [d for d in described["dependencies"] if isinstance(d, str)],
        [d["pip"] for d in described["dependencies"] if isinstance(d, dict)],
    )
    python = next(d.partition("=")[2] for d in conda if d.startswith("python="))
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project()["requires-python"]).groups()
    assert int(low) <= int(python.removeprefix("3.")) < int(high)
    assert {"pip", "make"} <= set(conda)
    installed = re.search(r"^PIP = .* (-c \S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert pip == [installed, "-e .[test]"]
