"""Whether a training that was broken off goes on to the end that it would have come to."""

from copy import deepcopy

import torch

from gendiff_lib.data import load
from gendiff_lib.training.build import build, start
from gendiff_lib.training.loop import fit


def begin(config):
    """A learner, its data and the start of its training, on a CPU."""
    dataset = load(config.dataset).choose(config.n_train, "n_train")
    return build(config, dataset), dataset, start(config, dataset, torch.device("cpu"))


def same(a, b):
    """Whether two learners have bit for bit the same networks, those that no snapshot keeps included."""
    mine, other = ([t for m in k.modules.values() for t in m.state_dict().values()] for k in (a, b))
    return all(torch.equal(x, y) for x, y in zip(mine, other, strict=True))


def goes_on_bit_for_bit(config, done):
    """Assert that a training taken up after `done` updates, by a learner that knew nothing, equals one that went on."""
    whole, dataset, history = begin(config)
    for _ in fit(whole, dataset, config, history):
        if history.updates == done:
            state = deepcopy(history.state_dict() | {"learner": whole.state_dict()})
    again, _, rest = begin(config)
    torch.manual_seed(99)
    rest.rng.manual_seed(99)
    for tensor in (t for m in again.modules.values() for t in m.state_dict().values()):
        tensor.fill_(3)
    again.load_state_dict(state["learner"])
    rest.load_state_dict(state)
    for _ in fit(again, dataset, config, rest):
        pass
    assert same(again, whole)
    assert repr(rest.history) == repr(history.history)  # so, since an error of which there is none is nan
    assert rest.first == history.first
    assert (rest.images, rest.operations) == (history.images, history.operations)
