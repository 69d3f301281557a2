"""GANs and diffusion models under one protocol: `get` a configuration, `train` it, `sample` and `evaluate` the run."""

from .config import Config, Sampling
from .errors import GendiffError
from .evaluation.evaluate import evaluate
from .experiments import get, protocol
from .runs.run import Run, find
from .runs.samples import sample, sample_sheet
from .runs.train import train

__all__ = [
    "Config", "GendiffError", "Run", "Sampling",
    "evaluate", "find", "get", "protocol", "sample", "sample_sheet", "train",
]  # fmt: skip
