import pytest
import torch

from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.cli import main
from gendiff_lib.errors import ConfigError, MissingDataError
from gendiff_lib.runs import files
from gendiff_lib.runs import replay as replay_module
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.replay import replay, tolerance
from gendiff_lib.runs.train import train
from gendiff_lib.versions import VERSIONS


@pytest.mark.parametrize("kind", ["gan", "conv", "points", "classifier"])
def test_todays_code_makes_a_run_again_bit_by_bit(kind, request):
    if kind == "classifier":
        config = ClassifierConfig(name="classifier", dataset="shapes:16", n_train=100, batch_size=10, width=2, epochs=3)
    else:
        config = request.getfixturevalue(kind).but(epochs=6, flip=kind == "gan")
    found = replay(train(config))
    assert found.verdict == "bit-equal", found.why
    assert found.why == "20 updates"


def test_a_run_that_went_on_is_replayed_from_its_start(conv):
    train(conv)
    assert replay(train(conv.but(epochs=3))).verdict == "bit-equal"


def test_another_number_that_decides_a_loss_is_noticed_with_its_update(conv, monkeypatch):
    run, updates = train(conv.but(epochs=6, ema=200.0)), []
    monkeypatch.setattr("gendiff_lib.ema.EMA.update", lambda *_: updates.append(1))
    assert replay(run).verdict == "bit-equal"  # averaged weights decide no loss
    assert len(updates) == 1 + 20  # the first is the one whose operations are counted
    monkeypatch.setitem(VERSIONS, "sampling", 99)
    assert replay(run).verdict == "bit-equal"
    inner = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self, *a, **k: [inner(self, *a, **k) for _ in range(2)][-1])
    found = replay(run)
    assert found.verdict == "differs"
    assert found.why.startswith("loss of update 2 is ")


def test_on_another_machine_losses_agree_within_the_tolerance_or_differ(gan, monkeypatch):
    run = train(gan.but(epochs=6))
    run.record["segments"][0]["device"] = "another processor"
    assert replay(run).verdict == "close"
    run.record["first_losses"][3]["loss_g"] *= 1.001
    assert replay(run).verdict == "close"
    run.record["segments"][0] = train(gan.but(epochs=6)).record["segments"][0] | {"processes": 2}
    assert replay(run).verdict == "close"
    run.record["first_losses"][3]["loss_g"] *= 1.01
    assert replay(run).why.startswith("loss_g of update 4 is ")


def test_a_gans_rounding_errors_may_grow_with_updates_and_a_diffusion_models_do_not(gan, conv):
    run = train(gan.but(epochs=6))
    run.record["segments"][0]["device"] = "another processor"
    for update, factor in (5, 1.001), (10, 1.03), (16, 1.1):
        run.record["first_losses"][update - 1]["loss_d"] *= factor
    assert replay(run).verdict == "close"
    run.record["first_losses"][15]["loss_d"] *= 1.2
    assert replay(run).why.startswith("loss_d of update 16 is ")
    assert [tolerance("gan", update) for update in (1, 5, 6, 11, 20)] == [2e-3, 2e-3, 5e-2, 2e-1, 2e-1]
    assert tolerance("diffusion", 1) == tolerance("diffusion", 20) == 1e-4


def test_what_cannot_be_replayed_says_why(conv, monkeypatch):
    run = train(conv)
    run.record["first_losses"] = []
    assert replay(run) == ("cannot", "its record keeps no losses of first updates")
    other = train(conv.but(seed=1))

    def missing(*_):
        raise MissingDataError("it is not there")

    monkeypatch.setattr(replay_module, "training_data", missing)
    assert replay(other) == ("cannot", "it is not there")


def test_a_configuration_that_todays_code_refuses_and_a_loss_that_it_no_longer_has_are_noticed(conv, monkeypatch):
    run = train(conv)
    run.record["first_losses"][0]["loss_vlb"] = 1.0
    assert replay(run) == ("differs", "update 1 has no loss_vlb any more")

    def refused(*_):
        raise ConfigError("network=conv is no network")

    monkeypatch.setattr(replay_module, "build", refused)
    assert replay(run) == ("differs", "today's code refuses its configuration: network=conv is no network")


def test_the_threads_are_those_of_the_run_and_are_given_back(conv, monkeypatch):
    run, seen = train(conv), []
    run.record["segments"][0]["threads"] = 2
    before, build = torch.get_num_threads(), replay_module.build
    monkeypatch.setattr(replay_module, "build", lambda *a: seen.append(torch.get_num_threads()) or build(*a))
    replay(run)
    assert seen == [2]
    assert torch.get_num_threads() == before == 1


def test_the_command_names_the_run_that_todays_code_does_not_make(conv, capsys):
    run = train(conv)
    assert main(["replay", run.id]) == 0
    assert "bit-equal (4 updates)" in capsys.readouterr().out
    record = files.read_json(run.folder / "run.json")
    record["first_losses"][1]["loss"] += 1.0
    files.write_json(run.folder / "run.json", record)
    assert main(["replay", run.id]) == 2
    assert f"today's code does not make {run.id}" in capsys.readouterr().err


def test_all_published_runs_are_replayed_in_one_go(conv, gan, published, capsys):
    for config in (conv, gan):
        publish(train(config))
    assert main(["replay", "--all"]) == 0
    out = capsys.readouterr().out
    assert out.count("bit-equal") == 2
    assert main(["replay"]) == main(["replay", "--all", "conv"]) == 2
    assert capsys.readouterr().err.count("name runs, or give --all") == 2
