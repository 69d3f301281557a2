"""What an extractor says of real images whose order is known: damaged, thinned, and in disjoint sets."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gendiff_lib.device import with_threads
from gendiff_lib.evaluation.statistics import record_path
from gendiff_lib.evaluation.validation import PERMUTATIONS, Validation
from gendiff_lib.runs import files

from ..asking import Asking
from ..exhibit import Exhibit, banner
from ..number import Number, plain, score_number
from ..provenance import is_stale, validation_protocol
from ..validated import UNITS, ordered
from ..validated import calibration as calibrated
from .table import filed

# The distance of CIFAR-10's training images to its test images, as the table in the README of the package
# pytorch-gan-metrics (github.com/w86763777/pytorch-image-generation-metrics, commit 0d34197) prints it.
PRINTED = {"the original code, in TensorFlow": 3.1508, "a port to PyTorch": 3.1517}


def validation(asked: Asking, found: Validation, *families: str) -> Exhibit[Validation]:
    """The rows of some families of an extractor's validation."""
    how = validation_protocol(found, asked.preset)
    rows = [
        {
            "images, against": row.what,
            "n": f"{row.scores.n_fake:,}",
            "real": f"{row.scores.n_real:,}",
            **{label: _with(score_number([row.scores], v), how) for v, label in row.scores.labels.items()},
        }
        for family in families
        for row in found.family(family)
    ]
    one = found.rows[0].scores
    seconds = f"{found.made['seconds']:.0f} s on {with_threads(found.made['device'], found.made['threads'])}"
    old = banner("These scores are older than the code that computes scores now.") if is_stale(found) else ""
    caption = f"Extractor {one.extractor} ({one.extractor_digest}) on {found.dataset}; {seconds}."
    return Exhibit(old + filed(rows, caption, once=("n", "real")), found)


def _with(number: Number, protocol: Mapping[str, str]) -> Number:
    """A number that opens to more."""
    return replace(number, protocol={**number.protocol, **protocol})


def calibration(asked: Asking, found: Validation) -> Exhibit[dict[str, float]]:
    """The spread of disjoint sets beside the standard errors that each of them shows alone; found are their ratios."""
    rows, ratios, how = [], {}, validation_protocol(found, asked.preset)
    for value, name in found.rows[0].scores.labels.items():
        spread, told = calibrated(found, value)
        ratios[name] = told / spread
        shown = {"spread of sets": spread, "standard error told": told, "told / spread": ratios[name]}
        rows.append({"": name} | {k: Number(plain(v), v, how) for k, v in shown.items()})
    sets = found.family("independent sets")
    caption = (
        f"By {sets[0].scores.extractor}: {len(sets)} sets of {sets[0].scores.n_fake:,} test images, "
        f"disjoint within each of {PERMUTATIONS} permutations."
    )
    return Exhibit(filed(rows, caption), ratios)


def damage(asked: Asking, several: Mapping[str, Validation]) -> Exhibit[dict[str, int]]:
    """Which damages each extractor puts in order, and how far; found is how many of them it does, by extractor."""
    rows: list[dict[str, Any]] = [
        {
            "damage": family,
            "level": unit,
            **{f"fd by {name}": _growth(asked, found, family) for name, found in several.items()},
        }
        for family, unit in UNITS.items()
    ]
    caption = "The fd to the training images from no damage to the greatest, and whether each level has more."
    in_order = {name: sum(ordered(found, "frechet_distance").values()) for name, found in several.items()}
    return Exhibit(filed(rows, caption), in_order)


def _growth(asked: Asking, found: Validation, family: str) -> Number:
    """From the least to the greatest damage, and whether it grows throughout; opens to every level's value."""
    levels, values, _ = found.response(family, "frechet_distance")
    grows = "grows" if ordered(found, "frechet_distance")[family] else "does not always grow"
    how = {"what": f"fd at the levels {', '.join(f'{level:g}' for level in levels)}", "fd": plain(values)}
    told = f"{grows}: {plain(values[0])} to {plain(values[-1])}"
    return Number(told, values[-1], how | validation_protocol(found, asked.preset))


def splits() -> Exhibit[None]:
    """The FID of CIFAR-10's training images to its test images, beside what others print; nothing without it."""
    path = record_path("cifar10", "inception")
    if not path.exists():
        return Exhibit("", None)
    told = files.read_json(path)
    n = ", ".join(f"{count:,} {split}" for split, count in told["n"].items())
    how = {"what": "FID of the training images to the test images", "images": n, "made": told["made"]}
    how |= {"computed": told["fid_train_test_how"], "extractor": f"inception {told['extractor_digest']}"}
    value = float(told["fid_train_test"])
    ours = {"by": "this project", "FID (train, test)": Number(f"{value:.4f}", value, how), "images": n}
    rows = [{"by": by, "FID (train, test)": f"{fid}", "images": n} for by, fid in PRINTED.items()]
    caption = "CIFAR-10 by Inception-v3: all training images against all test images."
    return Exhibit(filed([ours, *rows], caption), None)
