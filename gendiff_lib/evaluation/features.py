"""Feature extractors: images in, features and class logits out. What is extracted is kept, keyed by content."""

import copy
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from tqdm.auto import tqdm

from .. import ranks
from ..data.images import check_images
from ..device import full_precision
from ..errors import GendiffError
from ..paths import made_dir
from ..runs import files
from ..versions import register

# of what extraction gives: raised when a feature moves, so that what was kept is made anew
VERSION = register("features", 1)
PART_SECONDS = 30.0  # of extraction after which what there is goes to disk

Net = TypeVar("Net", bound=nn.Module)


class Features(NamedTuple):
    """Of N images: features float32 (N, D), class logits float32 (N, K), and a key int64 (N,) of each image's bytes.

    K is 0 where the extractor has no logits. `source` names extractor and image size: features of unlike sources do not
    compare.
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
    network: Callable[[Tensor], tuple[Tensor, Tensor]]  # uint8 (N, 3, H, W) to features (N, D) and logits (N, K)
    resize: str = "none"  # what is done to the images' side before the network
    dtype: str = "float32"  # what the network computes in
    own_classes: bool = False  # whether its classes are those of the data set it judges, so that shares tell something
    has_logits: bool = True  # without them (K is 0) there is no classifier score
    batch_size: int = 250  # images at once: what bounds the memory


def digest_of(state: dict[str, Tensor]) -> str:
    """Twelve hexadecimal digits of SHA-256 over names and weights."""
    h = hashlib.sha256()
    for name in sorted(state):
        h.update(name.encode())
        h.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return h.hexdigest()[:12]


def images_at_once(device: torch.device) -> int:
    """How many images an ImageNet network takes at once: on a CPU few, whose maps stay in its cache."""
    return 25 if device.type == "cpu" else 250


def folded(net: Net) -> Net:
    """A copy of `net` in evaluation mode with each batch norm inside its convolution, and channels last.

    The same function, on a CPU in half the time. A norm belongs to the convolution that stands right before it among
    the parts of one module.
    """
    net = copy.deepcopy(net).eval()
    for module in net.modules():
        for (name, convolution), (after, norm) in pairwise(list(module.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, after, nn.Identity())
    return net.to(memory_format=torch.channels_last)


# ---------------------------------------------------------------- extraction, once for each set of images


def extract(extractor: Extractor, images: Tensor) -> Features:
    """Features of uint8 (N, 3, H, W), computed once for each set of images and each extractor, in batches.

    They are kept in the user's cache (GENDIFF_CACHE moves it) under a digest of the images themselves. What was
    interrupted goes on after the last part that was kept. Processes that torchrun started take batches by turns.
    """
    check_images(images)
    if images.max() == 1:
        raise GendiffError("images hold no byte but 0 and 1: if they were floats in [0, 1], multiply them by 255 first")
    # one space may come with and without logits: what was kept without them lacks them for whoever has them
    content = content_digest(images) + ("" if extractor.has_logits else "-features")

    def compute() -> dict[str, Tensor]:
        parts = list(_parts(extractor, images, content))
        features, logits = (torch.cat([part[name] for part in parts]) for name in ("features", "logits"))
        return {"features": features, "logits": logits, "keys": image_keys(images)}

    tensors = keep(extractor, content, compute)
    if ranks.rank() == 0:
        _forget_parts(extractor, content)
    return Features(**tensors, source=source_of(extractor, images))


def _forget_parts(extractor: Extractor, content: str) -> None:
    with suppress(OSError):
        for part in _folder(extractor).glob(f"{content}-from-*.pt"):
            part.unlink()


def _parts(extractor: Extractor, images: Tensor, content: str) -> Iterator[dict[str, Tensor]]:
    """Features and logits part by part, each part that PART_SECONDS made from the cache where it is there.

    The last part is not kept by itself: what it completes is.
    """
    start = 0
    with _progress(extractor.name, len(images)) as bar:
        while start < len(images):
            path = _folder(extractor) / f"{content}-from-{start}.pt"
            kept = ranks.lead(partial(_read, path))
            part = _compute(extractor, images[start:], bar) if kept is None else kept
            start += len(part["features"])
            if kept is not None:
                bar.initial = start  # the time left is told from what is computed now
                bar.update(start - bar.n)
            elif start < len(images):
                ranks.lead(partial(_write, path, part))
            yield part


def _progress(name: str, total: int) -> "tqdm[Any]":
    """A bar with the time left, on a terminal and in a notebook alone, and only where it takes a while."""
    return tqdm(
        total=total, desc=f"features by {name}", unit="img", delay=2.0, leave=False, disable=not ranks.watched()
    )


@torch.no_grad()
def _compute(extractor: Extractor, images: Tensor, bar: "tqdm[Any]") -> dict[str, Tensor]:
    """Of as many images as PART_SECONDS allow, one batch at least."""
    batches: list[tuple[Tensor, ...]] = []
    started, queue = time.monotonic(), images.split(extractor.batch_size)
    with full_precision():
        for start in range(0, len(queue), ranks.count()):
            mine = queue[start + ranks.rank() :][:1]  # none where the last batches are fewer than the processes
            found = [tuple(side.float().cpu() for side in extractor.network(batch)) for batch in mine]
            batches += [one for each in ranks.gathered(found) for one in each]
            bar.update(sum(map(len, queue[start : start + ranks.count()])))
            if ranks.agreed(time.monotonic() - started >= PART_SECONDS)[0]:
                break
    features, logits = (torch.cat(side) for side in zip(*batches, strict=True))
    return {"features": features, "logits": logits}


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
    """What `compute` gives, from the user's cache where the same version computed it for this extractor and content."""
    path = _folder(extractor) / f"{content}.pt"
    kept = ranks.lead(partial(_read, path))
    if kept is None:
        kept = compute()
        ranks.lead(partial(_write, path, kept))
    return kept


def _read(path: Path) -> dict[str, Tensor] | None:
    """What `_write` wrote; None where it is missing, or damaged in any of many ways: then it is made again."""
    with suppress(Exception):
        kept: Any = torch.load(path, weights_only=True)
        tensors: dict[str, Tensor] = kept["tensors"]
        if kept["check"] == digest_of(tensors):
            return tensors
    return None


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Into the cache, whole or not at all: a full or closed one is no loss."""
    with suppress(files.StoreError), files.writing(path) as draft:
        torch.save({"tensors": tensors, "check": digest_of(tensors)}, draft)


def _folder(extractor: Extractor) -> Path:
    return made_dir() / "features" / f"{extractor.name}-{extractor.digest}-v{VERSION}"
