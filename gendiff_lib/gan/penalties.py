"""Penalties on a critic's slope: what keeps it smooth, and training by it stable.

Each differentiates a gradient once more (a double backward), in eager mode and full precision. A penalty is of one
image at a time, so a critic must not mix those of a batch: `refuse_batch_norm`. (The map of deviations of growing
critics mixes a little, as their authors have it.)
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import ConfigError

Critic = Callable[[Tensor], Tensor]


class Answers(NamedTuple):
    """A critic's logits (N,) of real images and of fakes, and the penalty on its slope, unweighted; None for none."""

    real: Tensor
    fake: Tensor
    penalty: Tensor | None


def squared_slopes(critic: Critic, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N,) of x (N, ...), and the squared norm (N,) of each one's gradient by its own x.

    Both can be differentiated by the critic's weights; nothing flows back into what made x. Autocast is off, and
    bf16 samples are widened. The logits are there so that a loss need not compute them again.
    """
    with torch.autocast(x.device.type, enabled=False), torch.enable_grad():
        x = x.detach().to(torch.promote_types(x.dtype, torch.float32)).requires_grad_()
        logits = critic(x.view_as(x))  # a leaf itself would be in the way of torch's counting of operations
        (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        return logits, slope.flatten(1).square().sum(1)


def interpolate(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """Points (N, ...), each uniform on the line between a real image and the fake it is paired with."""
    eps = torch.rand(len(real), *[1] * (real.dim() - 1), generator=rng, device=real.device, dtype=real.dtype)
    return eps * real + (1 - eps) * fake


def plain(critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator) -> Answers:
    """The critic's answers alone."""
    return Answers(critic(real), critic(fake), None)


def r1(critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator) -> Answers:
    """E|grad D(x)|^2 / 2 over real images (Mescheder et al. 2018, section 4; their weight is gamma)."""
    logits, slopes = squared_slopes(critic, real)
    return Answers(logits, critic(fake), slopes.mean() / 2)


def r1_r2(critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator) -> Answers:
    """E|grad D(x)|^2 / 2 over real images, and the same over fakes: R3GAN's (Huang et al. 2024)."""
    (of_real, real_slopes), (of_fake, fake_slopes) = (squared_slopes(critic, x) for x in (real, fake))
    return Answers(of_real, of_fake, (real_slopes.mean() + fake_slopes.mean()) / 2)


def wgan_gp(critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator) -> Answers:
    """E(|grad D(x)| - 1)^2, x between real images and fakes (Gulrajani et al. 2017, eq. 3; their weight is 10)."""
    squared = squared_slopes(critic, interpolate(real, fake, rng))[1]
    positive = squared > 0  # the root's own slope is infinite at 0, where the norm's is taken to be 0
    norm = torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)
    return Answers(critic(real), critic(fake), (norm - 1).square().mean())


def refuse_batch_norm(critic: nn.Module, penalty: str) -> None:
    """ConfigError where the critic has batch norm: its answer to one image then depends on the others of the batch."""
    for name, module in critic.named_modules():
        if isinstance(module, _BatchNorm):
            raise ConfigError(
                f"penalty={penalty} is of each image alone, but the discriminator's batch norm ({name}) mixes those of "
                "a batch: use a discriminator without batch norm, or no penalty"
            )


PENALTIES: dict[str | None, Callable[[Critic, Tensor, Tensor, torch.Generator], Answers]] = {
    None: plain,
    "r1": r1,
    "r1+r2": r1_r2,
    "wgan-gp": wgan_gp,
}
