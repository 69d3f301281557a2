import shutil

import pytest
import torch

from gendiff_lib import paths
from gendiff_lib.diffusion.config import ConvNetwork, DiffusionConfig, MLPNetwork
from gendiff_lib.experiments import extractors
from gendiff_lib.gan.config import DCGANNetwork, GANConfig
from gendiff_lib.runs import train as recorder

# Files of tests that take long, the longest first: a process that began one last would end long after all others.
LONGEST = (
    "test_notebooks", "test_cli", "test_distributed", "test_benchmarks", "test_survival", "test_score_tables",
    "test_engine", "test_front", "test_equal", "test_processes", "test_claims", "test_train", "test_queue",
    "test_preparing", "test_inception", "test_questions",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_addoption(parser):
    parser.addoption("--golden", action="store_true", help="write the numbers of a raised VERSION into tests/golden")


@pytest.fixture(autouse=True)
def _private_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GENDIFF_DEVICE", "cpu")
    monkeypatch.delenv("GENDIFF_DATA_DIR", raising=False)
    monkeypatch.delenv("GENDIFF_INCEPTION", raising=False)
    monkeypatch.delenv("GENDIFF_VGG16", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of processes that a test starts
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def _classifiers(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(autouse=True)
def _one_training_of_a_classifier(_private_folders, _classifiers, monkeypatch):
    """Where samples of `shapes` are judged by its classifier, one training serves all tests: each has a copy of it."""
    train = extractors.train

    def trained(config):
        kept = _classifiers / f"{config.digest}-{config.epochs:g}"
        if config.dataset != "shapes" or recorder.found(config, again=False):  # which a test may have replaced
            return train(config)
        if kept.exists():
            shutil.copytree(kept, paths.runs_dir() / f"{config.name}-{config.digest}")
            return recorder.found(config, again=False)
        run = train(config)
        shutil.copytree(run.folder, kept)
        return run

    monkeypatch.setattr(extractors, "train", trained)


@pytest.fixture(scope="session", autouse=True)
def _checkout_untouched():
    """What is published is never a test's: the checkout's runs are as they were when all tests have run."""

    def there():
        return {p: p.stat().st_mtime_ns for p in paths.published_dir().rglob("*")}

    before = there()
    yield
    assert there() == before, f"tests wrote into the checkout: {sorted(p for p, _ in there().items() ^ before.items())}"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """An empty folder of published runs in the place of the checkout's."""
    folder = tmp_path / "published"
    monkeypatch.setattr(paths, "published_dir", lambda: folder)
    return folder


@pytest.fixture
def points():
    return DiffusionConfig(
        name="points",
        dataset="gaussians",
        n_train=256,
        batch_size=32,
        epochs=2,
        schedule="flow",
        prediction="v",
        ema=200.0,
        lr=1e-3,
        network=MLPNetwork(n_layers=1, hidden_dim=8, timestep_embedding_dim=4),
    )


@pytest.fixture
def conv():
    return DiffusionConfig(
        name="conv",
        dataset="shapes:8",
        n_train=64,
        batch_size=16,
        n_timesteps=10,
        beta_minmax=(0.01, 0.5),
        network=ConvNetwork(n_layers=2, hidden_dim=8, timestep_embedding_dim=4),
    )


@pytest.fixture
def gan():
    return GANConfig(
        name="gan", dataset="shapes:8", n_train=64, batch_size=16, nz=4, network=DCGANNetwork(ngf=4, ndf=4)
    )
