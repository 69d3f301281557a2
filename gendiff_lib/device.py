"""The machine: which device, what it can do, what was used of it."""

import os
import platform
import re
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from . import ranks
from .config import Config
from .errors import ConfigError
from .parsing import whole_number

MOST_THREADS = 1024  # more than any machine has cores, fewer than a system refuses


def default_device() -> torch.device:
    """GENDIFF_DEVICE where set, else the GPU where there is one, else the CPU."""
    name = os.environ.get("GENDIFF_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"GENDIFF_DEVICE={name} is no device: use cpu or cuda (CUDA_VISIBLE_DEVICES says which)")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"GENDIFF_DEVICE={name} is not to be had on this machine: use cpu")
    if name == "cuda" and ranks.local_rank() >= (n := max(torch.cuda.device_count(), 1)):
        raise ConfigError(
            f"each process needs a GPU of its own, and there are {n}: start {n}, or set GENDIFF_DEVICE=cpu"
        )
    return torch.device(name)


def check_threads() -> None:
    """ConfigError for an OMP_NUM_THREADS that is no number of threads, or a list of such, one for each nesting."""
    for word in (os.environ.get("OMP_NUM_THREADS") or "1").split(","):
        n = whole_number(word.strip())
        if n is None or not 1 <= n <= MOST_THREADS:
            raise ConfigError(
                f"OMP_NUM_THREADS must be a whole number from 1 to {MOST_THREADS}, not {word!r}: unset it"
            )


def with_threads(device: str, threads: object) -> str:
    """A device's name and the threads used of it, in words."""
    return f"{device}, {threads} {'thread' if str(threads) == '1' else 'threads'}"


@contextmanager
def full_precision() -> Iterator[None]:
    """float32 that is float32: a GPU may else round the factors of convolutions to TF32's ten bits."""
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
        yield


def check_precision(config: Config, device: torch.device) -> None:
    """ConfigError where the configuration asks for bf16 and the device has none."""
    if config.precision == "bf16":
        able = (
            torch.cuda.is_bf16_supported(including_emulation=False)  # emulated, it is slower than fp32
            if device.type == "cuda"
            else torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
        if not able:
            raise ConfigError(f"precision='bf16' is not to be had on this {device.type}: set precision=fp32")


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was asked for: a clock read before measures the asking."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak(device: torch.device) -> None:
    """Start measuring `peak_memory` anew, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that torch held on a GPU, or that this process held of main memory, since `forget_peak`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def packages() -> dict[str, str]:
    """Versions of what decides a result: the language and the packages that compute."""
    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "torch-fidelity", "numpy", "scipy", "gendiff"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a checkout that is on the path, but not installed
            found[package] = "not installed"
    return found


def device_name(device: torch.device) -> str:
    """The processor's own name; of a CPU also its family, model and widest instructions, which decide rounding."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in reversed(lines) if ":" in line)
        name = f"{told['model name']} (family {told['cpu family']}, model {told['model']})"
    except (OSError, KeyError):
        name = platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def conditions(device: torch.device) -> dict[str, Any]:
    """Under which conditions a result is made, as its record tells them: device, threads, packages and commit."""
    return {"device": device_name(device), "threads": torch.get_num_threads(), "packages": packages(), **commit()}


def commit(*also: str) -> dict[str, Any]:
    """The last commit that touched the library, and whether its sources differ from it; folders beside it likewise.

    GENDIFF_COMMIT stands in for it where the sources were copied without their history; None where there is neither.
    """
    here = Path(__file__).parent
    places = [".", *(f"../{folder}" for folder in also)]

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not somebody else's repository around an installation
        dirty = bool(git("status", "--porcelain", "--", *places))
        return {"commit": git("log", "-1", "--format=%H", "--", *places), "dirty": dirty}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": os.environ.get("GENDIFF_COMMIT"), "dirty": None}
