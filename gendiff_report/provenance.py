"""How runs, samples and validations came about, in the words that a reader sees."""

import shlex
from typing import Any

from gendiff_lib.config import Config, Sampling
from gendiff_lib.device import with_threads
from gendiff_lib.evaluation.calibration import Calibration
from gendiff_lib.evaluation.validation import VERSIONED, Validation
from gendiff_lib.experiments import EXPERIMENTS, get, preset_of
from gendiff_lib.runs.run import Run
from gendiff_lib.runs.samples import sampling_record
from gendiff_lib.versions import result_versions

from .number import Number, command_name


def training_protocol(run: Run) -> dict[str, str]:
    """What a reader must know of this training, label by label, the command that repeats it included."""
    record, snapshot = run.record, run.snapshot
    of_processor = snapshot["processor_seconds"]  # which the oldest records do not tell
    return {
        "run": run.id + (" (published)" if run.published else ""),
        "data": f"{record['data']['name']}, {record['data']['samples']:,}",
        "epochs": f"{run.config.epochs:.5g}",
        "seed": f"{run.config.seed}",
        "precision": run.config.precision,
        "images seen": f"{snapshot['images']:,}",
        "seconds": f"{snapshot['seconds']:.1f}",
        "of processor": f"{of_processor:.1f}" if of_processor is not None else "not recorded",
        "GFLOP an image": f"{run.training_operations / snapshot['images'] / 1e9:.3g}",
        "TFLOP in all": f"{run.training_operations / 1e12:.4g}",
        "device": run.device,
        "torch": record["packages"]["torch"],
        "commit": run.commit,
        "train": train_command(run.config) or run.command,
    }


def train_command(config: Config) -> str:
    """The command that trains exactly this configuration, though it be published; "" for one of no experiment."""
    if config.name not in EXPERIMENTS:
        return ""
    preset = preset_of(config)
    base, words = get(config.name, preset), ["gendiff", "train", config.name, "--preset", preset]
    for name, text in config.but(snapshots=base.snapshots).words(base).items():
        words += [f"--{name}", text] if name in ("dataset", "epochs", "seed") else ["--set", f"{name}={text}"]
    return shlex.join([*words, "--again"])


def epoch(run: Run) -> str:
    """The epoch at which a run is seen, as pages call it."""
    return f"epoch {run.config.epochs:.4g}"


def of_run(run: Run, value: float, form: str = ".3g") -> str:
    """A number that is a run's own (a loss, its operations) as HTML that opens to how the run was made."""
    return Number(format(value, form), value, training_protocol(run)).html


def drawn(run: Run, sampling: Sampling) -> dict[str, Any]:
    """How samples of a run were drawn."""
    record = sampling_record(run, sampling)
    shown = {k: v for k, v in record["sampling"].items() if v is not None}
    return {"run": run.id, **shown, "seconds": record["seconds"], "device": record["device"]}


def is_stale(found: Validation | Calibration) -> bool:
    """Whether extraction or scores have changed since."""
    return bool(found.made.get("versions") != result_versions(*VERSIONED))


def validation_protocol(found: Validation, preset: str) -> dict[str, str]:
    """How an extractor was validated, and what does it again in a preset."""
    one, made = found.rows[0].scores, found.made
    dataset = "" if found.dataset == "cifar10" else f" --dataset {found.dataset}"
    return {
        "extractor": f"{one.extractor} {one.extractor_digest}",
        "images": f"of {found.dataset}; damaged or thinned, where a row's name says so, with fixed seeds",
        "device": with_threads(made["device"], made["threads"]),
        "seconds for all": f"{made['seconds']:.0f}",
        "commit": (made["commit"] or "none")[:10],
        "command": f"gendiff validate --preset {preset}{dataset} --extractor {command_name(one.extractor)}",
    }
