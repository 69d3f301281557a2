from copy import deepcopy

import pytest
import torch
from torch import nn

from gendiff_lib.diffusion.config import ConvNetwork, MLPNetwork, TransformerNetwork, UNetNetwork
from gendiff_lib.diffusion.model import denoiser
from gendiff_lib.networks.dcgan import Discriminator, Generator
from gendiff_report.diagrams.plan import plan
from gendiff_report.diagrams.trace import describe, entering, layers, size

TIMED = {
    "mlp": MLPNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4),
    "conv": ConvNetwork(n_layers=3, hidden_dim=8, timestep_embedding_dim=4),
    "unet": UNetNetwork(widths=(8, 16), n_blocks=1, attention=(1,), patch=1, dropout=0.5),
    "transformer": TransformerNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4, patch=4),
    "folded": UNetNetwork(widths=(8, 16), n_blocks=2, attention=(), patch=2, dropout=0.0),
}


def networks():
    x, s = torch.empty(1, 3, 16, 16), torch.empty(1)
    yield "generator", Generator((3, 16, 16), nz=5, ngf=4), (torch.empty(1, 5, 1, 1),)
    yield "discriminator", Discriminator((3, 16, 16), ndf=4), (x,)
    for name, config in TIMED.items():
        yield name, denoiser(config, (3, 16, 16)), (x, s)


NETWORKS = {name: (net, given) for name, net, given in networks()}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("depth", [1, 2, None])
def test_parameters_of_the_parts_add_up_and_names_are_single(name, depth):
    net, given = NETWORKS[name]
    found = layers(net, *given, depth=depth)
    assert sum(layer.parameters for layer in found) == sum(p.numel() for p in net.parameters())
    names = [layer.name for layer in found]
    assert len(set(names)) == len(names)
    before = {"x", "s", "z"}
    for layer in found:
        assert layer.inputs
        assert set(layer.inputs) <= before
        before.add(layer.name)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shapes_are_those_of_a_real_pass(name):
    net, given = NETWORKS[name]
    found = {layer.name: layer.shape for layer in layers(net, *given, depth=None)}
    real, shapes = deepcopy(net).eval(), {}
    for path, part in real.named_modules():
        part.register_forward_hook(lambda part, args, out, path=path: shapes.update({path: tuple(out.shape[1:])}))
    real(*(torch.zeros_like(x) for x in given))
    modules = {path: shape for path, shape in found.items() if "()" not in path}
    assert modules == {path: shapes[path] for path in modules}
    assert set(modules) == {path for path in shapes if path and _works_alone(real.get_submodule(path))}


def _works_alone(part):
    return not any(part.children()) and not isinstance(part, nn.Identity)


def test_the_module_and_the_random_numbers_stay_as_they_are():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state = torch.get_rng_state()
    layers(net, torch.full((2, 3, 8, 8), 7.0))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert net.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    assert {p.device.type for p in net.parameters()} == {"cpu"}
    assert torch.is_grad_enabled()


def test_depth_counts_calls_and_sequences_are_no_call():
    net, given = NETWORKS["unet"]
    assert {"TimeEmbedding", "ResBlock", "Attention"} <= {layer.type for layer in layers(net, *given)}
    deep = {layer.type for layer in layers(net, *given, depth=2)}
    assert not {"TimeEmbedding", "ResBlock", "Attention"} & deep
    nested = nn.Sequential(nn.Sequential(nn.Linear(2, 3)), nn.Linear(3, 1))
    assert [layer.name for layer in layers(nested, torch.empty(1, 2))] == ["0.0", "1"]


def test_functions_are_parts_and_what_does_nothing_is_none():
    net, given = NETWORKS["unet"]
    types = [layer.type for layer in layers(net, *given)]
    assert types.count("Concatenation") == 4
    assert types.count("Upsampling") == 1
    assert "Pixels to channels" not in types  # a patch of 1 folds nothing
    folded, given = NETWORKS["folded"]
    types = [layer.type for layer in layers(folded, *given)]
    assert (types[-1], types.count("Pixels to channels")) == ("Channels to pixels", 1)
    assert "Identity" not in {layer.type for layer in layers(folded, *given, depth=None)}


def test_skips_join_the_parts_that_the_network_joins():
    net, given = NETWORKS["unet"]
    joins = [layer.inputs for layer in layers(net, *given) if layer.type == "Concatenation"]
    assert joins == [("middle.2", "down.2.1"), ("up.0.1", "down.1"), ("up.2", "down.0.0"), ("up.3.0", "enter")]


def test_sums_tell_where_time_enters_and_what_is_residual():
    net, given = NETWORKS["conv"]
    found = layers(net, *given, depth=None)
    sums = [layer.inputs for layer in found if layer.type == "Sum"]
    assert sum("time.second" in inputs for inputs in sums) == 3
    assert sum(inputs[1].startswith("convs.") for inputs in sums) == 3
    assert [layer.inputs for layer in found if layer.name == "norms.0"] == [("sum() 4",)]


def test_a_plan_knows_what_is_aside_and_which_form_fits():
    found = {name: plan(net, *given) for name, (net, given) in NETWORKS.items()}
    assert {name for name, p in found.items() if p.joined} == {"unet", "folded"}
    assert {"generator", "discriminator"} <= {name for name, p in found.items() if p.resized}
    assert not found["conv"].resized
    assert [layer.name for layer in found["unet"].aside] == ["time", "silu()"]
    assert found["generator"].aside == []


def test_a_parameter_that_no_part_has_is_a_row_of_its_own():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.gamma = nn.Linear(2, 2, bias=False), nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return self.inner(x) * self.gamma.sum()

    found = layers(Scaled(), torch.empty(1, 2))
    assert [(layer.name, layer.kind, layer.parameters) for layer in found] == [
        ("inner", "Linear 2 to 2, no bias", 4),
        ("gamma", "Parameter", 3),
    ]


def test_a_module_that_works_twice_is_counted_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, x):
            return self.inner(self.inner(x))

    found = layers(Twice(), torch.empty(1, 2))
    assert [(layer.name, layer.parameters, layer.inputs) for layer in found] == [
        ("inner", 6, ("x",)),
        ("inner 2", 0, ("inner",)),
    ]


def test_what_enters_an_inner_part():
    net, given = NETWORKS["unet"]
    x, e = entering(net, "down.2.0", *given)
    assert (x.shape, e.shape, x.device.type) == ((1, 8, 8, 8), (1, 32), "meta")


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False), "ConvTranspose2d 4x4, stride 2, padding 1, no bias"),
        (nn.Conv2d(2, 2, (3, 5), padding=2, dilation=2), "Conv2d 3x5, stride 1, padding 2, dilation 2"),
        (nn.Conv2d(2, 2, 3, stride=(1, 2), padding=0), "Conv2d 3x3, stride 1x2"),
        (nn.GroupNorm(8, 16), "GroupNorm, 8 groups"),
        (nn.LeakyReLU(0.2), "LeakyReLU 0.2"),
        (nn.Dropout(0.1), "Dropout 0.1"),
        (nn.SiLU(), "SiLU"),
    ],
)
def test_kinds_tell_the_settings_that_decide(module, kind):
    assert describe(module) == kind


def test_sizes():
    assert (size((3, 64, 64)), size((2048,)), size(())) == ("3 x 64 x 64", "2,048", "1")
