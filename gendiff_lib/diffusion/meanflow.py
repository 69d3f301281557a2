"""MeanFlow (Geng et al. 2025): a flow whose network learns velocities averaged over an interval, to sample in one step.

u(z, r, t) is the average of the velocity on the way from t down to r, so z_r = z_t - (t - r) u; u(z, t, t) is the
velocity itself. The network is told t and the span t - r.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import ConfigError
from ..progress import Progress
from .config import DiffusionConfig
from .jvp import jvp
from .model import Diffusion
from .schedules import Flow, like

P, C = 0.75, 1e-3  # of the adaptive weight, 1 / (s + c)^p: those of its CIFAR-10
SHARE = 0.25  # of a batch has r < t: the best of its table 1a
NEEDED = {  # averages are those of a flow's velocity
    "schedule": "flow", "prediction": "v", "weighting": "uniform", "preconditioning": "none", "variance": "fixed",
    "objective": "simple",
}  # fmt: skip
RATE = 10  # what the network sees of t: at a flow's 1000, du/dt is too steep to learn, even in the plane


class SlowFlow(Flow):
    """A flow whose network sees a time that it can be differentiated by."""

    def time_input(self, t: Tensor) -> Tensor:
        """See Schedule."""
        return RATE * t


def adaptive(squared: Tensor) -> Tensor:
    """The mean of squared errors (N,), each divided by a constant power of itself, so that large ones pull less."""
    return (squared / (squared.detach() + C) ** P).mean()


class MeanFlow(Diffusion):
    """A flow that is trained by the MeanFlow identity, u = v - (t - r) du/dt, on a share of each batch.

    The others have r = t, where the identity is plain flow matching, and so have all of them until `mean_from` images
    are done: there is no average to learn before there is a velocity.
    """

    preview: ClassVar[dict[str, Any]] = {"sampler": "meanflow", "n_steps": 1}

    def __init__(self, config: DiffusionConfig, shape: tuple[int, ...], n_classes: int = 1) -> None:
        """See Diffusion; ConfigError for what is no flow, or has a weight beside the adaptive one."""
        assert config.mean_from is not None
        for name, only in NEEDED.items():
            if (value := getattr(config, name)) != only:
                raise ConfigError(f"{name}={value} does not go with mean_from={config.mean_from}: use {only}")
        super().__init__(config, shape, n_classes)
        self.schedule, self.mean_from = SlowFlow(), config.mean_from
        self.steady, self.capturable = self.mean_from == 0, False  # a derivative in forward mode is in no graph
        self.averaged = max(round(SHARE * config.batch_size), 1)  # samples of a batch
        self.counted = max(config.batch_size // math.gcd(config.batch_size, self.averaged), 2)

    def phase(self, progress: Progress) -> str:
        """See Learner.phase: whether average velocities are learned yet."""
        return "averages" if progress.images >= self.mean_from else "velocities"

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; the loss is `loss`, with its adaptive weight, and errors are told as a flow's are."""
        t = self.schedule.times(self.times(len(x), rng))
        eps = torch.randn(x.shape, generator=rng, device=x.device)
        told = self._told(labels, rng)
        n = len(x) * self.averaged // self.config.batch_size if self.phase(progress) == "averages" else 0
        r, t = self._intervals(t, n, rng)
        z = like(self.schedule.scale(t), x) * x + like(self.schedule.std(t), x) * eps
        error = self._error(z, self.target(self.schedule, x, eps, t), t, r, n, told).square().flatten(1)
        loss = adaptive(error.sum(1))
        norm = self._update(loss, len(x), progress)
        return {"loss": loss.detach(), "grad_norm": norm, **self._by_quarter(error.detach().mean(1), t)}

    def _intervals(self, t: Tensor, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(r, t), each (N,): the first n of r are drawn as t is, and the later of both is t; the others are t."""
        other = self.schedule.times(self.times(n, rng)) if n else t[:0]
        r = torch.cat([torch.minimum(t[:n], other), t[n:]])
        return r, torch.cat([torch.maximum(t[:n], other), t[n:]])

    def _error(self, z: Tensor, v: Tensor, t: Tensor, r: Tensor, n: int, told: dict[str, Tensor]) -> Tensor:
        """What the network says less its target, in x's shape: of an average velocity in the first n samples."""
        first, rest = ({k: y[part] for k, y in told.items()} for part in (slice(n), slice(n, None)))
        errors = []
        with self.autocast():
            if n:
                u, change = self.average(z[:n], v[:n], t[:n], r[:n], **first)
                errors.append(u.float() - (v[:n] - like(t[:n] - r[:n], z) * change.float()))
            if n < len(z):
                errors.append(self.net(z[n:], self.schedule.time_input(t[n:]), **rest).float() - v[n:])
        return torch.cat(errors)

    def average(self, z: Tensor, v: Tensor, t: Tensor, r: Tensor, **told: Tensor) -> tuple[Tensor, Tensor]:
        """u(z, r, t), and the constant du/dt along the way with velocity v: its product with (v, 1, 0) in (z, t, r)."""

        def u(z: Tensor, t: Tensor, r: Tensor) -> Tensor:
            span = self.schedule.time_input(t - r)
            out: Tensor = self.net.forward(z, self.schedule.time_input(t), span=span, **told)  # not a compiled one
            return out

        return jvp(u, (z, t, r), (v, torch.ones_like(t), None))
