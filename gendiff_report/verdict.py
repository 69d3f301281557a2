"""Whether a GAN has collapsed, in words."""

from gendiff_lib.gan.collapse import PATIENCE, Collapse
from gendiff_lib.runs.run import Run


def said(verdict: Collapse | None, run: Run) -> str:
    """What the rule says of a run, whose history may be too short for it."""
    if verdict:
        return f"collapsed by epoch {verdict.epoch:.3g}, since {verdict.why}"
    return "no collapse" if run.history["step"][-1] >= PATIENCE else "too short a training to tell"
