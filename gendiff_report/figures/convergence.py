"""How fast samplers converge, measured on the spot on Gaussian data, whose score is known: no run, no network."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gendiff_lib.diffusion.config import DiffusionConfig
from gendiff_lib.diffusion.estimate import Denoise, Estimate
from gendiff_lib.diffusion.grids import GRIDS, OnGrid
from gendiff_lib.diffusion.model import schedule_of
from gendiff_lib.diffusion.samplers import SAMPLERS
from gendiff_lib.diffusion.schedules import Schedule
from gendiff_lib.experiments import get

from .plots import logarithmic

SOLVERS = ("ddim", "heun", "dpmpp-2m", "unipc")  # nothing is random in them, so that there is an end to converge to
MEAN, STD = 0.3, torch.logspace(-1, 0, 16, dtype=torch.float64)  # the data: 16 independent dimensions, wide and narrow
N = 64  # samples


def convergence(grids: Sequence[str] = tuple(GRIDS), n_steps: Sequence[int] = (5, 10, 20, 40, 80)) -> Figure:
    """One panel a grid: the root mean squared error of each solver over its evaluations, both logarithmic.

    The schedule is that of the paper's diffusion model, in the paper's size, whatever the page's. The legend tells the
    slope of the line through the last three points: the order that was measured.
    """
    config = get("ddpm-conv", "paper")
    assert isinstance(config, DiffusionConfig)
    schedule = schedule_of(config)
    figure, axes = plt.subplots(1, len(grids), figsize=(4.2 * len(grids), 3.4), squeeze=False, sharey=True)
    for ax, grid in zip(axes[0], grids, strict=True):
        for name in SOLVERS:
            evaluations = [SAMPLERS[name].evaluations(n) for n in n_steps]
            errors = [error(name, OnGrid(schedule, GRIDS[grid]), n) for n in n_steps]
            label = f"{name}, slope {-slope(evaluations[-3:], errors[-3:]):.1f}"
            ax.plot(evaluations, errors, marker="o", markersize=3, label=label)
        ax.set(xlabel="evaluations of the network", ylabel="error")
        ax.set_title(f"grid {grid}", fontsize=10)
        logarithmic(ax, "x")
        logarithmic(ax, "y")
        ax.legend(fontsize=8)
    return figure


def error(name: str, schedule: Schedule, n_steps: int) -> float:
    """The root mean squared distance between a solver's end and the probability flow's, from the same noise."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(N, len(STD), generator=rng, dtype=torch.float64)
    *_, end = SAMPLERS[name].run(_denoiser(schedule), schedule, x, n_steps=n_steps, rng=rng)
    return (end.x - _exact(schedule, x)).square().mean().sqrt().item()


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of the line through the logarithms, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _denoiser(schedule: Schedule) -> Denoise:
    """E[x0 | x] for x0 ~ N(MEAN, STD^2)."""

    def denoise(x: Tensor, t: Tensor) -> Estimate:
        scale, variance = schedule.scale(t), (schedule.scale(t) * STD) ** 2 + schedule.std(t) ** 2
        return Estimate(MEAN + STD**2 * scale / variance * (x - scale * MEAN))

    return denoise


def _exact(schedule: Schedule, x: Tensor) -> Tensor:
    """Where the probability flow of Gaussian data leads: each value stays as many deviations from the mean."""
    end = torch.tensor(schedule.end, dtype=torch.float64)
    scale, std = schedule.scale(end), schedule.std(end)
    return MEAN + STD * (x - scale * MEAN) / ((scale * STD) ** 2 + std**2).sqrt()
