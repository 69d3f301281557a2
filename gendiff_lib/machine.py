"""The machine: which device, what it can do, what was used of it."""

import os
import platform
import resource
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from .config import Config, ConfigError


def default_device() -> torch.device:
    """GENDIFF_DEVICE where set, else the GPU where there is one, else the CPU."""
    name = os.environ.get("GENDIFF_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise ConfigError(f"GENDIFF_DEVICE={name!r} is no device: use cpu or cuda") from None


def check_precision(config: Config, device: torch.device) -> None:
    """ConfigError where the configuration asks for bf16 and the device has none."""
    if config.precision == "bf16":
        able = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.ops.mkldnn._is_mkldnn_bf16_supported()
        if not able:
            raise ConfigError(f"precision='bf16' is not to be had on this {device.type}: set precision=fp32")


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that torch held on a GPU, or that this process held of main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def versions() -> dict[str, str]:
    """Of what decides a result: the language and the packages that compute."""
    packages = ("torch", "torchvision", "numpy", "gendiff")
    return {p: metadata.version(p) for p in packages} | {"python": platform.python_version()}


def device_name(device: torch.device) -> str:
    """The processor's own name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit() -> dict[str, Any]:
    """The checkout's commit, and whether the library's sources differ from it; None where there is no git."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
