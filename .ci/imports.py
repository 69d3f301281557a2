"""Import every package that pyproject.toml asks for, outside the extras of a browser and of the benchmarks.

Run by the gate in the environment that `make env` and environment.yml make.
"""

import importlib
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

EXTRAS = ("book", "cluster", "test")


def asked() -> list[str]:
    """The names of the packages, as pyproject.toml writes them."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in EXTRAS for r in project["optional-dependencies"][extra])]
    names = [re.match(r"[A-Za-z0-9_.-]+", requirement)[0] for requirement in wanted]
    return [name for name in names if name != "gendiff"]


def modules(package: str) -> list[str]:
    """What a package is imported as; none for one that is a program, or files, alone."""
    files = metadata.files(package) or []
    tops = {f.parts[0] for f in files if len(f.parts) == 2 and f.name == "__init__.py"}
    return sorted(tops | {f.stem for f in files if len(f.parts) == 1 and f.suffix == ".py"})


def main() -> None:
    """Import them one by one; the error of one that cannot be is the answer."""
    for package in asked():
        for module in modules(package):
            if module.isidentifier():
                importlib.import_module(module)
        print(f"{package} {metadata.version(package)}: {', '.join(modules(package)) or 'no module'}")


if __name__ == "__main__":
    sys.exit(main())
