"""Result versions: a number beside each piece of code that decides a number of the report.

It is raised when the same input gives another result, and by nothing else: moving or renaming code makes no run stale.
tests/golden holds what each of them computes on small inputs, so that no result moves unseen.
"""

VERSIONS: dict[str, int] = {}  # of every result whose code has been imported


def register(name: str, version: int) -> int:
    """Note the version of the named result; returns it, to stand beside the code."""
    VERSIONS[name] = version
    return version


def result_versions(*names: str) -> dict[str, int]:
    """The present versions of the named results, as a record keeps them."""
    return {name: VERSIONS[name] for name in names}


def outdated(kept: dict[str, int]) -> list[str]:
    """The names of those results in a record whose version has been raised since, or is told no more."""
    return [name for name, version in kept.items() if version != VERSIONS.get(name)]
