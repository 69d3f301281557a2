"""What a training step holds for its gradients."""

import torch
from torch import nn

from gendiff_lib.training import memory
from gendiff_lib.training.memory import _Ledger, activation_bytes


def test_a_ledger_counts_each_storage_once_and_knows_the_most():
    net = nn.Sequential(nn.Linear(8, 16, bias=False), nn.Tanh(), nn.Linear(16, 4, bias=False))
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
    ledger = _Ledger(weights)
    for _ in range(3):
        with torch.autograd.graph.saved_tensors_hooks(ledger.take, lambda held: held.tensor):
            out = net(torch.zeros(5, 8))
        assert ledger.now == 4 * 5 * (8 + 16)  # the input, and Tanh's output, which the last layer holds as well
        out.sum().backward()
        del out
        assert ledger.now == 0
    assert ledger.most == 4 * 5 * (8 + 16)


def test_a_larger_image_takes_as_much_more_and_a_wider_network_more(conv, gan):
    small, large = (activation_bytes(conv, (3, side, side), 10) for side in (8, 16))
    assert 3.5 < large / small <= 4.2
    wide = conv.but(**{"network.hidden_dim": 16})
    assert activation_bytes(wide, (3, 8, 8), 10) > 1.5 * small
    assert activation_bytes(gan, (3, 8, 8), 10) > 0


def test_weights_are_as_they_were_drawn_for_a_training(conv):
    state = torch.random.get_rng_state()
    assert memory.activation_bytes(conv, (3, 8, 8), 10) == memory.activation_bytes(conv, (3, 8, 8), 10)
    assert torch.equal(state, torch.random.get_rng_state())
