"""What the players of a GAN minimise, by name in LOSSES."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Loss(NamedTuple):
    """What both players minimise, each a mean over float32 logits (N,), above 0 for what is taken to be real."""

    critic: Callable[..., Tensor]  # of the logits of real images and of fakes
    generator: Callable[[Tensor, Tensor | None], Tensor]  # of the logits of fakes, and of real images where `paired`
    paired: bool = False  # whether the generator's loss needs the logits of as many real images


def bce(logits: Tensor, label: float) -> Tensor:
    """Binary cross-entropy of the logits' sigmoids against one label, in float32 whatever the networks computed in.

    Both in this order, as Figs. 14 and 16 have them: a logit that is far off gives no gradient.
    """
    with torch.autocast(logits.device.type, enabled=False):
        p = torch.sigmoid(logits)
        return F.binary_cross_entropy(p, torch.full_like(p, label))


def logistic_critic(real: Tensor, fake: Tensor, real_label: float = 1.0) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), D being the logits' sigmoid (Goodfellow et al. 2014, eq. 1, negated).

    A real_label below 1 smooths (Salimans et al. 2016, section 3.4).
    """
    return bce(real, real_label) + bce(fake, 0.0)


def non_saturating_generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
    """-log D(G(z)), D being the logits' sigmoid (Goodfellow et al. 2014, section 3)."""
    return bce(fake, 1.0)


def minimax_generator(fake: Tensor, real: Tensor | None = None) -> Tensor:
    """log(1 - D(G(z))), D being the logits' sigmoid (Goodfellow et al. 2014, eq. 1)."""
    return -bce(fake, 0.0)


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
