"""Build the book: train what is missing, draw and score, run the notebooks side by side, render the pages.

Run by `make book`. Everything that takes long is remembered; a second build only executes and renders.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BOOK = Path(__file__).parent
ROOT = BOOK.parent
EXECUTED = BOOK / "executed"


def say(text: str) -> None:
    """One line of progress."""
    print(f"[book] {text}", flush=True)


def choose_preset(wanted: str) -> str:
    """The preset of this build. Where none is asked for: `paper` once the paper's two models are published."""
    from gendiff_lib.config import ConfigError
    from gendiff_lib.experiments import PRESETS, get
    from gendiff_lib.runs import find

    if wanted and wanted not in PRESETS:
        raise ConfigError(f"PRESET={wanted} is unknown: there are {', '.join(PRESETS)}")
    runs = [find(get(name, "paper"), published=True) for name in ("dcgan", "ddpm-conv")]
    return wanted or ("paper" if all(runs) else "laptop")


def choose_dataset(wanted: str, preset: str) -> str:
    """The data set of this build; "" for the preset's own. Falls back on shapes only where none was asked for."""
    from gendiff_lib import data

    if wanted:
        if not data.load(wanted).is_image:  # fails with the remedy
            raise data.DataError(f"the book is about images, and {wanted} are points: give DATASET images, or leave it")
        return wanted
    if preset == "smoke":
        return ""
    if why := data.at_hand("cifar10"):
        say(f"building on the data set `shapes`, since {why}")
        return "shapes"
    return ""


def train_missing(preset: str, dataset: str, epochs: int, may_train: bool) -> None:
    """Make every run that the notebooks will read, one at a time. Paper-size ones only where that is asked for."""
    from gendiff_lib.experiments import book_configs, page_configs
    from gendiff_lib.recorder import train
    from gendiff_lib.runs import find

    wanted = book_configs(preset, dataset=dataset, epochs=epochs)
    if preset == "paper" and not may_train:
        small = page_configs("laptop", dataset=dataset, epochs=epochs)
        missing = [c for c in wanted if find(c) is None and c not in small]
        lacking = {c.name for c in missing if c in page_configs(preset, dataset=dataset, epochs=epochs)}
        for config in missing:
            shows = "its page shows a laptop run" if config.name in lacking else "claims that need it stay open"
            say(f"no paper-size run of {config.name} of {config.epochs} epochs: {shows} (TRAIN=1 trains it)")
        wanted = [c for c in wanted if c not in missing] + [c for c in small if c.name in lacking]
    for config in wanted:
        if find(config) is None:
            say(f"training {config.name} on {config.dataset}, {config.epochs} epochs, seed {config.seed}")
            run = train(config)
            say(f"{run.id}: {run.snapshot['seconds']:.1f} s, {run.record['images_per_second']:.0f} images/s")


def execute(notebook: Path, parameters: dict[str, object], threads: int) -> str:
    """Run one notebook into a temporary file that takes its place when whole. Returns what went wrong."""
    draft = EXECUTED / f".{notebook.name}"
    words = [sys.executable, str(BOOK / "run_notebook.py"), str(notebook), str(draft), json.dumps(parameters)]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
        draft.unlink(missing_ok=True)
        return f"{notebook.name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}"
    os.replace(draft, EXECUTED / notebook.name)
    return ""


def execute_all(parameters: dict[str, object], jobs: int) -> None:
    """Run every notebook, `jobs` at a time; SystemExit names each that failed."""
    EXECUTED.mkdir(exist_ok=True)
    notebooks = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    for stale in EXECUTED.glob("*.ipynb"):
        stale.unlink()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        problems = [p for p in pool.map(lambda n: execute(n, parameters, threads), notebooks) if p]
    if problems:
        raise SystemExit("\n".join(f"[book] {p}" for p in problems))


def write_build_note(preset: str, dataset: str) -> None:
    """What the front page includes: its answer, and the size and the data set of this build."""
    from gendiff_lib.experiments import book_configs
    from gendiff_lib.front import front
    from gendiff_lib.runs import find

    shown = dataset or ("shapes" if preset == "smoke" else "cifar10")
    wanted = [c for c in book_configs("paper") if not c.name.startswith("live-") and c.name != "classifier"]
    published = sorted({run.id for c in wanted if (run := find(c, published=True))})
    fallback = " (and of `laptop` where none of that size is published)" if preset == "paper" else ""
    lines = [f"This build shows runs of the preset **{preset}**{fallback} on the data set **{shown}**."]
    if shown != "cifar10":  # the extension offline.py puts it on top of every page
        os.environ["GENDIFF_BANNER"] = f"This build shows the data set {shown}, not CIFAR-10."
    if published:
        lines.append("Published paper-size runs: " + ", ".join(f"`{name}`" for name in published) + ".")
    else:
        lines.append("No paper-size run is published yet: **the paper's question is not yet answered here**.")
    (EXECUTED / "_build.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    (EXECUTED / "_front.md").write_text(front(), encoding="utf-8")


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
    parser.add_argument("--train", action="store_true", help="train paper-size runs that are missing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()

    from gendiff_lib.config import Config, GendiffError

    started = time.monotonic()
    try:
        args.preset = choose_preset(args.preset)
        epochs = Config.parse("epochs", args.epochs) if args.epochs else 0
        if args.epochs:
            Config(epochs=epochs)
        dataset = choose_dataset(args.dataset, args.preset)
        train_missing(args.preset, dataset, epochs, args.train)
        say(f"runs are there after {time.monotonic() - started:.0f} s")
        os.environ["GENDIFF_TRAIN"] = "1" if args.train else "0"
        from gendiff_lib.preparing import prepare

        prepare(args.preset, dataset=dataset, epochs=epochs)
    except GendiffError as error:
        raise SystemExit(f"[book] {error}") from None
    say(f"samples and scores are there after {time.monotonic() - started:.0f} s; running the notebooks")
    execute_all({"preset": args.preset, "epochs": epochs, "dataset": dataset}, args.jobs)
    write_build_note(args.preset, dataset)
    say(f"notebooks done after {time.monotonic() - started:.0f} s; rendering")
    page = render()
    note = {"preset": args.preset, "dataset": dataset, "epochs": epochs}
    (BOOK / "_build" / "build.json").write_text(json.dumps(note) + "\n", encoding="utf-8")
    say(f"{page} after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
