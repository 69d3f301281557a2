"""What no page shows of a run that the study made: it is not published, so that what is tracked stays small."""

from ..runs import layout
from ..runs.run import Run
from . import PAPER_PAIR
from .book import COMPARED, GUIDED, OTHERS
from .cost import PETA
from .experiment import TRIAL
from .scaling import PARTIAL


def unseen(run: Run) -> list[str]:
    """Patterns of a run's files that no page shows.

    Of contact sheets pages show those of the paper's pair and of generated data, of other models the one after a
    trial's operations and the last, of trials and of other seeds the last of what is longer than a trial.
    """
    name, first, ends = run.config.name, run.config.seed == 0, list(map(run.at, run.epochs_so_far))
    brief, last = {s.images for s in ends if s.training_operations < 1.5 * TRIAL * PETA}, {run.images}
    if first and (of_pair(run) or run.config.dataset != "cifar10"):
        shown = {s.images for s in ends}
    elif first and not name.startswith("trial-"):
        shown = brief | last
    else:
        shown = last - brief
    hidden = [str(layout.sheet(s.images)) for s in ends if s.images not in shown]
    drawn, compared = (*PAPER_PAIR, GUIDED), (*COMPARED, *OTHERS)
    early = [str(layout.samples(s.images, "*") / layout.SHEET) for s in ends if s.images != run.images]
    hidden += early if first and name in drawn else [layout.SAMPLE_SHEETS]
    return hidden + ([] if first and name in compared else [layout.NEIGHBOURS])


def of_pair(run: Run) -> bool:
    """Whether it is a run of the paper's two models, on the whole data set."""
    return run.config.name in PAPER_PAIR and run.config.dataset not in PARTIAL
