"""What the source says of itself, read without running it: folders, files, public names."""

import ast
import io
import json
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

PACKAGES = ("gendiff_lib", "gendiff_report", "benchmarks")
LONGEST = 90  # letters of a value that is shown whole


@dataclass(frozen=True)
class Name:
    """A public name with its signature and what its docstring, or the comment beside a value, says of it."""

    name: str
    kind: str  # function, class, constructor, method, property, field or value
    signature: str
    doc: str
    members: tuple["Name", ...] = ()


@dataclass(frozen=True)
class Source:
    """A file of Python; `path` is relative to the checkout."""

    path: Path
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed text."""
        return ast.parse(self.text)

    @property
    def doc(self) -> str:
        """The docstring."""
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """The public names that are defined here, in their order."""
        return tuple(_names(self.tree.body, _comments(self.text), "function", "value"))

    @property
    def passed_on(self) -> list[str]:
        """The names in `__all__`: those of other files that this one passes on."""
        values = [
            n.value for n in self.tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
        ]
        return [name for value in values for name in ast.literal_eval(value)]

    @property
    def imports(self) -> Iterator[str]:
        """The dotted names that are imported anywhere in it, relative ones made whole."""
        package = self.path.parent.parts
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else ()
                base = ".".join((*above, *([node.module] if node.module else [])))
                yield from (f"{base}.{alias.name}" for alias in node.names)


@dataclass(frozen=True)
class Folder:
    """A folder with an `__init__.py`, and the files in it, that one first."""

    path: Path
    sources: tuple[Source, ...]

    @property
    def name(self) -> str:
        """Such as gendiff_lib/networks."""
        return self.path.as_posix()

    @property
    def doc(self) -> str:
        """The docstring of its `__init__.py`."""
        return self.sources[0].doc


@cache
def read(root: Path, path: Path) -> Source:
    """The file at `path` in the checkout `root`; of a notebook its code, without a docstring."""
    text = (root / path).read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
        text = "\n".join(["0"] + ["".join(lines) for lines in cells])
    return Source(path, text)


def folders(root: Path) -> list[Folder]:
    """Every folder of the packages in the checkout `root`, by name, each package before what is in it."""
    return [
        Folder(init.parent.relative_to(root), tuple(_files(root, init)))
        for package in PACKAGES
        for init in sorted((root / package).rglob("__init__.py"), key=lambda p: p.parent.as_posix())
    ]


def _files(root: Path, init: Path) -> Iterator[Source]:
    yield read(root, init.relative_to(root))
    yield from (read(root, p.relative_to(root)) for p in sorted(init.parent.glob("*.py")) if p != init)


# ---------------------------------------------------------------- names


def _names(body: list[ast.stmt], comments: dict[int, str], function: str, value: str) -> Iterator[Name]:
    """The public names that statements define; functions among them are of the kind `function`, values of `value`."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found = _function(node, function)
            case ast.ClassDef():
                found = _class(node, comments)
            case ast.AnnAssign(target=ast.Name()) | ast.Assign(targets=[ast.Name()]):
                found = _value(node, comments, value)
            case _:
                continue
        if not found.name.startswith("_"):
            yield found


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> Name:
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    doc = ast.get_docstring(node) or ""
    if marks & {"property", "cached_property"}:
        return Name(node.name, "property", returns, doc)
    return Name(
        node.name, kind, f"({_arguments(node, kind == 'method' and 'staticmethod' not in marks)}){returns}", doc
    )


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef, bound: bool) -> str:
    """The arguments with their types and defaults, without the self or cls of a bound method."""
    given = node.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + given.defaults
    words = [_argument(*pair) for pair in zip(plain, defaults, strict=True)][bound:]
    if given.vararg or given.kwonlyargs:
        words.append("*" + (_argument(given.vararg, None) if given.vararg else ""))
    words += [_argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return ", ".join([*words, *([f"**{_argument(given.kwarg, None)}"] if given.kwarg else [])])


def _argument(arg: ast.arg, default: ast.expr | None) -> str:
    typed = f": {ast.unparse(arg.annotation)}" if arg.annotation else ""
    return arg.arg + typed + ("" if default is None else f" = {ast.unparse(default)}")


def _class(node: ast.ClassDef, comments: dict[int, str]) -> Name:
    bases = [ast.unparse(b) for b in (*node.bases, *(k.value for k in node.keywords))]
    members = tuple(_names(node.body, comments, "method", "field"))
    init = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if init:
        members = (
            Name(node.name, "constructor", f"({_arguments(init, True)})", ast.get_docstring(init) or ""),
            *members,
        )
    return Name(node.name, "class", f"({', '.join(bases)})" if bases else "", ast.get_docstring(node) or "", members)


def _value(node: ast.AnnAssign | ast.Assign, comments: dict[int, str], kind: str) -> Name:
    target, kept, doc = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0]), node.value, ""
    if isinstance(kept, ast.Call) and ast.unparse(kept.func) == "setting":  # a field of a configuration, told in words
        kept, doc = kept.args[0], ast.literal_eval(kept.args[1])
    typed = f": {ast.unparse(node.annotation)}" if isinstance(node, ast.AnnAssign) else ""
    return Name(
        target, kind, typed + _shown(kept), doc or comments.get(node.lineno) or comments.get(node.end_lineno, "")
    )


def _shown(value: ast.expr | None) -> str:
    """A value where it is short, the keys of a long registry."""
    if value is None:
        return ""
    if len(text := ast.unparse(value)) <= LONGEST:
        return f" = {text}"
    keys = value.keys if isinstance(value, ast.Dict) else []
    names = [k.value if isinstance(k, ast.Constant) else None for k in keys]
    return f" of {', '.join(map(str, names))}" if names and None not in names else ""


def _comments(text: str) -> dict[int, str]:
    """What is said of the statement that begins on a line: by a comment at its end, else by those right above it."""
    beside, above = {}, {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            (above if alone else beside)[token.start[0]] = token.string.lstrip("# ")
    beside = {row: words for row, words in beside.items() if not words.startswith(("fmt:", "noqa", "type:"))}
    told: dict[int, str] = {}
    for row, words in above.items():
        if not words.startswith("---"):
            told[row + 1] = f"{told.pop(row, '')} {words}".strip()
    return told | beside
