"""What was counted of a training is kept, and counted again where it cannot be trusted."""

import json

import pytest

from gendiff_lib import paths
from gendiff_lib.experiments import cost, get
from gendiff_lib.experiments.cost import at_petaflops, operations_before, training_operations

ALWAYS_ALIKE, BY_TURNS, IN_LATENTS = "dcgan-32", "wgan-gp", "ddpm-latent"


@pytest.fixture
def counted(monkeypatch):
    """What counts of those that cannot be known yet, as another process would; the names of what it counted."""
    names, counter = [], cost.operations_counter
    monkeypatch.setattr(cost, "operations_counter", lambda c, d: names.append(c.kind) or counter(c, d))
    cost._known.cache_clear()
    yield names
    cost._known.cache_clear()


def told(name):
    config = get(name, "smoke")
    return training_operations(config), operations_before(config), at_petaflops(config, 1e-5)


@pytest.mark.parametrize("name", [ALWAYS_ALIKE, BY_TURNS, IN_LATENTS])
def test_another_process_counts_nothing_again(name, counted):
    first = told(name)
    assert counted
    counted.clear()
    cost._known.cache_clear()
    assert told(name) == first
    assert not counted


def kept():
    return list((paths.made_dir() / "operations").rglob("*.json"))


@pytest.mark.parametrize("text", ["", "[]", "{", '"each"'])
def test_what_was_kept_and_is_damaged_is_counted_again(text, counted):
    first = told(ALWAYS_ALIKE)
    (path,) = kept()
    path.write_text(text)
    cost._known.cache_clear()
    assert told(ALWAYS_ALIKE) == first
    assert json.loads(path.read_text())["each"] > 0


def test_another_library_counts_anew(counted, monkeypatch):
    told(ALWAYS_ALIKE)
    counted.clear()
    cost._known.cache_clear()
    monkeypatch.setattr(cost, "_library", lambda: "another")
    told(ALWAYS_ALIKE)
    assert counted
    assert {path.parent.name for path in kept()} > {"another"}


def test_what_costs_another_amount_is_another(counted):
    small, wide = get(ALWAYS_ALIKE, "smoke"), get(ALWAYS_ALIKE, "smoke", **{"network.ngf": 16})
    assert training_operations(small) < training_operations(wide)
    assert len(kept()) == 2
    assert training_operations(small.but(seed=3, epochs=4)) == 2 * training_operations(small.but(epochs=2))
    assert len(kept()) == 2  # neither seed nor length changes what an update costs


def test_a_cache_that_cannot_be_written_is_no_loss(counted, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / "file"))
    assert training_operations(get(ALWAYS_ALIKE, "smoke")) > 0


def test_what_does_not_say_its_size_in_its_name_is_not_kept(counted):
    config = get("live-gan-2d", "smoke")
    assert training_operations(config) > 0
    assert not kept()
