import json

import pytest
import torch

from benchmarks import contestants
from benchmarks.scoring import TURNS, corrupted, main
from gendiff_lib.features import Extractor
from gendiff_lib.metrics import VALUES

TINY = ["--dataset", "shapes:16", "--preset", "smoke", "--n-fake", "60", "--n-real", "80", "--repeats", "1"]


def test_both_libraries_are_measured_and_agree(tmp_path, capsys):
    out = tmp_path / "results" / "scoring.json"
    assert main([*TINY, "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert {k: found[k] for k in ("dataset", "preset", "n_fake", "n_real", "repeats", "device_type")} == {
        "dataset": "shapes:16", "preset": "smoke", "n_fake": 60, "n_real": 80, "repeats": 1, "device_type": "cpu"
    }  # fmt: skip
    assert found["extractor"]["name"] == "shapes-classifier"
    assert {"torch", "torch-fidelity"} <= found["versions"].keys()
    assert {"commit", "date", "threads", "device", "notes", "reference"} <= found.keys()
    assert found["contestants"].keys() == TURNS.keys()
    for contestant in found["contestants"].values():
        assert contestant["seconds"]["min"] > 0
        assert contestant["peak_bytes"]["median"] >= contestant["loaded_bytes"]["median"] > 2**20
    for ratios in found["ratios"].values():
        assert ratios["seconds"]["of_medians"] > 0
        assert ratios["peak_bytes"]["of_medians"] > 0
    assert_agree(found)
    told = capsys.readouterr().out
    assert all(word in told for word in (*TURNS, "theirs / ours", "recall"))


def assert_agree(found):
    for label in ("ours cold", "ours kept"):
        values = found["contestants"][label]["values"]
        assert set(VALUES) <= values.keys()
        assert {"frechet_distance error", "coverage error"} <= values.keys()
    for name, values in found["values"].items():
        close = pytest.approx(values["ours cold"], rel=1e-4, abs=1e-5)
        assert values["ours kept"] == pytest.approx(values["ours cold"], rel=1e-6), name
        assert values["theirs cold"] == close, name
        assert values["theirs kept"] == close, name
    assert 0 < found["values"]["precision"]["ours cold"] <= 1
    assert found["values"]["frechet_distance"]["ours cold"] > 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--n-fake", "10"], "--n-fake"),
        (["--n-real", "many"], "--n-real"),
        (["--repeats", "0"], "--repeats"),
        (["--dataset", "shapes", "--n-fake", "3000"], "--n-fake 3000"),
        (["--dataset", "shapes", "--n-real", "10001"], "--n-real 10001"),
        (["--dataset", "gaussians"], "gaussians"),
        (["--dataset", "cats"], "cats"),
        ([*TINY, "--preset", "big"], "big"),
        (["--fast"], "--fast"),
        ([*TINY, "--out", "/dev/null/scoring.json"], "/dev/null"),
    ],
)
def test_bad_input_is_one_sentence_that_names_it(words, named, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("benchmarks.scoring: ")
    assert named in err


def test_what_is_kept_is_the_reference_alone_on_both_sides(tmp_path, monkeypatch):
    seen = []

    def network(images):
        seen.append(len(images))
        x = images.float().flatten(1)
        return x[:, :5], x[:, -3:] / 100

    monkeypatch.setenv("GENDIFF_CACHE", str(tmp_path / "known"))
    extractor = Extractor("benchmark-test", "d1", network)
    fake, real = torch.randint(0, 256, (2, 90, 3, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
    fake = fake[:60]
    task = contestants.Task(
        contestant="", dataset="", preset="", images="", cache=str(tmp_path / "known"), reference="real-1", n_fake=60,
        n_real=90, batch_size=1000, prc_batch_size=1000, kid_subset_size=60, save_cpu_ram=True,
    )  # fmt: skip
    expected = {"prepare": [20, 90, 90], "theirs": [60, 90], "theirs cached": [60], "ours": [60]}
    for contestant in ("prepare", "theirs", "theirs cached", "theirs cached", "ours"):
        seen.clear()
        contestants.CONTESTANTS[contestant](task, extractor, fake, real)
        assert sorted(seen) == expected[contestant], contestant


def test_corrupted_images_are_others_but_near_and_always_the_same():
    images = torch.randint(0, 256, (4, 3, 1, 1)).byte().expand(4, 3, 8, 8).contiguous()
    made = corrupted(images)
    assert made.dtype == torch.uint8
    assert torch.equal(made, corrupted(images))
    distance = (made.int() - images.int()).abs().float().mean()
    assert 1 < distance < 15
