"""Processes that a test starts by a fork: they have all that was imported at once."""

import gc
import os
import socket
import sys
import traceback
import warnings


def begin(work):
    """Do `work` in another process; returns its number. It shares what was imported, and nothing that is done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which touch nothing here
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            gc.disable()
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def together(n, work, folder):
    """Do `work` in n processes that take themselves for torchrun's; their exit codes, and what all of them printed.

    `work` gives its exit code, or None for 0. What they print goes to files in `folder`.
    """
    return outcome(started(n, work, folder), folder)


def started(n, work, folder):
    """The processes of `together`, which are under way."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": n, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}

    def one(rank):
        os.environ |= {k: str(v) for k, v in (shared | {"RANK": rank, "LOCAL_RANK": rank}).items()}
        sys.stdout, sys.stderr = (open(folder / f"{name}-{rank}", "w") for name in ("out", "err"))
        sys.modules.pop("ipykernel", None)  # which pytest's plugins import: no notebook shows a bar here
        code = work()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code or 0)

    return [begin(lambda rank=rank: one(rank)) for rank in range(n)]


def outcome(pids, folder):
    """What becomes of them."""
    codes = [end(pid) for pid in pids]
    out, err = ("".join((folder / f"{k}-{rank}").read_text() for rank in range(len(pids))) for k in ("out", "err"))
    return codes, out, err
