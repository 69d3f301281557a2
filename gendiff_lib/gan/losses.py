"""What the players of a GAN minimise: of probabilities (the paper's), and of logits, by name in LOSSES."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(real: Tensor, fake: Tensor, real_label: float = 1.0) -> Tensor:
    """What D minimises, from its answers (N,) to real images and to fakes (Goodfellow et al. 2014, eq. 1, negated).

    A real_label below 1 smooths (Salimans et al. 2016, section 3.4).
    """
    return bce(real, real_label) + bce(fake, 0.0)


def generator_loss(fake: Tensor, kind: str) -> Tensor:
    """What G minimises, from D's answers (N,) to its fakes (Goodfellow et al. 2014, eq. 1 and section 3).

    log(1 - D(G(z))) where `kind` is minimax, else -log D(G(z)).
    """
    return -bce(fake, 0.0) if kind == "minimax" else bce(fake, 1.0)


def bce(p: Tensor, label: float) -> Tensor:
    """Binary cross-entropy of probabilities p (N,) against one label, in float32 whatever the networks computed in."""
    with torch.autocast(p.device.type, enabled=False):
        return F.binary_cross_entropy(p, torch.full_like(p, label))


class Loss(NamedTuple):
    """What both players minimise, each a mean over logits (N,): float32, above 0 for what is taken to be real."""

    critic: Callable[[Tensor, Tensor], Tensor]  # of the logits of real images and of fakes
    generator: Callable[[Tensor, Tensor | None], Tensor]  # of the logits of fakes, and of real images where `paired`
    paired: bool = False  # whether the generator's loss needs the logits of as many real images


def logistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    """`discriminator_loss` of the logits' sigmoids, without their rounding (Goodfellow et al. 2014, eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
    """-log D(G(z)), D being the logits' sigmoid (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def minimax_generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
    """log(1 - D(G(z))), D being the logits' sigmoid (Goodfellow et al. 2014, eq. 1)."""
    return -F.softplus(fake).mean()


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """How far logits fall short of 1 for real images, and of -1 for fakes (Lim and Ye 2017, Geometric GAN)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Minus the estimated distance (Arjovsky et al. 2017, section 3), for a critic kept Lipschitz by other means."""
    return fake.mean() - real.mean()


def linear_generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
    """Minus the mean logit of fakes: against the hinge and against Wasserstein's critic."""
    return -fake.mean()


def relativistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    """How little each real image is above the fake it is paired with (Jolicoeur-Martineau 2018; R3GAN)."""
    return F.softplus(fake - real).mean()


def relativistic_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    """`relativistic_critic` with the players exchanged; ValueError without logits of real images."""
    if real is None:
        raise ValueError("the relativistic loss compares each fake with a real image: pass the logits of real images")
    return F.softplus(real - fake).mean()


LOSSES = {
    "non-saturating": Loss(logistic_critic, non_saturating_generator),
    "minimax": Loss(logistic_critic, minimax_generator),
    "hinge": Loss(hinge_critic, linear_generator),
    "wasserstein": Loss(wasserstein_critic, linear_generator),
    "relativistic": Loss(relativistic_critic, relativistic_generator, paired=True),
}
