"""What pages show of runs: read where the page only reads and it is published, else computed and kept beside the run.

Every function takes what is asked of the page first, and raises Unpublished where it may only read and finds nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from gendiff_lib import paths
from gendiff_lib.config import Sampling
from gendiff_lib.data import count, images
from gendiff_lib.diffusion.likelihood import Bits
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.evaluation.evaluate import best_snapshot as best
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.memorisation import Memorisation, neighbours_of
from gendiff_lib.evaluation.restoration import N_IMAGES, Restored, restored_of
from gendiff_lib.evaluation.scores import ScoreError, Scores
from gendiff_lib.evaluation.validation import Validation, kept_validation, read_validation
from gendiff_lib.experiments import protocol
from gendiff_lib.experiments.extractors import classifier_name, offline_name
from gendiff_lib.experiments.reals import floors as floors_of
from gendiff_lib.runs import layout
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import Trajectory, sample_sheet
from gendiff_lib.runs.samples import trajectory as kept_trajectory

from . import READ
from .asking import Asking
from .pairs import Pairs, blind
from .reading import LACKING, Unpublished
from .reals import kept_floors
from .scored import family, found_in_turn, kept_scores, speaking

FEW = 20  # samples a frame of a filmstrip, and blind pairs: what shows change, and stays small


# ---------------------------------------------------------------- scores


def scores(
    asked: Asking, run: Run, sampling: Sampling | None = None, reference: str = "train", *, own: bool = False
) -> Scores:
    """Scores by the offline extractor, or by the data set's `own` classifier, by the run's protocol."""
    sampling, n_real = sampling or asked.sampling(run), _n_real(asked, run, reference)
    if not asked.reads(run.config.name):
        judge = asked.classifier(run) if own else asked.judge(run)
        return evaluate(run, sampling, judge, n_real, reference)
    name = classifier_name if own else offline_name
    found = kept_scores(run, sampling, name(run.config.dataset), n_real, reference)
    if found is None:
        raise Unpublished(f"the samples of {run.id} at epoch {run.config.epochs:.4g} are not scored yet")
    return found


def best_snapshot(asked: Asking, run: Run) -> Run:
    """The run at its best snapshot, up to the epoch that is shown, by as many samples of each."""
    how = asked.of_snapshots(run)
    return best(run, lambda each: scores(asked, each, how).frechet_distance)


def own_scores(asked: Asking, run: Run, sampling: Sampling | None = None) -> Scores | None:
    """Scores by the data set's own classifier, where another extractor judges it; None where there are none."""
    return None if _judged_by_its_own(run) else _scores_or_none(asked, run, sampling, own=True)


def _judged_by_its_own(run: Run) -> bool:
    return offline_name(run.config.dataset) == classifier_name(run.config.dataset)


def own_of_several(
    asked: Asking, run: Run, sampling: Sampling | None = None, ask: Callable[..., list[Scores]] | None = None
) -> list[Scores]:
    """As `own_scores` of all that `several` tells of, or that `ask` does; empty where there are none."""
    with suppress(*LACKING):
        return [] if _judged_by_its_own(run) else (ask or several)(asked, run, sampling, own=True)
    return []


def several(
    asked: Asking, run: Run, sampling: Sampling | None = None, reference: str = "train", *, own: bool = False
) -> list[Scores]:
    """Scores over the protocol's sampling seeds, and over the training seeds that speak of the model (see `speaking`).

    A sibling that is published without these scores and without weights is left out.
    """
    first = sampling or asked.sampling(run)
    hows = [first.but(seed=seed) for seed in range(first.seed, first.seed + asked.protocol(run).seeds)]
    found = [s for how in hows for s in of_each_training(asked, run, how, reference, own=own)]
    return speaking(found, asked.preset)


def _scores_or_none(
    asked: Asking, run: Run, sampling: Sampling | None, reference: str = "train", *, own: bool = False
) -> Scores | None:
    with suppress(*LACKING):
        return scores(asked, run, sampling, reference, own=own)
    return None


def of_each_training(
    asked: Asking, run: Run, sampling: Sampling, reference: str = "train", *, own: bool = False
) -> list[Scores]:
    """Scores by one sampling seed of every training seed that there is a run of; a sibling without them is left out."""
    found, others = [scores(asked, run, sampling, reference, own=own)], seeds_of(asked, run)[1:]
    return found + found_in_turn(others, lambda each: _scores_or_none(asked, each, sampling, reference, own=own))


def kept(asked: Asking, run: Run, extractor: str, n: int | None = None, reference: str = "train") -> list[Scores]:
    """The scores by any extractor of the run's protocol (at another n where given), of seeds as `speaking` takes them.

    Empty where there are none of this run itself.
    """
    sampling = asked.sampling(run) if n is None else asked.sampling(run, n=n)
    n_real = _n_real(asked, run, reference)

    def ask(each: Run) -> Scores | None:
        return kept_scores(each, sampling, extractor, n_real, reference)

    return speaking(found_in_turn(seeds_of(asked, run), ask), asked.preset) if ask(run) else []


def seeds_of(asked: Asking, run: Run) -> list[list[Run]]:
    """A run, then its siblings by training seed (see `family`); of those that a page only reads, the published ones."""
    return family(run, published=asked.reads(run.config.name))


def floors(asked: Asking, run: Run) -> dict[str, Scores]:
    """Scores of as many real test images as the run's protocol draws, by that protocol, as the run was scored.

    Untouched, and sent to 64 pixels and back, by what the images are.
    """
    n, n_real, dataset = asked.sampling(run).n, _n_real(asked, run), run.config.dataset
    mine = kept(asked, run, offline_name(dataset)) if asked.preset in READ else []
    if mine and (found := kept_floors(dataset, n, n_real, (mine[0].extractor, mine[0].extractor_digest))):
        return found
    if asked.reads(run.config.name):
        raise Unpublished(f"no scores of {n:,} real images of {dataset} are published")
    return floors_of(dataset, asked.judge(run), n, n_real)


def _n_real(asked: Asking, run: Run, reference: str = "train") -> int | None:
    return asked.protocol(run).reals(count(run.config.dataset, reference))


# ---------------------------------------------------------------- what else is told of a run


def bits(asked: Asking, run: Run, split: str = "test") -> Bits:
    """Bits per dimension of a split's images, as many as the protocol says."""
    n = asked.protocol(run).n_checked
    _must_keep(asked, run, layout.bits(run.images, run.resolve(Sampling()).weights, split, n, 0))
    return bits_of(run, n, split)


def memorisation(asked: Asking, run: Run) -> Memorisation:
    """Nearest training images of the run's samples, as many as the protocol says, by the classifier's features.

    Every training image is looked at, and its mirror image: EfficientNet would take seven times as long.
    """
    judge, n = asked.classifier(run), min(asked.protocol(run).n_neighbours, asked.sampling(run).n)
    _must_keep(asked, run, _samples(run, asked.sampling(run)) / layout.neighbours(judge.name, judge.digest, n))
    return neighbours_of(run, asked.sampling(run), judge, n)


def trajectory(asked: Asking, run: Run, sampling: Sampling) -> Trajectory:
    """States on the way to a few samples."""
    _must_keep(asked, run, _samples(run, sampling) / layout.TRAJECTORY)
    return kept_trajectory(run, sampling)


def sheet(asked: Asking, run: Run, sampling: Sampling | None = None) -> Tensor:
    """The first of a run's samples as a contact sheet."""
    sampling = sampling or asked.sampling(run)
    _must_keep(asked, run, _samples(run, sampling) / layout.SHEET)
    return sample_sheet(run, sampling)


def whole_sheet(run: Run) -> Tensor:
    """The images of the sheet that a run's snapshot keeps, uint8 (N, 3, H, W): the same noise at every one."""
    _, h, w = run.record["sample_shape"]
    return images.cells(run.sheet(), (h, w))


def few(run: Run) -> Tensor:
    """The first of these, (FEW, 3, H, W)."""
    return whole_sheet(run)[:FEW]


def restored(asked: Asking, run: Run) -> Restored:
    """Test images as a run gives them back, by the offline extractor's features."""
    judge, n = asked.judge(run), min(N_IMAGES, asked.protocol(run).n_checked)
    _must_keep(asked, run, layout.restored(run.images, judge.name, judge.digest, n))
    return restored_of(run, judge, n)


def blind_pairs(asked: Asking, first: Run, second: Run) -> Pairs:
    """Pairs of the first images of both runs' sheets, on sides that nothing tells."""
    for run in (first, second):
        _must_keep(asked, run, layout.sheet(run.images))
    return blind(few(first), few(second))


def _samples(run: Run, sampling: Sampling) -> Path:
    return layout.samples(run.images, run.resolve(sampling).digest)


def _must_keep(asked: Asking, run: Run, part: Path) -> None:
    """Unpublished where this page only reads, and a part of a run that it asks for is not there."""
    if asked.reads(run.config.name) and not run.place(part)[1]:
        raise Unpublished(f"{run.id} is published without {part.name}")


# ---------------------------------------------------------------- extractors


def validations(asked: Asking) -> dict[str, Validation]:
    """The scores of damaged and thinned real images by each extractor that needs no download, by its name.

    The offline one comes first; one whose validation is not published is left out where this page only reads, and the
    page says so.
    """
    name = asked.data()
    judges = {judge.name: judge for judge in (asked.offline(name), asked.own(name))}.values()
    found = {judge.name: known for judge in judges if (known := _published_validation(judge))}
    if asked.preset in READ and found:
        lacking = [judge.name for judge in judges if judge.name not in found]
        asked.left_out |= dict.fromkeys(lacking, "no validation of it is published, so left out of this page")
        return found
    if asked.reads("dcgan"):
        raise Unpublished(f"no validation of an extractor of {name} is published")
    cut = protocol("dcgan", asked.preset).validated
    return {judge.name: kept_validation(judge, name, *cut) for judge in judges}


def _published_validation(judge: Extractor) -> Validation | None:
    """The published one of this very extractor, whatever it was cut to; no data set need be at hand.

    None where there is none, or one whose scores are of an earlier form.
    """
    for path in sorted((paths.published_dir() / "validation").glob(f"{judge.name}-{judge.digest}-*.json")):
        with suppress(ScoreError):
            return read_validation(path)
    return None
