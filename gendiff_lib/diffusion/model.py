"""Diffusion models: schedule, prediction and averaged weights wrapped into denoise(x, t) -> Estimate."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ..config import Part, Sampling
from ..errors import ConfigError
from ..graphs import for_sampling
from ..learner import Method, Step, set_rate
from ..networks.conv import Conv
from ..networks.mlp import MLP
from ..networks.transformer import Transformer
from ..networks.unet import UNet
from ..progress import Progress
from ..versions import register
from . import guidance, samplers, vlb
from .config import DiffusionConfig
from .estimate import Denoise, Estimate
from .fitting import check_fit
from .grids import GRIDS, OnGrid
from .objectives import PREDICTIONS, TIMES, WEIGHTINGS
from .preconditioning import PRECONDITIONINGS
from .samplers import SAMPLERS
from .schedules import SCHEDULES, Schedule, like, start_std
from .variance import interpolated

T = TypeVar("T")

# of what a training computes: raised when the same configuration gives other losses or weights
VERSION = register("diffusion", 1)
QUARTERS = 4  # of the schedule, whose losses are told apart


DENOISERS: dict[str, Callable[..., nn.Module]] = {"mlp": MLP, "conv": Conv, "unet": UNet, "transformer": Transformer}


def denoiser(
    network: Part, shape: tuple[int, ...], *, outputs: int = 1, n_classes: int | None = None, spans: bool = False
) -> nn.Module:
    """The denoiser that a network's fields describe, for samples of a shape: (x (N, *shape), s (N,)) to x's shape.

    With `outputs` it gives so many tensors of that shape, one behind the other along the first axis of a sample. Where
    they are asked for it is told classes y (N,), or the spans (N,) of average velocities, too.
    """
    told = {"n_classes": n_classes, "spans": spans}
    return DENOISERS[network.type](shape, **network.arguments(), outputs=outputs, **told)


def _choose(registry: dict[str, T], field: str, name: str) -> T:
    if name not in registry:
        raise ConfigError(f"{field} {name!r} is unknown: there are {', '.join(registry)}")
    return registry[name]


def schedule_of(config: DiffusionConfig) -> Schedule:
    """The schedule that a configuration names; ConfigError for one that is unknown or does not end in noise."""
    return _choose(SCHEDULES, "schedule", config.schedule)(config.n_timesteps, config.beta_minmax)


def resolve(sampling: Sampling, config: DiffusionConfig, shape: tuple[int, ...]) -> Sampling:
    """See samplers.resolve; a MeanFlow has a sampler of its own. No guidance and one of 0 are the same."""
    guidance.check(sampling.guidance, config.conditional, learned=config.variance == "learned")
    averages = config.mean_from is not None
    if averages and sampling.sampler is None:
        sampling = sampling.but(sampler="meanflow")
    is_image, has_ema = len(shape) == 3 and config.latent is None, config.ema is not None
    resolved = samplers.resolve(sampling, schedule_of(config), is_image=is_image, has_ema=has_ema)
    if SAMPLERS[resolved.sampler or ""].averages and not averages:
        raise ConfigError(
            f"sampler {resolved.sampler!r} needs average velocities, which this model has not learned: use ddim, "
            "or train with mean_from"
        )
    return resolved.but(guidance=sampling.guidance or None)


class Diffusion(Method):
    """A denoiser trained at random times of a schedule, by mean-squared error (DDPM, algorithm 1), a bound or both."""

    preview: ClassVar[dict[str, Any]] = {"sampler": "ddim", "n_steps": 50}

    def __init__(self, config: DiffusionConfig, shape: tuple[int, ...], n_classes: int = 1) -> None:
        """The network, and its average where `ema` asks for one; ConfigError where parts do not fit."""
        super().__init__(config, shape)
        self.diffusion, self.n_classes = config, n_classes if config.conditional else None
        self.schedule = schedule_of(config)
        self.target, self.to_x0 = _choose(PREDICTIONS, "prediction", config.prediction)
        self.weight = _choose(WEIGHTINGS, "weighting", config.weighting)
        self.times = _choose(TIMES, "times", config.times)
        self.evaluate = _choose(PRECONDITIONINGS, "preconditioning", config.preconditioning)
        check_fit(config, self.schedule)
        self.capturable = config.lr_decay is None  # a rate that falls is set on the host
        self.learned = config.variance == "learned"
        told: dict[str, Any] = {"n_classes": self.n_classes, "spans": config.mean_from is not None}
        self.net = denoiser(config.network, shape, outputs=1 + self.learned, **told)
        self.modules, self.saved = {"net": self.net}, ("net",)
        self._keep_average(self.net, config.ema)
        self.captured: dict[str, Callable[..., Tensor]] = {}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"net": torch.optim.Adam(self.net.parameters(), self.diffusion.lr, fused=True)}

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; the loss is `loss`. x is x0 here, as the batch holds clean samples."""
        t = self.schedule.times(self.times(len(x), rng))
        eps = torch.randn(x.shape, generator=rng, device=x.device)
        noisy = like(self.schedule.scale(t), x) * x + like(self.schedule.std(t), x) * eps
        with self.autocast():
            output = self.evaluate(self.net, self.schedule, noisy, t, **self._told(labels, rng))
        output, v = self._parts(output.float())
        error = (output - self.target(self.schedule, x, eps, t)).square().flatten(1).mean(1)
        loss = (self.weight(self.schedule, t, self.diffusion.prediction).to(error.dtype) * error).mean()
        told: dict[str, Tensor] = {}
        if self.diffusion.objective != "simple":
            bound = self._bound(x, noisy, t, output, v)
            loss = bound if self.diffusion.vlb_weight is None else loss + self.diffusion.vlb_weight * bound
            told["loss_vlb"] = bound.detach()
        norm = self._update(loss, len(x), progress)
        return {"loss": loss.detach(), **told, "grad_norm": norm, **self._by_quarter(error.detach(), t)}

    def _told(self, labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """What the network is told of the classes in training: some are dropped. Without classes nothing is drawn."""
        return {} if self.n_classes is None else {"y": guidance.drop_class(labels, self.n_classes, rng)}

    def _update(self, loss: Tensor, n: int, progress: Progress) -> Tensor:
        """One step of the optimiser, and of the average, from n samples; returns the norm of the gradients."""
        set_rate(self.optimizers["net"], self.diffusion.lr, self.diffusion.lr_decay, progress.images)
        norm = self._improve("net", loss, self.diffusion.clip_grad)
        if self.ema:
            self.ema.update(self.net, n)
        return norm

    def _parts(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the network says of the sample, and of the variance where it learns one."""
        if not self.learned:
            return output, None
        said, v = output.chunk(2, 1)
        return said, v

    def _bound(self, x0: Tensor, noisy: Tensor, t: Tensor, output: Tensor, v: Tensor | None) -> Tensor:
        """L_vlb; in the hybrid objective it moves the variance alone (Improved DDPM, section 3.1)."""
        estimate = self.to_x0(self.schedule, noisy, output, t)
        estimate = estimate.detach() if self.diffusion.objective == "hybrid" else estimate
        variance = None if v is None else interpolated(self.schedule, t, t - 1, v.double())
        return vlb.loss(self.schedule, t, x0, estimate, variance).to(x0.dtype)

    def _by_quarter(self, error: Tensor, t: Tensor) -> dict[str, Tensor]:
        """The mean error (N,) of each quarter of the schedule, from the data to the noise; nan where no t fell."""
        quarter = (t / self.schedule.end * QUARTERS).ceil().long().clamp(1, QUARTERS) - 1
        sums, counts = (error.new_zeros(QUARTERS).index_add_(0, quarter, v) for v in (error, torch.ones_like(error)))
        means = sums / counts
        return {f"error_quarter_{i + 1}": means[i] for i in range(QUARTERS)}

    def resolve(self, sampling: Sampling) -> Sampling:
        """See Method.resolve."""
        return resolve(sampling, self.diffusion, self.shape)

    def denoise(self, sampling: Sampling, y: Tensor | None = None) -> Denoise:
        """The function a sampler is given, for a resolved sampling and classes y (N,); without them, of no class."""
        net = self._network("ema" if sampling.weights == "ema" else "net")
        if y is not None and self.n_classes is not None:
            net = guidance.guided(net, y, self.n_classes, sampling.guidance)

        def denoise(x: Tensor, t: Tensor, s: Tensor | None = None) -> Estimate:
            times = t.to(x.device).expand(len(x))
            span = {} if s is None else {"span": self.schedule.time_input(times - s.to(x.device))}
            with self.autocast():
                output, v = self._parts(self.evaluate(net, self.schedule, x, times, **span).to(x.dtype))
            x0 = self.to_x0(self.schedule, x, output, t)
            variance = None if v is None else partial(interpolated, self.schedule, t, v=v)
            return Estimate(x0.clamp(-1, 1) if sampling.clip_x0 else x0, variance)

        return denoise

    def _network(self, name: str) -> Callable[..., Tensor]:
        """A network as samplers call it: many times, with one shape."""
        if name not in self.captured:
            self.captured[name] = for_sampling(self.modules[name], self.device)
        return self.captured[name]

    @torch.no_grad()
    def sample(self, n: int, sampling: Sampling, rng: torch.Generator) -> Iterator[Step]:
        """See Method.sample; yields n_steps + 1 states. Classes are drawn evenly."""
        sampling = self.resolve(sampling)
        sampler = SAMPLERS[sampling.sampler or ""]
        schedule = OnGrid(self.schedule, GRIDS[sampling.grid]) if sampling.grid else self.schedule
        x = torch.randn(n, *self.shape, generator=rng, device=rng.device).to(self.device) * start_std(schedule)
        denoise = self.denoise(sampling, self._classes(n, rng))
        eta = {"eta": sampling.eta} if sampler.takes_eta else {}
        modes = {module: module.training for module in self.modules.values()}
        for module in modes:
            module.eval()
        try:
            yield from sampler.run(denoise, schedule, x, n_steps=sampling.n_steps, rng=rng, **eta)
        finally:
            for module, mode in modes.items():
                module.train(mode)
