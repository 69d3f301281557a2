"""Feature extractors: images in, features and class logits out. What is extracted is kept, keyed by content."""

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import images as im
from .config import GendiffError
from .data import cache_dir
from .machine import default_device


class Features(NamedTuple):
    """Of N images: features float32 (N, D) and class logits float32 (N, K)."""

    features: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Extractor:
    """A frozen network under a name. `digest` is of its weights: scores by another digest are other scores."""

    name: str
    digest: str
    network: Callable[[Tensor], Features]  # uint8 (N, 3, H, W) to Features
    classes: tuple[str, ...] = ()

    @property
    def is_inception(self) -> bool:
        """Whether its scores may be called FID, KID and IS."""
        return self.name == "inception"


def digest_of(state: dict[str, Tensor]) -> str:
    """Twelve hexadecimal digits of SHA-256 over names and weights."""
    h = hashlib.sha256()
    for name in sorted(state):
        h.update(name.encode())
        h.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return h.hexdigest()[:12]


INCEPTION_REMEDY = (
    "set GENDIFF_INCEPTION to torch-fidelity's file weights-inception-2015-12-05-6726825d.pth, "
    "or run where it can be downloaded"
)


def inception() -> Extractor:
    """torch-fidelity's Inception-v3 (the 2015 weights): 2048 features, unbiased logits.

    Weights come from GENDIFF_INCEPTION, else torch-fidelity's download; GendiffError where neither is to be had.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = os.environ.get("GENDIFF_INCEPTION") or None
    if path and not Path(path).is_file():
        raise GendiffError(f"GENDIFF_INCEPTION={path} is no file: {INCEPTION_REMEDY}")
    try:
        net = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=path)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        why = str(error).splitlines()[0] if path else "they could not be downloaded"
        raise GendiffError(f"Inception-v3's weights cannot be used ({why}): {INCEPTION_REMEDY}") from None

    device = default_device()
    net = net.to(device)

    def run(images: Tensor) -> Features:
        found, logits = net(images.to(device))
        return Features(found, logits)

    return Extractor("inception", digest_of(net.state_dict()), run)


@torch.no_grad()
def extract(extractor: Extractor, images: Tensor, batch_size: int = 250) -> Features:
    """Features of uint8 (N, 3, H, W), computed once for each set of images and each extractor.

    They are kept in the user's cache (GENDIFF_CACHE moves it) under a digest of the images themselves.
    """
    im.check_images(images)
    content = hashlib.sha256(repr(tuple(images.shape)).encode() + images.cpu().numpy().tobytes()).hexdigest()[:16]
    path = _cache() / f"{extractor.name}-{extractor.digest}" / f"{content}.pt"
    if path.exists():
        try:
            return Features(**torch.load(path, weights_only=True))
        except (RuntimeError, EOFError, TypeError, OSError, pickle.UnpicklingError):
            path.unlink(missing_ok=True)  # a damaged cache is no loss: it is made again
    parts = [extractor.network(batch) for batch in images.split(batch_size)]
    found = Features(*(torch.cat([p[i].float().cpu() for p in parts]) for i in (0, 1)))
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(found._asdict(), draft)
        draft.replace(path)
    except (OSError, RuntimeError):  # a full or closed cache is no loss either
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return found


def _cache() -> Path:
    return Path(os.environ.get("GENDIFF_CACHE") or cache_dir()) / "features"
