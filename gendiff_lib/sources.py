"""Digests of our own sources: by them, what is kept tells whether the code that made it is still the same."""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

# The sources that decide what a training gives, beside the versions that the record names.
_TRAINED_BY = {
    "gan": ("gan", "denoisers.waves"),
    "diffusion": ("paths", "objectives", "denoisers", "diffusion"),
    "classifier": ("classifier",),
}
_SHARED = ("images", "data.batches", "learner", "training")  # what was loaded is in the record by content
_BOUND_BY = ("likelihood", "samplers.noise", "samplers.reverse", "samplers.posterior_std", "samplers.generator")
_SCORED_BY = (
    "features", "metrics", "scoring.offline", "classifier", "images.to_model", "images.resize",
)  # fmt: skip


def source_digest(kind: str) -> str:
    """Twelve hexadecimal digits over the syntax trees of the sources that decide this kind's trainings."""
    return digest_of_sources((*_SHARED, *_TRAINED_BY[kind]))


def sampler_digest() -> str:
    """The same of the samplers: samples of another digest may differ."""
    return digest_of_sources(("samplers",))


def likelihood_digest() -> str:
    """The same of what turns a model into bits per dimension."""
    return digest_of_sources(_BOUND_BY)


def metrics_digest() -> str:
    """The same of what turns images into scores."""
    return digest_of_sources(_SCORED_BY)


def digest_of_sources(names: tuple[str, ...]) -> str:
    """Of modules of this package, or (`module.name`) of one function or class of theirs."""
    h = hashlib.sha256()
    for name in names:
        module, _, part = name.partition(".")
        tree: Any = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
        if part:
            tree = next(node for node in tree.body if getattr(node, "name", "") == part)
        h.update(json.dumps(_plain(tree)).encode())
    return h.hexdigest()[:12]


def _plain(node: Any) -> Any:
    """A syntax tree as lists, without docstrings, annotations, positions and empty fields,
    alike in every Python that we support."""
    if isinstance(node, list):
        return [_plain(n) for n in node if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    if isinstance(node, ast.AST):
        skip = ("kind", "annotation", "returns")
        kept = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, []) and name not in skip]
        return [type(node).__name__, *([name, _plain(value)] for name, value in kept)]
    return repr(node)
