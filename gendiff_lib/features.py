"""Feature extractors: images in, features and class logits out. What is extracted is kept, keyed by content."""

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import images as im
from .config import GendiffError
from .data import cache_dir, named_path
from .machine import default_device, full_precision

VERSION = 1  # of what is extracted: raised when the same images get other features


class Features(NamedTuple):
    """Of N images: features float32 (N, D), class logits float32 (N, K), and a key int64 (N,) of each image's bytes.

    `source` names extractor and image size: features of unlike sources do not compare.
    """

    features: Tensor
    logits: Tensor
    keys: Tensor
    source: str = ""

    def in_order(self) -> "Features":
        """The same, sorted by key: splits and subsets then depend on the set of images, not on how it was ordered."""
        order = self.keys.argsort(stable=True)
        return self.cut(order)

    def cut(self, index: Tensor | slice) -> "Features":
        """Those of some images."""
        return Features(self.features[index], self.logits[index], self.keys[index], self.source)


@dataclass(frozen=True)
class Extractor:
    """A frozen network under a name. `digest` is of its weights: scores by another digest are other scores."""

    name: str
    digest: str
    network: Callable[[Tensor], tuple[Tensor, Tensor]]  # uint8 (N, 3, H, W) to features and logits
    resize: str = "none"  # what is done to the images' side before the network
    dtype: str = "float32"  # what the network computes in
    own_classes: bool = False  # whether its classes are those of the data set it judges, so that shares tell something

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


# ---------------------------------------------------------------- the networks that the literature scores with


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights: where it is looked for, where it comes from, and how it is known."""

    variable: str
    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]

    @property
    def remedy(self) -> str:
        """What to do where it is not to be had."""
        return f"set {self.variable} to the file {self.name}, or run where {self.url} can be downloaded"


INCEPTION = WeightsFile(
    "GENDIFF_INCEPTION",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
VGG16 = WeightsFile(
    "GENDIFF_VGG16",
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)


def weights_path(file: WeightsFile) -> Path:
    """The file, checked by SHA-256: the one its variable names, else torch's own cache, else downloaded into it.

    GendiffError where it is not to be had, damaged, or another file.
    """
    if path := named_path(file.variable):
        if not path.is_file():
            raise GendiffError(f"{file.variable}={path} is no file: {file.remedy}")
    else:
        path = Path(torch.hub.get_dir()) / "checkpoints" / file.name
        if not path.is_file():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(file.url, str(path), file.sha256[:8], progress=False)
            except Exception as error:  # the network's own, of many kinds
                raise GendiffError(
                    f"{file.name} could not be downloaded ({type(error).__name__}): {file.remedy}"
                ) from None
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise GendiffError(f"{path} cannot be read ({error.strerror}): {file.remedy}") from None
    if found != file.sha256:
        raise GendiffError(
            f"{path} is damaged or another file (its SHA-256 begins {found[:8]}, not {file.sha256[:8]}): {file.remedy}"
        )
    return path


def _network(file: WeightsFile, make: Callable[[str], torch.nn.Module]) -> torch.nn.Module:
    path = weights_path(file)
    try:
        return make(str(path)).to(default_device())
    except torch.OutOfMemoryError:  # a RuntimeError too, but the file is whole
        raise
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise GendiffError(f"{path} holds no weights of this network ({why}): {file.remedy}") from None


def inception(layer: str = "2048") -> Extractor:
    """torch-fidelity's Inception-v3 (the 2015 weights): 2048 features, unbiased logits.

    Other layers ("64", "192", "768") give other scores, under the name inception-LAYER, which are no FID.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Network

    net = _network(INCEPTION, lambda path: Network("inception", [layer, "logits_unbiased"], path))

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        found, logits = net(images.to(default_device()))
        return found, logits

    name = "inception" if layer == "2048" else f"inception-{layer}"
    return Extractor(name, digest_of(net.state_dict()), run, "bilinear as in TensorFlow 1, 299 px")


def vgg16() -> Extractor:
    """torch-fidelity's VGG16 (ImageNet weights), whose 4096 features precision and recall were first defined on.

    Its logits are those of the last layer, which torch-fidelity leaves out.
    """
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16 as Network

    net = _network(VGG16, lambda path: Network("vgg16", ["fc2_relu"], path))
    last = torch.load(weights_path(VGG16), weights_only=True, map_location=default_device())
    weight, bias = last["classifier.6.weight"], last["classifier.6.bias"]

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        (found,) = net(images.to(default_device()))
        return found, torch.nn.functional.linear(found, weight, bias)

    return Extractor("vgg16", digest_of(net.state_dict()), run, "bilinear as in TensorFlow 1, 224 px")


# ---------------------------------------------------------------- extraction, once for each set of images


@torch.no_grad()
def extract(extractor: Extractor, images: Tensor, batch_size: int = 250) -> Features:
    """Features of uint8 (N, 3, H, W), computed once for each set of images and each extractor, in batches.

    They are kept in the user's cache (GENDIFF_CACHE moves it) under a digest of the images themselves.
    """
    im.check_images(images)
    if images.max() == 1:
        raise GendiffError("images hold no byte but 0 and 1: if they were floats in [0, 1], multiply them by 255 first")

    def compute() -> dict[str, Tensor]:
        with full_precision():
            parts = [extractor.network(batch) for batch in images.split(batch_size)]
        found, logits = (torch.cat([p[i].float().cpu() for p in parts]) for i in (0, 1))
        return {"features": found, "logits": logits, "keys": image_keys(images)}

    return Features(**keep(extractor, content_digest(images), compute), source=source_of(extractor, images))


def source_of(extractor: Extractor, images: Tensor) -> str:
    """What features must share to be compared: the network, its weights, and the images' size."""
    return f"{extractor.name} {extractor.digest} of {'x'.join(map(str, images.shape[1:]))}"


def content_digest(images: Tensor) -> str:
    """Sixteen hexadecimal digits of SHA-256 over shape and bytes of uint8 images."""
    h = hashlib.sha256(repr(tuple(images.shape)).encode())
    h.update(images.cpu().contiguous().numpy().data)
    return h.hexdigest()[:16]


def image_keys(images: Tensor) -> Tensor:
    """A 64-bit key of each image's bytes, int64 (N,): a sum of its words times fixed random odd numbers, wrapping."""
    flat = images.cpu().flatten(1)
    padded = torch.nn.functional.pad(flat, (0, -flat.shape[1] % 8)).contiguous()
    words = padded.view(torch.int64)
    rng = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (words.shape[1],), generator=rng) * 2 + 1
    return torch.cat([(part * factors).sum(1) for part in words.split(1000)])


def keep(extractor: Extractor, content: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `compute` gives, from the user's cache where the same code computed it for this extractor and content."""
    path = _cache() / f"{extractor.name}-{extractor.digest}-v{VERSION}" / f"{content}.pt"
    with suppress(Exception):  # missing, or damaged in any of many ways, which is no loss: it is made again
        kept: Any = torch.load(path, weights_only=True)
        if kept["check"] == digest_of(kept["tensors"]):
            tensors: dict[str, Tensor] = kept["tensors"]
            return tensors
    found = compute()
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"tensors": found, "check": digest_of(found)}, draft)
        draft.replace(path)
    except (OSError, RuntimeError):  # a full or closed cache is no loss either
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return found


def _cache() -> Path:
    return (named_path("GENDIFF_CACHE") or cache_dir()) / "features"
