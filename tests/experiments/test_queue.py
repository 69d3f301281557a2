import dataclasses
import json
import subprocess
import threading

import pytest
import torch

from gendiff_lib import experiments, paths
from gendiff_lib.config import Sampling
from gendiff_lib.data.dataset import Dataset, ImageBridge
from gendiff_lib.diffusion.config import MLPNetwork, UNetNetwork
from gendiff_lib.evaluation.evaluate import best_snapshot
from gendiff_lib.experiments import EXPERIMENTS, get, queue
from gendiff_lib.experiments import shown as shown_module
from gendiff_lib.experiments.claimed import FRESH
from gendiff_lib.experiments.cost import PETA, at_petaflops, operations, samples_of, training_operations
from gendiff_lib.experiments.experiment import TRIAL, Protocol
from gendiff_lib.experiments.queue import nothing, work
from gendiff_lib.gan.config import DCGANNetwork
from gendiff_lib.progress import Progress
from gendiff_lib.runs import layout, locks
from gendiff_lib.runs.files import read_checkpoint
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.run import find
from gendiff_lib.runs.train import train
from gendiff_lib.training.build import make
from gendiff_lib.training.operations import operations_per_image


def test_every_overnight_training_ends_at_its_budget_rounded_to_a_batch():
    for name, known in EXPERIMENTS.items():
        if "overnight" in known.presets and not name.startswith("live-"):
            config = get(name, "overnight")
            images = config.epochs * (samples_of(config) // config.batch_size) * config.batch_size
            assert images == pytest.approx(round(images), abs=1e-6)
            assert training_operations(config) == pytest.approx(operations(config) * images, rel=1e-6)
            if known.petaflops is not None:
                assert training_operations(config) == pytest.approx(known.petaflops * 1e15, rel=1e-3)
            assert config.precision == "fp32"


def test_costs_of_turns_are_summed_as_they_come():
    config = get("wgan-gp", "overnight", epochs=1.0)
    learner, dataset, pair = make(config, (3, 32, 32), 10), two_images(), config.but(batch_size=2)
    critic, both = (operations_per_image(pair, dataset, at(update)) for update in (0, 4))
    assert learner.turns == ("critic",) * 4 + ("both",)
    assert both > critic
    assert training_operations(config) == config.batch_size * (1562 * critic + 312 * (both - critic))
    growing = get("progressive", "smoke")
    small, large = (training_operations(growing.but(epochs=e)) for e in (1.0, 2.0))
    assert large > 2 * small  # what has grown costs more


def at(update):
    return Progress(torch.Generator(), 10**6, step=update)


def two_images():
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    return Dataset("cifar10", "train", images, torch.zeros(2).long(), tuple("0123456789"), ImageBridge(32))


def test_snapshots_stand_at_doubling_budgets_and_the_papers_pair_at_its_epochs_too():
    for name in ("dcgan-32", "flow-unet"):
        config = get(name, "overnight")
        doubling = [at_petaflops(config, 2.0**k) for k in range(-5, 1)]
        papers = [20.0, 30.0, 40.0, 49.0, 100.0] if name == "dcgan-32" else []
        assert sorted([*doubling, *papers]) == list(config.snapshots)


def test_epochs_of_ones_own_end_an_overnight_training_there():
    assert get("dcgan-32", "overnight", epochs=3.0).epochs == 3
    assert get("dcgan-32", "overnight", epochs=3.0).digest == get("dcgan-32", "overnight").digest


def test_the_papers_pair_keeps_every_value_of_figs_16_and_17_but_size_and_seed():
    for name, size in (("dcgan-32", {"network.ngf", "network.ndf"}), ("ddpm-conv", {"network.hidden_dim", "seed"})):
        paper, night = (get(name, preset).flat() for preset in ("paper", "overnight"))
        assert {k for k in paper if paper[k] != night[k]} - {"epochs", "snapshots"} == size


def test_the_study_begins_with_the_papers_pair_and_its_seeds_are_fresh():
    configs = queue.study()
    assert [c.name for c in configs[:2]] == list(experiments.PAPER_PAIR)
    assert len(dict.fromkeys((c.digest, c.epochs) for c in configs)) == len(configs)
    fresh = [c for c in configs if c.seed]
    short = {c.name for c in fresh[:9]}
    assert short == {"dcgan-32", "dcgan-plain", "dcgan-minimax"}  # a trial's operations each: two verdicts
    assert all(training_operations(c) == pytest.approx(TRIAL * 1e15, rel=1e-3) for c in fresh[:9])
    assert [(c.name, c.seed) for c in fresh[9:13]] == [(name, k) for k in (1, 2) for name in experiments.PAPER_PAIR]
    assert {c.seed for c in fresh} == set(FRESH)
    assert {(c.name, c.seed) for c in fresh} >= {(name, k) for name in queue.BEST for k in FRESH}
    assert len({t for side in queue.TRIALS.values() for t in side}) == sum(map(len, queue.TRIALS.values()))
    assert len(queue.TRIALS["GAN"]) == len(queue.TRIALS["diffusion"]) == 8
    last = next(i for i, c in enumerate(configs) if c.seed)
    assert {c.name for c in configs[:last]} >= {"r3gan", "sngan", "sagan", "ddpm-hybrid", "meanflow"}  # before seeds


def test_what_cannot_end_in_time_stops_at_a_checkpoint_and_goes_on_next_time(conv, gan):
    news = list(work([conv.but(name="endless", epochs=10.0**6), gan], 0.5, nothing))
    assert news[-1].startswith("left: endless, 1e+06 epochs, seed 0 (begun: ")
    (hidden,) = paths.runs_dir().glob(".training-*")
    before = read_checkpoint(hidden / "checkpoint.pt")["counts"]["images"]
    list(work([conv.but(name="endless", epochs=10.0**6)], 0.5, nothing))
    assert read_checkpoint(hidden / "checkpoint.pt")["counts"]["images"] > before > 0
    assert list(work([gan], 60.0, nothing))[-1] == "nothing is left"
    assert find(gan)


def test_what_another_process_trains_is_left_to_it(conv, gan):
    held, done = threading.Event(), threading.Event()

    def other():
        with locks.lock(f"training-{conv.digest}", "training it"):
            held.set()
            done.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(30)
    try:
        news = list(work([conv, gan], 60.0, nothing))
    finally:
        done.set()
        thread.join()
    assert news[0].startswith("gan, 1 epochs, seed 0: trained")
    assert news[-1] == "left: conv, 1 epochs, seed 0 (another process is training conv (seed 0))"


def test_a_training_that_fails_costs_no_other_its_time(conv, gan):
    broken = conv.but(name="broken", network=UNetNetwork(widths=(8, 8, 8, 8, 8), n_blocks=1, attention=()))
    news = list(work([broken, gan], 60.0, nothing))
    assert news[0].startswith("gan, ")
    assert news[1].startswith("left: broken, 1 epochs, seed 0 (failed: widths=(8, 8, 8, 8, 8) with patch=1 halve")


@pytest.fixture
def night(monkeypatch, published):
    """Two experiments in a tiny `overnight` on shapes, in the places of the paper's pair, and an extractor for them."""
    tiny = {"dataset": "shapes:16", "n_train": 64, "batch_size": 16, "epochs": 2.0, "snapshots": (1.0,)}
    gan = get("dcgan-32", "smoke").but(**tiny, network=DCGANNetwork(ngf=4, ndf=4))
    mlp = get("ddpm-mlp", "smoke").but(
        **tiny, network=MLPNetwork(n_layers=1, hidden_dim=8, timestep_embedding_dim=4), n_timesteps=10
    )
    monkeypatch.setattr(queue, "EARLY_N", 30)
    for config, sampling in ((gan, Sampling(n=40)), (mlp, Sampling(n=40, sampler="ddim", n_steps=3))):
        known = EXPERIMENTS[config.name]
        protocols = known.protocols | {"overnight": Protocol(sampling, 100, n_checked=4)}
        changed = experiments.Experiment(known.title, known.presets | {"overnight": config}, protocols)
        monkeypatch.setitem(EXPERIMENTS, config.name, changed)
    return gan, mlp


def test_a_finished_run_is_sampled_scored_and_published_with_all_its_snapshots_and_once(night, published, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for key, value in (("user.name", "a"), ("user.email", "a@b.invalid")):
        subprocess.run(["git", "-C", str(tmp_path), "config", key, value], check=True)
    news = list(work(night, 600.0, queue.published))
    assert news[-1] == "nothing is left", news
    log = subprocess.run(["git", "-C", str(tmp_path), "log", "--format=%s"], capture_output=True, text=True).stdout
    assert log.splitlines() == ["Publish ddpm-mlp, 2 epochs, seed 0", "Publish dcgan-32, 2 epochs, seed 0"]
    for config in night:
        run = find(config, published=True)
        assert run is not None
        scores = {p.parent.name[:10]: p for p in run.folder.glob("samples/*/scores-*.json")}
        assert {int(k) for k in scores} == {64, 128}  # images seen at either snapshot
        assert list(run.folder.glob("samples/*/neighbours-*"))
        assert bool(list(run.folder.glob("samples/*/sheet.png"))) == (config.name in experiments.PAPER_PAIR)
    assert list(find(night[1], published=True).folder.glob("bits/*.json"))
    gan = find(night[0], published=True)
    best = best_snapshot(gan, lambda each: distance(each, 0))
    assert distance(best, 1) != distance(best, 0)  # reported on samples that did not choose it
    (other,) = [e for e in gan.epochs if e != best.config.epochs]
    assert distance(gan.at(other), 1) is None
    drawn = list(gan.folder.glob("samples/0000000128-*"))
    assert len(drawn) == 4 + (best.images == 128)  # at two n, and two more ways with batch norm
    again = list(work(night, 600.0, queue.published))
    assert [line for line in again if "is there" not in line] == ["nothing is left"]


def test_contact_sheets_are_published_where_pages_show_them(night, published, monkeypatch):
    config = get("dcgan-clipped", "smoke").but(
        dataset="shapes:16", n_train=64, batch_size=16, epochs=2.0, snapshots=(1.0,), network=night[0].network
    )
    run = train(config)
    own = run.training_operations / PETA

    def shown(run, petaflops, **fields):
        monkeypatch.setattr(shown_module, "TRIAL", petaflops)
        seen = dataclasses.replace(run, config=run.config.but(**{"dataset": "cifar10", **fields}))
        hidden = shown_module.unseen(seen)
        return [n for n in (64, 128) if not any(layout.sheet(n).match(pattern) for pattern in hidden)]

    assert shown(run, own / 2) == [64, 128]  # after a trial's operations, and the last
    assert shown(run, own / 10) == [128]
    assert shown(run, own / 10, dataset="shapes:64") == [64, 128]
    assert shown(run, own / 10, name="dcgan-32") == [64, 128]
    assert shown(run, own / 2, name="trial-gan-rates") == [128]
    assert shown(run, own, name="trial-gan-rates") == []
    assert shown(run, own / 10, seed=1) == [128]
    assert shown(run, own, seed=1) == []


def test_inception_sees_few_samples_of_what_is_no_longer_than_a_trial(night, monkeypatch):
    run = train(night[1])
    monkeypatch.setattr(queue, "is_claimed", lambda each: False)

    def seen(petaflops):
        monkeypatch.setattr(queue, "TRIAL", petaflops)
        found = queue.to_score(run, Sampling(n=40), Sampling(n=30))
        return [(each.images, how.n, famous) for each, how, famous in found]

    own = run.training_operations / 1e15
    assert seen(own) == [(128, 40, False), (64, 30, False), (128, 30, True)]
    assert seen(own / 2) == [(128, 40, True), (64, 30, False), (128, 30, False)]
    monkeypatch.setattr(queue, "is_claimed", lambda each: each.images == 64)
    assert seen(own / 2)[1:] == [(64, 30, True), (128, 30, False)]


def test_of_a_fresh_seed_that_verdicts_alone_look_at_nothing_else_is_made(night, monkeypatch):
    run = train(night[1].but(seed=1))
    monkeypatch.setattr(queue, "is_claimed", lambda each: each.images == 64)
    assert queue._for_verdicts_alone(train(night[1])) == []  # seed 0 is shown
    (scored,) = queue.complete(run)
    assert " at 1 epochs, n 30, " in scored
    assert len(list(run.folder.glob("samples/*"))) == 1
    monkeypatch.setattr(queue, "BEST", (run.config.name,))
    assert queue._for_verdicts_alone(run) == []


def distance(run, seed):
    """The Fréchet distance of a set of the early n that is kept, None where none is."""
    for path in run.folder.glob(f"samples/{run.images:010}-*/scores-*.json"):
        told = json.loads(path.read_text())
        if (told["made"]["sampling_seed"], told["n_fake"], told["made"]["batchnorm"]) == (seed, 30, "recomputed"):
            return told["frechet_distance"]
    return None


def test_outside_a_checkout_a_run_is_published_all_the_same(night, published):
    news = list(work(night[1:], 600.0, queue.published))
    assert any(line.startswith("not committed: ") for line in news)
    assert find(night[1], published=True)


def test_a_run_that_went_on_is_published_anew(night, published):
    config = night[1]
    list(work([config], 600.0, queue.published))
    list(work([config.but(epochs=3.0)], 600.0, queue.published))
    run = find(config.but(epochs=3.0), published=True)
    assert run is not None
    assert run.epochs == (1.0, 2.0, 3.0)
    assert train(config).published is False


def test_a_run_that_was_published_by_hand_is_made_whole_all_the_same(night, published):
    run = train(night[1])
    publish(run)
    assert not list((published / run.id).glob("samples/*"))
    list(work([night[1]], 600.0, queue.published))
    assert list((published / run.id).glob("samples/*/scores-*"))
