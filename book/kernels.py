"""Kernels that begin by a fork: what every notebook imports, PyTorch above all, is imported once for all of them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any
from unittest.mock import patch

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

FORKS = get_context("forkserver")  # a process that runs nothing but imports, of which kernels are forks
LATE = ("torch._dynamo", "scipy.special")  # which are imported when an optimiser, an error of a score is first made
FORKS.set_forkserver_preload(["ipykernel.kernelapp", "gendiff_report.page", "gendiff_report.questions.tabled", *LATE])


def _be_kernel(words: list[str], env: dict[str, str], folder: str) -> None:
    from ipykernel.kernelapp import launch_new_instance

    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv[1:] = words  # not those of the process that asked for it
    ours = f"--IPKernelApp.parent_handle={os.getppid()}"  # it ends where the process that it is a fork of does
    launch_new_instance(argv=[*words, ours, "--log-level=CRITICAL"])


class _Process:
    """Such a process as Jupyter wants it: as a subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process, self.pid = process, process.pid
        self.kill, self.terminate = process.kill, process.terminate

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid or 0, number)


class _Forked(LocalProvisioner):
    async def launch_kernel(self, cmd: list[str], **how: Any) -> KernelConnectionInfo:
        """Begin it, by the words of the command after those that start Python."""
        words = cmd[cmd.index("-f") :]
        process = FORKS.Process(target=_be_kernel, args=(words, dict(how["env"]), how["cwd"]))
        process.start()
        self.process = _Process(process)
        self.pid = process.pid
        return self.connection_info


class Forks(AsyncKernelManager):
    """Starts a kernel in a fraction of a second; the first takes the imports' time besides."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.kernel_id = "forked"
        self.provisioner = _Forked(parent=self, kernel_id=self.kernel_id, kernel_spec=self.kernel_spec)


@contextmanager
def forking(threads: int) -> Iterator[type[AsyncKernelManager]]:
    """The manager of such kernels, with so many threads each, which PyTorch learns when it is imported.

    So does matplotlib that its figures are a notebook's. Only on Linux may a process that has imported so much be
    forked; elsewhere kernels begin as always.
    """
    told = {"OMP_NUM_THREADS": str(threads), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with patch.dict(os.environ, told):
        yield Forks if sys.platform == "linux" else AsyncKernelManager
