"""Random numbers: one stream for each purpose, so that no part of a study hears what another was told."""

import hashlib

import torch

from .errors import ConfigError

PURPOSES = (
    "data",  # the generated data sets themselves
    "weights",  # a network's first weights
    "order",  # of the training samples, one stream an epoch
    "flip",  # which of them are mirrored, one stream an epoch
    "training",  # noise, times and latents of the updates
    "dropout",
    "batchnorm",  # the latents that a generator's batch statistics are computed from
    "diversity",  # the latents of the fixed batch whose diversity is followed
    "sheet",  # contact sheets over training
    "samples",  # one stream a batch
    "bits",
    "n_train",  # which part of a data set is trained on
    "n_real",  # which part the fakes are compared with
    "checked",  # which images are coded or searched for copies
    "validation",  # damage and choice of real images
    "calibration",  # which of many samples make a draw
    "restored",  # noise that test images are hidden in, and latents from which they are searched
    "pairs",  # on which side of a blind pair each image stands
    "scores",  # subsets and resamples inside a score
)


def stream(purpose: str, seed: int, index: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose numbers no other purpose, seed or index shares; ConfigError for an unknown purpose.

    A model is not judged on the noise that it was trained with, as it would be if both began at manual_seed(0).
    """
    if purpose not in PURPOSES:
        raise ConfigError(f"purpose {purpose!r} is unknown: there are {', '.join(PURPOSES)}")
    words = hashlib.sha256(f"{purpose} {seed} {index}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(words[:8], "big") >> 1)
