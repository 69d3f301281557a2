"""The processes that torchrun starts for one command: which of them this is, and what they tell one another.

They do the same in step; the first of them (rank 0) alone decides, writes and speaks. A process that was started alone
is the first of one, and nothing here costs it anything.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import timedelta
from multiprocessing import parent_process
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from .errors import GendiffError

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)  # for one that is alive and silent, as while the first draws a contact sheet
GOES_ON = "the same command goes on from the last checkpoint"


class Lost(GendiffError):
    """Another of the processes has ended before its time."""


class _State:
    """Of this process: whether it acts alone for the moment, and by what it reaches the others."""

    alone = False
    store: Any = None  # by which all know whether one has spoken
    words: Any = None  # the group for what is no tensor of the device


def count() -> int:
    """How many processes share the command."""
    return dist.get_world_size() if dist.is_initialized() and not _State.alone else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() and not _State.alone else 0


def rows(n: int) -> slice:
    """Of n rows those of this process: as many as any other's, or one fewer."""
    return slice(n * rank() // count(), n * (rank() + 1) // count())


def watched() -> bool:
    """Whether a progress bar has a reader, at a terminal or in a notebook, whom no other process's bar disturbs."""
    alone = rank() == 0 and parent_process() is None
    return alone and (sys.stderr.isatty() or "ipykernel" in sys.modules)


# ---------------------------------------------------------------- beginning and end


@contextmanager
def joined() -> Iterator[None]:
    """For as long as a command lasts: one of its processes, where torchrun has started several, else alone.

    All but the first print nothing. On GPUs each has its own, by LOCAL_RANK, and tensors there go over NCCL (which is
    untried); all else goes over gloo.
    """
    if not dist.is_torchelastic_launched() or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    signal.signal(signal.SIGTERM, _ended)  # which torchrun sends to the others when one of them has ended
    _State.store, me, n = next(rendezvous("env://"))
    backend = "gloo"
    if local_rank() < torch.cuda.device_count():
        torch.cuda.set_device(local_rank())
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, store=_State.store, rank=me, world_size=n, timeout=PATIENCE)
    _State.words = dist.new_group(backend="gloo", timeout=PATIENCE)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere if me else sys.stdout):
            yield
    finally:
        dist.destroy_process_group()


def local_rank() -> int:
    """Which of the processes on this machine this is, and so which of its GPUs is its own."""
    return int(os.environ["LOCAL_RANK"]) if dist.is_torchelastic_launched() else 0


def first_to_speak() -> bool:
    """Whether no other process has said yet why the command ends; whoever asks first is told so."""
    if _State.store is None:
        return True
    with suppress(RuntimeError):  # where torchrun itself is gone
        return bool(_State.store.add("gendiff/spoken", 1) == 1)
    return rank() == 0


def _lost() -> str:
    n = os.environ["WORLD_SIZE"]
    return f"one of the {n} processes has ended, so all of them end: {GOES_ON}"


def _ended(*_: Any) -> None:
    """End at once, as SIGTERM does where nothing is done about it, but not without a word."""
    if first_to_speak():
        print(f"gendiff: {_lost()}", file=sys.stderr, flush=True)
    os._exit(128 + signal.SIGTERM)


# ---------------------------------------------------------------- what they tell one another


def _together(collective: Callable[..., Any], *args: Any, **how: Any) -> None:
    """Do what all processes do at the same place; Lost where one of them is no longer there."""
    try:
        collective(*args, **how)
    except (RuntimeError, pickle.UnpicklingError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise Lost(_lost()) from error


def lead(work: Callable[[], T]) -> T:
    """What `work` gives the first process, which does it alone, once all have come so far and before any goes on.

    Its GendiffError is everybody's. So what is read before is not changed meanwhile, and all go the same way after it.
    """
    if count() == 1:
        return work()
    _together(dist.barrier, group=_State.words)
    told: list[Any] = [None]
    if rank() == 0:
        _State.alone = True
        try:
            told = [(work(), None)]
        except GendiffError as error:
            told = [(None, error)]
        finally:
            _State.alone = False
    _together(dist.broadcast_object_list, told, src=0, group=_State.words)
    result: T = told[0][0]
    if told[0][1] is not None:
        raise told[0][1]
    return result


def agreed(*answers: bool) -> list[bool]:
    """The first process's answers, where each might have another, as of a clock."""
    if count() == 1:
        return list(answers)
    told = torch.tensor(answers, dtype=torch.uint8)
    _together(dist.broadcast, told, src=0, group=_State.words)
    return [bool(answer) for answer in told]


def gathered(mine: T) -> list[T]:
    """What each process has, in their order."""
    if count() == 1:
        return [mine]
    found: list[Any] = [None] * count()
    _together(dist.all_gather_object, found, mine, group=_State.words)
    return found


def add_up(tensors: Sequence[Tensor]) -> None:
    """Make each of these tensors, in place, its sum over all processes, which is the same bits for all of them."""
    if count() == 1 or not tensors:
        return
    if len(tensors) == 1 and tensors[0].is_contiguous():
        _together(dist.all_reduce, tensors[0])
        return
    flat = torch.cat([t.flatten() for t in tensors])  # one message in the place of hundreds
    _together(dist.all_reduce, flat)
    parts = flat.split([t.numel() for t in tensors])
    torch._foreach_copy_(list(tensors), [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)])
