"""Bits per dimension, and what may be said of them."""

import math
from collections.abc import Mapping
from typing import Any

from gendiff_lib.diffusion.likelihood import Bits
from gendiff_lib.parsing import as_text
from gendiff_lib.runs.run import Run
from gendiff_lib.versions import outdated

from .. import results
from ..asking import Asking
from ..exhibit import Exhibit, banner
from ..number import Number
from ..provenance import training_protocol
from .table import filed
from .there import there


def bits(asked: Asking, runs: Mapping[str, Run]) -> Exhibit[dict[str, Bits]]:
    """Bits per dimension of test and training images, and what they are made of, of those that have them."""
    test, untested = there(runs, lambda run: results.bits(asked, run))
    seen, unseen = there({k: runs[k] for k in test}, lambda run: results.bits(asked, run, "train"))
    old = [
        banner(f"The bits per dimension of {k} are older than the code that would compute them now.")
        for k in seen
        if outdated({"likelihood": test[k].version})
    ]
    rows = [_row(k, runs[k], test[k], seen[k]) for k in seen]
    caption = "Bits per dimension by the variational bound, mean ± standard error over images."
    shown = filed(rows, caption, once=("n", "T", "weights", "training seed"))
    return Exhibit(untested + unseen + "".join(old) + shown, {k: test[k] for k in seen})


def _row(label: str, run: Run, test: Bits, seen: Bits) -> dict[str, Any]:
    return {
        "": label,
        "test": _total(run, test),
        "train": _total(run, seen),
        "steps": _part(run, test, "steps", sum(test.steps)),
        "decoder": _part(run, test, "decoder", test.decoder),
        "prior": _part(run, test, "prior", test.prior),
        "n": f"{test.n:,}",
        "T": len(test.steps) + 1,
        "weights": test.weights,
        "training seed": run.config.seed,
        "epochs": f"{run.config.epochs:.4g}",
        "seconds": f"{test.seconds:.1f}",
    }


def _total(run: Run, found: Bits) -> Number:
    how = {"what": "bits per dimension", "± is": f"the standard error over {found.n:,} images"}
    return Number(f"{found.total:.3f} ± {found.error:.3f}", found.total, how | _protocol(run, found), found.error)


def _part(run: Run, found: Bits, part: str, value: float) -> Number:
    what = {"what": f"bits per dimension that the {part} costs"}
    return Number(f"{value:.3g}", value, what | _protocol(run, found))


def _protocol(run: Run, found: Bits) -> dict[str, str]:
    command = f"gendiff bits {run.id} --epoch {as_text(run.config.epochs)} --n {found.n} --split {found.split}"
    how = {
        "images": f"{found.n:,} {found.split}",
        "steps of the bound": f"{len(found.steps) + 1}",
        "weights": found.weights,
        "noise seed": f"{found.seed}",
        "seconds for the bound": f"{found.seconds:.1f} on {found.device}",
        "compute": f"{command} --weights {found.weights}",
    }
    return training_protocol(run) | how


def lowest(found: Mapping[str, tuple[float, float]]) -> str:
    """A sentence: which of several (value, standard error) is lowest, if any is beyond the noise."""
    ranked = sorted(found, key=lambda k: found[k][0])
    if len(ranked) == 1:
        return "there is {}: {:.3f} ± {:.3f}.".format(ranked[0], *found[ranked[0]])
    (a, error_a), (b, error_b) = found[ranked[0]], found[ranked[1]]
    shown = f"{a:.3f} ± {error_a:.3f} against {b:.3f} ± {error_b:.3f} of {ranked[1]}"
    if b - a > 3 * math.hypot(error_a, error_b):
        return f"{ranked[0]} is lowest beyond the noise, {shown}."
    return f"{ranked[0]} has the lowest value, {shown}, but not beyond the noise."
