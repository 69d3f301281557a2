"""What a hundred models cost: counted in benchmarks.costs, planned in gendiff_report.scale."""

import json

import pytest

from benchmarks import costs
from gendiff_lib import ranks
from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments import get
from gendiff_lib.experiments.cost import training_operations
from gendiff_report import scale
from gendiff_report.scale import Job, makespan, shared, unshared
from gendiff_report.tables import scale as tables

from .forking import together
from .resuming import begin
from .training.together import CONFIGS, first_updates

UPDATES = 4
NAMES = ["GAN with batch norm", "U-Net with EMA and dropout", "MeanFlow", "a growing GAN and its penalty", "R3GAN"]
MODELS = {name: CONFIGS[name].but(n_train=96, batch_size=24) for name in NAMES}  # more rows than are counted


def weigh(out):
    """Write how many bytes a process of several hands to the sums in an update, the mean over the first ones."""
    with ranks.joined():
        add_up, weighed, found = ranks.add_up, [], {}

        def weighing(tensors):
            weighed.extend(t.nbytes for t in tensors)
            add_up(tensors)

        ranks.add_up = weighing
        for name in NAMES:
            weighed.clear()
            first_updates(MODELS[name], UPDATES)
            found[name] = sum(weighed) / UPDATES
        ranks.lead(lambda: out.write_text(json.dumps(found)))


def test_what_processes_tell_is_what_two_of_them_tell(tmp_path):
    codes, _, err = together(2, lambda: weigh(tmp_path / "found.json"), tmp_path)
    assert codes == [0, 0], err
    for name, told in json.loads((tmp_path / "found.json").read_text()).items():
        learner, _, _ = begin(MODELS[name])
        assert costs._told(learner, UPDATES) == pytest.approx(told, rel=1e-12), name


def test_a_hundred_are_all_experiments_and_then_the_next_seed():
    models = costs.hundred()
    assert len(models) == len({(c.name, c.seed) for c in models}) == 100
    first = [c.name for c in models if c.seed == get(c.name, "paper").seed]
    assert {"dcgan", "ddpm-conv", "r3gan", "ddpm-unet-full", "autoencoder"} <= {*first}
    assert [c.name for c in models[len(first) :]] == first[: 100 - len(first)]


def test_a_model_is_counted_by_hand():
    """A DCGAN: two networks, Adam's two moments and one count a tensor; gradients of both, and what became of rows."""
    config = get("dcgan-32", "paper")
    found = costs.cost(config)
    assert found["training_operations"] == training_operations(config)
    assert (found["updates"], found["batch_size"]) == (30 * (50_000 // 128), 128)
    learner = begin(config.but(dataset="shapes"))[0]
    networks = [sum(p.numel() for p in net.parameters()) for net in learner.modules.values()]
    assert found["parameters"] == sum(networks)
    buffers = sum(b.numel() * b.element_size() for net in learner.modules.values() for b in net.buffers())
    tensors = sum(1 for net in learner.modules.values() for _ in net.parameters())
    assert found["checkpoint_bytes"] == 3 * 4 * sum(networks) + buffers + 4 * tensors
    assert found["samples"] == 50_000
    assert found["sample_bytes"] == 50_000 * 3 * 32 * 32
    assert found["snapshots"] == 1
    floats = [b for b in learner.generator.buffers() if b.is_floating_point()]  # kept twice: running, and recomputed
    counts = [b for b in learner.generator.buffers() if not b.is_floating_point()]
    weights = 4 * (networks[0] + 2 * sum(b.numel() for b in floats)) + 8 * len(counts)
    assert found["snapshot_bytes"] == weights
    assert scale.kept(found) == found["checkpoint_bytes"] + weights + found["sample_bytes"]
    assert 4 * sum(networks) < found["told_bytes"] < 8 * sum(networks)


def test_an_autoencoder_is_counted_once():
    latent = get("ddpm-latent", "overnight")
    found = costs.cost(latent)
    assert found["needs"] == "autoencoder"
    assert found["training_operations"] + training_operations(latent.needs) == training_operations(latent)
    alone = costs.cost(latent.needs)
    assert (alone["samples"], alone["drawing_operations"], alone["needs"]) == (0, 0, None)


def test_main_writes_what_it_prints(tmp_path, capsys):
    out = tmp_path / "costs.json"
    assert costs.main(["--models", "60", "--only", "ddpm-mlp", "dcgan-32", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert {c["name"]: c["seeds"] for c in found["trainings"]} == {"dcgan-32": 2, "ddpm-mlp": 1}
    assert "ddpm-mlp" in capsys.readouterr().out
    assert costs.main(["--models", "3", "--only", "none"]) == 2
    assert "--only none" in capsys.readouterr().err


# ---------------------------------------------------------------- plans


def test_the_share_that_is_not_shared_is_amdahls():
    assert unshared(1.0, 2) == 0.0
    assert unshared(0.5, 2) == 1.0
    assert unshared(1.2, 2) == 0.0
    for part, n in ((0.25, 2), (0.1, 8)):
        job = Job("a", 60.0, unshared=part, width=n)
        assert unshared(60.0 / job.lasts / n, n) == pytest.approx(part)


def test_plans():
    jobs = [Job("a", 3.0), Job("b", 2.0), Job("c", 1.0), Job("d", 2.0)]
    assert makespan(jobs, 1) == 8.0
    assert makespan(jobs, 2) == 4.0
    assert makespan(jobs, 64) == 3.0
    assert makespan([Job("a", 3.0, needs="c"), Job("c", 1.0)], 2) == 4.0
    assert makespan([Job("a", 3.0, width=2), Job("b", 2.0), Job("c", 2.0)], 2) == 3.5


def test_only_what_takes_longer_than_its_part_is_shared():
    jobs = [Job("a", 30.0, unshared=0.5), Job("b", 5.0), Job("c", 5.0)]
    assert [job.width for job in shared(jobs, 4, 4)] == [4, 1, 1]
    assert [job.width for job in shared(jobs, 1, 1)] == [1, 1, 1]
    assert makespan(shared(jobs, 4, 2), 4) == 30.0 * 0.75


COUNTED = {"images": 10, "drawing_operations": 0.0, "seeds": 1, "needs": None, "kind": "gan"}
DAY = 86_400 * 749.0  # operations of a day at 749 a second


def study(efficiency, **operations):
    """One whose rate on an RTX 4090 is 749 operations a second."""
    trainings = [{"name": name, "training_operations": n, **COUNTED} for name, n in operations.items()]
    trainings.append({"name": "ddpm-unet-full", "training_operations": 10.0, **COUNTED})
    told = {"median": efficiency, "min": efficiency * 0.9, "max": 1.0}
    return scale.Study(
        {"trainings": trainings}, {"settings": {"processes": 2}, "trainings": {"dcgan": {"efficiency": told}}}
    )


def test_days_are_those_of_the_best_width_and_of_the_rounds():
    """Eight days, of which half is not shared, and one day: two GPUs share the long one best, eight too."""
    found = study(2 / 3, big=8 * DAY, small=DAY)
    *_, rate = found.rates.values()
    assert rate == 749.0
    assert found.heaviest == "big"
    assert found.unshared("gan") == pytest.approx(0.5)

    def days(way, n, of="median"):
        return pytest.approx(found.days(way, n, rate, of), abs=1e-6)

    assert [days(scale.APART, n) for n in (1, 2, 8)] == [9.0, 8.0, 8.0]
    assert [days(found.ways[2], n) for n in (1, 2)] == [1.0, 1.0]
    assert days(scale.SHARED, 1) == 9.0
    assert days(scale.SHARED, 2) == 8 * (0.5 + 0.5 / 2) + 1.0  # both share the long one, then one does the other
    assert days(scale.SHARED, 8) == 8 * (0.5 + 0.5 / 4)  # four of them do, while another does the short one
    assert days(scale.SHARED, 8, "max") == 8 / 8 + 1.0


def test_the_page_tells_what_was_recorded():
    found = scale.Study.recorded()
    *_, rate = found.rates.values()
    rated = next(c for c in found.trainings if c["name"] == "ddpm-unet-full")
    assert rate == 749.0 * (rated["training_operations"] / rated["images"])
    total = sum(scale.operations(c) * c["seeds"] for c in found.trainings)
    assert sum(c["seeds"] for c in found.trainings) == found.costs["settings"]["models"] == 100
    assert found.days(scale.APART, 1, rate) == pytest.approx(total / rate / 86_400)
    assert found.days(scale.APART, 64, rate) == pytest.approx(scale.operations(found.trainings[0]) / rate / 86_400)
    for made in (tables.costs(found), tables.plans(found), tables.sharing(found)):
        assert "r3gan" in made.html
    days = found.days(scale.APART, 1, rate)
    assert f"that would be {days:.2g} days on one such GPU" in tables.finding(found)
    assert all(c["sample_bytes"] == c["samples"] * 3 * 32 * 32 for c in found.trainings)


def test_a_missing_record_is_named(monkeypatch):
    monkeypatch.setattr(scale, "benchmarks", lambda kind: {} if kind == "processes-cpu" else {kind: {}})
    with pytest.raises(GendiffError, match=r"processes-cpu\.json is missing: `python -m benchmarks processes --out"):
        scale.Study.recorded()
