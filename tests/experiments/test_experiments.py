import pytest

from gendiff_lib.errors import ConfigError
from gendiff_lib.experiments import (
    BUDGETS,
    EXPERIMENTS,
    PAPER_PAIR,
    classifier_for,
    get,
    paper_pair,
    protocol,
)
from gendiff_lib.experiments.book import COLLAPSE, COMPARED, book_configs, sampler_grid
from gendiff_lib.experiments.cost import operations, operations_before, training_operations
from gendiff_lib.experiments.experiment import PRESETS
from gendiff_report.page import shrunk
from gendiff_report.printed import FIG16, FIG17

# A digest that changes orphans every published run of its experiment: add an `absent` value instead of editing these.
PINNED = {
    "dcgan": "47dd3ffd378c",
    "dcgan-32": "77e904add25f",
    "ddpm-conv": "178270178194",
    "classifier": "dba9206a4ea5",
}


@pytest.mark.parametrize("name", PINNED)
def test_digest_of_a_published_experiment_is_pinned(name):
    assert get(name, "paper").digest == PINNED[name]


def test_fig16_field_by_field():
    config = get("dcgan", "paper")
    ours = config.to_dict() | config.network.to_dict() | {"num_epochs": config.epochs, "nc": 3, "ngpu": 1}
    assert {k: ours[k] for k in FIG16} == FIG16
    assert not config.flip
    assert config.precision == "fp32"


def test_fig17_field_by_field():
    config = get("ddpm-conv", "paper")
    ours = {k.removeprefix("network."): v for k, v in config.flat().items()}
    ours |= {"train_batch_size": config.batch_size}
    ours |= {"inference_batch_size": protocol("ddpm-conv", "paper").sampling.batch_size}
    assert {k: ours[k] for k in FIG17} == FIG17
    assert (config.prediction, config.ema, config.clip_grad, config.precision) == ("eps", None, None, "fp32")
    assert (config.schedule, config.network.type) == ("linear", "conv")


TRIALS = {name for name in EXPERIMENTS if name.startswith("trial-")}
WITHOUT_NIGHT = {"classifier", "ddpm-unet-full"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_its_presets_under_its_own_name(name):
    expected = {"overnight"} if name in TRIALS else {*PRESETS} - ({"overnight"} if name in WITHOUT_NIGHT else set())
    assert set(EXPERIMENTS[name].presets) == expected
    for preset in expected:
        assert get(name, preset).name == name
    for preset in {*PRESETS} - expected:
        with pytest.raises(ConfigError, match=f"experiment '{name}' has no preset {preset}: it has "):
            get(name, preset)


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if not n.startswith("live-") and n not in TRIALS])
def test_a_laptop_trains_no_longer_than_ten_epochs(name):
    config = get(name, "laptop")
    assert max(config.epochs, *config.snapshots, 0) <= 10


def test_live_runs_are_the_same_at_every_size_but_smoke():
    for name in (n for n in EXPERIMENTS if n.startswith("live-")):
        assert get(name, "laptop") == get(name, "overnight") == get(name, "paper")


def steady(config):
    """Whether every update costs the same: where not, budgets are met to the dearest one."""
    if config.kind == "diffusion":
        return config.mean_from is None
    return config.kind != "gan" or (config.n_critic == 1 and config.network.type not in ("r3gan", "progressive"))


@pytest.mark.parametrize("name", [n for n, e in EXPERIMENTS.items() if "overnight" in e.presets and e.petaflops])
def test_a_night_ends_at_its_budget_and_keeps_snapshots_at_halves_of_it(name):
    config, known = get(name, "overnight"), EXPERIMENTS[name]
    batch = operations(config) * config.batch_size * (1 if steady(config) else 4)

    def done(epochs):
        return training_operations(config.but(epochs=epochs))

    assert abs(done(config.epochs) - known.petaflops * 1e15) <= max(batch / 2, 1)
    kept = {done(e) for e in config.snapshots}
    for budget in (b for b in BUDGETS if b * 1e15 > operations_before(config)):
        assert min(abs(k - budget * 1e15) for k in kept) <= max(batch / 2, 1)
    assert ({20.0, 30.0, 40.0, 49.0, 100.0} <= set(config.snapshots)) == (name in PAPER_PAIR)
    assert get(name, "overnight", epochs=2.5).epochs == 2.5
    assert get(name, "overnight", snapshots=(1.0,)).snapshots == (1.0,)


@pytest.mark.parametrize("name", PAPER_PAIR)
def test_at_night_the_papers_pair_has_the_papers_values_but_size_and_seed(name):
    changed = set(shrunk(get(name, "overnight"), name)) - {"epochs"}
    assert changed == ({"network.ngf", "network.ndf"} if name == "dcgan-32" else {"network.hidden_dim"})


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
        dcgans = [c.epochs for c in configs if c.name == paper_pair(preset)[0] and c.seed == 0]
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


def test_sampler_page_compares_at_equal_n_and_the_tutorial_at_its_own_steps():
    for preset in PRESETS:
        grid = sampler_grid(preset)
        assert len({s.n for s in grid.values()}) == 1
        tutorial = next(s for s in grid.values() if s.sampler == "tutorial")
        assert tutorial.n_steps == get("ddpm-conv", preset).n_timesteps
