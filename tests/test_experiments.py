import shlex

import pytest

from gendiff_lib import __main__
from gendiff_lib.config import ConfigError, GendiffError
from gendiff_lib.experiments import (
    COLLAPSE,
    COMPARED,
    EXPERIMENTS,
    FIG16,
    FIG17,
    PRESETS,
    book_configs,
    classifier_for,
    get,
    protocol,
    sampler_grid,
    shrunk,
    train_command,
)

# A digest that changes orphans every published run of its experiment: add an `absent` value instead of editing these.
PINNED = {
    "dcgan": "22747f994efc",
    "dcgan-32": "530562763326",
    "ddpm-conv": "f157cecab7ff",
    "classifier": "dba9206a4ea5",
}


@pytest.mark.parametrize("name", PINNED)
def test_digest_of_a_published_experiment_is_pinned(name):
    assert get(name, "paper").digest == PINNED[name]


def test_fig16_field_by_field():
    config = get("dcgan", "paper")
    ours = config.to_dict() | {"num_epochs": config.epochs, "nc": 3, "ngpu": 1}
    assert {k: ours[k] for k in FIG16} == FIG16
    assert not config.flip
    assert config.precision == "fp32"


def test_fig17_field_by_field():
    config = get("ddpm-conv", "paper")
    renamed = {"train_batch_size": config.batch_size}
    renamed["inference_batch_size"] = protocol("ddpm-conv", "paper").sampling.batch_size
    ours = {k: renamed.get(k, getattr(config, k, None)) for k in FIG17}
    assert ours == FIG17
    assert (config.prediction, config.ema, config.clip_grad, config.precision) == ("eps", 0.0, 0.0, "fp32")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_every_preset_under_its_own_name(name):
    for preset in PRESETS:
        assert get(name, preset).name == name


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if not name.startswith("live-")])
def test_a_laptop_trains_no_longer_than_ten_epochs(name):
    config = get(name, "laptop")
    assert max(config.epochs, *config.snapshots, 0) <= 10


def test_live_runs_are_the_same_in_laptop_and_paper():
    for name in (n for n in EXPERIMENTS if n.startswith("live-")):
        assert get(name, "laptop") == get(name, "paper")


def test_overrides_by_name_and_dataset():
    config = get("dcgan", "smoke", dataset="cifar10", epochs=3, lrG=1e-3)
    assert (config.dataset, config.epochs, config.lrG) == ("cifar10", 3, 1e-3)
    assert get("dcgan", "smoke", dataset="").dataset == "shapes"


@pytest.mark.parametrize(
    ("name", "preset", "changes", "word"),
    [
        ("dcgam", "laptop", {}, "dcgam"),
        ("dcgan", "desktop", {}, "desktop"),
        ("dcgan", "laptop", {"lr": 1.0}, "lr"),
        ("dcgan", "laptop", {"epochs": "3"}, "epochs"),
        ("ddpm-conv", "laptop", {"beta_minmax": (1, 2)}, "beta_minmax"),
    ],
)
def test_wrong_words_are_refused_by_name(name, preset, changes, word):
    with pytest.raises(ConfigError, match=word):
        get(name, preset, **changes)


def test_book_trains_the_longest_first_and_needs_its_classifier():
    for preset in PRESETS:
        configs = book_configs(preset)
        dcgans = [c.epochs for c in configs if c.name == "dcgan"]
        assert dcgans == sorted(dcgans, reverse=True)
        assert dcgans[0] == COLLAPSE[preset][1]
        assert set(COMPARED) <= {c.name for c in configs}
        assert classifier_for(configs[0].dataset, preset) in configs


def test_book_epochs_and_dataset_reach_every_compared_model():
    for config in book_configs("smoke", dataset="cifar10", epochs=7):
        if not config.name.startswith("live-") and config.name != "classifier":
            assert (config.epochs, config.dataset) == (7, "cifar10")


def test_cifar10_is_judged_by_the_published_classifier_in_every_preset():
    assert len({classifier_for("cifar10", p) for p in PRESETS}) == 1
    assert classifier_for("shapes", "laptop").dataset == "shapes"


def test_shrunk_names_what_differs_from_the_paper():
    changes = shrunk(get("ddpm-conv", "laptop"), "ddpm-conv")
    assert changes["hidden_dim"] == (256, get("ddpm-conv", "laptop").hidden_dim)
    assert not shrunk(get("ddpm-conv", "paper"), "ddpm-conv")


def test_sampler_page_compares_at_equal_n_and_the_tutorial_at_its_own_steps():
    for preset in PRESETS:
        grid = sampler_grid(preset)
        assert len({s.n for s in grid.values()}) == 1
        tutorial = next(s for s in grid.values() if s.sampler == "tutorial")
        assert tutorial.n_steps == get("ddpm-conv", preset).n_timesteps


def _changed():
    for name, experiment in EXPERIMENTS.items():
        for preset in experiment.presets:
            yield get(name, preset)
            yield get(name, preset).but(seed=7, epochs=9, dataset="moons" if name.endswith("2d") else "cifar10")
    yield get("ddpm-unet", "laptop").but(widths=(8, 16), attention=(), flip=True, lr=1.5e-4)
    yield get("ddpm-conv", "paper").but(beta_minmax=(1e-4, 1e-2))


@pytest.mark.parametrize("config", list(_changed()), ids=lambda c: f"{c.name}-{c.digest}")
def test_the_command_that_trains_a_configuration_gives_it_again(config, monkeypatch):
    asked = []

    def find(config):
        asked.append(config)
        raise GendiffError("seen")

    monkeypatch.setattr(__main__, "find", find)
    program, *words = shlex.split(train_command(config))
    assert (program, __main__.main(words)) == ("gendiff", 2)
    assert [(c.digest, c.epochs) for c in asked] == [(config.digest, config.epochs)]


def test_a_configuration_of_no_experiment_has_no_command():
    assert train_command(get("dcgan").but(name="mine")) == ""
