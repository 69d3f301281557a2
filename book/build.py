"""Build the book: train what is missing, draw and score, run the notebooks side by side, render the pages.

Run by `make book`. Everything that takes long is remembered; a second build executes what has changed, and renders.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gendiff_lib.config import Config
    from gendiff_report.asking import Asking

BOOK = Path(__file__).parent
ROOT = BOOK.parent
EXECUTED = BOOK / "executed"


def say(text: str) -> None:
    """One line of progress."""
    print(f"[book] {text}", flush=True)


def choose_preset(wanted: str, *, dataset: str = "", epochs: float | None = None) -> str:
    """The preset of this build, one for all pages.

    Where none is asked for, and no data but that preset's own: `overnight` once the runs of the paper's pair are
    published, with snapshots at `epochs` where that is given.
    """
    from gendiff_lib.errors import ConfigError
    from gendiff_lib.experiments import PAPER_PAIR
    from gendiff_lib.experiments.experiment import PRESETS
    from gendiff_report.front import published_pair

    if wanted and wanted not in PRESETS:
        raise ConfigError(f"PRESET={wanted} is unknown: there are {', '.join(PRESETS)}")
    pair = published_pair().values()
    there = len(pair) == len(PAPER_PAIR) and all(epochs is None or run.keeps_snapshot(epochs) for run in pair)
    return wanted or ("overnight" if there and dataset in ("", "cifar10") else "laptop")


def choose_dataset(wanted: str, preset: str, reads: bool) -> str:
    """The data set of this build; "" for the preset's own. Falls back on shapes only where none was asked for.

    A build that reads published runs needs none, and theirs is CIFAR-10.
    """
    from gendiff_lib import data
    from gendiff_lib.errors import DataError, MissingDataError

    if reads and wanted == "cifar10":
        return ""
    if wanted:
        if not data.load(wanted).is_image:  # fails with the remedy
            raise DataError(f"the book is about images, and {wanted} are points: give DATASET images, or leave it")
        return wanted
    if preset == "smoke" or reads:
        return ""
    try:
        data.load("cifar10")
    except MissingDataError as why:
        say(f"building on the data set `shapes`, since {why}")
        return "shapes"
    return ""


def _called(config: "Config") -> str:
    return f"{config.name} on {config.dataset}, {config.epochs:.4g} epochs, seed {config.seed}"


def _train_one(configs: "list[Config]") -> str:
    from gendiff_lib.runs.train import train

    lines = []
    for config in configs:
        say(f"training {_called(config)}")
        run = train(config, again=True)  # though it be published without its weights
        lines.append(
            f"[book] {run.id}: {run.snapshot['seconds']:.1f} s, {run.record['images_per_second']:.0f} images/s"
        )
    return "\n".join(lines)


def train_missing(asked: "Asking", reads: bool, hours: float | None, jobs: int) -> None:
    """Make every run that the notebooks will read; of a preset that is only read, those in the plane.

    `jobs` at a time, one thread each, which networks of these sizes do best by; on a GPU one at a time, but in the
    plane. TooLong, before anything is trained, where one of them takes longer than `hours`, or than may be waited for.
    """
    from gendiff_lib.device import default_device
    from gendiff_lib.experiments.book import book_configs
    from gendiff_lib.experiments.budget import check_patience
    from gendiff_report.preparing import side_by_side
    from gendiff_report.reading import PLANE

    wanted = book_configs(asked.preset, dataset=asked.dataset or "", epochs=asked.epochs)
    missing = [c for c in wanted if asked.answered(c) is None]
    made: dict[str, list[Config]] = {}  # of one run to several epochs, the longest first, in one process
    for config in missing:
        if reads and config.name not in PLANE:
            say(f"not shown: {_called(config)}: {asked.lacking(config)}")
            continue
        check_patience(config, hours, "add YES=1 to wait for it, or lower EPOCHS")
        made.setdefault(config.digest, []).append(config)
    gpu = default_device().type == "cuda"
    apart = [several for several in made.values() if gpu and several[0].name not in PLANE]
    side_by_side(_train_one, [several for several in made.values() if several not in apart], jobs)
    side_by_side(_train_one, apart, 1)


def execute(notebook: Path, parameters: dict[str, object], kernels: type) -> str:
    """Run one notebook into a temporary file that takes its place when whole. Returns what went wrong."""
    from run_notebook import run

    draft = EXECUTED / f".{notebook.name}"
    try:
        lines = run(notebook, draft, parameters, ROOT, kernels)
    except (Exception, SystemExit) as error:  # whatever it is, the other notebooks are executed
        draft.unlink(missing_ok=True)
        told = "".join(traceback.format_exception_only(error)).removeprefix("SystemExit: ")
        return f"{notebook.name}: {told.strip().splitlines()[-1]}"
    os.replace(draft, EXECUTED / notebook.name)
    for line in lines:
        say(f"{notebook.name} said: {line}")
    return ""


def execute_all(parameters: dict[str, object], jobs: int) -> None:
    """Run every notebook that would not be as it is, `jobs` at a time; SystemExit names each that failed."""
    from kernels import forking

    from gendiff_report.unchanged import MadeOf

    EXECUTED.mkdir(exist_ok=True)
    notebooks = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    made_of = MadeOf(EXECUTED, notebooks, parameters)
    asked = made_of.changed()
    made_of.forget()
    for stale in {*EXECUTED.glob("*.ipynb")} - {EXECUTED / n.name for n in notebooks if n not in asked}:
        stale.unlink()
    if len(asked) < len(notebooks):
        say(f"{len(notebooks) - len(asked)} notebooks are kept: nothing that they are made of has changed")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with forking(threads) as kernels, ThreadPoolExecutor(jobs) as pool:
        problems = [p for p in pool.map(lambda n: execute(n, parameters, kernels), asked) if p]
    if problems:
        raise SystemExit("\n".join(f"[book] {p}" for p in problems))
    made_of.remember()


def write_build_note(preset: str, dataset: str) -> None:
    """What the front page includes: its answer, Table 1, and the size and the data set of this build."""
    from gendiff_lib.experiments import preset_of
    from gendiff_lib.runs.run import all_runs
    from gendiff_report.front import front, table1

    shown = dataset or ("shapes" if preset == "smoke" else "cifar10")
    lines = [f"This build shows runs of the preset **{preset}** on the data set **{shown}**."]
    if shown != "cifar10":  # the extension offline.py puts it on top of every page
        os.environ["GENDIFF_BANNER"] = f"This build shows the data set {shown}, not CIFAR-10."
    aside = ("live-", "classifier")
    published = [run for run in all_runs() if run.published and not run.config.name.startswith(aside)]
    for each in ("overnight", "paper"):
        there = Counter(run.config.name for run in published if preset_of(run.config) == each)
        names = ", ".join(f"`{name}`" + (f" ({n} seeds)" if n > 1 else "") for name, n in there.items())
        lines.append(f"Published runs of the preset `{each}`: {there.total()}{f', of {names}' if there else ''}.")
    (EXECUTED / "_build.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    (EXECUTED / "_front.md").write_text(front(), encoding="utf-8")
    (EXECUTED / "_table.md").write_text(table1(), encoding="utf-8")


def jupyter_book(*words: str) -> None:
    """Have Jupyter Book make something out of the book; any warning is an error, told with SystemExit."""
    program = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"  # it has no -m of its own
    command = [sys.executable, "-c", program, "build", str(BOOK), "--all", "-W", "-n", "--keep-going", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    log = BOOK / "_build" / "build.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
        raise SystemExit("\n".join([*lines, f"[book] the pages could not be rendered: see {log}"]))


def render() -> Path:
    """Render the pages and return the front page's path."""
    build = BOOK / "_build"
    shutil.rmtree(build, ignore_errors=True)
    jupyter_book()
    missing = [
        n.stem for n in EXECUTED.glob("*.ipynb") if not (build / "html" / "executed" / f"{n.stem}.html").exists()
    ]
    if missing:
        raise SystemExit(f"[book] no page was rendered for {', '.join(missing)}: see {build / 'build.log'}")
    return build / "html" / "index.html"


def main() -> None:
    """Parse the words of `make book` and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="")
    parser.add_argument("--dataset", default="")
    parser.add_argument("--epochs", default="")
    parser.add_argument("--train", action="store_true", help="train overnight or paper-size runs that are missing")
    parser.add_argument("--yes", action="store_true", help="though a training takes longer than 20 minutes here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()

    from gendiff_lib.config import Config
    from gendiff_lib.errors import GendiffError
    from gendiff_lib.runs.locks import lock
    from gendiff_report import READ
    from gendiff_report.asking import Asking

    started = time.monotonic()
    os.environ["GENDIFF_TRAIN"] = "1" if args.train else "0"
    try:
        epochs = Config().told({"epochs": args.epochs}).epochs if args.epochs else None
        preset = choose_preset(args.preset, dataset=args.dataset, epochs=epochs)
        reads = preset in READ and not args.train
        dataset = choose_dataset(args.dataset, preset, reads)
        asked = Asking(preset=preset, epochs=epochs, dataset=dataset or None)
        train_missing(asked, reads, math.inf if args.yes else None, args.jobs)
        say(f"runs are there after {time.monotonic() - started:.0f} s")
        from gendiff_report.preparing import prepare

        prepare(preset, dataset=dataset or None, epochs=epochs, jobs=args.jobs)
    except GendiffError as error:
        raise SystemExit(f"[book] {error}") from None
    say(f"samples and scores are there after {time.monotonic() - started:.0f} s; running the notebooks")
    parameters = {"preset": preset, "epochs": epochs, "dataset": dataset or None}
    with lock("book", "building the book"):
        execute_all(parameters, args.jobs)
        write_build_note(preset, dataset)
        say(f"notebooks done after {time.monotonic() - started:.0f} s; rendering")
        page = render()
        (BOOK / "_build" / "build.json").write_text(json.dumps(parameters) + "\n", encoding="utf-8")
    say(f"{page} after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    from gendiff_lib.cli.ending import exit_code

    sys.exit(exit_code("make book", main, "the same command goes on"))
