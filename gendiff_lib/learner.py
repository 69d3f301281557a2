"""The seam of the comparison: what the training loop and the book know of a GAN, a diffusion model or a classifier."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .config import Config, Sampling
from .data.dataset import Dataset
from .ema import EMA
from .errors import ConfigError
from .progress import Progress


class Step(NamedTuple):
    """A state of a sampler: `x` at time `t`, and the estimate `x0` it was reached by (at the start: x itself)."""

    t: float
    x: Tensor
    x0: Tensor


class Learner(ABC):
    """Something that one batch improves. `modules` are its networks by name."""

    modules: dict[str, nn.Module]
    saved: tuple[str, ...]  # the modules that a snapshot keeps: those that are needed to use it
    capturable = False  # whether `step` reads nothing on the host, so that it can be replayed as a graph
    counted = 2  # images of a batch that tell what one of them costs: more where they are not treated alike
    steady = True  # whether all steps cost as many operations an image: else `phase` tells them apart
    ema: EMA | None = None  # averaged weights, whose network is the module `ema`
    entries: tuple[str, ...] = ("forward",)  # the methods by which `step` evaluates the networks
    add_up: Callable[[Sequence[Tensor]], None] | None = None  # gradients over processes, where several share a step

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        """`shape` is one sample as the model sees it. Weights are drawn from torch's global generator."""
        self.config, self.shape = config, shape

    @cached_property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The networks' optimisers by name, made when first asked for: of who only samples they would cost seconds."""
        return self._optimizers()

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {}

    @abstractmethod
    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """One update from x (N, *shape) and labels (N,). Returns named losses, still on the device.

        What is no loss (its name begins with another word) is a diagnostic, and may be missing (nan).
        `progress` says what was done before this step.
        """

    def phase(self, progress: Progress) -> str:
        """A name for what the next step does, the same for steps that cost as many operations an image."""
        return ""

    def diagnose(self) -> dict[str, Tensor]:
        """What the learner tells of itself now and then, beside its losses; it changes nothing."""
        return {}

    def assess(self, split: Callable[[str], Dataset]) -> dict[str, float]:
        """What a snapshot's record tells of the learner beside its losses; `split` loads "train" or "test"."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(next(iter(self.modules.values())).parameters()).device

    def autocast(self) -> AbstractContextManager[None]:
        """The arithmetic that the configuration names, for the networks alone: losses are taken in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def to(self, device: torch.device) -> None:
        """Move the networks; before the first step only, since optimisers do not follow."""
        for module in self.modules.values():
            module.to(device)
        if self.ema:
            self.ema.updates = self.ema.updates.to(device)

    def _differentiate(self, name: str, loss: Tensor) -> None:
        """Give a network's weights the gradients of a loss, in the place of those that they had."""
        self.optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        if self.add_up is not None:
            self.add_up([p.grad for p in self.modules[name].parameters() if p.grad is not None])

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs, less the loop's own."""
        return {
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
            "updates": int(self.ema.updates) if self.ema else 0,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        for k, m in self.modules.items():
            m.load_state_dict(state["modules"][k])
        for k, o in self.optimizers.items():
            o.load_state_dict(state["optimizers"][k])
        if self.ema:
            self.ema.updates.fill_(state["updates"])

    def weights(self) -> dict[str, Tensor]:
        """What a snapshot keeps, by flat names."""
        return {f"{k}.{name}": tensor for k in self.saved for name, tensor in self.modules[k].state_dict().items()}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Undo `weights`; ConfigError where names or shapes do not fit. Half-precision files are widened."""
        for k in self.saved:
            mine = {name[len(k) + 1 :]: w for name, w in weights.items() if name.startswith(f"{k}.")}
            try:
                self.modules[k].load_state_dict(mine)
            except torch.OutOfMemoryError:  # a RuntimeError too
                raise
            except RuntimeError as error:
                raise ConfigError(f"these weights do not fit {k} of {self.config.name!r}: {error}") from None
            self.modules[k].eval()


class Method(Learner):
    """A learner that makes samples. `preview` are the fields of a Sampling by which contact sheets are drawn."""

    preview: ClassVar[dict[str, Any]] = {}
    n_classes: int | None = None  # where the networks are told the class

    @abstractmethod
    def resolve(self, sampling: Sampling) -> Sampling:
        """`sampling` with every None replaced by what will be done; ConfigError for what cannot be honoured."""

    @abstractmethod
    def sample(self, n: int, sampling: Sampling, rng: torch.Generator) -> Iterator[Step]:
        """The states on the way to n samples, the last one the samples (N, *shape) themselves."""

    def _keep_average(self, net: nn.Module, half_life: float | None) -> None:
        """Average a network's weights, as the module `ema`, where they have a half-life."""
        if half_life:
            self.ema = EMA(net, half_life)
            self.modules["ema"], self.saved = self.ema.net, (*self.saved, "ema")

    def _classes(self, n: int, rng: torch.Generator) -> Tensor | None:
        """Classes (n,), drawn evenly where the networks are told them; else none, and nothing is drawn."""
        if self.n_classes is None:
            return None
        return torch.randint(self.n_classes, (n,), generator=rng, device=rng.device).to(self.device)

    def _improve(self, name: str, loss: Tensor, largest: float | None) -> Tensor:
        """One step of a network's optimiser, by gradients of at most `largest`; returns their norm before."""
        self._differentiate(name, loss)
        norm = gradient_norm(self.modules[name], largest)
        self.optimizers[name].step()
        return norm


def in_one_pass(sampling: Sampling, sampler: str, what: str) -> Sampling:
    """`sampling` by a method that has one way of drawing, in one step; ConfigError, which names it, for another."""
    allowed = {"sampler": sampler, "n_steps": 1, "grid": None, "eta": None, "guidance": None, "clip_x0": None}
    for name, only in allowed.items():
        if getattr(sampling, name) not in (None, only):
            raise ConfigError(f"{name}={getattr(sampling, name)} does not apply to {what}: leave it out")
    return sampling.but(**allowed)


def weights_of(sampling: Sampling, has_ema: bool) -> Literal["raw", "ema"]:
    """Which weights a sampling draws with: averaged ones where there are such, unless it asks for others.

    ConfigError where it asks for averaged ones, and none were kept.
    """
    if sampling.weights == "ema" and not has_ema:
        raise ConfigError("weights='ema' asks for averaged weights that this run has not kept: use raw")
    return sampling.weights or ("ema" if has_ema else "raw")


def rate_left(lr_decay: int | None, images: int) -> float:
    """The share of a learning rate that is left after so many images, where it falls to 0 over `lr_decay` of them."""
    return 1.0 if lr_decay is None else max(1 - images / lr_decay, 0.0)


def set_rate(optimizer: torch.optim.Optimizer, lr: float, lr_decay: int | None, images: int) -> None:
    """Give an optimiser the rate of a training after so many images; nothing where it does not fall."""
    if lr_decay is None:
        return
    for group in optimizer.param_groups:
        group["lr"] = lr * rate_left(lr_decay, images)


def gradient_norm(module: nn.Module, largest: float | None) -> Tensor:
    """The norm of all the module's gradients together; they are scaled down to `largest` where that is given."""
    if largest is None:
        return torch.nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])
    return torch.nn.utils.clip_grad_norm_(module.parameters(), largest)
