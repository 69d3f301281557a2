"""Whether generated images are copies: their nearest training images, beside those of test images."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..config import Sampling
from ..data import load
from ..data.images import check_images
from ..device import default_device
from ..errors import ConfigError, GendiffError
from ..runs import files, layout
from ..runs.run import Run
from ..runs.samples import beside, check_drawable, sample
from ..versions import register
from .features import Extractor, content_digest, extract, keep
from .neighbours import squared_distances

# of nearest neighbours and what is said of them: raised whenever one of these numbers moves
VERSION = register("memorisation", 1)
CHUNK = 250  # images whose distances to the whole training set are held at once
NEAR = 0.01  # a generated image is suspect if it is nearer than all but this share of the test images


class Nearest(NamedTuple):
    """Of N images or feature vectors: the distance to the nearest training one (N,), and its place there (N,)."""

    distance: Tensor
    place: Tensor


def nearest(queries: Tensor, training: Tensor) -> Nearest:
    """Euclidean nearest neighbours of (N, ...) in (M, ...), both flattened.

    Neighbours are found by a product of matrices in float32; their distances are then computed anew in float64, so
    that an exact copy is at distance 0. Bytes are streamed: only a part of the training set is ever held as floats.
    """
    device = default_device()
    best = torch.full((len(queries),), torch.inf)
    index = torch.zeros(len(queries), dtype=torch.long)
    for start in range(0, len(training), 10_000):
        block = training[start : start + 10_000].flatten(1).float().to(device)
        middle = block.mean(0)  # centred, the product of matrices loses fewer digits
        block = block - middle  # not in place: it may be the caller's
        for low in range(0, len(queries), CHUNK):
            rows = queries[low : low + CHUNK].flatten(1).float().to(device)
            found = squared_distances(rows - middle, block).min(1)
            here = slice(low, low + CHUNK)
            nearer = found.values.cpu() < best[here]
            best[here] = torch.where(nearer, found.values.cpu(), best[here])
            index[here] = torch.where(nearer, found.indices.cpu() + start, index[here])
    pairs = zip(queries.split(CHUNK), index.split(CHUNK), strict=True)
    exact = [(q.double().cpu() - training[i].double().cpu()).flatten(1).norm(dim=1) for q, i in pairs]
    return Nearest(torch.cat(exact), index)


class Memorisation(NamedTuple):
    """Distances (N,) of N generated images to their nearest training image, and of test images to theirs.

    In pixels (Euclidean, of bytes) and in the features of an extractor. `closest` are uint8 images (R, 2, 3, H, W):
    the generated images nearest to training data in pixels, each beside its neighbour; `closest_features` by features.
    """

    pixel: Tensor
    feature: Tensor
    test_pixel: Tensor
    test_feature: Tensor
    closest: Tensor
    closest_features: Tensor

    def nearer(self, space: str) -> float:
        """How probably a generated image is nearer to its neighbour than a test image is: 1/2 if they are alike.

        `space` is "pixel" or "feature". Ties count half (Mann and Whitney's statistic, as a share).
        """
        fake, test = getattr(self, space), getattr(self, f"test_{space}").sort().values
        below, up_to = (torch.searchsorted(test, fake, right=right) for right in (False, True))
        return float(1 - (below + up_to).double().mean() / (2 * len(test)))

    def suspects(self, space: str) -> float:
        """The share of generated images nearer to their neighbour than all but one in a hundred test images are."""
        edge = getattr(self, f"test_{space}").quantile(NEAR)
        return float((getattr(self, space) < edge).double().mean())


def memorisation(fake: Tensor, training: Tensor, test: Tensor, extractor: Extractor, shown: int = 8) -> Memorisation:
    """Nearest training images of generated and of test images, uint8 (N, 3, H, W) each."""
    for images in (fake, training, test):
        check_images(images)
        if images.shape[1:] != training.shape[1:]:
            sizes = f"{tuple(images.shape[1:])} and {tuple(training.shape[1:])}"
            raise GendiffError(f"images of shape {sizes} have no distance: bring them to one size")
    features = [extract(extractor, images).features for images in (fake, training, test)]
    spaces = {"pixel": [fake, training, test], "feature": features}
    found = {space: nearest(of_fake, seen) for space, (of_fake, seen, _) in spaces.items()}

    def of_test() -> dict[str, Tensor]:
        return {space: nearest(held_out, seen).distance for space, (_, seen, held_out) in spaces.items()}

    # the test images' own distances are the same for every model of this data set
    known = keep(extractor, f"{content_digest(test)}-{content_digest(training)}-nearest-{VERSION}", of_test)

    def closest(space: str) -> Tensor:
        first = found[space].distance.argsort()[:shown]
        return torch.stack([fake[first].cpu(), training[found[space].place[first]].cpu()], 1)

    distances = found["pixel"].distance, found["feature"].distance, known["pixel"], known["feature"]
    return Memorisation(*distances, closest("pixel"), closest("feature"))


def neighbours_of(run: Run, sampling: Sampling, extractor: Extractor, n: int = 1000) -> Memorisation:
    """Nearest training images of the first n of these samples and of as many test images; kept."""
    if n < 1:
        raise ConfigError(f"n={n} is no number of images to look at: give at least 1")
    sampling = run.resolve(sampling)
    path, there = beside(run, sampling, layout.neighbours(extractor.name, extractor.digest, n))
    if not there:
        check_drawable(run, sampling)
        seen = run.dataset.choose(run.config.n_train, "n_train", "n_train").samples
        if run.config.flip:
            seen = torch.cat([seen, seen.flip(-1)])
        fake = sample(run, sampling)[:n]
        test = load(run.config.dataset, "test").choose(len(fake), "checked", "n").samples
        found = memorisation(fake, seen, test, extractor)
        files.write_tensors(path, found._asdict())
    with files.understanding(path):
        return Memorisation(**files.read_tensors(path))
