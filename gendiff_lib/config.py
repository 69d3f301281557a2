"""Configurations are values: frozen, checked when they are made, with one canonical JSON and a digest.

Nothing here imports torch, so reading a run's record costs little. Checking is pydantic's, the words are ours.
"""

import hashlib
import json
import typing
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from .errors import ConfigError
from .parsing import LARGEST, as_text, refusal, value_of_word


def setting(default: Any, help: str, *, absent: Any, identity: bool = True, **bounds: Any) -> Any:
    """Declare a field.

    `absent` is the behaviour before the field existed. It is never edited, and the digest leaves out a field that
    equals it: a new field orphans no published run, and a changed default answers with no old result.
    `identity=False` keeps a field out of the digest altogether (a label, or how long to train).
    `bounds` are pydantic's: ge, gt, le, pattern. Whole numbers end at LARGEST anyway.
    """
    if isinstance(bounds.get("ge"), int):
        bounds.setdefault("le", LARGEST)
    return Field(default, description=help, json_schema_extra={"absent": absent, "identity": identity}, **bounds)


class Value(BaseModel):
    """The shared behaviour of configurations and samplings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise refusal(type(self), error) from None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        """JSON has lists where a value has tuples."""
        if not isinstance(values, dict):
            return values
        return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

    @model_validator(mode="after")
    def _checked(self) -> Self:
        self.check()
        return self

    def check(self) -> None:
        """What no single field can tell; raises ConfigError."""

    @classmethod
    def tag(cls) -> str:
        """The word that chooses it, where a field has several kinds of values."""
        return ""

    @classmethod
    def fields(cls) -> dict[str, FieldInfo]:
        """The fields by name; `.description` is a field's help."""
        return cls.model_fields

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed; `part.name` is a field of a part, all of which change at once, after it."""
        values = {name: getattr(self, name) for name in self.fields()}
        inside: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            part, dot, inner = name.partition(".")
            if dot:
                inside.setdefault(part, {})[inner] = value
            else:
                values[part] = value
        for part, fields in inside.items():
            values[part] = self._as_part(f"{part}.{next(iter(fields))}", values.get(part)).but(**fields)
        return type(self)(**values)

    def _as_part(self, name: str, value: Any) -> "Value":
        """`value` of the field before the dot in `name`; ConfigError where it is none that has fields of its own."""
        if not isinstance(value, Value):
            part = name.partition(".")[0]
            why = f"{part} has no parts" if part in self.fields() else f"it has {', '.join(self.fields())}"
            raise ConfigError(f"{name!r} is no field of {type(self).__name__}: {why}")
        return value

    def flat(self) -> dict[str, Any]:
        """Every field by its dotted name, parts after the field that names their type."""
        found: dict[str, Any] = {}
        for name in self.fields():
            value = getattr(self, name)
            if not isinstance(value, Value):
                found[name] = value
                continue
            found[name] = value.tag()
            found |= {f"{name}.{k}": v for k, v in value.flat().items() if k != "type"}
        return found

    def _spelled(self, name: str, word: str) -> Any:
        """The command-line word of a field, which may be dotted, as `but` takes it, which refuses what is no value."""
        part, dot, inner = name.partition(".")
        if dot:
            return self._as_part(name, getattr(self, part, None))._spelled(inner, word)
        return value_of_word(self.fields()[name].annotation, word) if name in self.fields() else word

    def told(self, words: dict[str, str]) -> Self:
        """A copy with the fields that command-line words name; a part's type before the part's own fields."""
        made = self
        for dotted in (False, True):
            mine = {name: word for name, word in words.items() if ("." in name) == dotted}
            made = made.but(**{name: made._spelled(name, word) for name, word in mine.items()})
        return made

    def words(self, base: "Value") -> dict[str, str]:
        """The command-line words that make this of `base`, by field: `base.told(words)` is this again."""
        found: dict[str, str] = {}
        for dotted in (False, True):
            there = base.told(found).flat()
            mine = {name: value for name, value in self.flat().items() if ("." in name) == dotted}
            found |= {name: as_text(value) for name, value in mine.items() if there[name] != value}
        return found

    def to_dict(self) -> dict[str, Any]:
        """Every field, as JSON's own types."""
        return self.model_dump(mode="json")

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result, less those that equal their `absent` value."""
        kept = {}
        for name, field in self.fields().items():
            value, extra = getattr(self, name), typing.cast(dict[str, Any], field.json_schema_extra)
            if extra["identity"] and value != extra["absent"]:
                kept[name] = value.identity() if isinstance(value, Value) else value
        return kept

    def to_json(self) -> str:
        """The canonical JSON that the digest hashes."""
        return json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of SHA-256 over the class's kind and `to_json()`."""
        return hashlib.sha256(f"{getattr(self, 'kind', '')}{self.to_json()}".encode()).hexdigest()[:12]


class Part(Value):
    """A value inside a configuration, chosen among its like by `type`."""

    type: str

    @classmethod
    def tag(cls) -> str:
        """See Value.tag: what `type` must be."""
        return str(cls.fields()["type"].default)

    def arguments(self) -> dict[str, Any]:
        """Every other field by name, as whoever builds it takes them."""
        return {name: getattr(self, name) for name in self.fields() if name != "type"}


class Config(Value):
    """What every training shares. `name`, `epochs` and `snapshots` are no part of its identity."""

    kind: ClassVar[str] = ""

    @classmethod
    def tag(cls) -> str:
        """See Value.tag: the kind."""
        return cls.kind

    @property
    def needs(self) -> "Config | None":
        """What must be trained before it."""
        return None

    name: str = setting(
        "run", "label of the run's folder", absent="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", identity=False
    )
    dataset: str = setting("cifar10", "data set, NAME or NAME:ARGUMENT", absent="cifar10")
    n_train: int | None = setting(None, "training samples used, a balanced choice; none for all", absent=None, ge=1)
    image_size: int | None = setting(
        None, "side of the images the model sees; none for the data set's own", absent=None, ge=1
    )
    flip: bool = setting(False, "whether each image is flipped left to right with probability 1/2", absent=False)
    batch_size: int = setting(128, "samples in one update", absent=128, ge=1)
    epochs: float = setting(
        1.0, "passes over the training samples, rounded to a batch", absent=1.0, gt=0.0, le=1e9, identity=False
    )
    snapshots: tuple[Annotated[float, Field(gt=0.0)], ...] = setting(
        (), "epochs whose weights are kept", absent=(), identity=False
    )
    seed: int = setting(0, "seed of weights, data order and noise", absent=0, ge=0)
    precision: Literal["fp32", "bf16"] = setting("fp32", "arithmetic of the networks", absent="fp32")


class Sampling(Value):
    """How samples are drawn from a trained method. None asks for the method's own choice."""

    n: int = setting(64, "samples", absent=64, ge=1)
    seed: int = setting(0, "seed of the noise", absent=0, ge=0)
    batch_size: int = setting(64, "samples drawn together (part of the result: it shapes the noise)", absent=64, ge=1)
    sampler: str | None = setting(None, "algorithm", absent=None)
    n_steps: int | None = setting(None, "steps of the algorithm, of one evaluation each (heun: two)", absent=None, ge=1)
    grid: str | None = setting(None, "where the steps lie: trailing (even), quadratic or rho", absent=None)
    eta: float | None = setting(None, "DDIM's share of fresh noise, 0 to 1", absent=None, ge=0.0, le=1.0)
    guidance: float | None = setting(
        None, "strength w of classifier-free guidance, for twice the evaluations", absent=None, ge=0.0, le=100.0
    )
    clip_x0: bool | None = setting(None, "clip the estimate of x0 to the data's range", absent=None)
    weights: Literal["raw", "ema"] | None = setting(None, "raw or averaged weights", absent=None)
    batchnorm: Literal["recomputed", "running", "batch"] | None = setting(
        None, "statistics of a generator's batch norms: of fixed noise, of the training, or of the batch", absent=None
    )
