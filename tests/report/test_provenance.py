import shlex

import pytest

from gendiff_lib import cli
from gendiff_lib.cli import training
from gendiff_lib.diffusion.config import TransformerNetwork
from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments import EXPERIMENTS, get
from gendiff_lib.runs.run import all_runs
from gendiff_report.provenance import train_command, training_protocol

CHANGES = [
    (
        "ddpm-unet",
        "laptop",
        {"network.widths": (8, 16), "network.attention": (), "flip": True, "lr": 1.5e-4, "epochs": 2.125},
    ),
    ("ddpm-unet", "paper", {"network": TransformerNetwork(n_layers=2)}),
    ("trial-gan-rates", "overnight", {"lrG": 1e-3}),
    ("ddpm-conv", "paper", {"beta_minmax": (1e-4, 1e-2)}),
]
for name, experiment in EXPERIMENTS.items():
    other = {"seed": 7, "epochs": 9, "dataset": "moons" if name.endswith("2d") else "cifar10"}
    CHANGES += [(name, preset, changes) for preset in experiment.presets for changes in ({}, other)]


@pytest.mark.parametrize(
    ("name", "preset", "changes"), CHANGES, ids=lambda x: x if isinstance(x, str) else "-".join(x) or "own"
)
def test_the_command_that_trains_a_configuration_gives_it_again(name, preset, changes, monkeypatch):
    config = get(name, preset).but(**changes)  # not before: an overnight one counts operations
    asked = []

    def found(config, _again):
        asked.append(config)
        raise GendiffError("seen")

    monkeypatch.setattr(training, "found", found)
    monkeypatch.setattr(training, "check_patience", lambda *_, **__: None)
    program, *words = shlex.split(train_command(config))
    assert (program, cli.main(words)) == ("gendiff", 2)
    assert [(c.digest, c.epochs) for c in asked] == [(config.digest, config.epochs)]


def test_a_configuration_of_no_experiment_has_no_command():
    assert train_command(get("dcgan").but(name="mine")) == ""


def test_every_published_run_tells_how_it_was_trained():
    runs = all_runs()
    assert runs
    for run in runs:
        told = training_protocol(run)
        assert all(isinstance(text, str) for text in told.values())
        assert {s["commit"][:10] for s in run.record["segments"]} == set(told["commit"].split(", "))
