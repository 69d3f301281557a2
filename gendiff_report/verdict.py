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
    return "no collapse" if _asked(run) else "no collapse (whether it repeats itself was not recorded)"


def long_enough(run: Run) -> bool:
    """Whether a run's history is long enough for the rule."""
    return run.history["step"][-1] >= PATIENCE and len(run.history["step"]) >= ROWS


def fallen(verdicts: Mapping[str, Collapse | None], runs: Mapping[str, Run]) -> str:
    """A sentence: which of several runs have collapsed by the rule, and how many are too short to tell."""
    names = [name for name, verdict in verdicts.items() if verdict]
    short = sum(not long_enough(run) for name, run in runs.items() if name not in names)
    blind = [n for n, run in runs.items() if n not in names and long_enough(run) and not _asked(run)]
    told = f"{len(names)} of {len(runs)} have collapsed by the rule, as far as they are shown"
    told += f" ({', '.join(names)})" if names else ""
    told += f"; {short} of the others {'was' if short == 1 else 'were'} too short a training to tell" if short else ""
    return told + (f"; whether it repeats itself was not recorded of {', '.join(blind)}." if blind else ".")


def _asked(run: Run) -> bool:
    """Whether its history tells how near a generator's images are to each other, which older ones do not."""
    return any(isfinite(value) for value in run.history.get("nearest", ()))
