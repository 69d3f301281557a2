"""Who imports whom, read from the source, and the drawing of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sources import read

from gendiff_report.diagrams.svg import COLOURS, TIME, Canvas, width

ABOVE = ("benchmarks", "book", "gendiff_report", "notebooks")  # what uses the library
HIGH, PITCH, LANE = 22.0, 30.0, 14.0  # a box, from one box to the next, from one line to the next


@dataclass(frozen=True)
class Box:
    """Something that imports and is imported as one: a folder, a file beside the folders, or several low ones."""

    name: str
    parts: tuple[str, ...]  # folders and files
    imports: frozenset[str]  # names of other boxes


def boxes(root: Path) -> list[Box]:
    """The folders of gendiff_lib, the files beside them, and what stands above it, each above all that it imports.

    Files that reach no folder through what they import are one box, the base.
    """
    library = _library(root)
    low = {name for name in library if not any(_is_folder(root, n) for n in {name} | _reached(name, library))}
    where = {name: "the base" if name in low else name for name in library} | {name: name for name in ABOVE}
    used = library | {name: _units(root, [*_python(root / name)]) for name in ABOVE}
    found = []
    for box in dict.fromkeys(where.values()):
        parts = tuple(sorted(name for name, its in where.items() if its == box))
        found.append(Box(box, parts, frozenset(where[n] for p in parts for n in used[p] if n in where) - {box}))
    return in_order(found)


def _is_folder(root: Path, name: str) -> bool:
    return (root / "gendiff_lib" / name).is_dir()


def _python(folder: Path) -> Iterator[Path]:
    """The files of Python and the notebooks in a folder, without what is made in hidden and built ones."""
    for path in sorted([*folder.rglob("*.py"), *folder.glob("*.ipynb")]):
        if not {"_build", "executed", "__pycache__"} & set(path.relative_to(folder).parts):
            yield path


def _passed_on(root: Path) -> dict[str, str]:
    """What `gendiff_lib` itself passes on: such as gendiff_lib.train -> gendiff_lib.runs.train.train."""
    init = read(root, Path("gendiff_lib/__init__.py"))
    return {f"gendiff_lib.{name.rpartition('.')[2]}": name for name in init.imports if name.startswith("gendiff_lib.")}


def _library(root: Path) -> dict[str, set[str]]:
    """Each folder of gendiff_lib and each file beside them -> those that it imports."""
    units: dict[str, list[Path]] = {}
    for path in _python(root / "gendiff_lib"):
        unit = path.relative_to(root / "gendiff_lib").with_suffix("").parts[0]
        if not unit.startswith("__"):
            units.setdefault(unit, []).append(path)
    return {unit: _units(root, paths) - {unit} for unit, paths in units.items()}


def _units(root: Path, paths: list[Path]) -> set[str]:
    """What files import: folders of gendiff_lib and files beside them, and other top folders of the checkout."""
    passed = _passed_on(root)
    names = [passed.get(n, n).split(".") for p in paths for n in read(root, p.relative_to(root)).imports]
    return {parts[1] if parts[0] == "gendiff_lib" and len(parts) > 1 else parts[0] for parts in names}


def _reached(name: str, imports: dict[str, set[str]]) -> set[str]:
    """All that `name` imports, and what those import."""
    there: set[str] = set()
    ahead = [name]
    while ahead:
        new = imports.get(ahead.pop(), set()) - there
        there |= new
        ahead += new
    return there


def in_order(found: list[Box]) -> list[Box]:
    """Boxes with each above all that it imports; ValueError names those that import each other in a circle."""
    left, order = {b.name: b for b in sorted(found, key=lambda b: (b.name not in ABOVE, b.name))}, []
    while left:
        free = [box for box in left.values() if not any(box.name in other.imports for other in left.values())]
        if not free:
            raise ValueError(f"{', '.join(left)} import each other in a circle")
        order.append(left.pop(free[0].name))
    return order


# ---------------------------------------------------------------- the drawing


def drawing(found: list[Box]) -> str:
    """Boxes below each other as an SVG: a line to the right from each that imports, a dot where it meets a lane.

    A lane leads down to the box that is imported. Lanes of upper boxes lie further in, so no two cross.
    """
    canvas, half = Canvas(), max(width(box.name) for box in found) / 2 + 12
    lanes = {box.name: half + LANE * (i + 1) for i, box in enumerate(found)}
    rows = {box.name: PITCH * i for i, box in enumerate(found)}
    for box in found:
        y = rows[box.name]
        colour = COLOURS["ResBlock"] if box.name in ABOVE else TIME if len(box.parts) > 1 else COLOURS["Conv2d"]
        canvas.box(-half, y - HIGH / 2, 2 * half, HIGH, colour)
        canvas.text(0, y, box.name)
        if box.imports:
            canvas.line((half, y + 5), (max(lanes[n] for n in box.imports), y + 5), arrow=False)
        for name in sorted(box.imports):
            canvas.box(lanes[name] - 2, y + 3, 4, 4, strength=1)
        if users := [rows[other.name] for other in found if box.name in other.imports]:
            canvas.line((lanes[box.name], min(users) + 5), (lanes[box.name], y - 5), (half, y - 5))
    return canvas.svg("Who imports whom", in_words(found))


def in_words(found: list[Box]) -> str:
    """The same in a sentence for each box."""
    return " ".join(f"{box.name} imports {', '.join(sorted(box.imports)) or 'nothing'}." for box in found)
