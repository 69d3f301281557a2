"""Command-line words as values, and what pydantic says of a wrong one in one sentence."""

import math
import re
import typing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from .errors import ConfigError

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def whole_number(text: str) -> int | None:
    """The whole number from 0 that `text` spells in at most 18 ASCII digits; None for anything else.

    No sign, blank, `1_000`, leading zero or digit of another script, all of which int() takes.
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


def choices(kind: Any) -> dict[str, type[BaseModel]]:
    """The parts that a type chooses from, by their tag."""
    parts = [o for o in alternatives(kind) if isinstance(o, type) and issubclass(o, BaseModel)]
    return {str(o.model_fields["type"].default): o for o in parts}


def value_of_word(kind: Any, text: str) -> Any:
    """A command-line word as a value of `kind`; ValueError where it is none."""
    options = alternatives(kind)
    if type(None) in options and text.lower() in ("none", ""):
        return None
    for option in options:
        if typing.get_origin(option) is tuple:
            item = alternatives(typing.get_args(option)[0])[0]
            return tuple(word if typing.get_origin(item) is Literal else _number(item, word) for word in _items(text))
        if option in (int, float):
            return _number(option, text)
        if option is bool:
            return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else text
    return text


def _items(text: str) -> list[str]:
    """The words of a list, 1,2 or (1, 2) or [1, 2]."""
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    return [word.removeprefix(" ") for word in inner.split(",")] if inner else []


def _number(kind: type, text: str) -> float:
    """A number as `parsing` has it. A whole one may have a minus or more digits: that is told as out of range."""
    digits = text.removeprefix("-")
    value = real_number(text) if kind is float else whole_number(digits[:18])
    if value is None or (kind is int and not (digits.isascii() and digits.isdecimal())):
        raise ValueError
    return int(text) if kind is int else value


def what_it_takes(field: FieldInfo) -> str:
    """What a field takes, in the words of an error message."""
    if parts := choices(field.annotation):
        return f"one of {', '.join(parts)}"
    return " or ".join(map(_word, alternatives(field.annotation)))


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


def _range(field: FieldInfo, context: dict[str, Any]) -> str:
    """The bounds of a field, or the one that an item of its list broke."""
    marks = {k: getattr(m, k) for m in field.metadata for k in ("ge", "gt", "le") if hasattr(m, k)} or context
    low = f"{marks['ge']:g}" if "ge" in marks else "more than 0" if "gt" in marks else ""
    if marks.get("le", LARGEST) != LARGEST or (low and "le" in context):
        return f"between {low} and {marks['le']:.10g}" if "gt" not in marks else f"{low}, at most {marks['le']:.10g}"
    return low if "gt" in marks else f"at least {low}"


def refusal(cls: type[BaseModel], error: ValidationError, name: str = "", text: str | None = None) -> ConfigError:
    """Pydantic's first complaint as one sentence."""
    first = error.errors()[0]
    kind, value = first["type"], first["input"] if text is None else text
    if kind == "value_error":  # ours already
        return ConfigError(str(first["ctx"]["error"]))
    field_name = name.rpartition(".")[2] or str(first["loc"][0])
    if kind == "extra_forbidden":
        return ConfigError(f"{field_name!r} is no field of {cls.__name__}: it has {', '.join(cls.model_fields)}")
    field = cls.model_fields[field_name]
    if kind == "string_pattern_mismatch":
        return ConfigError(
            f"{field_name}={value!r} cannot name a folder: use letters, digits, dashes and underscores, 64 at most"
        )
    if kind.startswith(("greater", "less")):
        return ConfigError(f"{field_name} must be {_range(field, first['ctx'])}, not {value!r}")
    return ConfigError(f"{name or field_name} must be {what_it_takes(field)}, not {value!r}")
