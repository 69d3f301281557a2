"""What the players of a GAN minimise."""

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
