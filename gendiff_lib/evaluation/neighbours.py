"""Precision, recall, density and coverage: scores that rest on nearest neighbours.

They come from one pass over the distances, which serves precision and recall (the same as torch-fidelity's), density
and coverage, and all of these without each group of the fakes, too.
"""

import torch
from torch import Tensor

from ..device import default_device
from .uncertainty import GROUPS, Resampled

NEIGHBOURS = 3  # k of precision and recall (Kynkaanniemi et al. 2019)
DENSITY_NEIGHBOURS = 5  # k of density and coverage (Naeem et al. 2020)
SPARE = 12  # neighbours beyond the k-th that are known: without a group of the fakes, one of these is the k-th
EDGE = 2e-6  # by how much, relatively, a squared radius is widened: float32 products differ by less
CHUNK = 500  # images whose distances to all others are held at once


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, D) and (M, D) to (N, M), by one product of matrices."""
    squares = torch.addmm(b.square().sum(1), a, b.T, alpha=-2)
    return squares.add_(a.square().sum(1, keepdim=True)).clamp_(min=0)


def real_balls(features: Tensor) -> Tensor:
    """The squared distance of each (N, D) to its third and fifth nearest other, (N, 2).

    A little more than that, so that what lies on a ball's edge is inside it, whatever the last digit of a product.
    """
    x = (features - features.mean(0)).to(default_device())  # centred, the product of matrices loses fewer digits
    squares, _ = _nearest_others(x, max(NEIGHBOURS, DENSITY_NEIGHBOURS))
    return squares[:, [NEIGHBOURS - 1, DENSITY_NEIGHBOURS - 1]].mul(1 + EDGE).cpu()


def _nearest_others(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Squared distances of each (N, D) to its k nearest others, from near to far, and their places, both (N, k)."""
    squares, places = [], []
    for start in range(0, len(x), CHUNK):
        rows = squared_distances(x[start : start + CHUNK], x)
        rows.diagonal(start).fill_(torch.inf)
        found = rows.topk(k, largest=False, sorted=True)
        squares.append(found.values)
        places.append(found.indices)
    return torch.cat(squares), torch.cat(places)


def _fake_balls(x: Tensor, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared radii of the fakes (M, D), and what becomes of them without a group.

    To the k-th nearest other, k = NEIGHBOURS: (M,). A ball widens only where a group is left out that one of its k
    nearest is of, so there are k cases of each ball: the group of its i-th nearest, and the radius without it, (M, k).
    """
    squares, places = _nearest_others(x, min(NEIGHBOURS + SPARE, len(x) - 1))
    of = groups[places]
    cases = of[:, :NEIGHBOURS]
    left = (of[:, None, :] != cases[:, :, None]).cumsum(2)  # how many of the nearest are left, out to each of them
    kth = (left < NEIGHBOURS).sum(2).clamp(max=squares.shape[1] - 1)  # SPARE are of one group never: 1 in 10^13
    return squares[:, NEIGHBOURS - 1] * (1 + EDGE), cases, squares.gather(1, kth) * (1 + EDGE)


def neighbour_scores(fake: Tensor, real: Tensor, balls: Tensor, groups: Tensor) -> dict[str, Resampled]:
    """Precision, recall, density and coverage of fakes (M, D) against reals (N, D) with their `real_balls` (N, 2).

    Precision: the share of fakes inside a real ball; recall: the share of reals inside a fake ball (a ball reaches to
    its centre's NEIGHBOURS-th neighbour). Density: the number of real balls around a fake, over k; coverage: the
    share of real balls with a fake inside (balls to the DENSITY_NEIGHBOURS-th neighbour).
    """
    device, middle = default_device(), real.mean(0)
    x, y, balls, groups = ((fake - middle).to(device), (real - middle).to(device), balls.to(device), groups.to(device))
    member = _one_hot(groups)
    radii, cases, wider = _fake_balls(x, groups)
    theirs = [_one_hot(case) * (case != groups)[:, None] for case in cases.T]  # a fake that is left out has no ball
    inside, density = torch.zeros(len(x), device=device, dtype=torch.bool), torch.zeros(len(x), device=device)
    recalled, widened, covered = [], [], []
    for rows, edges in zip(y.split(CHUNK), balls.split(CHUNK), strict=True):
        squares = squared_distances(rows, x)
        inside |= (squares <= edges[:, :1]).any(0)
        near = squares <= edges[:, 1:]
        density += near.sum(0, dtype=torch.int32)  # on a CPU 30 times as fast as the default, int64
        covered.append(_hits(near, member))
        recalled.append(_hits(squares <= radii, member))
        wide = [_hits(squares <= radius, case) for radius, case in zip(wider.T, theirs, strict=True)]
        widened.append(torch.stack(wide).any(0))
    return {
        "precision": _mean(inside.double(), member),
        "recall": _reached(torch.cat(recalled), torch.cat(widened)),
        "density": _mean(density.double() / DENSITY_NEIGHBOURS, member),
        "coverage": _reached(torch.cat(covered)),
    }


def _one_hot(groups: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(groups, GROUPS).float()


def _hits(inside: Tensor, member: Tensor) -> Tensor:
    """Which real (N, M) has any fake of each group, bool (N, GROUPS)."""
    return (inside.float() @ member) > 0


def _reached(hits: Tensor, widened: Tensor | None = None) -> Resampled:
    """The share of N reals that some fake reaches.

    `hits` tells which each group reaches, `widened` which others reach only once a group is gone: bool (N, GROUPS).
    """
    others = hits.sum(1, keepdim=True) - hits.long() > 0
    without = others if widened is None else others | widened
    return Resampled(hits.any(1).sum().item() / len(hits), without.sum(0).cpu().double() / len(hits))


def _mean(values: Tensor, member: Tensor) -> Resampled:
    """Of a value of each fake, float64 (M,)."""
    sums, counts = values @ member.double(), member.double().sum(0)
    without = (sums.sum() - sums) / (counts.sum() - counts)
    return Resampled(values.mean().item(), without.cpu())
