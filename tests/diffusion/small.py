"""Small denoisers of every kind, with every weight drawn."""

import torch
from torch import nn

from gendiff_lib.diffusion.config import ConvNetwork, MLPNetwork, TransformerNetwork, UNetNetwork

NETWORKS = {
    "mlp": MLPNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4),
    "conv": ConvNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4),
    "unet": UNetNetwork(widths=(8, 16), n_blocks=1, attention=(1,)),
    "transformer": TransformerNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4, patch=2),
}
SHAPE = (3, 8, 8)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(net):
    """The network with every weight drawn, also those that start at zero."""
    for p in net.parameters():
        nn.init.normal_(p, 0.0, 0.3, generator=rng(p.numel()))
    return net
