import shutil

import pytest
import torch

from gendiff_lib.config import Sampling
from gendiff_lib.data import load
from gendiff_lib.evaluation.bits import bits_of
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import extract
from gendiff_lib.evaluation.memorisation import neighbours_of
from gendiff_lib.experiments import get
from gendiff_lib.experiments.extractors import offline
from gendiff_lib.graphs import CapturedNetwork
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import sample
from gendiff_lib.runs.train import train
from gendiff_lib.training.build import build, start
from gendiff_lib.training.engine import CapturedStep, accelerate
from gendiff_lib.training.loop import fit

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.fixture(autouse=True)
def _on_the_gpu(monkeypatch):
    monkeypatch.setenv("GENDIFF_DEVICE", "cuda")


@pytest.mark.parametrize(
    "name", ["dcgan", "dcgan-32", "ddpm-conv", "ddpm-mlp", "ddpm-unet", "flow-unet", "live-gan-2d"]
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_trains_continues_and_samples(name, precision):
    config = get(name, "smoke", precision=precision, epochs=1)
    assert train(config).epochs == (1,)
    run = train(config.but(epochs=2))
    assert run.epochs[-1] == 2
    first = sample(run, Sampling(n=8, batch_size=4))
    assert len(first) == 8
    assert run.learner.device.type == "cuda"


def test_the_classifier_extracts_on_the_gpu_what_it_extracts_on_the_cpu(monkeypatch, tmp_path):
    images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    there = extract(offline("shapes", "smoke"), images)
    monkeypatch.setenv("GENDIFF_DEVICE", "cpu")
    monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / "another"))
    here = extract(offline("shapes", "smoke"), images)
    torch.testing.assert_close(here[:3], there[:3], rtol=1e-3, atol=1e-3)
    assert here.source == there.source


@pytest.mark.parametrize("name", ["dcgan", "ddpm-conv", "ddpm-unet", "ddpm-transformer", "live-gan-2d"])
@pytest.mark.parametrize("how", ["graph", "compile"])
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # which the compiler reads of a GAN's fakes
def test_captured_and_compiled_steps_agree_with_eager_ones(name, how):
    config = get(name, "smoke", epochs=1)
    dataset = load(config.dataset).choose(config.n_train, "n_train")
    found = {}
    for engine in ("eager", how):
        learner = build(config, dataset)
        progress = start(config, dataset, learner.device)
        step = accelerate(learner, engine)
        for _ in fit(learner, dataset.to(learner.device), config, progress, step):
            pass
        assert isinstance(step, CapturedStep) == (engine != "eager")
        assert engine == "eager" or step.graph is not None  # else eager steps would be compared with eager ones
        found[engine] = torch.tensor([row[k] for row in progress.history for k in row if k.startswith("loss")])
    torch.testing.assert_close(found[how], found["eager"], rtol=2e-2, atol=2e-2)


def test_captured_networks_sample_what_eager_ones_do(monkeypatch):
    run = train(get("ddpm-unet", "smoke", epochs=1))
    captured = sample(run, Sampling(n=8, batch_size=4))
    assert all(isinstance(net, CapturedNetwork) and net.graphs for net in run.learner.captured.values())
    monkeypatch.setenv("GENDIFF_ENGINE", "eager")
    again = Run.read(run.folder)
    shutil.rmtree(run.folder / "samples")
    assert (sample(again, Sampling(n=8, batch_size=4)).int() - captured.int()).abs().max() <= 2


def test_scores_copies_and_bits_are_those_of_the_cpu(monkeypatch, tmp_path):
    run = train(get("ddpm-unet", "smoke", epochs=1))
    few = Sampling(n=40, n_steps=3)
    sample(run, few)
    found = {}
    for seed, device in enumerate(("cuda", "cpu")):
        monkeypatch.setenv("GENDIFF_DEVICE", device)
        monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / device))
        for kept in (*run.folder.glob("samples/*/scores-*"), *run.folder.glob("samples/*/neighbours-*")):
            kept.unlink()
        here, judge = Run.read(run.folder), offline("shapes", "smoke")
        scores = evaluate(here, few, judge, 60).values
        copies = neighbours_of(here, few, judge, 30)
        found[device] = (scores, copies.pixel, copies.feature.median(), bits_of(here, 20, seed=seed).total)
    gpu, cpu = found["cuda"], found["cpu"]
    assert gpu[0] == pytest.approx(cpu[0], rel=1e-2, abs=1e-3)
    torch.testing.assert_close(gpu[1], cpu[1])
    torch.testing.assert_close(gpu[2], cpu[2], rtol=1e-3, atol=1e-3)
    assert gpu[3] == pytest.approx(cpu[3], rel=0.05)  # another noise on each device
