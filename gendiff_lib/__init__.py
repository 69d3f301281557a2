"""GANs and diffusion models under one protocol: `get` a configuration, `train` it, look at the `Run`."""

from .config import Config, Sampling
from .errors import GendiffError
from .experiments import get, protocol
from .runs.run import Run, find
from .runs.train import train

__all__ = ["Config", "GendiffError", "Run", "Sampling", "find", "get", "protocol", "train"]
