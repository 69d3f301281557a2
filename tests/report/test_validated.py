import dataclasses

import pytest

from gendiff_lib.evaluation.calibration import Calibration, calibration_path, publish_calibration
from gendiff_lib.evaluation.scores import VALUES
from gendiff_lib.evaluation.validation import VERSIONED, Row, Validation, read_validation
from gendiff_lib.runs import files
from gendiff_lib.runs.files import StoreError
from gendiff_lib.versions import VERSIONS, result_versions
from gendiff_report import results
from gendiff_report.asking import Asking
from gendiff_report.provenance import is_stale
from gendiff_report.validated import UNITS, calibration, ordered, published_calibrations, read_calibration
from tests.evaluation.test_metrics import gaussian, scored
from tests.evaluation.test_validation import DAMAGES, PUBLISHED


def test_the_spread_of_sets_is_pooled_within_permutations():
    one = scored(gaussian(60), gaussian(50, seed=5))
    values = {0: (1.0, 2.0, 3.0), 1: (11.0, 13.0, 15.0)}  # variances 1 and 4
    rows = [
        Row("independent sets", level, "", dataclasses.replace(one, recall=v, errors={"recall": error}))
        for level, several in values.items()
        for v, error in zip(several, (0.0, 1.0, 2.0), strict=True)
    ]
    spread, told = calibration(Validation("shapes", tuple(rows), {}), "recall")
    assert (spread, told) == pytest.approx((2.5**0.5, (5 / 3) ** 0.5))


def test_told_errors_come_near_to_the_spread_of_sets():
    (found,) = results.validations(Asking(preset="smoke")).values()
    for name in VALUES:
        spread, told = calibration(found, name)
        assert 0.4 < told / spread < 2.5, name  # few images a set, of one classifier of 2 epochs


def test_it_is_outlived_once_a_version_is_raised(monkeypatch):
    found = Validation("shapes", (), {"versions": result_versions(*VERSIONED)})
    assert not is_stale(found)
    monkeypatch.setitem(VERSIONS, "metrics", VERSIONS["metrics"] + 1)
    assert is_stale(found)


def test_every_kind_of_damage_has_a_unit():
    assert list(UNITS) == DAMAGES


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda p: p.stem)
def test_a_published_extractor_is_a_measure(path):
    found = read_validation(path)
    assert ordered(found, "frechet_distance") == dict.fromkeys(UNITS, True)
    assert {f"{row.scores.extractor}-{row.scores.extractor_digest}" for row in found.rows} == {
        path.stem.rsplit("-", 3)[0]
    }
    assert len(found.rows) == 135
    assert not is_stale(found)


def test_what_is_published_comes_back_by_extractor(published):
    one = scored(gaussian(60), gaussian(50, seed=5))
    found = Calibration(60, 1000, (one, one, one), {"run": "r"})
    assert published_calibrations("shapes:16") == {}
    publish_calibration(found, "shapes:16")
    assert published_calibrations("shapes:16") == {one.extractor: found}
    assert published_calibrations("cifar10") == {}


def test_a_damaged_calibration_is_named(published):
    path = published / "validation" / "shapes-pixels-calibration.json"
    files.write_json(path, {"n": 1, "pool": 2, "made": {}})
    with pytest.raises(StoreError, match=r"shapes-pixels-calibration.json is damaged"):
        published_calibrations("shapes:16")


CALIBRATED = sorted(calibration_path("cifar10", "*").parent.glob("*-calibration.json"))


@pytest.mark.parametrize("path", CALIBRATED, ids=lambda p: p.stem)
def test_published_standard_errors_are_near_the_spread_of_draws(path):
    found = read_calibration(path)
    assert len(found.draws) >= 10
    assert not is_stale(found)
    assert all(0.7 <= ratio <= 1.5 for ratio in found.ratios().values()), found.ratios()
