"""Configurations are values: frozen, checked when they are made, with one canonical JSON and a digest.

Nothing here imports torch, so reading a run's record costs little. Checking is pydantic's, the words are ours.
"""

import hashlib
import json
import typing
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from .parsing import real_number, whole_number


class GendiffError(Exception):
    """Something the user can mend. Its message is one sentence that names the thing, its value and the remedy."""


class ConfigError(GendiffError, ValueError):
    """A field of a configuration is unknown, of the wrong type or out of range."""


LARGEST = 2**31 - 1  # whole number that a field takes


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
            raise _refusal(type(self), error) from None

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
    def fields(cls) -> dict[str, FieldInfo]:
        """The fields by name; `.description` is a field's help."""
        return cls.model_fields

    @classmethod
    def field(cls, name: str) -> FieldInfo:
        """The field called `name`; ConfigError names the ones there are."""
        if name not in cls.fields():
            raise ConfigError(f"{name!r} is no field of {cls.__name__}: it has {', '.join(cls.fields())}")
        return cls.fields()[name]

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed; `part.name` is a field of a part, all of which change at once, after it."""
        values = {name: getattr(self, name) for name in self.fields()}
        inside: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            part, dot, inner = name.partition(".")
            self.field(part)
            if dot:
                inside.setdefault(part, {})[inner] = value
            else:
                values[part] = value
        for part, fields in inside.items():
            if not isinstance(values[part], Value):
                raise self._no_part(f"{part}.{next(iter(fields))}")
            values[part] = values[part].but(**fields)
        return type(self)(**values)

    def _no_part(self, name: str) -> ConfigError:
        return ConfigError(f"{name!r} is no field of {type(self).__name__}: {name.partition('.')[0]} has no parts")

    def flat(self) -> dict[str, Any]:
        """Every field by its dotted name, parts after the field that names their type."""
        found: dict[str, Any] = {}
        for name in self.fields():
            value = getattr(self, name)
            if isinstance(value, Part):
                found[name] = value.type
                found |= {f"{name}.{k}": v for k, v in value.flat().items() if k != "type"}
            else:
                found[name] = value
        return found

    def parse(self, name: str, text: str) -> Any:
        """The command-line word `text` as a value of the field `name`, which may be dotted."""
        part, dot, inner = name.partition(".")
        field = self.field(part)
        if dot and isinstance(mine := getattr(self, part), Value):
            return mine.parse(inner, text)
        if dot:
            raise self._no_part(name)
        if chosen := _parts(field.annotation).get(text):
            return chosen.model_validate({})
        try:
            value = _parse(field.annotation, text)
            checker: TypeAdapter[Any] = TypeAdapter(
                typing.cast(Any, Annotated[field.annotation, field]), config=self.model_config
            )
            checker.validate_python(value)
        except ValidationError as error:
            raise _refusal(type(self), error, name, text) from None
        except ValueError:
            raise ConfigError(f"{name} must be {_words(field)}, not {text!r}") from None
        return value

    def told(self, words: dict[str, str]) -> Self:
        """A copy with the fields that command-line words name; a part's type before the part's own fields."""
        made = self
        for dotted in (False, True):
            mine = {name: word for name, word in words.items() if ("." in name) == dotted}
            made = made.but(**{name: made.parse(name, word) for name, word in mine.items()})
        return made

    def text(self, name: str) -> str:
        """The value of the field `name` (perhaps dotted) as a command-line word: `parse` undoes it."""
        return as_text(self.flat()[name])

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
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values

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


def as_text(value: Any) -> str:
    """A value as a command-line word: lists with commas, whole floats without their point, none and true as words."""
    if isinstance(value, tuple):
        return ",".join(map(as_text, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST:
        return str(int(value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _options(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a type, Annotated taken off."""
    if typing.get_origin(kind) is Annotated:
        return _options(typing.get_args(kind)[0])
    args = typing.get_args(kind)
    union = args and typing.get_origin(kind) not in (tuple, Literal)
    return tuple(o for a in args for o in _options(a)) if union else (kind,)


def _parts(kind: Any) -> dict[str, type["Part"]]:
    """The parts that a type chooses from, by their tag."""
    return {o.tag(): o for o in _options(kind) if isinstance(o, type) and issubclass(o, Part)}


def parts_of(kind: type[Value], name: str) -> list[type["Part"]]:
    """The parts that the field `name` chooses from; none for a plain field."""
    return list(_parts(kind.field(name).annotation).values())


def _parse(kind: Any, text: str) -> Any:
    """A command-line word as a value of `kind`; ValueError where it is none."""
    options = _options(kind)
    if type(None) in options and text.lower() in ("none", ""):
        return None
    for option in options:
        if typing.get_origin(option) is tuple:
            item = _options(typing.get_args(option)[0])[0]
            return tuple(_number(item, word) for word in _items(text))
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


def _words(field: FieldInfo) -> str:
    """What a field takes, in the words of an error message."""
    if parts := _parts(field.annotation):
        return f"one of {', '.join(parts)}"
    return " or ".join(map(_word, _options(field.annotation)))


def _word(option: Any) -> str:
    if typing.get_origin(option) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(option)))}"
    if typing.get_origin(option) is tuple:
        items = typing.get_args(option)
        what = {int: "whole numbers", float: "numbers"}[_options(items[0])[0]]
        return what if items[-1] is Ellipsis else f"{len(items)} {what}"
    return {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "none"}[option]


def _range(field: FieldInfo, context: dict[str, Any]) -> str:
    """The bounds of a field, or the one that an item of its list broke."""
    marks = {k: getattr(m, k) for m in field.metadata for k in ("ge", "gt", "le") if hasattr(m, k)} or context
    low = f"{marks['ge']:g}" if "ge" in marks else "more than 0" if "gt" in marks else ""
    if marks.get("le", LARGEST) != LARGEST or (low and "le" in context):
        return f"between {low} and {marks['le']:.10g}" if "gt" not in marks else f"{low}, at most {marks['le']:.10g}"
    return low if "gt" in marks else f"at least {low}"


def _refusal(cls: type[Value], error: ValidationError, name: str = "", text: str | None = None) -> ConfigError:
    """Pydantic's first complaint as one sentence."""
    first = error.errors()[0]
    kind, value = first["type"], first["input"] if text is None else text
    if kind == "value_error":  # ours already
        return ConfigError(str(first["ctx"]["error"]))
    field_name = name.rpartition(".")[2] or str(first["loc"][0])
    if kind == "extra_forbidden":
        return ConfigError(f"{field_name!r} is no field of {cls.__name__}: it has {', '.join(cls.fields())}")
    field = cls.fields()[field_name]
    if kind == "string_pattern_mismatch":
        return ConfigError(
            f"{field_name}={value!r} cannot name a folder: use letters, digits, dashes and underscores, 64 at most"
        )
    if kind.startswith(("greater", "less")):
        return ConfigError(f"{field_name} must be {_range(field, first['ctx'])}, not {value!r}")
    return ConfigError(f"{name or field_name} must be {_words(field)}, not {value!r}")


class Part(Value):
    """A value inside a configuration, chosen among its like by `type`."""

    type: str

    @classmethod
    def tag(cls) -> str:
        """What `type` must be to choose it."""
        return str(cls.fields()["type"].default)


# ---------------------------------------------------------------- what every training shares


class Config(Value):
    """What every training shares. `name`, `epochs` and `snapshots` are no part of its identity."""

    kind: ClassVar[str] = ""
    name: str = setting(
        "run", "label of the run's folder", absent="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", identity=False
    )
    dataset: str = setting("cifar10", "data set, NAME or NAME:ARGUMENT", absent="cifar10")
    n_train: int | None = setting(None, "training samples used, a balanced choice; none for all", absent=None, ge=1)
    image_size: int | None = setting(
        None, "side of the images the model sees; none for the data set's own", absent=None, ge=1
    )
    flip: bool = setting(False, "flip half of each batch left to right", absent=False)
    batch_size: int = setting(128, "samples in one update", absent=128, ge=1)
    epochs: float = setting(
        1.0, "passes over the training samples, rounded to a batch", absent=1.0, gt=0.0, le=1e9, identity=False
    )
    snapshots: tuple[Annotated[float, Field(gt=0.0)], ...] = setting(
        (), "epochs whose weights are kept", absent=(), identity=False
    )
    seed: int = setting(0, "seed of weights, data order and noise", absent=0, ge=0)
    precision: Literal["fp32", "bf16"] = setting("fp32", "arithmetic of the networks", absent="fp32")


# ---------------------------------------------------------------- networks of GANs


class DCGANNetwork(Part):
    """The paper's generator and discriminator (Figs. 14 and 15), of as many stages as the image's side needs."""

    type: Literal["dcgan"] = setting("dcgan", "convolutional players", absent=None)
    ngf: int = setting(64, "width of the generator", absent=None, ge=1)
    ndf: int = setting(64, "width of the discriminator", absent=None, ge=1)
    norm: Literal["batch", "none"] = setting("batch", "what follows the transposed convolutions", absent="batch")


class PointGANNetwork(Part):
    """Two multilayer perceptrons, for points in the plane."""

    type: Literal["mlp"] = setting("mlp", "perceptrons, for points in the plane", absent=None)
    ngf: int = setting(64, "width of the generator", absent=None, ge=1)
    ndf: int = setting(64, "width of the discriminator", absent=None, ge=1)
    fourier: int = setting(0, "octaves of Fourier features that the discriminator sees", absent=0, ge=0, le=8)


class GANConfig(Config):
    """A generator against a discriminator; names of Fig. 16."""

    kind: ClassVar[str] = "gan"
    network: DCGANNetwork | PointGANNetwork = setting(
        DCGANNetwork(), "networks of both players", absent=None, discriminator="type"
    )
    nz: int = setting(100, "length of the latent z", absent=100, ge=1)
    lrG: float = setting(2e-4, "Adam's learning rate of the generator", absent=2e-4, ge=0.0, le=1.0)
    lrD: float = setting(2e-4, "Adam's learning rate of the discriminator", absent=2e-4, ge=0.0, le=1.0)
    beta1: float = setting(0.5, "Adam's first decay rate", absent=0.5, ge=0.0, le=0.999)
    loss: Literal["non-saturating", "minimax"] = setting("non-saturating", "generator's loss", absent="non-saturating")
    real_label: float = setting(1.0, "target of real images (0.9 smooths)", absent=1.0, ge=0.5, le=1.0)
    clip_grad: float | None = setting(None, "largest gradient norm of either player", absent=None, gt=0.0)


# ---------------------------------------------------------------- networks of diffusion models


class MLPNetwork(Part):
    """Residual layers on the flattened sample."""

    type: Literal["mlp"] = setting("mlp", "a multilayer perceptron", absent=None)
    n_layers: int = setting(4, "residual layers", absent=None, ge=1)
    hidden_dim: int = setting(512, "width", absent=None, ge=1)
    timestep_embedding_dim: int = setting(256, "length of the embedding of t", absent=None, ge=2)
    fourier: int = setting(0, "octaves of Fourier features added to the input", absent=0, ge=0, le=8)

    def check(self) -> None:
        _even(self.timestep_embedding_dim)


class ConvNetwork(Part):
    """The paper's denoiser (Fig. 17): dilated residual convolutions at full resolution."""

    type: Literal["conv"] = setting("conv", "the paper's convolutions at full resolution", absent=None)
    n_layers: int = setting(8, "residual blocks", absent=None, ge=1)
    hidden_dim: int = setting(256, "channels", absent=None, ge=1)
    timestep_embedding_dim: int = setting(256, "length of the embedding of t", absent=None, ge=2)

    def check(self) -> None:
        _even(self.timestep_embedding_dim)
        if self.hidden_dim % 8:
            raise ConfigError(
                f"hidden_dim={self.hidden_dim} must be a multiple of 8 for network 'conv': it has 8 groups"
            )


class UNetNetwork(Part):
    """DDPM's U-Net (appendix B)."""

    type: Literal["unet"] = setting("unet", "DDPM's U-Net", absent=None)
    widths: tuple[Annotated[int, Field(ge=1)], ...] = setting(
        (64, 128, 128, 128), "channels of each level", absent=None
    )
    n_blocks: int = setting(2, "residual blocks a level", absent=None, ge=1)
    attention: tuple[Annotated[int, Field(ge=0)], ...] = setting(
        (1,), "levels with self-attention, 0 the finest", absent=None
    )
    patch: int = setting(1, "pixels folded into channels along each side", absent=1, ge=1)
    dropout: float = setting(0.0, "dropout in the residual blocks", absent=0.0, ge=0.0, le=0.9)

    def check(self) -> None:
        if not self.widths:
            raise ConfigError(f"widths={self.widths} name no level: give at least one width")
        if self.widths[0] % 2:
            raise ConfigError(
                f"widths={self.widths} must begin with an even width: half of the time's embedding is sines"
            )
        if any(level >= len(self.widths) for level in self.attention):
            last = len(self.widths) - 1
            raise ConfigError(f"attention={self.attention} names a level that is not there: levels are 0..{last}")


class TransformerNetwork(Part):
    """DiT without classes (Peebles and Xie 2023)."""

    type: Literal["transformer"] = setting("transformer", "a transformer of DiT's shape", absent=None)
    n_layers: int = setting(8, "blocks", absent=None, ge=1)
    hidden_dim: int = setting(256, "width", absent=None, ge=1)
    timestep_embedding_dim: int = setting(256, "length of the embedding of t", absent=None, ge=2)
    patch: int = setting(2, "pixels a token has along each side", absent=None, ge=1)

    def check(self) -> None:
        _even(self.timestep_embedding_dim)
        if self.hidden_dim % (64 if self.hidden_dim > 64 else 4):
            raise ConfigError(
                f"hidden_dim={self.hidden_dim} must be a multiple of 64, or of 4 below that, for network "
                "'transformer': its heads have 64 channels, its position embedding four kinds of sinusoids"
            )


def _even(timestep_embedding_dim: int) -> None:
    if timestep_embedding_dim % 2:
        raise ConfigError(
            f"timestep_embedding_dim={timestep_embedding_dim} must be even: half of it are sines, half cosines"
        )


class DiffusionConfig(Config):
    """A denoiser, the schedule that noises its data, and what it predicts; names of Fig. 17."""

    kind: ClassVar[str] = "diffusion"
    network: MLPNetwork | ConvNetwork | UNetNetwork | TransformerNetwork = setting(
        ConvNetwork(), "the denoiser", absent=None, discriminator="type"
    )
    schedule: str = setting("linear", "how a sample becomes noise", absent=None)
    n_timesteps: int | None = setting(None, "steps of a variance-preserving schedule", absent=None, ge=1)
    beta_minmax: tuple[float, float] | None = setting(None, "ends of the linear betas", absent=None)
    prediction: str = setting("eps", "what the network predicts", absent=None)
    weighting: str = setting("uniform", "weight of the loss over t", absent="uniform")
    times: str = setting("uniform", "distribution of the training t", absent="uniform")
    lr: float = setting(2e-4, "Adam's learning rate", absent=2e-4, ge=0.0, le=1.0)
    clip_grad: float | None = setting(None, "largest gradient norm", absent=None, gt=0.0)
    ema: float | None = setting(None, "half-life of the averaged weights, in images", absent=None, gt=0.0)

    def check(self) -> None:
        if self.beta_minmax is not None and not 0 < self.beta_minmax[0] < self.beta_minmax[1] < 1:
            raise ConfigError(f"beta_minmax must be two rising numbers between 0 and 1, not {self.beta_minmax}")


# ---------------------------------------------------------------- the classifier, and the registry


class ClassifierConfig(Config):
    """A data set's own classifier, a residual network of eight convolutions."""

    kind: ClassVar[str] = "classifier"
    width: int = setting(32, "channels of the first layer", absent=32, ge=1)
    lr: float = setting(0.1, "peak learning rate of SGD", absent=0.1, ge=0.0, le=10.0)
    weight_decay: float = setting(5e-4, "weight decay of SGD", absent=5e-4, ge=0.0, le=1.0)
    crop: int = setting(4, "random crops after padding by so many pixels", absent=4, ge=0)
    label_smoothing: float = setting(0.1, "mass given to the wrong classes", absent=0.1, ge=0.0, le=0.9)
    schedule_epochs: int = setting(10, "epochs over which the learning rate rises and falls", absent=10, ge=1)


CONFIGS: dict[str, type[Config]] = {c.kind: c for c in (GANConfig, DiffusionConfig, ClassifierConfig)}


def from_dict(kind: str, values: dict[str, Any]) -> Config:
    """The configuration whose `to_dict()` was `values`."""
    if kind not in CONFIGS:
        raise ConfigError(f"kind {kind!r} is unknown: there are {', '.join(CONFIGS)}")
    return CONFIGS[kind](**values)


class Sampling(Value):
    """How samples are drawn from a trained method. None asks for the method's own choice."""

    n: int = setting(64, "samples", absent=64, ge=1)
    seed: int = setting(0, "seed of the noise", absent=0, ge=0)
    batch_size: int = setting(64, "samples drawn together (part of the result: it shapes the noise)", absent=64, ge=1)
    sampler: str | None = setting(None, "algorithm", absent=None)
    n_steps: int | None = setting(None, "evaluations of the network for a sample", absent=None, ge=1)
    eta: float | None = setting(None, "DDIM's share of fresh noise, 0 to 1", absent=None, ge=0.0, le=1.0)
    clip_x0: bool | None = setting(None, "clip the estimate of x0 to the data's range", absent=None)
    weights: Literal["raw", "ema"] | None = setting(None, "raw or averaged weights", absent=None)
    batchnorm: Literal["recomputed", "running", "batch"] | None = setting(
        None, "statistics of a generator's batch norms: of fixed noise, of the training, or of the batch", absent=None
    )
