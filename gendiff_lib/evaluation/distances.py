"""Distances of two sets of features, the Fréchet and the kernel distance, also without each group of the fakes.

Both are torch-fidelity's (a test compares them): the first by symmetric eigenvalues of a smaller matrix, the second
subset by subset, in half the time.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..device import default_device
from .uncertainty import GROUPS, Resampled

KERNEL_SUBSETS, KERNEL_SUBSET_SIZE = 100, 1000
KERNEL_SEED = 2020  # of numpy's RandomState, not of a stream of ours: these subsets are torch-fidelity's


class Statistics(NamedTuple):
    """Of the features of n images: mean (D,) and sample covariance (D, D), divided by n - 1, in float64."""

    mean: Tensor
    covariance: Tensor
    n: int


def moments(features: Tensor) -> Statistics:
    """Of (N, D)."""
    x = features.double().cpu()
    mean = x.mean(0)
    centred = x - mean
    return Statistics(mean, centred.T @ centred / (len(x) - 1), len(x))


def frechet_distance(fake: Tensor, groups: Tensor, real: Statistics) -> Resampled:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of fakes (N, D) and the statistics of reals (Heusel et al. 2017).

    All in float64. `groups` (N,) are those of the fakes. A group is left out of sums that all cases have in common, so
    that each costs the eigenvalues of one matrix, of N or of D rows: the fewer.
    """
    x = fake.double().cpu() - real.mean
    middle = x.mean(0)  # centred, the sums lose fewer digits
    x = x - middle
    roots = _root_traces(x @ _factor(real.covariance), groups)
    member = torch.nn.functional.one_hot(groups, GROUPS).double().T
    sums, squares, counts = member @ x, member @ x.square().sum(1), member.sum(1)
    rests = torch.cat([sums.sum(0)[None], sums.sum(0) - sums])
    power = torch.cat([squares.sum()[None], squares.sum() - squares])
    n = torch.cat([counts.sum()[None], counts.sum() - counts])
    off = rests / n[:, None]
    variance = (power - n * off.square().sum(1)) / (n - 1)
    found = (off + middle).square().sum(1) + variance + real.covariance.trace() - 2 * roots
    return Resampled(found[0].item(), found[1:])


def _factor(covariance: Tensor) -> Tensor:
    """F with F F' = covariance, which may be of any rank: C1 C2 has the eigenvalues of the symmetric F' C1 F."""
    values, vectors = torch.linalg.eigh(covariance)
    factor: Tensor = vectors * values.clamp(min=0).sqrt()
    return factor


def _root_traces(y: Tensor, groups: Tensor) -> Tensor:
    """tr (C1 C2)^(1/2) where the fakes' features times C2's factor are y (N, D): of all, then without each group."""
    keeps = [torch.ones_like(groups, dtype=torch.bool), *(groups != g for g in range(GROUPS))]
    n, d = y.shape
    gram = y.T @ y if n > d else y @ y.T
    trace = []
    for keep in keeps:
        if n > d:
            gone, middle = y[~keep], y[keep].mean(0)
            product = gram - gone.T @ gone - keep.sum() * middle[:, None] * middle
        else:
            part = gram[keep][:, keep]
            product = part - part.mean(0) - part.mean(1, keepdim=True) + part.mean()
        values = torch.linalg.eigvalsh(product / (keep.sum() - 1))
        trace.append(values.clamp(min=0).sqrt().sum())  # those below zero are zeros, rounded
    return torch.stack(trace)


def kernel_distance(fake: Tensor, real: Tensor, groups: Tensor, n_subsets: int, size: int) -> tuple[Resampled, float]:
    """Mean and standard deviation of the unbiased MMD^2, kernel (a.b/D + 1)^3, over subsets of (N, D) and (M, D).

    (Binkowski et al. 2018.) The subsets are those that torch-fidelity draws from KERNEL_SEED. A group (`groups` (N,)
    are those of the fakes) is left out of each subset.
    """
    rng, device = np.random.RandomState(KERNEL_SEED), default_device()

    def subset(features: Tensor) -> Tensor:
        return torch.from_numpy(rng.choice(len(features), size, replace=False))

    found = []
    for _ in range(n_subsets):
        of_fake, of_real = subset(fake), subset(real)
        a, b = fake[of_fake].to(device), real[of_real].to(device)
        member = torch.nn.functional.one_hot(groups[of_fake], GROUPS).to(device, torch.float64)
        found.append(_squared_mmd(a, b, member).cpu())
    values = torch.stack(found)
    return Resampled(values[:, 0].mean().item(), values[:, 1:].mean(0)), values[:, 0].std(correction=0).item()


def _squared_mmd(a: Tensor, b: Tensor, member: Tensor) -> Tensor:
    """Of (N, D) and (M, D): with all of a, then without each group; `member` (N, GROUPS) is 1 where a row is of it.

    In float64, as it is a small difference of large sums. The products keep the features' type.
    """
    n = len(a)
    blocks = member.T @ _kernel(a, a) @ member  # sums over pairs of groups
    own = member.T @ _kernel_diagonal(a)
    pairs = blocks.sum() - blocks.sum(0) - blocks.sum(1) + blocks.diagonal() - (own.sum() - own)
    across = member.T @ _kernel(a, b).sum(1)
    left = n - member.sum(0)
    within_b = (_kernel(b, b).sum() - _kernel_diagonal(b).sum()) / (len(b) * (len(b) - 1))
    whole = (blocks.sum() - own.sum()) / (n * (n - 1)) + within_b - 2 * across.sum() / (n * len(b))
    without = pairs / (left * (left - 1)) + within_b - 2 * (across.sum() - across) / (left * len(b))
    return torch.cat([whole[None], without])


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return torch.addmm(a.new_ones(()), a, b.T, alpha=1 / a.shape[1]).pow_(3).double()


def _kernel_diagonal(a: Tensor) -> Tensor:
    return (a.double().square().sum(1) / a.shape[1] + 1).pow(3)
