import os

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.data import load
from gendiff_lib.diffusion.config import UNetNetwork
from gendiff_lib.errors import ConfigError
from gendiff_lib.graphs import CapturedNetwork, for_sampling
from gendiff_lib.paths import cache_dir
from gendiff_lib.runs.train import train
from gendiff_lib.training import engine
from gendiff_lib.training.build import build, make, start
from gendiff_lib.training.engine import accelerate, engine_for
from gendiff_lib.training.loop import fit

# Compiled arithmetic adds in another order. Losses agree to four digits. Adam's first steps are as long as the
# learning rate however small the gradient is, so a weight whose gradient is mere rounding may stand elsewhere: but not
# by more than what a weight can move in all, half of what a wrong gradient would make of it.
LOSS_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def inductor(tmp_path_factory):
    """One cold cache of compiled code for these tests."""
    return tmp_path_factory.mktemp("inductor")


@pytest.fixture(autouse=True)
def _cold(monkeypatch, inductor):
    monkeypatch.delenv("GENDIFF_ENGINE", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(inductor))


def losses(config, how):
    dataset = load(config.dataset).choose(config.n_train, "n_train")
    learner = build(config, dataset, torch.device("cpu"))
    progress = start(config, dataset, torch.device("cpu"))
    step = accelerate(learner, how)
    for _ in fit(learner, dataset, config, progress, step):
        pass
    return progress.first, learner.weights()


def test_compiled_and_eager_steps_agree(conv):
    config = conv.but(n_train=80, lr=1e-4, ema=100.0, **{"network.n_layers": 1})
    eager, weights = losses(config, "eager")
    compiled, others = losses(config, "compile")
    assert len(eager) == len(compiled) == 5
    for a, b in zip(eager, compiled, strict=True):
        assert a == pytest.approx(b, rel=LOSS_TOLERANCE)
    assert others.keys() == weights.keys()  # compiling renames nothing
    assert_close(others, weights, rtol=0, atol=5 * config.lr)
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # which the compiler reads of the generator's images
def test_a_gan_compiles(gan):
    config = gan.but(n_train=48)
    (eager, _), (compiled, _) = losses(config, "eager"), losses(config, "compile")
    for a, b in zip(eager, compiled, strict=True):
        assert a == pytest.approx(b, rel=1e-3)
    torch._dynamo.reset()


def test_a_cpu_runs_eagerly_unless_it_is_told_otherwise(conv, gan, monkeypatch):
    learner = build(conv, load(conv.dataset).choose(64, "n_train"), torch.device("cpu"))
    assert engine_for(learner, 10**9) == "eager"
    assert accelerate(learner, "eager") == learner.step
    assert accelerate(learner, "graph") == learner.step  # there is nothing to capture with
    monkeypatch.setenv("GENDIFF_ENGINE", "compile")
    assert engine_for(learner, 1) == "compile"
    monkeypatch.setenv("GENDIFF_ENGINE", "graph")
    assert engine_for(learner, 1) == "eager"


def test_optimisers_of_a_captured_training_go_on_uncaptured_on_a_cpu(conv):
    dataset = load(conv.dataset).choose(64, "n_train")
    learner = build(conv, dataset, torch.device("cpu"))
    for group in learner.optimizers["net"].param_groups:
        group["capturable"] = True  # as in the checkpoint of a GPU
    step = accelerate(learner, "eager")
    progress = start(conv, dataset, torch.device("cpu"))
    assert not any(group["capturable"] for group in learner.optimizers["net"].param_groups)
    assert all(p.step >= 0 for p in fit(learner, dataset, conv, progress, step))


def test_an_engine_that_is_none_is_refused_by_name(conv, monkeypatch):
    monkeypatch.setenv("GENDIFF_ENGINE", "warp")
    with pytest.raises(ConfigError, match="GENDIFF_ENGINE=warp is no engine: there are auto, eager, graph, compile"):
        train(conv)


def test_the_record_names_the_engine(conv):
    assert train(conv).record["engine"] == "eager"


class Gpu:
    """A device of the type that engine_for asks about."""

    type = "cuda"


def test_on_a_gpu_a_step_is_captured_with_its_optimisers_unless_it_is_to_be_eager(conv, monkeypatch):
    learner = build(conv, load(conv.dataset).choose(64, "n_train"), torch.device("cpu"))
    monkeypatch.setattr(type(learner), "device", Gpu())
    monkeypatch.setattr(engine, "CapturedStep", lambda learner: ("captured", learner))
    for how, step in (("graph", ("captured", learner)), ("eager", learner.step)):
        assert accelerate(learner, how) == step
        assert [group["capturable"] for group in learner.optimizers["net"].param_groups] == [how == "graph"]


def test_on_a_gpu_samplers_replay_a_network_unless_it_is_to_be_eager(monkeypatch):
    net = torch.nn.Identity()
    assert isinstance(for_sampling(net, torch.device("cuda")), CapturedNetwork)
    assert for_sampling(net, torch.device("cpu")) is net
    monkeypatch.setenv("GENDIFF_ENGINE", "eager")
    assert for_sampling(net, torch.device("cuda")) is net


def test_a_network_is_captured_once_for_each_shape_and_each_kind_of_what_it_is_told(monkeypatch):
    def net(x, s, y=None):
        return x + s[:, None] + (0 if y is None else 10 * y[:, None])

    class Graph:
        def __init__(self, kept, out):
            self.kept, self.out = kept, out

        def replay(self):
            self.out.copy_(net(**self.kept))

    def capture(self, inputs):
        kept = {name: value.clone() for name, value in inputs.items()}
        out = net(**kept)
        return Graph(kept, out), kept, out

    monkeypatch.setattr(CapturedNetwork, "_capture", capture)
    captured, x, s = CapturedNetwork(net), torch.rand(3, 2), torch.rand(3)
    for told in ({}, {"y": torch.arange(3)}, {"y": torch.tensor([5, 0, 5])}, {}):
        first = captured(x, s, **told)
        assert torch.equal(first, net(x, s, **told))
        captured(x + 1, s, **told)
        assert torch.equal(first, net(x, s, **told))  # the next replay leaves it
    assert len(captured.graphs) == 2
    captured(x[:2], s[:2])
    assert len(captured.graphs) == 3


def test_all_is_compiled_but_the_average_which_is_never_called_in_training(conv, monkeypatch):
    learner = build(conv.but(ema=4.0), load(conv.dataset).choose(64, "n_train"), torch.device("cpu"))
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: compiled.append((module, how)))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    accelerate(learner, "compile")
    assert compiled == [(learner.net, {"dynamic": False})]
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(cache_dir() / "inductor")


@pytest.mark.parametrize(
    ("which", "changes", "last"),
    [
        ("gan", {}, True),
        ("conv", {}, True),
        ("conv", {"precision": "bf16"}, False),
        ("conv", {"network": UNetNetwork(widths=(8, 16), n_blocks=1)}, False),
    ],
)
def test_weights_lie_channels_last_where_that_is_faster(which, changes, last, request):
    learner = make(request.getfixturevalue(which).but(**changes), (3, 8, 8), 10)
    engine.lay_out(learner)
    weights = [p for m in learner.modules.values() for p in m.parameters() if p.ndim == 4 and min(p.shape[1:3]) > 1]
    assert {p.is_contiguous(memory_format=torch.channels_last) and not p.is_contiguous() for p in weights} == {last}


@pytest.mark.parametrize(
    ("which", "images", "chosen"), [("gan", 10**9, "graph"), ("conv", 10**9, "compile"), ("conv", 10**4, "graph")]
)
def test_on_a_gpu_small_steps_are_captured_and_long_trainings_of_heavy_networks_compiled(
    which, images, chosen, request, monkeypatch
):
    config = request.getfixturevalue(which)
    learner = build(config, load(config.dataset).choose(64, "n_train"), torch.device("cpu"))
    monkeypatch.setattr(type(learner), "device", Gpu())
    assert engine_for(learner, images) == chosen


def test_only_learners_that_read_nothing_on_the_host_may_be_captured(conv, gan):
    dataset = load(conv.dataset).choose(64, "n_train")
    assert build(conv, dataset).capturable
    assert build(gan, dataset).capturable
    judge = ClassifierConfig(name="judge", dataset="shapes", n_train=64, batch_size=16, width=8)
    assert not build(judge, load("shapes").choose(64, "n_train")).capturable  # its learning rate is set by the host


def test_averaged_weights_follow_their_formula(conv):
    dataset = load(conv.dataset).choose(64, "n_train")
    learner = build(conv.but(ema=4.0), dataset, torch.device("cpu"))
    first = learner.net.leave.bias.detach().clone()
    with torch.no_grad():
        learner.net.leave.bias += 1.0
    learner.ema.update(learner.net, 16)
    # the first half-life is a twentieth of 16 images, so that twenty of them pass in a batch
    assert_close(learner.modules["ema"].leave.bias, first + 1 - 0.5**20)
    assert learner.state_dict()["updates"] == 1
    learner.ema.updates.fill_(10**6)
    with torch.no_grad():
        learner.net.leave.bias -= 1.0
    learner.ema.update(learner.net, 16)  # four half-lives
    assert_close(learner.modules["ema"].leave.bias, first + 1 / 16, rtol=0, atol=1e-5)


def test_a_classifier_is_recorded_as_what_it_runs_as_on_a_gpu(monkeypatch):
    judge = ClassifierConfig(name="judge", dataset="shapes", n_train=64, batch_size=16, width=8)
    learner = build(judge, load("shapes").choose(64, "n_train"), torch.device("cpu"))
    monkeypatch.setattr(type(learner), "device", Gpu())
    assert engine_for(learner, 10**9) == "eager"


@pytest.mark.parametrize(("operations", "threads"), [(0, 1), (3e9, 1), (9e9, 2), (1e12, 3)])
def test_a_step_has_as_many_threads_as_it_is_worth_and_gives_them_back(operations, threads):
    torch.set_num_threads(3)
    with engine.fitting_threads(operations):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError), engine.fitting_threads(0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3
