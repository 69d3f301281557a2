"""Studies of the diffusion model: what each changes, and that each goes on from where it was interrupted."""

import pytest
import torch

from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.experiments import EXPERIMENTS, get, protocol, queue
from gendiff_lib.experiments.experiment import PRESETS
from gendiff_lib.experiments.processes import DEPTHS, STUDIED
from gendiff_lib.runs import layout
from gendiff_lib.runs import train as recorder
from gendiff_lib.runs.train import train
from gendiff_lib.training.build import make, resolve

LABELS = {"name", "epochs", "snapshots"}


@pytest.mark.parametrize("name", ["ddpm-hybrid", *STUDIED])
def test_a_study_changes_one_thing_of_the_u_net_at_every_size_and_trains_as_long(name):
    for preset in PRESETS:
        mine, base = get(name, preset).flat(), get("ddpm-unet", preset).flat()
        changed = {k for k in mine if mine[k] != base[k]} - LABELS
        allowed = {
            "ddpm-hybrid": {"variance", "objective", "vlb_weight"},
            "study-ddpm-unweighted": {"variance", "objective", "vlb_weight"},
            "study-ddpm-cosine": {"schedule", "beta_minmax"},
            "study-ddpm-sigmoid": {"schedule", "beta_minmax"},
            "study-ddpm-edm": {
                "schedule", "n_timesteps", "beta_minmax", "prediction", "preconditioning", "weighting", "times",
            },
            "study-ddpm-v": {"prediction"},
            "study-ddpm-x0": {"prediction"},
            "study-ddpm-min-snr": {"weighting"},
            "study-ddpm-raw": {"ema"},
            "study-ddpm-decay": {"lr_decay"},
        }.get(name, {"lr"} if "-lr-" in name else {"batch_size"} if "-batch-" in name else None)  # fmt: skip
        if allowed is None:
            assert "depth" in name
            allowed = {"schedule", "n_timesteps"} | ({"beta_minmax"} if preset in ("smoke", "laptop") else set())
        assert changed <= allowed
        if preset in ("paper", "overnight"):  # smaller sizes have some of these values themselves
            assert changed == allowed
        assert get(name, preset).epochs == base["epochs"] or preset == "overnight"
    assert EXPERIMENTS[name].petaflops == (1 / 8 if name == "ddpm-hybrid" else 1 / 32)


def test_depths_are_those_of_the_issue_and_no_sampler_takes_more_steps_than_there_are():
    assert DEPTHS == (10, 100, 4000)
    for n in DEPTHS:
        for preset in PRESETS:
            config = get(f"study-ddpm-depth-{n}", preset)
            assert config.n_timesteps == n
            assert resolve(protocol(config.name, preset).sampling, config, (3, 32, 32)).n_steps <= n


@pytest.mark.parametrize("name", ["ddpm-hybrid", *STUDIED])
def test_every_preset_of_a_study_is_a_learner_that_its_protocol_can_draw_from(name):
    for preset in PRESETS:
        config = get(name, preset)
        learner = make(config.but(**{"network.widths": (4, 8), "network.attention": ()}), (3, 32, 32), 10)
        assert learner.resolve(protocol(name, preset).sampling).n_steps
        assert isinstance(learner, Diffusion)
        assert learner.capturable == (name != "study-ddpm-decay")


def test_a_falling_rate_ends_with_each_presets_training():
    for preset in PRESETS:
        config = get("study-ddpm-decay", preset)
        images = config.epochs * (config.n_train or 50_000)
        assert config.lr_decay == pytest.approx(images, rel=0.01)


def test_the_studies_stand_at_the_end_of_the_queue_in_their_order():
    assert [c.name for c in queue.study()][-len(STUDIED) :] == list(STUDIED)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", ["ddpm-hybrid", *STUDIED])
def test_every_study_that_was_interrupted_equals_one_that_was_not(name, monkeypatch, tmp_path):
    config = get(name, "smoke").but(dataset="shapes:8", n_train=32, batch_size=8, epochs=2, snapshots=())
    config = config.but(
        **({"lr_decay": 60} if config.lr_decay else {}), network=config.network.but(widths=(8,), patch=2)
    )
    made, step = [], Diffusion.step

    def limited(self, x, *more):
        made.extend([0] if len(x) > 2 else [])
        if len(made) > 5:
            raise KeyboardInterrupt
        return step(self, x, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Diffusion, "step", limited)
        patch.setattr(recorder, "CHECKPOINT_SECONDS", -1)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    torch.manual_seed(99)
    run = train(config)
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "elsewhere"))
    other = train(config)
    assert run.folder != other.folder
    for file in (layout.weights(run.images), "history.csv"):
        assert (run.folder / file).read_bytes() == (other.folder / file).read_bytes()
