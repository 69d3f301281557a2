import importlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from gendiff_lib.errors import GendiffError
from gendiff_lib.experiments import PAPER_PAIR, budget, get
from gendiff_lib.runs import files
from gendiff_lib.runs import train as recorder
from gendiff_lib.training.build import images_at
from gendiff_report import preparing
from gendiff_report.answer import in_readme
from gendiff_report.asking import Asking

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"


def test_every_notebook_and_page_is_in_the_table_of_contents():
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text())
    listed = {c["file"] for part in toc["parts"] for c in part["chapters"] if "file" in c} | {toc["root"]}
    notebooks = {f"executed/{p.stem}" for p in (ROOT / "notebooks").glob("*.ipynb")}
    pages = {p.stem for p in BOOK.glob("*.md")}
    assert listed == notebooks | pages


def test_every_figure_of_the_paper_has_its_row():
    """Fig. 13 is a code that leads to a repository; its row says that this book has none, as long as that is so."""
    text = (BOOK / "figures.md").read_text()
    rows = re.findall(r"^\* - Figs?\. (\d+)(?: and (\d+))?$", text, flags=re.M)
    assert [int(n) for row in rows for n in row if n] == list(range(1, 18))
    assert all("{doc}" in row or "{numref}" in row or "none:" in row for row in text.split("* - Fig")[1:])
    settings = yaml.safe_load((BOOK / "_config.yml").read_text())["sphinx"]["config"]["html_theme_options"]
    assert ("without an address of its own" in text) == (not settings["repository_url"])


def test_every_display_equation_is_labelled():
    text = (BOOK / "method.md").read_text()
    blocks = re.findall(r"```\{math\}\n(.*?)```", text, flags=re.S)
    assert blocks
    assert all(block.startswith(":label: eq-") for block in blocks)
    assert "$$" not in text


def test_every_citation_is_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text(), flags=re.M))
    sources = [p.read_text() for p in (*BOOK.glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb"))]
    cited = {
        k.strip() for s in sources for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", s) for k in keys.split(",")
    }
    assert cited
    assert cited <= known


@pytest.fixture
def builder(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK))
    return importlib.import_module("build")


@pytest.fixture
def refused(builder, monkeypatch):
    """What `make book` ends with, given these words."""
    monkeypatch.setenv("GENDIFF_TRAIN", "0")  # main sets it

    def told(*words):
        monkeypatch.setattr(sys, "argv", ["build.py", *words])
        with pytest.raises(SystemExit) as ended:
            builder.main()
        return ended.value.code

    return told


def test_bad_words_of_make_book_are_one_sentence(refused):
    for words, named in (
        (["--preset", "huge"], "huge"),
        (["--preset", "smoke", "--epochs", "0"], "epochs"),
        (["--preset", "smoke", "--epochs", "x"], "epochs"),
        (["--preset", "smoke", "--dataset", "cats"], "cats"),
    ):
        told = refused(*words)
        assert named in told
        assert "\n" not in told
    command = [sys.executable, str(BOOK / "build.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"{told}\n"


def test_a_long_training_of_make_book_is_one_sentence_before_anything_is_trained(refused, tmp_path):
    told = refused("--preset", "smoke", "--epochs", "1000000")
    assert re.fullmatch(r"\[book\] \S+ to 1e\+06 epochs takes about \S+ hours here: (.*)", told)
    assert told.endswith("here: add YES=1 to wait for it, or lower EPOCHS")
    assert not list((tmp_path / "runs").glob("[!.]*"))


def test_with_yes_a_long_training_is_told_and_waited_for(builder, monkeypatch, capsys):
    trained = []

    def train(config, again):
        trained.append(config.name)
        raise GendiffError("begun")

    monkeypatch.setattr(budget, "seconds_left", lambda config, _: 6000.0 if config.name == "ddpm-conv" else 0.0)
    monkeypatch.setattr(recorder, "train", train)
    asked = Asking(preset="smoke", epochs=2.0)
    with pytest.raises(budget.TooLong, match=r"ddpm-conv to 2 epochs takes about 1.7 hours here: add YES=1"):
        builder.train_missing(asked, False, None, 1)
    assert trained == []
    with pytest.raises(GendiffError, match="begun"):
        builder.train_missing(asked, False, math.inf, 1)
    assert "ddpm-conv to 2 epochs takes about 1.7 hours here\n" in capsys.readouterr().err
    assert len(trained) == 1


@pytest.mark.parametrize(("words", "hours"), [([], None), (["--yes"], math.inf)])
def test_yes_reaches_the_trainings(words, hours, builder, monkeypatch):
    def told(asked, reads, patience, jobs):
        raise GendiffError(f"{asked.preset} {asked.epochs:g} {reads} {patience}")

    monkeypatch.setattr(builder, "train_missing", told)
    monkeypatch.setattr(sys, "argv", ["build.py", "--preset", "overnight", "--epochs", "60", "--train", *words])
    monkeypatch.setenv("GENDIFF_TRAIN", "1")  # main sets it
    monkeypatch.setenv("GENDIFF_DATA_DIR", "/nothing")
    monkeypatch.setattr(builder, "choose_dataset", lambda *asked: "")
    with pytest.raises(SystemExit, match=re.escape(f"[book] overnight 60 False {hours}")):
        builder.main()


def test_a_build_that_only_reads_says_which_epochs_there_are(builder, monkeypatch, capsys):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    monkeypatch.setattr(preparing, "side_by_side", lambda work, items, jobs: None)
    builder.train_missing(Asking(preset="overnight", epochs=21.0), True, None, 1)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[book] not shown: dcgan-32 ")]
    assert len(told) == 1
    assert "there at epochs 6.24615, " in told[0]
    assert told[0].endswith("not at 21 (`make book PRESET=overnight EPOCHS=21 TRAIN=1` trains it here)")


@pytest.mark.parametrize(
    ("device", "widths"), [("cpu", {"dcgan": 3, "live-gan-2d": 3}), ("cuda", {"live-gan-2d": 3, "dcgan": 1})]
)
def test_trainings_go_side_by_side_but_share_no_gpu(device, widths, builder, monkeypatch):
    """The collapse page's long training and the short one of the same run are one piece of work, the long one first."""
    begun, told = {}, []

    def side_by_side(work, items, jobs):
        told.extend(items)
        begun.update({configs[0].name: jobs for configs in items})

    monkeypatch.setattr(preparing, "side_by_side", side_by_side)
    monkeypatch.setattr("gendiff_lib.device.default_device", lambda: torch.device(device))
    builder.train_missing(Asking(preset="smoke"), False, None, 3)
    assert {name: begun[name] for name in widths} == widths
    both = next(configs for configs in told if len(configs) > 1)
    assert [c.epochs for c in both] == sorted((c.epochs for c in both), reverse=True)
    assert len({configs[0].digest for configs in told}) == len(told)


def test_a_build_executes_what_has_changed_alone_and_what_failed_again(builder, monkeypatch, tmp_path, capsys):
    done, failing = [], set()

    def execute(notebook, parameters, kernels):
        done.append(notebook.stem)
        if notebook.stem in failing:
            return f"{notebook.name}: failed"
        (tmp_path / "executed" / notebook.name).write_text("{}")
        return ""

    (tmp_path / "notebooks").mkdir()
    for name in ("01_a", "02_b"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text(name)
    for name, value in {"ROOT": tmp_path, "EXECUTED": tmp_path / "executed", "execute": execute}.items():
        monkeypatch.setattr(builder, name, value)

    def built():
        done.clear()
        builder.execute_all({"preset": "smoke"}, 1)
        return done

    assert built() == ["01_a", "02_b"]
    assert built() == []
    assert "2 notebooks are kept" in capsys.readouterr().out
    (tmp_path / "notebooks" / "02_b.ipynb").write_text("changed")
    failing.add("02_b")
    with pytest.raises(SystemExit, match=r"02_b.ipynb: failed"):
        built()
    assert done == ["02_b"]
    assert not (tmp_path / "executed" / "02_b.ipynb").exists()
    failing.clear()
    assert built() == ["01_a", "02_b"]
    (tmp_path / "notebooks" / "01_a.ipynb").unlink()
    assert built() == []
    assert not (tmp_path / "executed" / "01_a.ipynb").exists()


def test_explicit_cifar10_fails_with_the_remedy_where_it_is_missing(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    assert "GENDIFF_DATA_DIR" in refused("--preset", "smoke", "--dataset", "cifar10")


def test_published_runs_are_of_cifar10_and_need_no_image_of_it(builder, tmp_path, monkeypatch):
    monkeypatch.setenv("GENDIFF_DATA_DIR", str(tmp_path))
    assert builder.choose_dataset("cifar10", "overnight", reads=True) == ""
    with pytest.raises(GendiffError, match="GENDIFF_DATA_DIR"):
        builder.choose_dataset("cifar10", "overnight", reads=False)


def test_the_book_shows_a_night_once_the_papers_pair_is_published(published, monkeypatch):
    sys.path.insert(0, str(BOOK))
    from build import choose_preset

    sys.path.pop(0)
    (example,) = map(files.read_json, (ROOT / "runs").glob("classifier-*/run.json"))
    assert choose_preset("smoke") == "smoke"
    for name in PAPER_PAIR:
        assert choose_preset("") == "laptop"
        config = get(name, "overnight")
        record = example | {"kind": config.kind, "config": config.to_dict()}
        record["steps_per_epoch"] = 50_000 // config.batch_size
        (snapshot,) = example["snapshots"].values()
        record["snapshots"] = {}
        for epochs in (20.0, config.epochs):
            images = images_at(epochs, record["steps_per_epoch"], config.batch_size)
            record["snapshots"][str(images)] = snapshot | {"epochs": epochs, "images": images}
        files.write_json(published / f"{name}-{config.digest}" / "run.json", record)
    assert choose_preset("") == "overnight"
    assert choose_preset("", dataset="cifar10") == "overnight"
    assert choose_preset("", dataset="shapes") == "laptop"  # other data are of no published run
    assert choose_preset("", epochs=20.0) == "overnight"  # where both keep a snapshot
    assert choose_preset("", epochs=20.0, dataset="shapes") == "laptop"
    assert choose_preset("", epochs=config.epochs) == "laptop"  # where one of them does
    assert choose_preset("laptop") == "laptop"


def test_the_readme_shows_a_small_preview_and_says_in_words_what_is_on_it():
    picture = BOOK / "_static" / "preview.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000
    assert re.search(r"!\[[^\]]{40,}\]\(book/_static/preview\.png\)", (ROOT / "README.md").read_text())


def test_the_readme_tells_the_answer_that_the_published_runs_give():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert in_readme(text) == text, "run `make readme`: the published runs answer otherwise by now"
    assert text.count("**Still open:**") == 1


def paper(folder, what="pdf", **environment):
    """`make pdf`, or another, of the book in another folder, with what is on standard error."""
    words = [sys.executable, str(folder / "paper.py"), what]
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_paper_says_in_one_sentence_what_it_lacks(tmp_path):
    for name in ("paper.py", "build.py"):
        (tmp_path / name).write_text((BOOK / name).read_text())
    assert "run `make book` first" in paper(tmp_path)
    for name in ("_build/html/index.html", "executed/01.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert "CHROMIUM=no-such-browser" in paper(tmp_path, CHROMIUM="no-such-browser")
    assert "apt-get install chromium" in paper(tmp_path, PATH=str(tmp_path))
    picture = tmp_path / "_static" / "preview.png"
    picture.parent.mkdir()
    picture.write_text("as it was")
    assert "left no preview.png" in paper(tmp_path, "preview", CHROMIUM="false")
    assert picture.read_text() == "as it was"


@pytest.fixture
def records(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_ext"))
    return importlib.import_module("records")


def test_a_metric_is_read_from_its_runs_record(records):
    number, path = records.metric("classifier@paper snapshots.1198080.test_accuracy .2%")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert number.text == f"{record['snapshots']['1198080']['test_accuracy']:.2%}"
    assert number.protocol["run"].startswith(path.parent.name)
    assert records.metric(f"{path.parent.name} seconds .0f")[0].value == record["seconds"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("classifier@paper snapshots.99.test_accuracy", "has no snapshots.99.test_accuracy"),
        ("classifier@paper snapshots", "is no number"),
        ("classifier@paper seconds .0q", "is no format"),
        ("nothing-0123 seconds", "there is no run nothing-0123"),
        ("dcgan@huge seconds", "preset 'huge' is unknown"),
    ],
)
def test_a_metric_that_is_not_there_is_named(records, text, told):
    with pytest.raises(GendiffError, match=re.escape(told)):
        records.metric(text)
