import math
from functools import partial

import pytest
import torch

from gendiff_lib.autoencoder import AutoencoderConfig, LatentBridge, encoded
from gendiff_lib.config import Sampling
from gendiff_lib.data import images, load
from gendiff_lib.diffusion.config import DiffusionConfig, TransformerNetwork
from gendiff_lib.errors import ConfigError, GendiffError
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.experiments import get, protocol
from gendiff_lib.experiments.cost import operations_before, training_operations
from gendiff_lib.experiments.queue import complete, study
from gendiff_lib.networks.autoencoder import ConvAutoencoder
from gendiff_lib.progress import Progress
from gendiff_lib.runs import files, layout
from gendiff_lib.runs.files import StoreError
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.replay import replay
from gendiff_lib.runs.run import Run, find, needed
from gendiff_lib.runs.samples import sample
from gendiff_lib.runs.train import OutOfTime, train
from gendiff_lib.streams import stream
from gendiff_lib.training.build import bridged, build, make, resolve, training_data

from .resuming import goes_on_bit_for_bit

SHAPE = (3, 16, 16)


@pytest.fixture
def coder():
    return AutoencoderConfig(
        name="coder", dataset="shapes:16", n_train=200, batch_size=20, epochs=8, widths=(8, 16), lr=3e-3, lr_decay=1600
    )


@pytest.fixture
def latent(coder):
    return DiffusionConfig(
        name="latent",
        dataset="shapes:16",
        n_train=200,
        batch_size=20,
        epochs=2,
        n_timesteps=20,
        beta_minmax=(5e-3, 0.5),
        network=TransformerNetwork(n_layers=1, hidden_dim=16, timestep_embedding_dim=8, patch=1),
        ema=400.0,
        lr=3e-3,
        latent=coder,
    )


# ---------------------------------------------------------------- the network and its training


@pytest.mark.parametrize(("widths", "latent"), [((8,), (5, 8, 8)), ((8, 12), (5, 4, 4)), ((8, 8, 4), (5, 2, 2))])
def test_each_level_but_the_first_halves_the_side_once_more_than_folding(widths, latent):
    net = ConvAutoencoder(SHAPE, widths=widths, channels=5)
    mean, log_variance = net.encode(torch.randn(2, *SHAPE))
    assert net.latent_shape == tuple(mean.shape[1:]) == tuple(log_variance.shape[1:]) == latent
    assert net.decode(mean).shape == (2, *SHAPE)


@pytest.mark.parametrize(
    ("shape", "word"), [((3, 12, 12), "8 times smaller than the images, which 12 pixels"), ((2,), "works on images")]
)
def test_what_cannot_be_encoded_is_refused_before_anything_starts(coder, shape, word):
    with pytest.raises(ConfigError, match=word):
        make(coder.but(widths=(8, 8, 8)), shape, 10)


def test_the_loss_is_the_squared_error_and_the_weighed_divergence(coder):
    """By torch's own distributions; a step of rate 0 leaves the networks as they were."""
    learner = make(coder.but(lr=0.0, lr_decay=None, kl_weight=0.3), SHAPE, 10)
    x = torch.rand(6, *SHAPE) * 2 - 1
    told = learner.step(x, torch.zeros(6).long(), Progress(torch.Generator(), 1), stream("training", 0))
    with torch.no_grad():
        mean, log_variance = learner.net.encode(x)
        posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
        noise = torch.randn(mean.shape, generator=stream("training", 0))
        error = (learner.net.decode(mean + posterior.scale * noise) - x).square().mean()
        kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean()
    torch.testing.assert_close((told["error"], told["kl"]), (error, kl))
    torch.testing.assert_close(told["loss"], error + 0.3 * kl)


def test_training_teaches_it_to_reconstruct_and_its_rate_falls_to_nothing(coder):
    run = train(coder)
    grey = load("shapes:16", "test").samples.float().div(127.5).sub(1)
    variance = (grey - grey.mean((0, 2, 3), keepdim=True)).square().mean().item()
    assert run.snapshot["test_psnr"] > 10 * math.log10(4 / variance) + 2  # better than one colour for all
    learner, dataset = build(coder, training_data(coder)), training_data(coder)
    progress = Progress(torch.Generator(), 1, images=1600)
    before = learner.weights()["net.moments.weight"].clone()
    learner.step(images.to_model(dataset.samples[:4]), dataset.labels[:4], progress, torch.Generator())
    assert torch.equal(learner.weights()["net.moments.weight"], before)


def test_an_interrupted_training_equals_one_that_was_not(coder):
    goes_on_bit_for_bit(coder.but(epochs=1), 7)


# ---------------------------------------------------------------- between images and latents


def test_latents_have_unit_variance_and_decode_to_the_reconstructions(coder, latent):
    run = train(coder)
    data = training_data(latent, partial(_codec, run))
    z = data.bridge.encode(data.samples, None)
    assert tuple(z.shape[1:]) == data.bridge.shape(None) == (4, 4, 4)
    assert z.std().item() == pytest.approx(1, rel=0.02)
    *_, end = run.learner.states(data.samples)
    torch.testing.assert_close(data.bridge.decode(z).int(), images.to_images(end.x).int(), atol=1, rtol=0)
    stored = encoded(data, None)
    assert torch.equal(stored.bridge.encode(stored.samples[:3], None), stored.samples[:3])
    assert torch.equal(stored.samples, z)
    assert torch.equal(encoded(load("shapes:16"), None).samples, load("shapes:16").samples)


def _codec(run, config):
    return run.learner.codec(run.snapshot["latent_std"])


def test_its_samples_are_reconstructions_of_test_images(coder):
    run = train(coder)
    chosen = load("shapes:16", "test").choose(30, "checked").samples
    *_, end = run.learner.states(chosen)
    made = sample(run, Sampling(n=30, batch_size=12))
    torch.testing.assert_close(made.int(), images.to_images(end.x).int(), atol=1, rtol=0)
    assert run.resolve(Sampling()).sampler == "reconstruction"
    sheet = images.sheet(run.learner.pairs(load("shapes:16", "test").choose(20, "checked").samples), columns=10)
    assert torch.equal(run.sheet(), sheet)


@pytest.mark.parametrize(
    "changes", [{"n_steps": 5}, {"sampler": "ddim"}, {"clip_x0": True}, {"batchnorm": "batch"}, {"weights": "ema"}]
)
def test_what_no_autoencoder_can_honour_is_refused(coder, changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        resolve(Sampling(**changes), coder, SHAPE)


# ---------------------------------------------------------------- a model on latents


def test_a_model_on_latents_trains_what_it_needs_and_counts_it(latent):
    run = train(latent)
    first = find(latent.needs)
    assert run.record["needs"]["run"] == first.id == needed(latent).id
    assert run.shape == (4, 4, 4)
    assert run.training_operations == training_operations(latent) == run.record["operations"]
    own = run.record["operations_per_image"] * run.images
    assert run.training_operations == own + operations_before(latent)
    assert operations_before(latent) > first.training_operations == training_operations(latent.needs)
    assert run.snapshot["seconds"] > first.snapshot["seconds"]
    assert replay(run).verdict == replay(first).verdict == "bit-equal"


def test_it_goes_on_over_the_autoencoder_that_it_began_with_and_no_other(coder, latent):
    """As on another machine, which has trained the autoencoder anew, and whose processor rounds otherwise."""
    first, looks = train(coder), iter([math.inf] * 2)
    with pytest.raises(OutOfTime):
        train(latent, lambda: next(looks, 0.0))
    record = files.read_json(first.folder / layout.RECORD)
    record["snapshots"][str(first.images)]["sha256"] = "0" * 64
    files.write_json(first.folder / layout.RECORD, record)
    with pytest.raises(StoreError, match=f"it is of other weights of {first.id} than are here"):
        train(latent)


def test_its_samples_are_images_whose_statistics_are_those_of_the_decoders_reconstructions(latent):
    run = train(latent.but(epochs=40))
    made = sample(run, Sampling(n=200, batch_size=100, sampler="ddim", n_steps=10)).float()
    real = sample(needed(latent), Sampling(n=200, batch_size=100)).float()
    assert made.shape == (200, *SHAPE)
    assert made.mean().item() == pytest.approx(real.mean().item(), abs=25)
    assert made.std().item() == pytest.approx(real.std().item(), rel=0.3)


def test_a_trained_model_needs_its_autoencoder_to_draw_and_says_so(latent, tmp_path):
    run = train(latent)
    folder = find(latent.needs).folder
    folder.rename(tmp_path / "elsewhere")
    assert train(latent).id == run.id
    with pytest.raises(GendiffError, match=f"needs the autoencoder {folder.name} at 8 epochs, which is missing"):
        sample(run, Sampling(n=4))
    (tmp_path / "elsewhere").rename(folder)
    assert sample(run, Sampling(n=4)).shape == (4, *SHAPE)


def test_samples_by_published_weights_are_those_by_the_autoencoders_own(latent, published):
    run = train(latent)
    made = sample(run, Sampling(n=8, seed=1))
    mine = find(latent.needs)
    publish(mine, weights=True)
    for path in mine.folder.glob(f"{layout.WEIGHTS}/*"):
        path.unlink()
    mine.folder.rename(mine.folder.with_name(".away"))
    for kept in run.folder.glob(f"{layout.SAMPLE_SETS}/*/{layout.SAMPLES}"):
        kept.unlink()
    assert needed(latent).published
    assert torch.equal(sample(Run.read(run.folder), Sampling(n=8, seed=1)), made)


def test_how_long_its_autoencoder_trained_is_part_of_a_model_and_its_data_are_the_models_own(latent):
    assert latent.but(**{"latent.epochs": 9.0}).digest != latent.digest
    assert latent.but(**{"latent.lr": 1e-4}).digest != latent.digest
    assert latent.but(**{"latent.name": "other"}).digest == latent.digest
    moved = latent.but(dataset="shapes:32", n_train=50)
    assert (moved.latent.dataset, moved.latent.n_train) == ("shapes:32", 50)
    assert type(latent)(**latent.to_dict()) == latent
    assert latent.told(latent.but(**{"latent.lr": 1e-4}, seed=3).words(latent)).latent.lr == 1e-4


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"flip": True}, "flip=true does not apply to a model with a latent"),
        ({"preconditioning": "edm", "prediction": "x0"}, "preconditioning=edm does not apply"),
        ({"objective": "vlb"}, "objective=vlb does not apply"),
    ],
)
def test_what_latents_do_not_allow_is_refused_with_a_remedy(latent, changes, word):
    with pytest.raises(ConfigError, match=word):
        latent.but(**changes)


def test_latents_have_no_range_to_clip_to_and_no_bits(latent):
    assert not resolve(Sampling(), latent, (4, 4, 4)).clip_x0
    with pytest.raises(ConfigError, match="clip_x0=true does not apply"):
        resolve(Sampling(clip_x0=True), latent, (4, 4, 4))
    with pytest.raises(ConfigError, match="no bits per dimension"):
        bits_of(train(latent), 4)


def test_points_have_no_latents(latent):
    with pytest.raises(ConfigError, match="an autoencoder works on images"):
        training_data(latent.but(dataset="gaussians"))


def test_where_only_shapes_are_asked_for_no_autoencoder_is_opened(latent):
    data = bridged(latent, load("shapes:16"))
    assert isinstance(data.bridge, LatentBridge)
    assert build(latent, data).shape == (4, 4, 4)
    with pytest.raises(ConfigError, match="was handed no autoencoder"):
        data.bridge.encode(data.samples[:2], None)


# ---------------------------------------------------------------- the experiments


@pytest.mark.parametrize("preset", ["smoke", "laptop", "overnight", "paper"])
def test_the_experiment_has_the_transformers_tokens_and_the_autoencoder_that_is_listed(preset):
    config, pixels = get("ddpm-latent", preset), get("ddpm-transformer", preset)
    assert config.needs == get("autoencoder", preset)
    assert config.network.but(patch=pixels.network.patch) == pixels.network
    side = training_data(config.but(dataset="shapes", n_train=10)).bridge.shape(None)[-1]
    assert side == 32 // pixels.network.patch
    decay = config.needs.lr_decay
    n = config.n_train or 50_000
    assert decay is None or decay == pytest.approx(config.needs.epochs * n, rel=0.01)


def test_overnight_the_autoencoder_is_part_of_the_models_budget():
    config = get("ddpm-latent", "overnight")
    assert training_operations(config) == pytest.approx(1e15 / 8, rel=1e-3)
    assert operations_before(config) < 1e15 / 32
    names = [c.name for c in study()]
    assert names.index("autoencoder") < names.index("ddpm-latent")


def test_a_finished_autoencoder_is_scored_by_its_reconstructions(monkeypatch):
    run = train(get("autoencoder", "smoke"))
    monkeypatch.setattr("gendiff_lib.experiments.queue.protocol", lambda name, _: protocol(name, "smoke"))
    assert any("n 100, shapes-classifier" in line for line in complete(run))
