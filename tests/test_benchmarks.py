import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import contestants, processes, rivals, speed, turns
from benchmarks.scoring import TURNS, corrupted, main
from gendiff_lib.data import load
from gendiff_lib.errors import ConfigError
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.evaluation.scores import VALUES

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


# ---------------------------------------------------------------- speed


QUICK = ["--tiny", "--device", "cpu", "--threads", "1", "--seconds", "0.02", "--dataset", "shapes"]


def measured(tmp_path, *words):
    """What a run in a process of its own wrote and printed: its loaders fork, which some Pythons warn of."""
    out = tmp_path / "speed.json"
    command = [sys.executable, "-m", "benchmarks.speed", *QUICK, *words, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(speed.__file__).parents[1])
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


def test_ours_and_the_tutorial_take_turns(tmp_path):
    found, told = measured(tmp_path, "--contests", "dcgan", "--rounds", "3")
    assert found["contests"].keys() == {"dcgan"}
    assert found["threads"] == 1
    assert found["settings"]["rounds"] == 3
    assert {"commit", "date", "device", "versions", "load", "configs", "notes"} <= found.keys()
    contest = found["contests"]["dcgan"]
    ours, tutorial = contest["contestants"]["ours fp32"], contest["contestants"]["tutorial fp32"]
    for c in (ours, tutorial):
        assert len(c["seconds"]["all"]) == 3
        assert c["images"] == 8
        assert c["images_per_second"] == pytest.approx(8 / c["seconds"]["median"])
        assert 0 < c["utilisation"] < 2
    assert ours["parameters"] == tutorial["parameters"]
    assert ours["forward_flops"] == tutorial["forward_flops"]
    assert ours["flops"] < tutorial["flops"]  # which also takes D's gradients in the generator's step
    for ratio in contest["ratios"]:
        assert ratio["theirs"] == "tutorial fp32"
        assert ratio["raw"] == ratio["per_flop"]
        assert "goal" not in ratio  # nothing is claimed of a rehearsal
    assert all(word in told for word in ("ours fp32", "tutorial fp32", "times as fast", "matmul fp32", "load"))


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("diffusers", "denoising_diffusion_pytorch")),
    reason="needs diffusers and denoising-diffusion-pytorch",
)
def test_the_u_nets_are_the_same_work(tmp_path):
    found, _ = measured(tmp_path, "--contests", "unet,ddim", "--rounds", "1", "--sampling-steps", "2")
    assert {"diffusers", "denoising-diffusion-pytorch"} <= found["versions"].keys()
    for contest in found["contests"].values():
        ours, diffusers = contest["contestants"]["ours fp32"], contest["contestants"]["diffusers fp32"]
        assert ours["parameters"] == diffusers["parameters"]
        assert ours["forward_flops"] == diffusers["forward_flops"]
        for ratio in (r for r in contest["ratios"] if r["theirs"].startswith("lucidrains")):
            theirs = contest["contestants"][ratio["theirs"]]["forward_flops"]
            scale = ours["forward_flops"] / theirs
            assert ratio["per_flop"]["median"] == pytest.approx(scale * ratio["raw"]["median"])
    drawn = found["contests"]["ddim"]["contestants"]
    assert all(c["flops"] == 2 * c["images"] * c["forward_flops"] for c in drawn.values())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--contests", "dcgan,chess"], "chess"),
        (["--device", "tpu"], "tpu"),
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "soon"], "--seconds"),
        (["--rounds", "0"], "--rounds"),
        (["--threads", "-1"], "--threads"),
        (["--sampling-steps", "none"], "--sampling-steps"),
        (["--dataset", "gaussians"], "gaussians"),
        (["--dataset", "shapes:16"], "shapes:16"),
        (["--out", "/dev/null/speed.json"], "/dev/null"),
        (["--fast"], "--fast"),
    ],
)
def test_bad_words_for_speed_are_one_sentence(words, named, capsys):
    usual = {"--dataset": "shapes", "--contests": "dcgan"}
    others = [word for pair in usual.items() if pair[0] not in words for word in pair]
    assert speed.main(["--tiny", *others, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("benchmarks.speed: ")
    assert named in err


@pytest.mark.parametrize("package", ["diffusers", "denoising_diffusion_pytorch"])
def test_a_missing_package_is_one_sentence_with_the_remedy(package, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(speed, "PACKAGES", {k: v for k, v in speed.PACKAGES.items() if v[0] == package})
    assert speed.main([*QUICK, "--contests", "unet"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert all(word in err for word in (package, "pip install", "[bench]", "--contests"))


def test_a_benchmark_of_no_kind_is_one_sentence():
    done = subprocess.run([sys.executable, "-m", "benchmarks", "fast"], capture_output=True, text=True)
    assert done.returncode != 0
    assert (
        done.stderr
        == "benchmarks: name one of speed, scoring, processes, costs, such as `python -m benchmarks speed --help`\n"
    )


def test_without_bf16_its_contestants_are_left_out(monkeypatch):
    def refuse(config, device):
        if config.precision == "bf16":
            raise ConfigError("no bf16 here")

    monkeypatch.setattr(speed.machine, "check_precision", refuse)
    precisions, left_out = speed._precisions(setup())
    assert precisions == ["fp32"]
    assert len(left_out) == 1
    assert "no bf16 here" in left_out[0]


def setup():
    return turns.Setup(
        dataset=load("shapes"),
        device=torch.device("cpu"),
        gan=speed.ours.gan_config("shapes", tiny=True),
        unet=speed.ours.unet_config("shapes", tiny=True),
        n_samples=2,
        sampling_steps=2,
        workers=0,
    )


def timing(whose, images, flops, seconds):
    contestant = turns.Contestant(
        whose=whose, precision="fp32", images=images, parameters=1, turn=lambda n: None, forward=lambda: None
    )
    return turns.Timing(contestant=contestant, forward_flops=flops, flops=3 * flops * images, pieces=1, seconds=seconds)


def test_ratios_are_medians_of_rounds_and_scaled_by_operations():
    ours, theirs = timing("ours", 10, 200, [1.0, 2.0, 4.0]), timing("theirs", 20, 100, [6.0, 6.0, 6.0])
    found = turns.compare(ours, theirs)
    assert found["raw"]["all"] == pytest.approx([3.0, 1.5, 0.75])  # images a second: 10, 5, 2.5 against 20/6
    assert found["raw"]["median"] == pytest.approx(1.5)
    assert found["per_flop"]["all"] == pytest.approx([6.0, 3.0, 1.5])
    assert turns.summary(ours, {"fp32": [6000.0, 6000.0, 1.0]})["utilisation"] == 0.5
    reached = speed._ratio("unet", ours, theirs, {("unet", "ours fp32", "theirs fp32"): 2.9})
    assert (reached["goal"], reached["reached"]) == (2.9, True)
    assert not speed._ratio("unet", ours, theirs, {("unet", "ours fp32", "theirs fp32"): 3.1})["reached"]
    assert "goal" not in speed._ratio("ddim", ours, theirs, {("unet", "ours fp32", "theirs fp32"): 3.1})


def test_turns_have_about_the_length_asked_for():
    done = []
    contestant = turns.Contestant(
        whose="ours", precision="fp32", images=1, parameters=1, turn=lambda n: done.append(n) or time.sleep(0.01 * n),
        forward=lambda: torch.ones(2, 3) @ torch.ones(3, 4),
    )  # fmt: skip
    found = turns.prepare(contestant, 0.2, torch.device("cpu"))
    assert found.forward_flops == 2 * 2 * 3 * 4
    assert 5 <= found.pieces <= 20
    turns.race([found], 2, 8, torch.device("cpu"), matmul_seconds=0.001)
    assert done[-2:] == [found.pieces] * 2
    assert len(found.seconds) == 2


def test_a_loader_has_no_more_work_than_its_turn():
    feed = rivals._Feed(setup(), [rivals.transforms.ToTensor()], 8)
    for n in (1, 3):
        batches = list(feed(n))
        assert len(batches) == n
        assert all(x.shape == (8, 3, 32, 32) for x in batches)


def test_the_tutorial_trains_both_networks():
    made = rivals._Tutorial(setup(), "fp32")
    before = [weight.detach().clone() for net in (made.net_d, made.net_g) for weight in net.parameters()]
    made.turn(1)
    after = [weight for net in (made.net_d, made.net_g) for weight in net.parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    ((loss_d, loss_g, *probabilities),) = made.log
    assert loss_d > 0
    assert loss_g > 0
    assert all(0 < p < 1 for p in probabilities)


# ---------------------------------------------------------------- processes


def test_one_process_its_threads_and_two_processes_are_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(processes.TRAININGS, "unet")  # each turn is a start by torchrun, but for those of one here
    started = processes._started
    monkeypatch.setattr(processes, "_started", lambda t: processes.train(t) if t.processes == 1 else started(t))
    out = tmp_path / "processes.json"
    words = ["--tiny", "--seconds", "1", "--rounds", "1", "--dataset", "shapes", "--beside", "tests", "--out", str(out)]
    assert processes.main(words) == 0
    found = json.loads(out.read_text())
    assert {"commit", "date", "device", "load", "notes"} <= found.keys()
    assert found["beside"] == "tests"
    dcgan = found["trainings"]["dcgan"]
    ways = ["1 process of 1 thread", "1 process of 2 threads", "2 processes of 1 thread"]
    assert list(dcgan["images_per_second"]) == sorted(ways)
    one, _, two = (dcgan["turns"][way][0]["images_per_second"] for way in ways)
    assert dcgan["efficiency"]["all"] == [two / (2 * one)]
    assert dcgan["turns"][ways[0]][0]["images"] % dcgan["batch_size"] == 0
    assert "of 2 times one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--processes", "1"], "--processes"),
        (["--dataset", "gaussians"], "--dataset gaussians"),
        (["--out", "/dev/null/processes.json"], "/dev/null"),
    ],
)
def test_bad_words_for_processes_are_one_sentence(words, named, capsys):
    assert processes.main(["--tiny", *words]) == 2
    err = capsys.readouterr().err
    assert named in err
    assert err.count("\n") == 1
    assert err.startswith("benchmarks.processes: ")
