import pytest
import torch

from gendiff_lib.config import Sampling
from gendiff_lib.errors import ConfigError
from gendiff_lib.evaluation.calibration import Calibration, calibrate, publish_calibration
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.runs import files
from gendiff_lib.runs.train import train
from gendiff_lib.versions import result_versions


def network(images):
    flat = images.float().flatten(1)
    return torch.stack([flat.mean(1), flat.std(1), flat[:, :64].mean(1), flat[:, 64:].std(1)], 1) / 32, flat[:, :3]


PIXELS = Extractor("pixels", "0123456789ab", network)


def test_told_errors_come_near_to_the_spread_of_draws_and_are_kept(gan, published):
    run = train(gan.but(epochs=4, n_train=64))
    found = calibrate(run, Sampling(n=400, batch_size=100), PIXELS, n=100, draws=12, n_real=200)
    ratios = found.ratios()
    assert set(ratios) >= {"frechet_distance", "precision", "coverage"}
    assert 0.4 < ratios["frechet_distance"] < 2.5
    assert len({s.frechet_distance for s in found.draws}) == 12
    path = publish_calibration(found, run.config.dataset)
    assert path == published / "validation" / "shapes-pixels-calibration.json"
    assert files.read_json(path)["made"] == found.made
    assert found.made["versions"] == result_versions("features", "metrics")


def test_the_spread_counts_what_a_draw_takes_of_its_pool(gan):
    run = train(gan)
    found = calibrate(run, Sampling(n=200, batch_size=100), PIXELS, n=50, draws=4, n_real=200)
    values = torch.tensor([s.frechet_distance for s in found.draws], dtype=torch.float64)
    assert found.spread("frechet_distance") == pytest.approx(values.std().item() / 0.75**0.5)
    whole = Calibration(found.n, 10**9, found.draws, {})
    assert whole.spread("frechet_distance") == pytest.approx(values.std().item())


def test_draws_that_tell_no_spread_are_refused(gan):
    run = train(gan)
    for n, draws in ((200, 10), (10, 10), (50, 2)):
        with pytest.raises(ConfigError, match="tell no spread"):
            calibrate(run, Sampling(n=200), PIXELS, n=n, draws=draws)
