import shlex

import pytest

from gendiff_lib import cli
from gendiff_lib.cli import training
from gendiff_lib.diffusion.config import TransformerNetwork
from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments import EXPERIMENTS, get
from gendiff_report.provenance import train_command


def _changed():
    for name, experiment in EXPERIMENTS.items():
        for preset in experiment.presets:
            yield get(name, preset)
            yield get(name, preset).but(seed=7, epochs=9, dataset="moons" if name.endswith("2d") else "cifar10")
    small = {"network.widths": (8, 16), "network.attention": ()}
    yield get("ddpm-unet", "laptop").but(**small, flip=True, lr=1.5e-4, epochs=2.125)
    yield get("ddpm-unet", "paper").but(network=TransformerNetwork(n_layers=2))
    yield get("trial-gan-rates", "overnight").but(lrG=1e-3)
    yield get("ddpm-conv", "paper").but(beta_minmax=(1e-4, 1e-2))


@pytest.mark.parametrize("config", list(_changed()), ids=lambda c: f"{c.name}-{c.digest}")
def test_the_command_that_trains_a_configuration_gives_it_again(config, monkeypatch):
    asked = []

    def find(config):
        asked.append(config)
        raise GendiffError("seen")

    monkeypatch.setattr(training, "find", find)
    monkeypatch.setattr(training, "check_patience", lambda *_: None)
    program, *words = shlex.split(train_command(config))
    assert (program, cli.main(words)) == ("gendiff", 2)
    assert [(c.digest, c.epochs) for c in asked] == [(config.digest, config.epochs)]


def test_a_configuration_of_no_experiment_has_no_command():
    assert train_command(get("dcgan").but(name="mine")) == ""
