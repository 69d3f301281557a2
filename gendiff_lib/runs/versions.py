"""Result versions: a number beside each piece of code that decides a number of the report.

It is raised when the same input gives another result, and by nothing else: moving or renaming code makes no run stale.
tests/golden holds what each of them computes on small inputs, so that no result moves unseen.
"""

from .. import classifier
from ..diffusion import likelihood, samplers
from ..diffusion import model as diffusion
from ..gan import model as gan

VERSIONS: dict[str, int] = {
    "gan": gan.VERSION,
    "diffusion": diffusion.VERSION,
    "classifier": classifier.VERSION,
    "sampling": samplers.VERSION,
    "likelihood": likelihood.VERSION,
}  # those of evaluation are in its own module of this name


def result_versions(*names: str) -> dict[str, int]:
    """The present versions of the named results, as a record keeps them."""
    return {name: VERSIONS[name] for name in names}


def outdated(kept: dict[str, int], present: dict[str, int] = VERSIONS) -> list[str]:
    """The names of those results in a record whose version has been raised since, or is told no more."""
    return [name for name, version in kept.items() if version != present.get(name)]
