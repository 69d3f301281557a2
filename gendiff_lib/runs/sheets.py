"""Contact sheets of a training: what its learner makes, at each snapshot, of the same noise or the same images."""

from collections import deque
from pathlib import Path
from typing import Any

import torch

from ..autoencoder import COLUMNS, Autoencoder
from ..config import Sampling
from ..data import images, load
from ..data.dataset import Dataset
from ..learner import Learner, Method
from ..streams import stream
from . import files

SHEET = Sampling(n=40, seed=0, batch_size=40)  # the fixed noise of the contact sheets over training


def write_sheet(path: Path, learner: Learner, dataset: Dataset) -> dict[str, Any] | None:
    """Draw a learner's contact sheet; returns how, or None where it makes no images and nothing is written."""
    if isinstance(learner, Autoencoder):
        how: dict[str, Any] = {"split": "test", "n": SHEET.n // 2}
        shown = learner.pairs(load(learner.config.dataset, how["split"]).choose(how["n"], "checked").samples)
    elif isinstance(learner, Method):
        sampling = learner.resolve(SHEET.but(**learner.preview))
        rng, how = stream("sheet", sampling.seed, device=learner.device), sampling.to_dict()
        with torch.compiler.set_stance("force_eager"):  # not worth compiling for another shape
            last = deque(learner.sample(sampling.n, sampling, rng), maxlen=1).pop()
        shown = dataset.bridge.decode(last.x).cpu()
    else:
        return None
    with files.writing(path) as draft:
        images.save_png(images.sheet(shown, columns=COLUMNS), draft)
    return how
