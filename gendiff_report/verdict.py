"""Whether a GAN has collapsed, in words."""

from collections.abc import Mapping
from math import isfinite

from gendiff_lib.gan.collapse import PATIENCE, ROWS, Collapse
from gendiff_lib.runs.run import Run


def said(verdict: Collapse | None, run: Run) -> str:
    """What the rule says of a run, whose history may be too short for it."""
    if verdict:
        return f"collapsed by epoch {verdict.epoch:.3g}, since {verdict.why}"
    if not long_enough(run):
        return "too short a training to tell"
    asked = any(isfinite(value) for value in run.history.get("nearest", ()))
    return "no collapse" if asked else "no collapse (whether it repeats itself was not recorded)"


def long_enough(run: Run) -> bool:
    """Whether a run's history is long enough for the rule."""
    return run.history["step"][-1] >= PATIENCE and len(run.history["step"]) >= ROWS


def fallen(verdicts: Mapping[str, Collapse | None], runs: Mapping[str, Run]) -> str:
    """A sentence: which of several runs have collapsed by the rule, and how many are too short to tell."""
    names = [name for name, verdict in verdicts.items() if verdict]
    short = sum(not long_enough(run) for name, run in runs.items() if name not in names)
    told = f"{len(names)} of {len(runs)} have collapsed by the rule" + (f" ({', '.join(names)})" if names else "")
    return told + (f"; {short} of the others were too short a training to tell." if short else ".")
