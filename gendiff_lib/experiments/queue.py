"""The study that trains over nights: which runs in which order, and all that is made of each before the next one."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ..config import Config, Sampling
from ..data import count
from ..errors import GendiffError
from ..evaluation.bits import bits_of
from ..evaluation.evaluate import best_snapshot, evaluate
from ..evaluation.memorisation import neighbours_of
from ..evaluation.restoration import restored_of
from ..runs import files, handover, layout, locks
from ..runs.publish import publish
from ..runs.run import Run, find
from ..runs.samples import trajectory
from ..runs.train import OutOfTime, train
from . import PAPER_PAIR, get, protocol
from .book import CODED, FEW_STEPS, GUIDED, OTHERS, PARTS, SETTINGS, few_steps, guidances, live_configs, sampler_grid
from .claimed import EARLY_N, FRESH, is_claimed, places, trainings
from .cost import PETA
from .experiment import TRIAL
from .extractors import extractor, offline_kind
from .processes import STUDIED
from .scaling import PARTIAL, scaling
from .shown import of_pair, unseen

# The models that the paper names and does not show, and what is held against them, in order of worth: those before any
# second seed, and those after the paper's pair has its seeds.
FIRST = ("r3gan", "sngan", "sagan", "ddpm-hybrid", "autoencoder", "ddpm-latent", "meanflow")
LATER = ("wgan-gp", "progressive", "flow-cond", "sngan-cond")
BEST = ("dcgan-clipped", "flow-transformer")  # of either side at 1/8 petaFLOP, by the FID of seed 0
# Settings tried for the best pair, as many on either side; those of longer runs count by their first snapshot.
TRIALS: dict[str, tuple[str, ...]] = {
    "GAN": (
        "dcgan-32", "trial-gan-rates", "trial-gan-narrow", "trial-gan-batch", "trial-gan-smooth",
        "trial-r3gan-low", "trial-r3gan-middle", "trial-r3gan-high",
    ),
    "diffusion": (
        "ddpm-unet", "ddpm-transformer", "flow-unet", "flow-transformer",
        "trial-flow-velocity", "trial-flow-fast", "trial-flow-slow", "trial-flow-batch",
    ),
}  # fmt: skip
# Of these the settings of one network and one process: the paper's DCGAN, and the flow transformer.
TUNED = {"GAN": TRIALS["GAN"][:5], "diffusion": TRIALS["diffusion"][3:]}
EXTRACTORS = ("classifier", "efficientnet", "inception")


def study() -> list[Config]:
    """Every training of the preset `overnight`, in the order in which it is wanted: most decided for least first."""

    def sized(*names: str, **chosen: Any) -> list[Config]:
        return [get(name, "overnight", **chosen) for name in names]

    trials = [name for names in TRIALS.values() for name in names if name.startswith("trial-")]
    studies = [name for name in (*PARTS, "dcgan-augmented", *SETTINGS, *STUDIED) if name not in OTHERS]
    return list(
        dict.fromkeys(
            [
                *sized(*PAPER_PAIR, *OTHERS),
                *(c for c in live_configs("overnight") if c.dataset == "shapes"),
                *sized(*FIRST),
                *_short(),
                *sized(*trials),
                *_fresh(),
                *(config for seed in FRESH for config in sized(*BEST, seed=seed)),
                *sized(*PAPER_PAIR, epochs=100.0),
                *sized(*LATER),
                *scaling("overnight"),
                *sized(*studies),
            ]
        )
    )


def _short() -> list[Config]:
    """The fresh seeds of a trial's operations, on which verdicts rest; those of longer trainings go on from them."""
    known = places("overnight")
    parts = dict.fromkeys(known[role] for role in ("batch norm", "no batch norm", "usual loss", "saturating loss"))
    return [get(p.name, "overnight", epochs=p.epochs, seed=seed) for p in parts for seed in FRESH]


def _fresh() -> list[Config]:
    """All that verdicts look at; first the paper's pair, a seed of both before the next, to its budget at least."""
    own = {name: get(name, "overnight").epochs for name in PAPER_PAIR}
    claimed = [c.but(epochs=max(c.epochs, own.get(c.name, 0.0))) for c in trainings("overnight") if c.seed in FRESH]
    return sorted(claimed, key=lambda c: (c.name not in own, c.seed))  # of one seed as they come: the pair in its order


def work(configs: Sequence[Config], budget: float, finish: Callable[[Run], Iterator[str]]) -> Iterator[str]:
    """Train what is missing in order, and finish each run; a line of news each, until `budget` seconds are used.

    What cannot end in time stops at a checkpoint. What another process trains is left to it, so that several share
    the work. One that fails costs no other its time.
    """
    deadline, left = time.monotonic() + budget, []
    for config in configs:
        name = f"{config.name}, {config.epochs:.4g} epochs, seed {config.seed}"
        if time.monotonic() > deadline:
            left.append(name)
            continue
        try:
            there = find(config)
            run = there or train(config, deadline, wait=False)
            yield f"{name}: " + ("is there" if there else f"trained in {run.snapshot['seconds']:.0f} s ({run.folder})")
            yield from finish(run)
        except OutOfTime as stopped:
            left.append(f"{name} (begun: {stopped})")
        except locks.Busy as busy:
            left.append(f"{name} ({busy})")
        except (GendiffError, torch.OutOfMemoryError) as error:
            left.append(f"{name} (failed: {str(error).splitlines()[0]})")
    yield f"left: {'; '.join(left)}" if left else "nothing is left"


def nothing(run: Run) -> Iterator[str]:
    """What is done with a finished run where nothing more is asked for."""
    yield from ()


def published(run: Run) -> Iterator[str]:
    """Make all that the book shows of a run, publish it, and commit that; a line of news each."""
    if _published_whole(run):
        return
    with locks.lock(f"publish-{run.id}", f"publishing {run.id}", wait=False):
        yield from complete(run)
        with files.writing(run.folder / layout.WHOLE) as draft:
            draft.write_text(run.record["finished"], encoding="utf-8")
        first = not run.config.seed
        kept = (of_pair(run) and first) or run.config.kind == "autoencoder"  # by whose weights others are drawn
        folder = publish(run, weights=kept, without=unseen(run))
        yield f"published {folder}"
        yield from _commit(run, folder, handover.forget(run.config))


def _published_whole(run: Run) -> bool:
    """Whether a run is published with all that the study makes of it; one published by hand may lack some of it."""
    if run.published:
        return True
    there, mark = find(run.config, published=True), run.folder / layout.WHOLE
    made = mark.read_text(encoding="utf-8") if mark.exists() else ""
    return there is not None and made == there.record["finished"] == run.record["finished"]


def complete(run: Run) -> Iterator[str]:
    """Samples, scores, bits and neighbours of a run and of its snapshots; a line of news for each kind.

    What is kept is not made again; scores by a network that is not at hand are left for later.
    """
    if run.config.kind == "classifier":
        return
    known = protocol(run.config.name, "overnight")
    asked, real = known.sampling, known.reals(count(run.config.dataset))
    early = asked.but(n=min(EARLY_N, asked.n))
    if run.config.dataset in PARTIAL:
        judge = extractor(offline_kind(run.config.dataset), run.config.dataset, "overnight")
        yield from _scored(run, early, [judge], real)
        return
    judges = [j for name in EXTRACTORS if (j := _at_hand(name, run))]
    if told := _for_verdicts_alone(run):
        for each in told:
            yield from _scored(each, early, judges, real)
        return
    offline = [j for j in judges if j.name != "inception"]
    for each, how, famous in to_score(run, asked, early):
        yield from _scored(each, how, judges if famous else offline, real)
    if run.config.name in CODED:
        for split in ("test", "train"):
            found = bits_of(run, known.n_checked, split)
        yield f"{run.id}: {found.total:.3f} bits per dimension"
    if run.dataset.is_image and run.config.kind != "autoencoder":  # which makes nothing new
        neighbours_of(run, asked, judges[0], min(known.n_neighbours, asked.n))
        yield f"{run.id}: nearest training images found"
    if of_pair(run):  # what either gives back of test images
        restored_of(run, offline[-1])
        yield f"{run.id}: test images restored"
    if run.config.kind == "gan":  # its best snapshot is reported on samples that did not choose it
        best = best_snapshot(run, lambda each: evaluate(each, early, offline[-1], real).frechet_distance)
        yield from _scored(best, early.but(seed=early.seed + 1), offline, real)
    for sampling in _ways(run, asked):
        yield from _scored(run, sampling, offline, real)
        if sampling.sampler in ("ddpm", "tutorial"):
            trajectory(run, sampling.but(n=4, batch_size=4))


def to_score(run: Run, asked: Sampling, early: Sampling) -> list[tuple[Run, Sampling, bool]]:
    """What of a run is scored, by which samples, and whether by Inception-v3 too: its end, and all snapshots by one n.

    Inception-v3 sees the fewer samples alone of a training that is no longer than a trial, which is shorter than it.
    """
    brief, ends = run.training_operations < 1.5 * TRIAL * PETA, map(run.at, run.epochs_so_far)
    return [(run, asked, not brief), *((s, early, is_claimed(s) or (brief and s.images == run.images)) for s in ends)]


def _for_verdicts_alone(run: Run) -> list[Run]:
    """The snapshots that verdicts look at, of a fresh seed of which nothing else is shown; of any other run none."""
    if not run.config.seed or run.config.name in (*PAPER_PAIR, *BEST):
        return []
    return [each for each in map(run.at, run.epochs_so_far) if is_claimed(each)]


def _ways(run: Run, asked: Sampling) -> list[Sampling]:
    """The ways of drawing samples that pages compare, each by one n: of the paper's two models, and of a few others."""
    name, early = run.config.name, asked.but(n=min(EARLY_N, asked.n))
    if name in FEW_STEPS:
        return list(few_steps(name, early).values())
    if name == GUIDED:
        return list(guidances(early).values())
    if not of_pair(run) or run.config.seed:
        return []
    if run.config.kind == "gan":
        return [early.but(batchnorm=which) for which in ("batch", "running")]
    return list(sampler_grid("overnight").values())


def _scored(run: Run, sampling: Sampling, judges: Sequence[Any], real: int | None) -> Iterator[str]:
    for judge in judges:
        scores = evaluate(run, sampling, judge, real)
        told = ", ".join(f"{k} {v:.4g}" for k, v in scores.values.items())
        yield f"{run.id} at {run.config.epochs:.4g} epochs, n {scores.n_fake}, {judge.name}: {told}"


def _at_hand(name: str, run: Run) -> Any:
    """The extractor, or None where its weights are not to be had here. For generated data the classifier alone."""
    if name == "classifier":
        return extractor(name, run.config.dataset, "overnight")
    with suppress(GendiffError):
        return extractor(name, run.config.dataset, "overnight") if run.config.dataset == "cifar10" else None
    return None


def _commit(run: Run, folder: Path, gone: Sequence[Path]) -> Iterator[str]:
    """Commit the published folder, and that others are gone, where they are in a checkout."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(folder.parent), *words], capture_output=True, text=True)

    words = f"Publish {run.config.name}, {run.config.epochs:.4g} epochs, seed {run.config.seed}"
    changed = [str(folder), *(str(path) for path in gone if git("ls-files", "--", str(path)).stdout)]
    for command in (["add", "--", *changed], ["commit", "--quiet", "-m", words, "--", *changed]):
        if (done := git(*command)).returncode:
            yield f"not committed: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
            return
    yield f"committed: {words}"
