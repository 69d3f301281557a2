"""Drawing and scoring ahead of the notebooks what they show, side by side as the trainings were."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from functools import lru_cache, partial
from multiprocessing import active_children, get_context, parent_process
from typing import TypeVar

import torch

from gendiff_lib.config import Sampling
from gendiff_lib.device import default_device
from gendiff_lib.errors import Light
from gendiff_lib.experiments.book import CODED, LIVE_IMAGES, sampler_grid
from gendiff_lib.experiments.claimed import to_score
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import sample

from . import READ, results
from .asking import Asking
from .reading import training_allowed

T = TypeVar("T")


def side_by_side(work: Callable[[T], str], items: Sequence[T], jobs: int) -> None:
    """`work` on every item, in up to `jobs` processes that share the cores' threads; prints what each says when done.

    Of one job, here. `work` and the items must be such as pickle takes. Where one fails, or all are interrupted, the
    others end at once: what they do must bear that, as trainings and drawings do.
    """
    width = min(jobs, len(items))
    if width <= 1:
        for item in items:
            print(work(item), flush=True)
        return
    threads = max(1, (os.cpu_count() or 1) // width)
    pool = ProcessPoolExecutor(width, get_context("spawn"), _begin, (threads,))
    try:
        for done in as_completed([pool.submit(work, item) for item in items]):
            print(done.result(), flush=True)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():
            process.terminate()
        raise
    pool.shutdown()


def _begin(threads: int) -> None:
    """In each process: so many threads; an interrupt ends it at once, and so does the end of its parent."""
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)  # else it would go on with its work, and then wait for more of it for ever


def prepare(preset: str, *, dataset: str | None = None, epochs: float | None = None, jobs: int = 1) -> None:
    """Draw and score what the notebooks show; of presets that are only read, the points in the plane alone.

    `jobs` runs at a time, on a GPU one; a record of samples tells its threads beside its seconds.
    """
    asked = _asking(preset, dataset, epochs)
    _prepare_plane(asked)
    if preset in READ and not training_allowed():
        return
    results.validations(asked)
    print("extractor validated", flush=True)
    ahead: list[Callable[[Asking], str]] = [
        _samplers,
        *(partial(_snapshots, name) for name in (asked.pair[0], "ddpm-conv")),
    ]
    ahead += [partial(_prepare_run, name) for name in dict.fromkeys((*asked.compared, *LIVE_IMAGES))]
    width = 1 if default_device().type == "cuda" else jobs
    side_by_side(partial(_prepared, preset, dataset, epochs), ahead, width)
    _score_claimed(asked)


@lru_cache(maxsize=1)
def _asking(preset: str, dataset: str | None, epochs: float | None) -> Asking:
    """What a notebook with these parameters would ask; one in each process, which loads an extractor once."""
    return Asking(preset=preset, dataset=dataset, epochs=epochs)


def _prepared(preset: str, dataset: str | None, epochs: float | None, what: Callable[[Asking], str]) -> str:
    return what(_asking(preset, dataset, epochs))


def _prepare_run(name: str, asked: Asking) -> str:
    run = asked.train(name)
    wanted = [asked.sampling(run)]
    if name in asked.compared:
        wanted.append(asked.sampling(run, n=asked.equal_n(*map(asked.train, asked.compared))))
    for sampling in wanted:
        for split in ("train", "test"):
            results.several(asked, run, sampling, split)
        results.own_of_several(asked, run, sampling)
    if name in asked.compared:
        results.memorisation(asked, run)
    if name in CODED:
        for split in ("test", "train"):
            results.bits(asked, run, split)
    return f"{run.id}: sampled, scored and checked"


def _snapshots(name: str, asked: Asking) -> str:
    last = asked.train(name, long=name == asked.pair[0])
    for run in map(last.at, last.epochs_so_far):
        _score_once(asked, run, asked.of_snapshots(run))
    return f"{last.id}: snapshots compared"


def _samplers(asked: Asking) -> str:
    conv = asked.train("ddpm-conv")
    for label, sampling in sampler_grid(asked.preset).items():
        _score_once(asked, conv, sampling)
        if label.startswith(("ddpm ", "tutorial ")):
            results.trajectory(asked, conv, sampling.but(n=4, batch_size=4))
    return f"{conv.id}: samplers compared"


def _prepare_plane(asked: Asking) -> None:
    """Every run in the plane, and its points."""
    for several in asked.plane().values():
        for run in several:
            sample(run, asked.sampling(run))


def _score_claimed(asked: Asking) -> None:
    """What the claims look at, of the runs that are on this machine whole."""
    for run, sampling in to_score("efficientnet") if asked.preset == "paper" else ():
        with suppress(Light):
            results.scores(asked, run, sampling)
        results.own_scores(asked, run, sampling)


def _score_once(asked: Asking, run: Run, sampling: Sampling | None = None) -> None:
    for split in ("train", "test"):
        results.scores(asked, run, sampling, split)
    results.own_scores(asked, run, sampling)
