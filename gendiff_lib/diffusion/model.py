"""Diffusion models: schedule, prediction and averaged weights wrapped into denoise(x, t) -> Estimate."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ..config import Part, Sampling
from ..ema import EMA
from ..errors import ConfigError
from ..graphs import for_sampling
from ..learner import Method, Step, gradient_norm
from ..networks.conv import Conv
from ..networks.mlp import MLP
from ..networks.transformer import Transformer
from ..networks.unet import UNet
from ..progress import Progress
from ..versions import register
from . import samplers
from .config import DiffusionConfig
from .estimate import Denoise, Estimate
from .objectives import PREDICTIONS, TIMES, WEIGHTINGS
from .samplers import SAMPLERS
from .schedules import GRIDS, SCHEDULES, OnGrid, Schedule, like

T = TypeVar("T")

# of what a training computes: raised when the same configuration gives other losses or weights
VERSION = register("diffusion", 1)
QUARTERS = 4  # of the schedule, whose losses are told apart


DENOISERS: dict[str, Callable[..., nn.Module]] = {"mlp": MLP, "conv": Conv, "unet": UNet, "transformer": Transformer}


def denoiser(network: Part, shape: tuple[int, ...]) -> nn.Module:
    """The denoiser that a network's fields describe, for samples of a shape: (x (N, *shape), s (N,)) to x's shape."""
    return DENOISERS[network.type](shape, **network.arguments())


def _choose(registry: dict[str, T], field: str, name: str) -> T:
    if name not in registry:
        raise ConfigError(f"{field} {name!r} is unknown: there are {', '.join(registry)}")
    return registry[name]


def schedule_of(config: DiffusionConfig) -> Schedule:
    """The schedule that a configuration names; ConfigError for one that is unknown or does not end in noise."""
    return _choose(SCHEDULES, "schedule", config.schedule)(config.n_timesteps, config.beta_minmax)


def resolve(sampling: Sampling, config: DiffusionConfig, shape: tuple[int, ...]) -> Sampling:
    """See samplers.resolve."""
    return samplers.resolve(sampling, schedule_of(config), is_image=len(shape) == 3, has_ema=config.ema is not None)


class Diffusion(Method):
    """A denoiser trained by mean-squared error at random times of a schedule (DDPM, algorithm 1)."""

    capturable = True
    preview: ClassVar[dict[str, Any]] = {"sampler": "ddim", "n_steps": 50}

    def __init__(self, config: DiffusionConfig, shape: tuple[int, ...]) -> None:
        """The network, its average where `ema` asks for one, and Adam; ConfigError where parts do not fit."""
        super().__init__(config, shape)
        self.diffusion = config
        self.schedule = schedule_of(config)
        self.target, self.to_x0 = _choose(PREDICTIONS, "prediction", config.prediction)
        self.weight = _choose(WEIGHTINGS, "weighting", config.weighting)
        self.times = _choose(TIMES, "times", config.times)
        if config.prediction == "eps" and self.schedule.scale(torch.tensor(self.schedule.end).double()) == 0:
            raise ConfigError(
                f"prediction 'eps' says nothing of x0 at the noise end of schedule {config.schedule!r}: use v or x0"
            )
        self.net = denoiser(config.network, shape)
        self.modules = {"net": self.net}
        self.captured: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
        self.ema = EMA(self.net, config.ema) if config.ema else None
        if self.ema:
            self.modules["ema"] = self.ema.net
        self.saved = tuple(self.modules)
        self.optimizers = {"net": torch.optim.Adam(self.net.parameters(), config.lr, fused=True)}

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; the loss is `loss`. x is x0 here, as the batch holds clean samples."""
        t = self.schedule.times(self.times(len(x), rng))
        eps = torch.randn(x.shape, generator=rng, device=x.device)
        noisy = like(self.schedule.scale(t), x) * x + like(self.schedule.std(t), x) * eps
        with self.autocast():
            output = self.net(noisy, self.schedule.time_input(t))
        error = (output.float() - self.target(self.schedule, x, eps, t)).square().flatten(1).mean(1)
        loss = (self.weight(self.schedule, t).to(error.dtype) * error).mean()
        optimizer = self.optimizers["net"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = gradient_norm(self.net, self.diffusion.clip_grad)
        optimizer.step()
        if self.ema:
            self.ema.update(self.net, len(x))
        return {"loss": loss.detach(), "grad_norm": norm, **self._by_quarter(error.detach(), t)}

    def _by_quarter(self, error: Tensor, t: Tensor) -> dict[str, Tensor]:
        """The mean error (N,) of each quarter of the schedule, from the data to the noise; nan where no t fell."""
        quarter = (t / self.schedule.end * QUARTERS).ceil().long().clamp(1, QUARTERS) - 1
        sums, counts = (error.new_zeros(QUARTERS).index_add_(0, quarter, v) for v in (error, torch.ones_like(error)))
        means = sums / counts
        return {f"error_quarter_{i + 1}": means[i] for i in range(QUARTERS)}

    def resolve(self, sampling: Sampling) -> Sampling:
        """See Method.resolve."""
        return resolve(sampling, self.diffusion, self.shape)

    def denoise(self, sampling: Sampling) -> Denoise:
        """The function a sampler is given, for a resolved sampling."""
        net = self._network("ema" if sampling.weights == "ema" else "net")

        def denoise(x: Tensor, t: Tensor) -> Estimate:
            times = t.to(x.device).expand(len(x))
            with self.autocast():
                output = net(x, self.schedule.time_input(times)).to(x.dtype)
            x0 = self.to_x0(self.schedule, x, output, t)
            return Estimate(x0.clamp(-1, 1) if sampling.clip_x0 else x0)

        return denoise

    def _network(self, name: str) -> Callable[[Tensor, Tensor], Tensor]:
        """A network as samplers call it: many times, with one shape."""
        if name not in self.captured:
            self.captured[name] = for_sampling(self.modules[name], self.device)
        return self.captured[name]

    @torch.no_grad()
    def sample(self, n: int, sampling: Sampling, rng: torch.Generator) -> Iterator[Step]:
        """See Method.sample; yields n_steps + 1 states."""
        sampling = self.resolve(sampling)
        sampler = SAMPLERS[sampling.sampler or ""]
        schedule = OnGrid(self.schedule, GRIDS[sampling.grid]) if sampling.grid else self.schedule
        x = torch.randn(n, *self.shape, generator=rng, device=rng.device).to(self.device)
        eta = {"eta": sampling.eta} if sampler.takes_eta else {}
        modes = {module: module.training for module in self.modules.values()}
        for module in modes:
            module.eval()
        try:
            yield from sampler.run(self.denoise(sampling), schedule, x, n_steps=sampling.n_steps, rng=rng, **eta)
        finally:
            for module, mode in modes.items():
                module.train(mode)
