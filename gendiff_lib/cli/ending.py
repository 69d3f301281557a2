"""How a command ends: with a code, and in one sentence."""

import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..errors import GendiffError, legible
from ..ranks import first_to_speak


class Terminated(KeyboardInterrupt):
    """SIGTERM has come, and is an interruption: nothing half-written is left behind."""


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises Terminated meanwhile, unless something else is done about it, as where torchrun started this."""

    def end(*_: Any) -> None:
        raise Terminated

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def exit_code(program: str, work: Callable[[], None], interrupted: str) -> int:
    """Do `work`: 0 when it was done, 2 for what the user can mend, 130 when interrupted, 143 when terminated.

    Where nobody reads its output any more it ends as other programs do there: 141, and not a word.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± shows another sign in its place
    try:
        with _terminable():
            work()
        if sys.stdout:  # it is None where the shell has closed it
            sys.stdout.flush()
        return 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains at its end
        return 141
    except GendiffError as error:
        return say(f"{program}: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return say(f"{program}: {where}{error.strerror or error}: mend that, and give the same command again")
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)):
            raise
        return say(f"{program}: the memory is full: lower batch_size, image_size or the width of the network")
    except KeyboardInterrupt as end:
        word, code = ("terminated", 143) if isinstance(end, Terminated) else ("interrupted", 130)
        return say(f"{program}: {word}; {interrupted}", code)


def say(sentence: str, code: int = 2) -> int:
    """Print a sentence as one line, its endless words cut, and return the exit code.

    Of several processes that end together the first to come prints it.
    """
    short = re.sub(r"\S{400,}", lambda word: f"{word[0][:40]}…{word[0][-20:]}", sentence)
    if sys.stderr and first_to_speak():  # else print would take the standard output
        print(legible(short), file=sys.stderr)
    return code
