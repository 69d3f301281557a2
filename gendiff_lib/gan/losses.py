"""What the players of a GAN minimise."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bce(p: Tensor, label: float) -> Tensor:
    """Binary cross-entropy of probabilities p (N,) against one label, in float32 whatever the networks computed in."""
    with torch.autocast(p.device.type, enabled=False):
        return F.binary_cross_entropy(p, torch.full_like(p, label))
