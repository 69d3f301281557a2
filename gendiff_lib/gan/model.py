"""Generative adversarial networks: the paper's DCGAN (Figs. 14 and 15), and the family beyond it."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from ..config import Sampling
from ..errors import ConfigError
from ..learner import Method, Step, in_one_pass, weights_of
from ..networks.progressive import Growing
from ..progress import Progress
from ..streams import stream
from ..versions import register
from .augment import augment
from .batchnorm import recompute, unchanged_buffers
from .collapse import nearest
from .config import LABELLED, DCGANNetwork, GANConfig
from .losses import LOSSES
from .penalties import PENALTIES, Critic, refuse_batch_norm
from .players import players
from .settling import PENALTY_START, from_start, settle

# of what a training computes: raised when the same configuration gives other losses or weights
VERSION = register("gan", 1)
DIVERSITY_BATCH = 64  # images of the fixed batch
STATISTICS_BATCHES, STATISTICS_BATCH = 20, 128  # of fixed noise, for a snapshot's batch statistics
RUNNING = ("running_mean", "running_var", "_u", "_v")  # what recomputing moves: spectral normalisation's vectors too
CRITIC, GENERATOR, BOTH = "critic", "generator", "both"  # whose turn a step is
ABSOLUTE = (*LABELLED, "hinge")  # losses whose logits mean something by themselves
TOLD = ("loss_d", "loss_g", "grad_norm_d", "grad_norm_g", "accuracy_real", "accuracy_fake", "penalty")


def turns(n_critic: int, paired: bool) -> tuple[str, ...]:
    """Whose turn each of the steps is that repeat for ever: n_critic times the discriminator's, each with a batch.

    The generator follows the last with the same fakes; it has a step and real images of its own where its loss is
    `paired` with them.
    """
    return (*[CRITIC] * n_critic, GENERATOR) if paired else (*[CRITIC] * (n_critic - 1), BOTH)


def resolve(sampling: Sampling, config: GANConfig) -> Sampling:
    """A generator has no steps, no eta and nothing to clip; ConfigError where one is asked for, or what it lacks."""
    sampling = in_one_pass(sampling, "generator", "a GAN")
    weights = weights_of(sampling, config.ema is not None)
    normed = config.network.type == "resnet" or (
        isinstance(config.network, DCGANNetwork) and config.network.norm == "batch"
    )
    if not normed and sampling.batchnorm:
        raise ConfigError(f"batchnorm={sampling.batchnorm} does not apply: this generator has none; leave it out")
    if weights == "ema" and sampling.batchnorm == "running":
        raise ConfigError("batchnorm=running does not apply to averaged weights, which never ran: use recomputed")
    return sampling.but(weights=weights, batchnorm=sampling.batchnorm or ("recomputed" if normed else None))


class GAN(Method):
    """Updates of the discriminator and of the generator by turns (Goodfellow et al. 2014, algorithm 1)."""

    def __init__(self, config: GANConfig, shape: tuple[int, ...], n_classes: int = 1) -> None:
        """Both networks; ConfigError where the network does not fit the samples or the penalty."""
        super().__init__(config, shape)
        self.gan, self.n_classes = config, n_classes if config.conditional else None
        self.generator, self.discriminator = players(config, shape, n_classes)
        if config.penalty:
            refuse_batch_norm(self.discriminator, config.penalty)
        self.modules = {"generator": self.generator, "discriminator": self.discriminator}
        self.saved = ("generator",)
        self._keep_average(self.generator, config.ema)
        self.loaded = False  # whether the weights are a snapshot's, which hold recomputed statistics
        self.running: dict[str, Tensor] = {}  # of loaded weights: the batch statistics that training left
        self.loss = LOSSES[config.loss]
        self.turns = turns(config.n_critic, self.loss.paired)
        self.growing = [m for m in self.modules.values() if isinstance(m, Growing)]
        self.steady = len(self.turns) == 1 and not self.growing
        self.capturable = self.steady and not (config.penalty or config.warm_up or config.lr_decay)

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        betas = (self.gan.beta1, self.gan.beta2)
        return {
            "generator": torch.optim.Adam(self.generator.parameters(), self.gan.lrG, betas, fused=True),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), self.gan.lrD, betas, fused=True),
        }

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; losses are `loss_d` (on real plus on fake, and a penalty) and `loss_g`, as turns have them.

        Where both players are updated in one step, it is with the same fakes.
        """
        turn = self.turns[progress.updates % len(self.turns)]
        for net in self.growing:
            net.grow(progress.images)
            x = net.faded(x) if net is self.discriminator else x
        settle(self.optimizers, self.gan, progress.images)
        y = labels if self.gan.conditional else None
        with self.autocast(), torch.set_grad_enabled(turn != CRITIC):
            fake = self._generate(self.generator, self.latents(len(x), rng), y)

        def critic(images: Tensor) -> Tensor:
            seen = augment(images, self.gan.augment, rng)
            logits: Tensor = self.discriminator(seen) if y is None else self.discriminator(seen, y)
            return logits

        told: dict[str, Tensor] = {}
        if turn != GENERATOR:
            told |= self._update_discriminator(critic, x, fake.detach(), progress, rng)
        if turn != CRITIC:
            told |= self._update_generator(critic, fake, x)
        return {name: told[name] for name in TOLD if name in told}

    def _update_discriminator(
        self, critic: Critic, x: Tensor, fake: Tensor, progress: Progress, rng: torch.Generator
    ) -> dict[str, Tensor]:
        with self.autocast():
            real, made, slope = PENALTIES[self.gan.penalty](critic, x, fake, rng)
        smoothed = (self.gan.real_label,) if self.gan.loss in LABELLED else ()
        loss = self.loss.critic(real, made, *smoothed)
        middle = 0.0 if self.gan.loss in ABSOLUTE else ((real.mean() + made.mean()) / 2).detach()
        told = {"accuracy_real": (real > middle).float().mean(), "accuracy_fake": (made < middle).float().mean()}
        if slope is not None:
            penalty = (self.gan.gamma or 0.0) * from_start(PENALTY_START, self.gan, progress.images) * slope
            loss, told["penalty"] = loss + penalty, penalty.detach()
        norm = self._improve("discriminator", loss, self.gan.clip_grad)
        return told | {"grad_norm_d": norm, "loss_d": loss.detach()}

    def _update_generator(self, critic: Critic, fake: Tensor, x: Tensor) -> dict[str, Tensor]:
        self.discriminator.requires_grad_(False)  # the generator's update needs no gradient of D's weights
        with self.autocast():
            made, real = critic(fake), critic(x) if self.loss.paired else None
        loss = self.loss.generator(made, real)
        norm = self._improve("generator", loss, self.gan.clip_grad)
        self.discriminator.requires_grad_(True)
        if self.ema:
            self.ema.update(self.generator, len(x) * len(self.turns))
        return {"loss_g": loss.detach(), "grad_norm_g": norm}

    def phase(self, progress: Progress) -> str:
        """See Learner.phase: whose turn it is, and how far the players have grown."""
        stage, alpha = self.growing[0].stage_after(progress.images) if self.growing else (0, 1.0)
        return f"{self.turns[progress.updates % len(self.turns)]} {stage} {alpha < 1}"

    @torch.no_grad()
    def diagnose(self) -> dict[str, Tensor]:
        """See Learner.diagnose; of a fixed batch of latents.

        `diversity` is the root mean square difference of two of its images, `nearest` that of one to its likest.
        """
        rng = stream("diversity", self.gan.seed, device=self.device)
        z, y = self.latents(DIVERSITY_BATCH, rng), self._classes(DIVERSITY_BATCH, rng)
        with unchanged_buffers(self.generator), self.autocast():
            x = self._generate(self.generator, z, y).float()
        return {"diversity": (2 * x.var(0).mean()).sqrt(), "nearest": nearest(x)}

    def resolve(self, sampling: Sampling) -> Sampling:
        """See Method.resolve."""
        return resolve(sampling, self.gan)

    @torch.no_grad()
    def sample(self, n: int, sampling: Sampling, rng: torch.Generator) -> Iterator[Step]:
        """See Method.sample; yields once. Classes are drawn evenly."""
        sampling = self.resolve(sampling)
        generator = self._with_statistics(sampling.batchnorm, averaged=sampling.weights == "ema")
        z, y = self.latents(n, rng), self._classes(n, rng)
        with self.autocast():
            x = self._generate(generator, z, y).float()
        yield Step(0.0, x, x)

    def generate(self, sampling: Sampling) -> Callable[[Tensor], Tensor]:
        """The way from latents (n, nz, 1, 1) to images (n, *shape), as samples come about by a resolved sampling.

        Gradients flow through it to the latents. ConfigError for a generator that is told classes.
        """
        if self.gan.conditional:
            raise ConfigError("this generator makes images of a class: no latent alone stands for one of them")
        generator = self._with_statistics(sampling.batchnorm, averaged=sampling.weights == "ema").requires_grad_(False)

        def images(z: Tensor) -> Tensor:
            with self.autocast():
                return self._generate(generator, z, None).float()

        return images

    def _with_statistics(self, which: str | None, *, averaged: bool = False) -> nn.Module:
        """A copy of the generator whose batch norms use recomputed or running statistics, or those of the batch.

        A snapshot holds the recomputed ones in their place, and the running ones beside them.
        """
        generator = deepcopy(self.modules["ema" if averaged else "generator"]).train(which == "batch")
        if which == "recomputed" and not self.loaded:
            recompute(generator, partial(self._run, generator), STATISTICS_BATCHES)
        for name, value in self.running.items() if which in ("running", "batch") and not averaged else ():
            generator.get_buffer(name).copy_(value)
        return generator

    def _run(self, generator: nn.Module, i: int) -> None:
        """Let a generator make the i-th batch of fixed noise."""
        rng = stream("batchnorm", self.gan.seed, i, self.device)
        z, y = self.latents(STATISTICS_BATCH, rng), self._classes(STATISTICS_BATCH, rng)
        with self.autocast():
            self._generate(generator, z, y)

    def weights(self) -> dict[str, Tensor]:
        """See Learner.weights: generators with recomputed batch statistics, and the running ones."""
        made = {"generator": self._with_statistics("recomputed")}
        if self.ema:
            made["ema"] = self._with_statistics("recomputed", averaged=True)
        buffers = self.running or dict(self.generator.named_buffers())
        running = {f"running.{k}": v for k, v in buffers.items() if k.endswith(RUNNING)}
        return {f"{name}.{k}": v for name, net in made.items() for k, v in net.state_dict().items()} | running

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """See Learner.load_weights."""
        super().load_weights(weights)
        self.loaded = True
        self.running = {k.removeprefix("running."): v for k, v in weights.items() if k.startswith("running.")}

    def latents(self, n: int, rng: torch.Generator) -> Tensor:
        """n latents, standard normal: (n, nz, 1, 1)."""
        return torch.randn(n, self.gan.nz, 1, 1, generator=rng, device=self.device)

    def _generate(self, generator: nn.Module, z: Tensor, y: Tensor | None) -> Tensor:
        x: Tensor = generator(z) if y is None else generator(z, y)
        return x
