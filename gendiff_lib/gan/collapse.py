"""Whether a GAN's training has collapsed: a rule on its history, fixed before any fresh seed was trained.

A run has collapsed where, of the rows of its history over PATIENCE updates and at least ROWS, MOST show the same one of
three signs:

- *it ignores z*: images of a fixed batch of latents are the same to the eye (diversity below SAME), or keep less than
  a sixteenth of the variance that they had at best (diversity below DROPPED times its largest value so far);
- *it repeats itself*: most of the batch have a twin in it (`nearest` below SAME), though they are not all one image;
- *the discriminator has won*: it is right about all but 1 in 100 of real images and of fakes (SURE), the gradient that
  reaches the generator is below a tenth of its largest so far (VANISHED), and the generator's loss is no lower
  than its median so far, so it is not the generator that has come to rest (Arjovsky and Bottou 2017, section 2).

A generator of two images that differ by d has diversity 0.71 d, which is a healthy run's: only `nearest` shows it, and
a history without that column is not asked. One that makes a single image now and another one later ignores z at all
times. A discriminator that is always right while gradients flow has not won: healthy runs begin so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import GendiffError

PATIENCE = 1000  # updates: what Adam's second moments remember, 1 / (1 - 0.999)
ROWS = 10  # at least, where few rows are so many updates
MOST = 0.9  # of those rows: what lasts is not undone by one that strays
SAME = 4 / 127.5  # root mean square difference of images in [-1, 1]: four of the 255 steps that are stored
DROPPED = 1 / 4
SURE = 0.99
VANISHED = 1 / 10

History = Mapping[str, Sequence[float]]
Signs = npt.NDArray[np.bool_]  # row by row, whether a sign holds


class Collapse(NamedTuple):
    """The epoch at which most rows over PATIENCE updates had shown a sign, and the sign in words."""

    epoch: float
    why: str


def collapsed(history: History) -> Collapse | None:
    """The first collapse that a GAN's history (`Run.history`: columns of rows) shows, None where it shows none.

    GendiffError where the history lacks a column.
    """
    if not history:
        return None
    missing = [name for name in COLUMNS if name not in history]
    if missing:
        raise GendiffError(f"this history has no column {missing[0]}: only a GAN's tells whether it has collapsed")
    fired = [Collapse(epoch, why) for why, rule in RULES.items() for epoch in _lasting(rule(history), history)]
    return min(fired, key=lambda collapse: collapse.epoch, default=None)


def nearest(images: Tensor) -> Tensor:
    """The median, over images (N, ...) in [-1, 1], of the root mean square difference to the one most like it."""
    x = images.flatten(1).float()
    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    typical: Tensor = distances.amin(1).median() / x.shape[1] ** 0.5
    return typical


def ignores_latent(history: History) -> Signs:
    """Row by row, whether all latents give one image."""
    diversity = np.asarray(history["diversity"])
    return diversity < np.maximum(SAME, DROPPED * np.fmax.accumulate(diversity))


def repeats_itself(history: History) -> Signs:
    """Row by row, whether most images of a batch have a twin in it; never where that was not recorded."""
    return np.asarray(history.get("nearest", [np.inf] * len(history["step"]))) < SAME


def discriminator_won(history: History) -> Signs:
    """Row by row, whether the discriminator is right about all and the generator learns nothing of it."""
    real, fake, norm, loss = (
        np.asarray(history[k]) for k in ("accuracy_real", "accuracy_fake", "grad_norm_g", "loss_g")
    )
    no_lower = loss >= np.array([np.median(loss[: i + 1]) for i in range(len(loss))])
    won: Signs = (np.minimum(real, fake) >= SURE) & (norm < VANISHED * np.fmax.accumulate(norm)) & no_lower
    return won


def _lasting(signs: Signs, history: History) -> list[float]:
    """The epochs of rows that end PATIENCE updates, most rows of which show a sign."""
    steps = np.asarray(history["step"])
    ends = [i for i, step in enumerate(steps) if step >= PATIENCE and i + 1 >= ROWS]
    spans = {i: max(int((steps[: i + 1] > steps[i] - PATIENCE).sum()), ROWS) for i in ends}
    return [history["epoch"][i] for i, n in spans.items() if signs[i + 1 - n : i + 1].mean() >= MOST]


COLUMNS = ("epoch", "step", "loss_g", "grad_norm_g", "accuracy_real", "accuracy_fake", "diversity")
RULES: dict[str, Callable[[History], Signs]] = {
    "the generator ignores z": ignores_latent,
    "the generator repeats itself": repeats_itself,
    "the discriminator has won": discriminator_won,
}
