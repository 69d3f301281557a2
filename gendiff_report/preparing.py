"""Drawing and scoring ahead of the notebooks what they show, one run at a time, so that seconds told are true."""

from contextlib import suppress

from gendiff_lib.config import Sampling
from gendiff_lib.experiments.book import CODED, LIVE_IMAGES, sampler_grid
from gendiff_lib.experiments.claimed import to_score
from gendiff_lib.runs.run import Light, Run
from gendiff_lib.runs.samples import sample

from . import READ, results
from .asking import Asking
from .reading import training_allowed


def prepare(preset: str, *, dataset: str | None = None, epochs: float | None = None) -> None:
    """Draw and score what the notebooks show; of presets that are only read, the points in the plane alone."""
    asked = Asking(preset=preset, epochs=epochs, dataset=dataset)
    _prepare_plane(asked)
    if preset in READ and not training_allowed():
        return
    results.validations(asked)
    print("extractor validated", flush=True)
    runs = {name: asked.train(name) for name in (*asked.compared, *LIVE_IMAGES)}
    n = asked.equal_n(*(runs[name] for name in asked.compared))
    for name, run in runs.items():
        wanted = [asked.sampling(run), asked.sampling(run, n=n)] if name in asked.compared else [asked.sampling(run)]
        for sampling in wanted:
            _score_all(asked, run, sampling)
        if name in asked.compared:
            results.memorisation(asked, run)
        if name in CODED:
            for split in ("test", "train"):
                results.bits(asked, run, split)
        print(f"{run.id}: sampled, scored and checked", flush=True)
    long, conv = asked.train(asked.pair[0], long=True), runs["ddpm-conv"]
    for run in (*map(long.at, long.epochs_so_far), *map(conv.at, conv.epochs_so_far)):
        _score_once(asked, run, asked.of_snapshots(run))
    for label, sampling in sampler_grid(preset).items():
        _score_once(asked, conv, sampling)
        if label.startswith(("ddpm ", "tutorial ")):
            results.trajectory(asked, conv, sampling.but(n=4, batch_size=4))
    print(f"{long.id}, {conv.id}: snapshots and samplers compared", flush=True)
    _score_claimed(asked)


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


def _score_all(asked: Asking, run: Run, sampling: Sampling) -> None:
    for split in ("train", "test"):
        results.several(asked, run, sampling, split)
    results.own_scores(asked, run, sampling)
