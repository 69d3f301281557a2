"""Drawing and scoring ahead of the notebooks what they show, one run at a time, so that seconds told are true."""

from contextlib import suppress

from .asking import READ, training_allowed
from .claims import to_score
from .config import Sampling
from .experiments import CODED, LIVE_IMAGES, sampler_grid
from .report import Page
from .runs import Light, Run


def prepare(preset: str, *, dataset: str | None = None, epochs: float | None = None) -> None:
    """Draw and score what the notebooks show; of presets that are only read, the points in the plane alone."""
    page = Page(preset=preset, epochs=epochs, dataset=dataset)
    _prepare_plane(page)
    if preset in READ and not training_allowed():
        return
    page.validations()
    print("extractor validated", flush=True)
    runs = {name: page.run(name) for name in (*page.compared, *LIVE_IMAGES)}
    n = page.equal_n(*(runs[name] for name in page.compared))
    for name, run in runs.items():
        wanted = [page.sampling(run), page.sampling(run, n=n)] if name in page.compared else [page.sampling(run)]
        for sampling in wanted:
            _score_all(page, run, sampling)
        if name in page.compared:
            page.memorisation(run)
        if name in CODED:
            for split in ("test", "train"):
                page.bits(run, split)
        print(f"{run.id}: sampled, scored and checked", flush=True)
    long, conv = page.run(page.pair[0], long=True), runs["ddpm-conv"]
    for run in (*map(long.at, page.until(long)), *map(conv.at, page.until(conv))):
        _score_once(page, run, page.of_snapshots(run))
    for label, sampling in sampler_grid(preset).items():
        _score_once(page, conv, sampling)
        if label.startswith(("ddpm ", "tutorial ")):
            page.trajectory(conv, sampling.but(n=4, batch_size=4))
    print(f"{long.id}, {conv.id}: snapshots and samplers compared", flush=True)
    _score_claimed(page)


def _prepare_plane(page: Page) -> None:
    """Every run in the plane, and its points."""
    for several in page.plane().values():
        for run in several:
            run.samples(page.sampling(run))


def _score_claimed(page: Page) -> None:
    """What the claims look at, of the runs that are on this machine whole."""
    for run, sampling in to_score("efficientnet") if page.preset == "paper" else ():
        with suppress(Light):
            page.scores(run, sampling)
        page.own_scores(run, sampling)


def _score_once(page: Page, run: Run, sampling: Sampling | None = None) -> None:
    for split in ("train", "test"):
        page.scores(run, sampling, split)
    page.own_scores(run, sampling)


def _score_all(page: Page, run: Run, sampling: Sampling) -> None:
    for split in ("train", "test"):
        page.several(run, sampling, split)
    page.own_scores(run, sampling)
