import dataclasses

import pytest
import torch

from gendiff_lib.evaluation.calibration import Calibration, publish_calibration
from gendiff_report import results, tables
from gendiff_report.asking import Asking
from gendiff_report.tables import trust as trust_tables
from gendiff_report.tables.validation import PRINTED
from gendiff_report.validated import UNITS, ordered
from tests.evaluation.test_metrics import gaussian, scored


def calibrated(extractor="pixels", **changes):
    """A calibration of six draws whose fd spreads by as much as they tell, over a large pool."""
    one = scored(gaussian(60), gaussian(50, seed=5))
    values = (9.0, 11.0, 9.0, 11.0, 9.0, 11.0)
    errors = dict.fromkeys(one.errors, 2.0 * 1.2**0.5)
    draws = tuple(
        dataclasses.replace(one, extractor=extractor, frechet_distance=v, errors=errors, **changes) for v in values
    )
    made = {"run": "a-run", "epochs": 2.0, "seconds": 3.0, "device": "a machine", "commit": "c", "versions": {}}
    return Calibration(60, 10**12, draws, made)


def test_told_errors_stand_beside_their_spread_a_column_an_extractor(published):
    asked = Asking(preset="smoke")
    none = tables.errors(asked)
    assert none.found == {}
    assert "<code>gendiff calibrate</code> makes one" in none.html
    publish_calibration(calibrated(), "shapes")
    publish_calibration(calibrated("inception", classifier_score=None, classifier_score_std=None), "shapes")
    table = tables.errors(asked)
    ratios, text = table.found, table.html
    assert ratios["pixels"]["frechet_distance"] == pytest.approx(2.0)
    assert "classifier_score" not in ratios["inception"]
    assert '<th scope="col">inception</th><th scope="col">pixels</th>' in text
    assert "IS or cs" in text
    assert "none: no logits" in text
    assert "6 draws of 60 from 1,000,000,000,000 samples of a-run, a spread known to 32%" in text
    assert "gendiff calibrate a-run --epoch 2 --n 60 --pool 1000000000000 --draws 6 --extractor pixels" in text
    assert "The calibrations by inception, pixels are older than the code" in text


def test_the_doubt_about_a_spread_is_that_of_normal_values():
    rng = torch.Generator().manual_seed(0)
    spreads = torch.randn(4000, 10, generator=rng, dtype=torch.float64).std(1)
    assert trust_tables.doubt(10) == pytest.approx(spreads.std().item(), rel=0.05)


def test_where_nothing_is_published_the_splits_have_no_distance(published):
    assert tables.splits().html == ""


def test_the_distance_of_cifar10s_splits_stands_beside_the_printed_ones():
    text = tables.splits().html
    assert ">3.1508</button>" in text
    assert all(f"<td>{fid}</td>" in text for fid in PRINTED.values())
    assert list(PRINTED.values()) == pytest.approx([3.1508] * len(PRINTED), abs=0.002)
    assert "10,000 test, 50,000 train" in text


def test_agreement_grows_with_what_is_published(published, monkeypatch):
    asked = Asking(preset="smoke")
    none = tables.agreement(asked)
    assert none.found == []
    assert "scored by two extractors yet" in none.html
    one = scored(gaussian(60), gaussian(50, seed=5))
    sets = {
        str(i): [dataclasses.replace(one, extractor=e, frechet_distance=fd) for e, fd in (("x", i), ("y", i * i))]
        for i in range(4)
    }
    monkeypatch.setattr(trust_tables, "scored_sets", lambda dataset: sets)
    table = tables.agreement(asked)
    assert table.found[0].tau == 1
    assert ">1.00</button>" in table.html
    monkeypatch.setattr(trust_tables, "scored_sets", lambda dataset: {k: sets[k] for k in "01"})
    assert "fewer than 3 sets" in tables.agreement(asked).html


def test_models_that_two_spaces_order_differently_are_named():
    one = scored(gaussian(60), gaussian(50, seed=5))

    def by(extractor, **fds):
        return {k: [dataclasses.replace(one, extractor=extractor, frechet_distance=fd)] for k, fd in fds.items()}

    text = tables.unlike(by("x", a=1.0, b=2.0, c=3.0), by("y", a=1.0, b=3.0, c=2.0, d=0.0)).html
    told = "order these differently: b and c. A lead in one space alone is no verdict"
    assert text == f"<p>By the Fréchet distance x and y {told}.</p>"
    assert "x and y order all 2 alike" in tables.unlike(by("x", a=1.0, b=2.0), by("y", a=10.0, b=30.0)).html
    assert tables.unlike(by("x", a=1.0), by("y", a=1.0)).html == ""


def test_damage_is_told_in_order_or_not():
    asked = Asking(preset="smoke")
    (found,) = results.validations(asked).values()
    table = tables.damage(asked, {"mine": found})
    assert table.found == {"mine": sum(ordered(found, "frechet_distance").values())}
    assert table.html.count('class="number"') == len(UNITS)
    spoilt = dataclasses.replace(found, rows=tuple(dataclasses.replace(r, level=-r.level) for r in found.rows))
    table = tables.damage(asked, {"mine": spoilt})
    assert table.found == {"mine": 0}
    assert "does not always grow" in table.html
