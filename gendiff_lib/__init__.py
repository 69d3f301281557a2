"""GANs and diffusion models under one protocol: `get` a configuration, `train` it, look at the `Run`."""

from . import plots
from .config import Config, GendiffError, Sampling
from .experiments import get, protocol
from .recorder import train
from .runs import Run, find

__all__ = ["Config", "GendiffError", "Run", "Sampling", "find", "get", "plots", "protocol", "train"]
