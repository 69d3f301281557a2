"""Numbers of the versions of what trains and samples, and checkpoints from which later code goes on: golden/README.md.

Losses are compared to a hundred-thousandth, as processors differ in a product's last digit and an update carries it on.
"""

import itertools
import json
import shutil
from copy import deepcopy
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from gendiff_lib import autoencoder, classifier, paths
from gendiff_lib.autoencoder import AutoencoderConfig
from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.config import Sampling
from gendiff_lib.data import load
from gendiff_lib.diffusion import model as diffusion
from gendiff_lib.diffusion import samplers
from gendiff_lib.diffusion.config import ConvNetwork, DiffusionConfig, MLPNetwork, TransformerNetwork, UNetNetwork
from gendiff_lib.diffusion.estimate import Estimate
from gendiff_lib.diffusion.grids import GRIDS
from gendiff_lib.diffusion.model import denoiser
from gendiff_lib.diffusion.objectives import PREDICTIONS, TIMES, WEIGHTINGS
from gendiff_lib.diffusion.samplers import SAMPLERS
from gendiff_lib.diffusion.schedules import SCHEDULES
from gendiff_lib.errors import ConfigError
from gendiff_lib.gan import model as gan
from gendiff_lib.gan.config import DCGANNetwork, GANConfig, PointGANNetwork
from gendiff_lib.networks import resnet9
from gendiff_lib.networks.layers import group_norm
from gendiff_lib.runs import files, layout
from gendiff_lib.runs.train import train
from gendiff_lib.streams import PURPOSES, stream
from gendiff_lib.training.build import build, make, start
from gendiff_lib.training.loop import fit
from gendiff_lib.training.operations import operations_per_image

FOLDER = Path(__file__).parent / "golden"
UPDATES = 5


def rounded(value):
    """Numbers as a file should hold them: seven digits tell more than is compared."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def sums(tensors):
    """The mean absolute value of each of named tensors, and of a pattern in it that tells places apart."""
    return {
        name: [t.double().abs().mean().item(), (t.double().flatten() * pattern(t.numel())).mean().item()]
        for name, t in tensors.items()
    }


def pattern(n):
    return torch.cos(torch.arange(n, dtype=torch.float64) * 1.7)


def first_updates(config, updates=UPDATES):
    """The learner after its first updates, and what each update told."""
    dataset = load(config.dataset).choose(config.n_train, "n_train")
    learner = build(config, dataset, torch.device("cpu"))
    told = []

    def step(*given):
        losses = learner.step(*given)
        told.append({k: v.item() for k, v in losses.items()})
        return losses

    for _ in islice(fit(learner, dataset, config, start(config, dataset, torch.device("cpu")), step), updates):
        pass
    return learner, told


def losses(told, *names):
    """Columns of what updates told; an error of which there is none is null."""
    columns = {k: [row[k] for row in told] for k in told[0] if not names or k in names}
    return {k: [None if v != v else v for v in column] for k, column in columns.items()}


# ---------------------------------------------------------------- what each version computes

SMALL_GAN = GANConfig(
    dataset="shapes:16", n_train=96, batch_size=16, nz=6, network=DCGANNetwork(ngf=4, ndf=4), lrG=2e-3, lrD=1e-3
)
GANS = {
    "non-saturating": SMALL_GAN,
    "minimax": SMALL_GAN.but(loss="minimax"),
    "without batch norm": SMALL_GAN.but(**{"network.norm": "none"}),
    "clipped": SMALL_GAN.but(clip_grad=0.05),
    "smoothed, another seed, flipped": SMALL_GAN.but(real_label=0.9, seed=3, flip=True, beta1=0.0),
    "in the plane": SMALL_GAN.but(dataset="gaussians", network=PointGANNetwork(ngf=8, ndf=8, fourier=2)),
}


def gan_numbers():
    numbers = {}
    for name, config in GANS.items():
        learner, told = first_updates(config)
        numbers[name] = losses(told)
        numbers[f"{name}: diversity"] = learner.diagnose()["diversity"].item()
        numbers[f"{name}: weights"] = sums(learner.weights())
        numbers[f"{name}: discriminator"] = sums(dict(learner.discriminator.named_parameters()))
        numbers[f"{name}: operations"] = operations_per_image(config, load(config.dataset))
    return numbers


NETWORKS = {
    "mlp": MLPNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=6, fourier=1),
    "conv": ConvNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=6),
    "unet": UNetNetwork(widths=(8, 16), n_blocks=1, attention=(1,), dropout=0.1),
    "transformer": TransformerNetwork(n_layers=1, hidden_dim=8, timestep_embedding_dim=6, patch=4),
}
PROCESSES = {
    "linear": {"n_timesteps": 10, "beta_minmax": (0.02, 0.6)},
    "cosine": {"schedule": "cosine", "n_timesteps": 12},
    "flow": {"schedule": "flow"},
}
WEIGHED_BY_ONE = ("min-snr", "edm")  # weightings that are tried with one network: it makes no difference to them
EDM = {
    "schedule": "edm", "n_timesteps": None, "prediction": "x0", "preconditioning": "edm", "weighting": "edm",
    "times": "log-normal",
}  # fmt: skip
HYBRID = {"variance": "learned", "objective": "hybrid", "vlb_weight": 0.001}
ALTERED = {  # of a network on the cosine schedule, which predicts the velocity
    "hybrid": HYBRID,
    "bound": {"objective": "vlb"},
    "bound, variances learned": {"objective": "vlb", "variance": "learned"},
    "sigmoid": {"schedule": "sigmoid"},
    "respaced": {"schedule": "respaced", "beta_minmax": (1e-4, 2e-2)},
    "EDM": EDM,
    "EDM's schedule alone": {"schedule": "edm", "n_timesteps": None, "times": "log-normal"},
    "preconditioned": {"prediction": "x0", "preconditioning": "edm"},
    "falling rate": {"lr_decay": 32},
}
LARGE = {  # what the small ones are too small to show
    "mlp": (MLPNetwork(n_layers=3, hidden_dim=16, timestep_embedding_dim=8, fourier=3), (2,)),
    "conv": (ConvNetwork(n_layers=10, hidden_dim=16, timestep_embedding_dim=8), (3, 12, 12)),
    "unet": (UNetNetwork(widths=(36, 64, 8), n_blocks=2, attention=(0, 2), patch=2), (3, 16, 16)),
    "transformer": (TransformerNetwork(n_layers=2, hidden_dim=128, timestep_embedding_dim=8, patch=2), (3, 8, 12)),
}


def drawn(module, seed=0):
    """A network whose every weight is drawn, also those that start at zero, on a scale that keeps it in range."""
    rng = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        nn.init.normal_(p, 0.0, 0.7 * max(p[0].numel(), 1) ** -0.5 if p.ndim > 1 else 0.3, generator=rng)
    return module.eval()


@torch.no_grad()
def outputs(name, side=None):
    """What a drawn network gives for states of ordinary size and for tiny ones, at three times."""
    config, shape = LARGE[name]
    shape = (3, side, side) if side else shape
    net = drawn(denoiser(config, shape))
    x, s = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1)), torch.tensor([0.0, 7.0, 640.0])
    out = net(x, s)
    for module in net.modules():  # without biases a tiny state stays tiny, and what norms add to variances is seen
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    tiny = net(1e-3 * x, s.new_zeros(3))
    return [*sums({"ordinary": out, "tiny": tiny}).values()]


# A norm with groups of one channel takes the first of these out again, a softmax what is added to all keys: their
# gradients are rounding errors, others on each processor, of which Adam makes whole steps.
UNSEEN = ("convs.1.bias", "qkv.bias")
TOLD = {  # what networks may be told beside the time; averages are learned after two updates, or from the first
    "classes": {"conditional": True},
    "averages": {"mean_from": 16},
    "classes and averages": {"conditional": True, "mean_from": 0},
}


def diffusion_config(network, process, prediction, weighting, times):
    return DiffusionConfig(
        dataset="shapes:8", n_train=40, batch_size=8, network=NETWORKS[network], **PROCESSES[process], lr=1e-2,
        prediction=prediction, weighting=weighting, times=times,
    )  # fmt: skip


def diffusion_numbers():
    numbers = {}
    for words in itertools.product(NETWORKS, PROCESSES, PREDICTIONS, WEIGHTINGS, TIMES):
        if words[0] != "mlp" and words[3] in WEIGHED_BY_ONE:
            continue
        try:
            _, told = first_updates(diffusion_config(*words))
        except ConfigError:
            continue  # eps on a flow and EDM's times elsewhere, which other tests ask for
        numbers[" ".join(words)] = losses(told, "loss")["loss"]
    for name, network in NETWORKS.items():
        config = diffusion_config(name, "linear", "v", "uniform", "uniform").but(ema=30.0, clip_grad=0.5, seed=2)
        learner, told = first_updates(config.but(epochs=2), 9)
        numbers[f"{name}: averaged, clipped"] = losses(told)
        told_apart = {k: v for k, v in learner.weights().items() if not k.endswith(UNSEEN)}
        numbers[f"{name}: weights"] = sums(told_apart)
        numbers[f"{name}: operations"] = operations_per_image(config, load(config.dataset))
        numbers[f"{name}: outputs"] = outputs(name)
        numbers[f"{name}: type"] = network.type
        for words, changes in TOLD.items():
            config = diffusion_config(name, "flow", "v", "uniform", "uniform").but(**changes)
            numbers[f"{name}: {words}"] = losses(first_updates(config)[1])
            numbers[f"{name}: {words}: operations"] = operations_per_image(config, load(config.dataset))
    for (name, fields), network in itertools.product(ALTERED.items(), ("mlp", "unet")):
        _, told = first_updates(diffusion_config(network, "cosine", "v", "uniform", "uniform").but(**fields))
        numbers[f"{network}: {name}"] = losses(told, "loss", "loss_vlb")
    numbers["conv: outputs at 32 pixels"] = outputs("conv", 32)  # all its dilations reach a neighbour there
    numbers["groups of norms"] = [group_norm(c).num_groups for c in (1, 3, 4, 8, 36, 64, 128, 256, 1024)]
    return numbers


SMALL_CLASSIFIER = ClassifierConfig(
    dataset="shapes:16", n_train=80, batch_size=16, width=2, schedule_epochs=2, epochs=2, flip=True, crop=2
)


@torch.no_grad()
def features():
    """Features and logits of a drawn ResNet, its batch norms with statistics of their own."""
    net = drawn(resnet9.ResNet9(2, (3, 32, 32), 10))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return [*sums({"features": net.features(x), "logits": net(x), "tiny": net.features(1e-3 * x)}).values()]


def classifier_numbers():
    learner, told = first_updates(SMALL_CLASSIFIER, 10)
    _, plain = first_updates(SMALL_CLASSIFIER.but(crop=0, flip=False, label_smoothing=0.0, weight_decay=0.0))
    test = load("shapes:16", "test")
    return {
        "training": losses(told),
        "plain": losses(plain),
        "weights": sums(learner.weights()),
        "accuracy": learner.accuracy(test.samples, test.labels),
        "features": features(),
        "operations": operations_per_image(SMALL_CLASSIFIER, load("shapes:16")),
    }


SMALL_AUTOENCODER = AutoencoderConfig(
    dataset="shapes:8", n_train=40, batch_size=8, widths=(8, 16), channels=2, lr=1e-2, lr_decay=32, kl_weight=0.01
)


def autoencoder_numbers():
    learner, told = first_updates(SMALL_AUTOENCODER)
    drawn(learner.net)
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    codec = learner.codec(std=1.5)
    z = codec.encode(x)
    return {
        "training": losses(told),
        "weights": sums(first_updates(SMALL_AUTOENCODER)[0].weights()),
        "codec": [*sums({"latents": z, "images": codec.decode(z)}).values()],
        "told": learner.assess(partial(load, "shapes:8")),
        "operations": operations_per_image(SMALL_AUTOENCODER, load("shapes:8")),
    }


WALKED = {
    "linear": SCHEDULES["linear"](10, (0.02, 0.6)),
    "cosine": SCHEDULES["cosine"](8, None),
    "flow": SCHEDULES["flow"](None, None),
}


def run_sampler(name, schedule, n_steps, **more):
    """Mean, deviation and a few values of samples by a denoiser that is no perfect one."""

    def denoise(x, t, *_):
        return Estimate(0.6 * torch.tanh(1.3 * x * schedule.scale(t).float() + 0.1 * schedule.std(t).float()))

    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    rng = torch.Generator().manual_seed(3)
    *_, end = SAMPLERS[name].run(denoise, schedule, x, n_steps=n_steps, rng=rng, **more)
    return [end.x.mean().item(), end.x.std().item(), *end.x.flatten()[:5].tolist()]


def sampler_numbers():
    numbers = {}
    for name, sampler in SAMPLERS.items():
        for process, schedule in WALKED.items():
            if sampler.own_steps_only and schedule.n_timesteps is None:
                continue
            for n_steps in (schedule.n_timesteps,) if sampler.own_steps_only else (3, 8, 15):
                for more in ({"eta": 0.0}, {"eta": 0.4}, {"eta": 1.0}) if sampler.takes_eta else ({},):
                    words = " ".join([name, process, str(n_steps), *(f"eta {eta}" for eta in more.values())])
                    numbers[words] = run_sampler(name, schedule, n_steps, **more)
    return numbers


def resolved_numbers():
    """What a sampling that leaves all open draws, and what it was taken to be."""
    numbers = {}
    plain = {process: diffusion_config("mlp", process, "v", "uniform", "uniform") for process in PROCESSES}
    altered = {name: plain["cosine"].but(**ALTERED[name]) for name in ("hybrid", "sigmoid", "EDM")}
    for process, config in (plain | altered).items():
        config = config.but(ema=30.0)
        learner = make(config, (3, 8, 8), 10)
        drawn(learner.net, 4)
        for asked in (Sampling(n=2), Sampling(n=2, weights="raw", clip_x0=False, sampler="ddim", n_steps=3)):
            *_, end = learner.sample(2, asked, stream("samples", 1, 2))
            how = learner.resolve(asked).to_dict()
            numbers[f"{process} {asked.sampler}"] = [how, *sums({"x": end.x}).values()]
    return numbers


def told_numbers():
    """Samples of drawn networks that are told classes, guided, and spans."""
    numbers = {}
    for words, changes in TOLD.items():
        learner = make(diffusion_config("mlp", "flow", "v", "uniform", "uniform").but(**changes), (3, 8, 8), 10)
        drawn(learner.net, 4)
        for n_steps, w in itertools.product((1, 3), (0.0, 1.5) if "classes" in words else (None,)):
            asked = Sampling(n=2, n_steps=n_steps, guidance=w)
            *_, end = learner.sample(2, asked, stream("samples", 1, 2))
            numbers[f"{words}: {n_steps} steps, guidance {w}"] = [*sums({"x": end.x}).values()]
    return numbers


def batchnorm_numbers():
    learner, _ = first_updates(SMALL_GAN.but(lrG=2e-2))
    numbers = {}
    for batchnorm in ("recomputed", "running", "batch", None):
        (end,) = learner.sample(4, Sampling(batchnorm=batchnorm), stream("samples", 0))
        numbers[f"batch norm {batchnorm}"] = [*sums({"x": end.x}).values()]
    return numbers


def sampling_numbers():
    streams = {p: torch.randn(2, generator=stream(p, 1, 2)).tolist() for p in PURPOSES}
    steps, quadratic, rho = (
        {name: {str(n): grid(schedule, n).tolist() for n in (3, 8, 15)} for name, schedule in WALKED.items()}
        for grid in GRIDS.values()
    )
    numbers = sampler_numbers() | resolved_numbers() | told_numbers() | batchnorm_numbers()
    return numbers | {"streams": streams, "steps": steps, "quadratic steps": quadratic, "rho steps": rho}


PINNED = {
    "gan": (gan.VERSION, gan_numbers),
    "diffusion": (diffusion.VERSION, diffusion_numbers),
    "autoencoder": (autoencoder.VERSION, autoencoder_numbers),
    "classifier": (classifier.VERSION, classifier_numbers),
    "sampling": (samplers.VERSION, sampling_numbers),
}


def flat(value, name=""):
    """Every number of nested numbers by the words that lead to it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not isinstance(value, (dict, list)):
        return {name.strip(): value}
    return {k: v for key, inner in pairs for k, v in flat(inner, f"{name} {key}").items()}


def same(a, b, name=""):
    """To a hundred-thousandth. Trained weights to a two-thousandth of Adam's step, whose sign rounding may turn."""
    if isinstance(a, float) and isinstance(b, (float, int)):
        return a == pytest.approx(b, rel=1e-5, abs=5e-6 if " weights " in f" {name}" else 2e-7)
    return a == b


def compare(known, found):
    known, found = flat(known), flat(rounded(found))
    assert known.keys() == found.keys(), (
        "other things are pinned, of which `--golden` adds what is new: see golden/README.md"
    )
    moved = {k: (v, found[k]) for k, v in known.items() if not same(v, found[k], k)}
    assert not moved, f"{len(moved)} of {len(known)} numbers moved (then, now): see golden/README.md"


def merged(found, known):
    """`known`, and of `found` what is not in it."""
    if isinstance(found, list) and isinstance(known, list) and len(found) == len(known):
        return [merged(v, k) for v, k in zip(found, known, strict=True)]
    if not isinstance(found, dict) or not isinstance(known, dict):
        return known
    return known | {k: merged(v, known.get(k, v)) for k, v in found.items()}


def pinned(name, version, numbers, request):
    """The numbers of the file, written anew where the option asks for it and the version is another.

    What is new beside them, such as another sampler, the option adds; it moves no number of the present version.
    """
    path = FOLDER / f"{name}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"version": None}
    if request.config.getoption("--golden") and known["version"] != version:
        known = {"version": version, "numbers": rounded(numbers())}
        path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    elif request.config.getoption("--golden"):
        known["numbers"] = merged(rounded(numbers()), known["numbers"])
        path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    assert known["version"] == version, (
        f"these are the numbers of version {known['version']} of {name}, the code's is {version}: "
        "pytest tests/test_golden_models.py --golden writes its own, and CHANGELOG.md says why they moved"
    )
    return known["numbers"]


@pytest.mark.parametrize("name", PINNED)
def test_the_numbers_of_a_version_have_not_moved(name, request):
    version, numbers = PINNED[name]
    compare(pinned(name, version, numbers, request), numbers())


def test_a_raised_version_asks_for_numbers_of_its_own(request, monkeypatch):
    monkeypatch.setattr(request.config.option, "golden", False)
    with pytest.raises(AssertionError, match=r"numbers of version 1 of gan, the code's is 7: pytest .* --golden"):
        pinned("gan", 7, gan_numbers, request)


# ---------------------------------------------------------------- checkpoints

# Of twelve updates an epoch. After fifteen a checkpoint stands inside an epoch, a row, and the first losses.
LONGER = {"epochs": 2, "n_train": 96, "batch_size": 8}
TRAININGS = {
    "gan": SMALL_GAN.but(network=DCGANNetwork(ngf=2, ndf=2), **LONGER),
    "diffusion": diffusion_config("mlp", "linear", "eps", "uniform", "uniform").but(
        dataset="gaussians", ema=30.0, **LONGER
    ),
    "autoencoder": SMALL_AUTOENCODER.but(widths=(2,), channels=1, lr_decay=150, **LONGER),
    "classifier": SMALL_CLASSIFIER.but(width=1, **LONGER),
}
DONE = 15


def ended(run):
    """What a training came to."""
    columns = {k: [None if v != v else v for v in column] for k, column in run.history.items()}
    return {
        "history": columns,
        "first": run.record["first_losses"],
        "operations": run.record["operations"],
        "weights": sums(run.learner.weights()),
    }


def checkpoint(name, monkeypatch):
    """Write the checkpoint of a training that stops after DONE updates."""
    config, updates = TRAININGS[name], []

    class Stopped(Exception):
        pass

    cls = type(make(config, (3, 16, 16) if name != "diffusion" else (3, 8, 8), 10))
    step = cls.step

    def limited(self, x, *more):
        updates.extend([0] if len(x) > 2 else [])
        if len(updates) > DONE:
            raise Stopped
        return step(self, x, *more)

    with monkeypatch.context() as patch:
        patch.setattr(cls, "step", limited)
        patch.setattr("gendiff_lib.runs.train.CHECKPOINT_SECONDS", -1)
        with pytest.raises(Stopped):
            train(config)
    (hidden,) = paths.runs_dir().glob(".training-*")
    shutil.copyfile(hidden / layout.CHECKPOINT, FOLDER / f"checkpoint-{name}.pt")
    shutil.rmtree(hidden)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("name", TRAININGS)
def test_a_checkpoint_of_this_version_is_gone_on_from_to_the_same_end(name, request, monkeypatch, tmp_path):
    config, path = TRAININGS[name], FOLDER / f"checkpoint-{name}.pt"
    version = PINNED[name][0]

    def numbers():
        checkpoint(name, monkeypatch)
        with monkeypatch.context() as patch:
            patch.setenv("GENDIFF_RUNS", str(tmp_path / "uninterrupted"))
            return ended(train(config))

    known = pinned(f"checkpoint-{name}", version, numbers, request)
    state = files.read_checkpoint(path)
    assert path.stat().st_size < 60_000
    assert (state["counts"]["epoch"], state["counts"]["step"], len(state["losses"])) == (1, 3, 1)
    assert len(state["first"]) == DONE - 1
    hidden = paths.runs_dir() / layout.training(config.digest)
    hidden.mkdir(parents=True)
    shutil.copyfile(path, hidden / layout.CHECKPOINT)
    run = train(config)
    assert run.record["segments"][0]["images"] >= DONE * config.batch_size  # it did not begin anew
    end = ended(run)
    end["history"] = {k: end["history"][k] for k in known["history"]}  # later code may tell more, of later rows
    compare(known, end)


def test_a_moved_number_is_seen():
    numbers = {"a": [1.0, {"b": 2.0}]}
    compare(numbers, deepcopy(numbers))
    for wrong in ({"a": [1.0, {"b": 2.0001}]}, {"a": [1.0, {"c": 2.0}]}, {"a": [1.0]}, {"a": [None, {"b": 2.0}]}):
        with pytest.raises(AssertionError, match="see golden/README"):
            compare(numbers, wrong)
