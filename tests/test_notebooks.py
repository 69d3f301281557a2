import ast
import gc
import json
import os
import re
import shlex
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from gendiff_lib.runs.files import sha256
from gendiff_report.claims.html import on_page

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
VIEW = r"figures\.(losses|denoising|two_ways|filmstrip|before_after)\(|pairs$"
NAMES = [n.stem for n in NOTEBOOKS]


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_thin(path):
    cells = nbformat.read(path, as_version=4).cells
    assert len(cells) <= 12
    assert max(len(c.source.splitlines()) for c in cells) <= 12
    kinds = {type(node).__name__ for c in code_cells(path) for node in ast.walk(ast.parse(c.source))}
    assert not kinds & {"FunctionDef", "ClassDef", "AsyncFunctionDef", "With", "Try"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_parameterised_and_stripped(path):
    cells = code_cells(path)
    names = {t.id for n in ast.walk(ast.parse(cells[0].source)) if isinstance(n, ast.Assign) for t in n.targets}
    assert cells[0].metadata.tags == ["parameters"]
    assert names == {"preset", "epochs", "seed", "dataset", "patience"}
    assert "Asking(preset=preset, epochs=epochs, seed=seed, dataset=dataset, patience=patience)" in cells[1].source
    assert all(not c.outputs and c.execution_count is None for c in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_no_number_of_ours_is_typed_in_a_finding(path):
    findings = [c.source for c in code_cells(path) if "page.finding(" in c.source]
    assert len(findings) == 1
    prose = re.sub(r"\{[^}]*\}", "", findings[0].split("page.finding(")[1])
    prose = re.sub(r"CIFAR-10|x0|exactly 0 and|exactly 255|under 2%|at (32|64) pixels", "", prose)
    assert not re.search(r"\d", prose), prose


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_figures_have_captions_and_alternative_text(path):
    for cell in code_cells(path):
        lines = [line for line in cell.source.splitlines() if not line.startswith(" ")]
        figures = [line for line in lines if re.match(rf"figure = |figures\.pixels|{VIEW}", line)]
        if figures:
            assert len(figures) == 1  # another would be another figure of the same name
            assert any(re.match(r"page\.(source|judged_by|note)\(", line) for line in lines)  # it opens to its origin
            assert lines[-1] == figures[0] or figures[0].startswith("figure = ")  # what is last is shown
            assert cell.metadata["mystnb"]["figure"]["caption"]
            assert cell.metadata["mystnb"]["figure"]["name"]
        if figures and not re.search(VIEW, figures[0]):
            shown = cell.metadata["mystnb"]
            assert shown["figure"]["caption"]
            assert shown["image"]["alt"]
            assert shown["image"]["classes"] in ("plot", "samples")


class Executed(NamedTuple):
    """Notebooks that were run: where they are, over which runs, with which parameters, and what each said of it."""

    place: Path
    env: dict[str, str]
    parameters: dict[str, object]
    problems: dict[str, str]


@pytest.fixture(scope="session")
def executed(tmp_path_factory):
    """Every notebook at `smoke`, two at a time, over one folder of runs; from the root and from another folder.

    With GENDIFF_BUILT=1, as the gate has it, those that the book at `smoke` was just built of.
    """
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    if os.environ.get("GENDIFF_BUILT") == "1":
        parameters = json.loads((ROOT / "book" / "_build" / "build.json").read_text())
        assert parameters["preset"] == "smoke"
        made = json.loads((ROOT / "book" / "executed" / "made-of.json").read_text())["notebooks"]
        assert {name: source for name, (source, _) in made.items()} == {n.name: sha256(n) for n in NOTEBOOKS}
        return Executed(ROOT / "book" / "executed", env, parameters, dict.fromkeys(NAMES, ""))  # it ends at a failure
    place, parameters = tmp_path_factory.mktemp("executed"), {"preset": "smoke", "epochs": 1}
    with forks(place) as run, ThreadPoolExecutor(2) as pool:
        told = pool.map(lambda path: run(path, parameters, ROOT if path.stem < "05" else place), NOTEBOOKS)
        return Executed(place, env | over(place), parameters, dict(zip(NAMES, told, strict=True)))


def over(place):
    """The variables by which runs and what is kept of them lie in `place`."""
    return {"GENDIFF_RUNS": str(place / "runs"), "GENDIFF_CACHE": str(place / "cache")}


@contextmanager
def forks(place, **environment):
    """What runs a notebook into `place`, over the runs there, as a build does, and returns what went wrong."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.syspath_prepend(ROOT / "book")
        for name, value in (over(place) | environment).items():
            patch.setenv(name, value)
        import run_notebook
        from kernels import forking

        with forking(1) as kernels:

            def run(path, parameters, folder):
                try:
                    run_notebook.run(path, place / path.name, parameters, folder, kernels)
                except (Exception, SystemExit) as error:
                    return str(error)
                return ""

            yield run
        gc.collect()  # event loops of threads that have ended, while nobody warns of them


@pytest.mark.parametrize("name", NAMES)
def test_runs_at_smoke(executed, name):
    place = executed.place
    assert executed.problems[name] == ""
    outputs = [o for c in code_cells(place / f"{name}.ipynb") for o in c.outputs]
    assert not [
        o for o in outputs if o.output_type == "error" or (o.get("name") == "stderr" and "waiting for it" not in o.text)
    ]
    assert nbformat.read(place / f"{name}.ipynb", as_version=4).cells[1].source.startswith("**Finding.** ")


@pytest.mark.parametrize("name", NAMES)
def test_each_begins_with_its_finding_and_ends_with_how_it_was_made_and_how_to_run_it(executed, name):
    cells = nbformat.read(executed.place / f"{name}.ipynb", as_version=4).cells
    assert cells[0].source.startswith("# ")
    verdicts = [c.source for c in cells if c.id == "verdicts"]
    assert verdicts == [text for text in (on_page(name),) if text]  # those that are published, whatever the preset
    assert not verdicts or cells[2].id == "verdicts"
    told = "".join(f" -p {key} {value}" for key, value in executed.parameters.items() if value is not None)
    assert f"papermill notebooks/{name}.ipynb out.ipynb{told}\n" in cells[-1].source
    (made,) = cells[-2].outputs
    assert "How this page was made" in made["data"]["text/html"]
    assert "Parameters and runs of this page" in made["data"]["text/html"]
    assert "Parameters and runs of this page" not in str(cells[:-2])
    assert not [c for c in cells if "figure" in c.metadata.get("mystnb", {}) and len(c.outputs) != 1]


@pytest.mark.parametrize("name", ["01_data", "04_forward"])
def test_it_runs_from_any_folder_with_epochs_of_its_own(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told, cells = run_in(tmp_path, name, {"preset": "smoke", "epochs": 3})
    assert told == ""
    assert cells[1].source.startswith("**Finding.** ")


def test_what_it_says_works(executed, tmp_path):
    place, env = executed.place, executed.env
    said = nbformat.read(place / "04_forward.ipynb", as_version=4).cells[-1].source
    words = shlex.split(re.search(r"```bash\n(.*)\n```", said)[1].replace("out.ipynb", str(tmp_path / "out.ipynb")))
    assert words[0] == "papermill"
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "unknown parameter" not in done.stdout + done.stderr
    assert code_cells(tmp_path / "out.ipynb")[-1].outputs
    assert len(drawn(tmp_path / "out.ipynb")) > 1
    assert drawn(tmp_path / "out.ipynb") == drawn(place / "04_forward.ipynb")  # by a kernel that is a fork


def drawn(path):
    """The pictures of a page."""
    return [o.data for c in code_cells(path) for o in c.outputs if "image/svg+xml" in o.get("data", {})]


def test_words_that_the_shell_would_read_are_quoted_and_paper_size_pages_only_read(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    from run_notebook import command

    given = {"preset": "overnight", "epochs": None, "dataset": "folder:my pictures"}
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    said = command("02_dcgan.ipynb", given)
    assert shlex.split(said)[-3:] == ["-p", "dataset", "folder:my pictures"]
    assert said.startswith("GENDIFF_TRAIN=0 papermill ")
    assert "epochs" not in said
    monkeypatch.setenv("GENDIFF_TRAIN", "1")
    assert command("02_dcgan.ipynb", given).startswith("papermill ")


def test_nbval_reruns_executed_notebooks(executed):
    place, env = executed.place, executed.env
    files = [str(place / f"{name}.ipynb") for name in ("02_dcgan", "04_forward")]
    words = ["-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run([sys.executable, *words, *files], cwd=place, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def run_in(place, name, parameters, **environment):
    """A notebook, over runs of its own in `place`: what went wrong, and its cells."""
    path = ROOT / "notebooks" / f"{name}.ipynb"
    with forks(place, **environment) as run, ThreadPoolExecutor(1) as pool:
        told = pool.submit(run, path, parameters, Path.cwd()).result()
    return told, nbformat.read(place / path.name, as_version=4).cells


def test_a_long_training_is_refused_with_a_parameter_that_lets_it_go_on(tmp_path):
    parameters = {"preset": "smoke", "epochs": 1, "patience": 1e-9}
    told, _ = run_in(tmp_path, "03_collapse", parameters)
    assert not list((tmp_path / "runs").glob("[!.]*"))
    remedy = re.search(
        r"TooLong: dcgan to 1 epochs takes about .* here: set patience = (\d+) in the parameters cell "
        r"\(papermill: -p patience (\d+)\), or lower epochs",
        told,
    )
    assert remedy
    told, cells = run_in(tmp_path, "03_collapse", parameters | {"patience": int(remedy[2])})
    assert told == ""
    assert "-p preset smoke -p epochs 1 -p patience 1\n" in cells[-1].source
    assert cells[1].source.startswith("**Finding.** ")


def test_a_published_snapshot_answers_in_a_fresh_clone_without_data_or_training(tmp_path):
    """What `papermill notebooks/02_dcgan.ipynb out.ipynb -p preset overnight -p epochs 20` does there."""
    given = {"preset": "overnight", "epochs": 20}
    told, cells = run_in(tmp_path, "02_dcgan", given, GENDIFF_DATA_DIR=str(tmp_path / "nothing"))
    assert told == ""
    shown = str([c.get("outputs") for c in cells])
    assert cells[1].source.startswith("**Finding.** ")
    assert re.search(r"dcgan: (not published yet|there at epochs .*?), so left out of this page\.", shown)
    assert not list((tmp_path / "runs").glob("[!.]*"))


def test_a_page_that_only_reads_ends_where_a_snapshot_is_not_published_and_says_what_there_is(tmp_path):
    told, cells = run_in(tmp_path, "03_collapse", {"preset": "overnight", "epochs": 21}, GENDIFF_TRAIN="0")
    assert told == ""
    (lacking,) = [cell.source for cell in cells if cell.get("id") == "not-shown-yet"]
    assert "**Not shown yet:** dcgan-32 is there at epochs 6.24615, " in lacking
    assert "not at 21 (`make book PRESET=overnight EPOCHS=21 TRAIN=1` trains it here)" in lacking


def error_cell(text="", name="Unpublished"):
    new = nbformat.v4
    return new.new_code_cell(text, outputs=[new.new_output("error", ename=name, evalue="", traceback=[])])


def test_a_page_is_cut_before_the_cell_that_failed_and_says_what_is_lacking(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    from run_notebook import cut

    new = nbformat.v4
    mark = new.new_code_cell("An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]})
    title, made = new.new_markdown_cell("# Title"), new.new_code_cell("1", outputs=[new.new_output("stream", text="1")])
    bare, text = new.new_markdown_cell("## Bare"), new.new_markdown_cell("and its text")
    after = new.new_code_cell("2")
    cells = cut([mark, title, made, bare, text, mark, error_cell(), after], "b is not scored yet")
    assert cells[:-1] == [title, made]
    assert cells[-1].cell_type == "markdown"
    assert cells[-1].source == "**Not shown yet:** b is not scored yet."
    assert cells[-1].id == "not-shown-yet"


def test_of_a_page_that_fails_at_once_the_title_stays(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    from run_notebook import cut

    title, heading = nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_markdown_cell("## First")
    assert [c.source for c in cut([title, heading, error_cell()], "a")] == ["# Title", "**Not shown yet:** a."]
    assert [c.source for c in cut([title, error_cell(), heading], "a")] == ["# Title", "**Not shown yet:** a."]


def test_only_what_is_lacking_cuts_a_page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    from run_notebook import LACKING

    from gendiff_report import reading

    assert set(LACKING) == {error.__name__ for error in reading.LACKING}


def test_a_misspelled_parameter_is_refused_before_anything_runs(tmp_path):
    words = [sys.executable, str(ROOT / "book" / "run_notebook.py"), str(NOTEBOOKS[1]), str(tmp_path / "out.ipynb")]
    done = subprocess.run([*words, '{"epoch": 2}'], capture_output=True, text=True)
    assert done.returncode != 0
    assert "no parameter 'epoch'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_news_of_one_execution_is_left_out_of_a_page_and_told(monkeypatch):
    """Progress bars, and whom a cell had to wait for: two builds of the same runs must be alike."""
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    import run_notebook

    new = nbformat.v4
    bar = new.new_output("display_data", {run_notebook.WIDGET: {"model_id": "a"}, "text/plain": "0%"})
    text = new.new_output("stream", text="kept")
    news = new.new_output("stream", name="stderr", text="another process is drawing shapes; waiting for it\n")
    notebook = new.new_notebook(cells=[new.new_code_cell("1", outputs=[bar, text, news]), new.new_markdown_cell("m")])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    assert run_notebook.without_messages(notebook) == ["another process is drawing shapes; waiting for it"]
    assert notebook.cells[0].outputs == [text]
    assert "widgets" not in notebook.metadata
