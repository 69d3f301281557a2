"""Command-line words as values, and what pydantic says of a wrong one in one sentence."""

import math
import re
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ValidationError

from .errors import ConfigError

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,3999})")  # int() refuses more than 4300 digits
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def whole_number(text: str) -> int | None:
    """The whole number that `text` spells in at most 4000 ASCII digits, perhaps below 0; None for anything else.

    No plus, blank, `1_000`, leading zero or digit of another script, all of which int() takes.
    """
    return int(text) if _WHOLE.fullmatch(text) else None


def real_number(text: str) -> float | None:
    """The finite number that `text` spells as -1, .5 or 2e-4; None for anything else.

    No blank, `nan`, `inf`, `1_000`, digit of another script or number beyond float's range, all of which float() takes.
    """
    value = float(text) if _REAL.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


LARGEST = 2**31 - 1  # whole number that a field takes


def as_text(value: Any) -> str:
    """A value as a command-line word: lists with commas, whole floats without their point, none and true as words."""
    if isinstance(value, tuple):
        return ",".join(map(as_text, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST:
        return str(int(value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a type, Annotated taken off."""
    if typing.get_origin(kind) is Annotated:
        return alternatives(typing.get_args(kind)[0])
    args = typing.get_args(kind)
    union = args and typing.get_origin(kind) not in (tuple, Literal)
    return tuple(o for a in args for o in alternatives(a)) if union else (kind,)


def choices(kind: Any) -> dict[str, Any]:
    """The values with fields of their own that a type chooses from, by their tag."""
    parts: list[Any] = [o for o in alternatives(kind) if isinstance(o, type) and issubclass(o, BaseModel)]
    return {part.tag(): part for part in parts}


def named_values(kind: Any) -> tuple[str, ...]:
    """The words that a type, or each item of a list, chooses from; none where it takes numbers or any word."""
    options = [typing.get_args(o)[0] if typing.get_origin(o) is tuple else o for o in alternatives(kind)]
    words = [str(word) for o in options if typing.get_origin(o) is Literal for word in typing.get_args(o)]
    return (*words, "none") if words and type(None) in options else tuple(words)


def value_of_word(kind: Any, text: str) -> Any:
    """A command-line word as a value of `kind`; the word itself where it spells none, so that the field refuses it."""
    options = alternatives(kind)
    if type(None) in options and text.lower() in ("none", ""):
        return None
    for option in options:
        if typing.get_origin(option) is tuple:
            item = alternatives(typing.get_args(option)[0])[0]
            values = tuple(map(_SPELLED.get(item, str), _items(text)))
            return text if None in values else values
        if option in _SPELLED:
            value = _SPELLED[option](text)
            return text if value is None else value
    return choices(kind)[text]() if text in choices(kind) else text


_SPELLED: dict[Any, Callable[[str], Any]] = {
    int: whole_number,
    float: real_number,
    bool: lambda text: {"true": True, "false": False}.get(text.lower()),
}


def _items(text: str) -> list[str]:
    """The words of a list, 1,2 or (1, 2) or [1, 2]."""
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    return [word.removeprefix(" ") for word in inner.split(",")] if inner else []


def _word(option: Any) -> str:
    if typing.get_origin(option) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(option)))}"
    if typing.get_origin(option) is tuple:
        items = typing.get_args(option)
        item = alternatives(items[0])[0]
        if typing.get_origin(item) is Literal:
            return f"some of {', '.join(map(str, typing.get_args(item)))}"
        what = {int: "whole numbers", float: "numbers"}[item]
        return what if items[-1] is Ellipsis else f"{len(items)} {what}"
    return {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "none"}[option]


def refusal(cls: type[BaseModel], error: ValidationError) -> ConfigError:
    """Pydantic's first complaint as one sentence."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # ours already
        return ConfigError(str(first["ctx"]["error"]))
    kind, name, value = first["type"], str(first["loc"][0]), first["input"]
    if kind == "extra_forbidden":
        return ConfigError(f"{name!r} is no field of {cls.__name__}: it has {', '.join(cls.model_fields)}")
    if kind == "string_pattern_mismatch":
        return ConfigError(
            f"{name}={value!r} cannot name a folder: use letters, digits, dashes and underscores, 64 at most"
        )
    field = cls.model_fields[name]
    if kind.startswith(("greater", "less")):  # the bounds of the field, or the one that an item of its list broke
        bounds = {k: getattr(m, k) for m in field.metadata for k in _BOUNDS if hasattr(m, k)} or first["ctx"]
        takes = ", ".join(f"{words} {bounds[k]:.10g}" for k, words in _BOUNDS.items() if k in bounds)
    elif parts := choices(field.annotation):
        takes = f"one of {', '.join(parts)}"
    else:
        takes = " or ".join(map(_word, alternatives(field.annotation)))
    return ConfigError(f"{name} must be {takes}, not {value!r}")


_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most"}
