"""Benchmarks, from their results on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gendiff_lib import paths
from gendiff_lib.device import with_threads
from gendiff_lib.runs import files

from ..exhibit import Exhibit, details
from ..number import Number, plain
from .table import filed

MORE_THAN_ALL = "Convolutions may do with fewer operations than are counted, so more than 100% can be reached."


def speed() -> Exhibit[dict[str, dict[str, Any]]]:
    """Every speed benchmark: its contests, their ratios, and what one should know of them."""
    results, shown = benchmarks("speed"), []
    for name, result in results.items():
        how = measured_row(name, result)
        for contest in result["contests"].values():
            shown.append(filed(contest_rows(contest, how), f"{contest['title']}. {where(result)}. {MORE_THAN_ALL}"))
        shown.append(filed(ratio_rows(result["contests"], how), "Medians of the rounds' ratios (least to greatest)."))
        shown.append(_notes(result))
    return Exhibit("".join(shown), results)


def scoring() -> Exhibit[dict[str, dict[str, Any]]]:
    """Every scoring benchmark."""
    results, shown = benchmarks("scoring"), []
    for name, result in results.items():
        sizes = f"{result['n_fake']:,} new images against {result['n_real']:,} known ones"
        extractor = f"{result['extractor']['name']} ({result['extractor']['digest']})"
        rows = scoring_rows(result, measured_row(name, result))
        shown += [filed(rows, f"{sizes}, extractor {extractor}. {where(result)}."), _notes(result)]
    return Exhibit("".join(shown), results)


def processes() -> Exhibit[dict[str, dict[str, Any]]]:
    """Every benchmark of several processes that share a training."""
    results, shown = benchmarks("processes"), []
    for name, result in results.items():
        load, when = result["load"], result["date"][:10]
        busy = f"load {load['before']:.1f} before and {load['after']:.1f} after on {load['processors']} processors"
        meanwhile = f"{when}, beside {result['beside']} ({busy})"
        rows = process_rows(result, measured_row(name, result))
        shown += [filed(rows, f"{where(result)}. {meanwhile}."), _notes(result)]
    return Exhibit("".join(shown), results)


def benchmarks(kind: str) -> dict[str, dict[str, Any]]:
    """The tracked results whose file names begin with `kind`, by file name."""
    return {p.stem: files.read_json(p) for p in benchmark_results() if p.stem.startswith(kind)}


def benchmark_results() -> list[Path]:
    """The tracked results of the benchmarks, in the checkout that the published runs are in."""
    return sorted((paths.published_dir().parent / "benchmarks" / "results").glob("*.json"))


def measured(results: Mapping[str, dict[str, Any]]) -> list[dict[str, str]]:
    """A row a benchmark: where it ran, and where its every turn is kept."""
    return [measured_row(name, result) for name, result in results.items()]


def _notes(result: Mapping[str, Any]) -> str:
    return details("How this was measured", "".join(f"<p>{note}</p>" for note in result["notes"]))


def measured_row(name: str, result: Mapping[str, Any]) -> dict[str, str]:
    """Where the benchmark called `name` ran, what repeats it, and where its every turn is kept."""
    turns = f"benchmarks/results/{name}.json"
    return {
        "benchmark": name,
        "measured on": where(result),
        "all turns": turns,
        "command": bench_command(name, result),
    }


# What repeats a benchmark: its words and its options.
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "speed": ("python -m benchmarks speed --threads {threads}", ("seconds", "rounds", "sampling_steps", "dataset")),
    "processes": ("python -m benchmarks processes", ("processes", "seconds", "rounds", "dataset")),
    "scoring": ("OMP_NUM_THREADS={threads} python -m benchmarks scoring", ("n_fake", "n_real", "repeats", "dataset")),
    "costs": ("python -m benchmarks costs", ("models",)),
}


def bench_command(name: str, result: Mapping[str, Any]) -> str:
    """What makes the result of a benchmark again."""
    words, options = next(command for kind, command in COMMANDS.items() if name.startswith(kind))
    of = result.get("settings", result)
    told = [f"--{option.replace('_', '-')} {plain(of[option])}" for option in options]
    return " ".join([words.format(threads=result["threads"]), *told])


def _spread(
    found: Mapping[str, Any], how: Mapping[str, str], unit: float = 1.0, of: str = "the turns' measurements"
) -> Number:
    low, middle, high = (found[k] / unit for k in ("min", "median", "max"))
    what = {"what": f"median of {of} (least to greatest)"}
    return Number(f"{middle:.3g} ({low:.3g} to {high:.3g})", middle, what | dict(how))


def contest_rows(contest: Mapping[str, Any], how: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a contestant of a speed benchmark: median (least to greatest) over rounds. Numbers open to `how`."""
    median = {"what": "images a second, at the median of the turns"}
    share = {"what": "counted operations a second, over those of square matrix products"}
    how = dict(how)
    return [
        {
            "": name,
            f"seconds a {contest['work']}": _spread(found["seconds"], how),
            "images/s": Number(plain(found["images_per_second"]), found["images_per_second"], median | how),
            "parameters": f"{found['parameters']:,}",
            "GFLOP, one image forward": found["forward_flops"] / 1e9,
            "of what matrix products reach": Number(f"{found['utilisation']:.0%}", found["utilisation"], share | how),
        }
        for name, found in contest["contestants"].items()
    ]


def ratio_rows(contests: Mapping[str, Any], how: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a pair: how many times as fast ours is, as measured and at equal operations, and the goal that was set."""
    return [
        {
            "work": contest["title"],
            "ours": ratio["ours"],
            "theirs": ratio["theirs"],
            "times as fast": _spread(ratio["raw"], how, of="the rounds' ratios"),
            "at equal operations": _spread(ratio["per_flop"], how, of="the rounds' ratios"),
            "goal": ratio.get("goal", "none"),
            "reached": {True: "yes", False: "no", None: ""}[ratio.get("reached")],
        }
        for contest in contests.values()
        for ratio in contest["ratios"]
    ]


def scoring_rows(result: Mapping[str, Any], how: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a contestant of the scoring benchmark."""
    return [
        {
            "": name,
            "seconds": _spread(found["seconds"], how),
            "peak memory, GB": _spread(found["peak_bytes"], how, 1e9),
        }
        for name, found in result["contestants"].items()
    ]


def process_rows(result: Mapping[str, Any], how: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row a training: images a second by one process, by as many threads, by as many processes, and what that is."""
    n = result["settings"]["processes"]
    of = "the rounds' ratios"
    return [
        {
            "": f"{found['title']}, batches of {found['batch_size']}",
            **{f"images/s, {label}": _spread(rate, how) for label, rate in found["images_per_second"].items()},
            f"of {n} times one process": _spread(found["efficiency"], how, of=of),
            "by processor time": _spread(found["by_processor_time"], how, of=of),
            f"of {n} threads of one": _spread(found["over_threads"], how, of=of),
        }
        for found in result["trainings"].values()
    ]


def where(result: Mapping[str, Any]) -> str:
    """The machine and the versions of a benchmark's result, in a line."""
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items() if k not in ("python", "gendiff", "numpy"))
    changed = " + changes" if result["dirty"] else ""
    machine = with_threads(result["device"], result["threads"])
    return f"{machine}; {versions}; commit {str(result['commit'])[:10]}{changed}"
