"""Configurations are values: frozen, checked by name when they are made, with one canonical JSON and a digest.

Nothing here imports torch, so reading a run's record costs nothing.
"""

import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self


class GendiffError(Exception):
    """Something the user can mend. Its message is one sentence that names the thing, its value and the remedy."""


class ConfigError(GendiffError, ValueError):
    """A field of a configuration is unknown, of the wrong type or out of range."""


LARGEST = 2**31 - 1  # whole number that a field takes


def setting(
    default: Any,
    help: str,
    *,
    absent: Any,
    choices: tuple[Any, ...] = (),
    low: float | None = None,
    high: float | None = None,
    pattern: str = "",
    identity: bool = True,
) -> Any:
    """Declare a field.

    `absent` is the behaviour before the field existed. It is never edited, and the digest leaves out a field that
    equals it: a new field orphans no published run, and a changed default answers with no old result.
    `identity=False` keeps a field out of the digest altogether (a label, or how long to train).
    `low` and `high` bound the value, or each item of a tuple, both ends included; whole numbers end at LARGEST
    anyway. A word must match `pattern`.
    """
    metadata = {"help": help, "absent": absent, "choices": choices, "low": low, "high": high, "pattern": pattern}
    return field(default=default, metadata=metadata | {"identity": identity})


def _words(kind: Any) -> str:
    """A type in the words of an error message."""
    if isinstance(kind, types.UnionType):
        return " or ".join(_words(k) for k in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        what = {int: "whole numbers", float: "numbers"}[items[0]]
        return what if items[-1] is Ellipsis else f"{len(items)} {what}"
    return {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "none"}[kind]


def _coerce(kind: Any, value: Any) -> Any:
    """`value` as `kind`, or TypeError. Only what loses nothing is converted: int to float, list to tuple."""
    if isinstance(kind, types.UnionType):
        for option in typing.get_args(kind):
            try:
                return _coerce(option, value)
            except TypeError:
                continue
        raise TypeError
    if typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        if not isinstance(value, (tuple, list)) or (items[-1] is not Ellipsis and len(value) != len(items)):
            raise TypeError
        return tuple(_coerce(items[0], v) for v in value)
    if kind is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise TypeError
        return float(value)
    if type(value) is kind:
        return value
    raise TypeError


def _parse(kind: Any, text: str) -> Any:
    """A command-line word as a value of `kind`; TypeError or ValueError where it is none."""
    if isinstance(kind, types.UnionType):
        for option in reversed(typing.get_args(kind)):  # "none" is tried first
            try:
                return _parse(option, text)
            except (TypeError, ValueError):
                continue
        raise TypeError
    if kind is type(None):
        if text.lower() not in ("none", ""):
            raise TypeError
        return None
    if kind is bool:
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else text
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        return tuple(item(part) for part in text.strip("[]()").split(",") if part.strip())
    return kind(text)


@dataclass(frozen=True, kw_only=True)
class Value:
    """The shared behaviour of configurations and samplings."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            try:
                value = _coerce(hints[f.name], value)
            except TypeError:
                raise ConfigError(f"{f.name} must be {_words(hints[f.name])}, not {value!r}") from None
            object.__setattr__(self, f.name, value)
            self._check_range(f, value)
        self.check()

    def _check_range(self, f: "dataclasses.Field[Any]", value: Any) -> None:
        choices, low, high = f.metadata["choices"], f.metadata["low"], f.metadata["high"]
        if choices and value is not None and value not in choices:
            raise ConfigError(f"{f.name} must be one of {', '.join(map(str, choices))}, not {value!r}")
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, bool) or not isinstance(v, (int, float)):
                continue
            most = LARGEST if high is None and isinstance(v, int) else high
            if (low is not None and v < low) or (most is not None and v > most):
                bound = (
                    f"at least {low}"
                    if most is None or (high is None and v < most)
                    else f"between {low or 0} and {most}"
                )
                raise ConfigError(f"{f.name} must be {bound}, not {value!r}")
        if f.metadata["pattern"] and not re.fullmatch(f.metadata["pattern"], value):
            raise ConfigError(f"{f.name}={value!r} cannot name a folder: use letters, digits, dashes and underscores")

    def check(self) -> None:
        """What no single field can tell; raises ConfigError."""

    @classmethod
    def field(cls, name: str) -> "dataclasses.Field[Any]":
        """The field called `name`; ConfigError names the ones there are."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        if name not in known:
            raise ConfigError(f"{name!r} is no field of {cls.__name__}: it has {', '.join(known)}")
        return known[name]

    @classmethod
    def parse(cls, name: str, text: str) -> Any:
        """The command-line word `text` as a value of field `name`."""
        cls.field(name)
        kind = typing.get_type_hints(cls)[name]
        try:
            return _parse(kind, text)
        except (TypeError, ValueError):
            raise ConfigError(f"{name} must be {_words(kind)}, not {text!r}") from None

    def text(self, name: str) -> str:
        """The value of field `name` as a command-line word: `parse` undoes it."""
        value = getattr(self, self.field(name).name)
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return str(value).lower() if value is None or isinstance(value, bool) else str(value)

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed; a name that is no field raises ConfigError."""
        for name in changes:
            self.field(name)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Every field, as JSON's own types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result, less those that equal their `absent` value."""
        return {
            f.name: value
            for f in dataclasses.fields(self)
            if f.metadata["identity"] and (value := getattr(self, f.name)) != f.metadata["absent"]
        }

    def to_json(self) -> str:
        """The canonical JSON that the digest hashes."""
        return json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of SHA-256 over the class's kind and `to_json()`."""
        return hashlib.sha256(f"{getattr(self, 'kind', '')}{self.to_json()}".encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Config(Value):
    """What every training shares. `epochs`, `snapshots` and `name` are no part of its identity."""

    kind: ClassVar[str] = ""
    name: str = setting(
        "run", "label of the run's folder", absent="run", pattern="[A-Za-z0-9][A-Za-z0-9_-]*", identity=False
    )
    dataset: str = setting("cifar10", "data set, NAME or NAME:ARGUMENT", absent="cifar10")
    n_train: int = setting(0, "training samples used, 0 for all; an epoch is one pass over them", absent=0, low=0)
    image_size: int = setting(0, "side of the images the model sees, 0 for the data set's own", absent=0, low=0)
    flip: bool = setting(False, "flip half of each batch left to right", absent=False)
    batch_size: int = setting(128, "samples in one update", absent=128, low=1)
    epochs: int = setting(1, "passes over the training samples", absent=1, low=1, identity=False)
    snapshots: tuple[int, ...] = setting((), "epochs whose weights are kept", absent=(), low=1, identity=False)
    seed: int = setting(0, "seed of weights, data order and noise", absent=0, low=0)
    precision: str = setting("fp32", "arithmetic of the networks", absent="fp32", choices=("fp32", "bf16"))


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """A generator against a discriminator; names of Fig. 16."""

    kind: ClassVar[str] = "gan"
    network: str = setting("dcgan", "networks of both players", absent="dcgan", choices=("dcgan", "mlp"))
    fourier: int = setting(0, "octaves of sines and cosines that an mlp's discriminator sees", absent=0, low=0, high=8)
    nz: int = setting(100, "length of the latent z", absent=100, low=1)
    ngf: int = setting(64, "width of the generator", absent=64, low=1)
    ndf: int = setting(64, "width of the discriminator", absent=64, low=1)
    lrG: float = setting(2e-4, "Adam's learning rate of the generator", absent=2e-4, low=0.0, high=1.0)
    lrD: float = setting(2e-4, "Adam's learning rate of the discriminator", absent=2e-4, low=0.0, high=1.0)
    beta1: float = setting(0.5, "Adam's first decay rate", absent=0.5, low=0.0, high=0.999)
    loss: str = setting(
        "non-saturating", "generator's loss", absent="non-saturating", choices=("non-saturating", "minimax")
    )
    norm: str = setting(
        "batch", "what follows the generator's transposed convolutions", absent="batch", choices=("batch", "none")
    )
    real_label: float = setting(1.0, "target of real images (0.9 smooths)", absent=1.0, low=0.5, high=1.0)

    def check(self) -> None:
        if self.fourier and self.network != "mlp":
            raise ConfigError(f"fourier={self.fourier} does not apply to network {self.network!r}: set fourier=0")
        if self.norm != "batch" and self.network == "mlp":
            raise ConfigError(f"norm={self.norm} does not apply to network 'mlp', which has none: leave it out")


# Which denoisers own which fields: a field set for another denoiser is refused, never ignored.
_OWNERS = {
    "n_layers": ("mlp", "conv", "transformer"),
    "hidden_dim": ("mlp", "conv", "transformer"),
    "timestep_embedding_dim": ("mlp", "conv", "transformer"),
    "fourier": ("mlp",),
    "widths": ("unet",),
    "n_blocks": ("unet",),
    "attention": ("unet",),
    "patch": ("unet", "transformer"),
    "dropout": ("unet",),
}


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig(Config):
    """A denoiser, the path that noises its data, and what it predicts; names of Fig. 17."""

    kind: ClassVar[str] = "diffusion"
    denoiser: str = setting("conv", "network", absent="conv")
    path: str = setting("linear", "how a sample becomes noise", absent="linear")
    n_timesteps: int | None = setting(None, "steps of a variance-preserving path", absent=None, low=1)
    beta_minmax: tuple[float, float] | None = setting(None, "ends of the linear betas", absent=None)
    prediction: str = setting("eps", "what the network predicts", absent="eps")
    weighting: str = setting("uniform", "weight of the loss over t", absent="uniform")
    times: str = setting("uniform", "distribution of the training t", absent="uniform")
    lr: float = setting(2e-4, "Adam's learning rate", absent=2e-4, low=0.0, high=1.0)
    clip_grad: float = setting(0.0, "largest gradient norm, 0 for no clipping", absent=0.0, low=0.0)
    ema: float = setting(0.0, "decay of the averaged weights, 0 for none", absent=0.0, low=0.0, high=0.99999)
    n_layers: int | None = setting(None, "residual blocks (mlp, conv, transformer)", absent=None, low=1)
    hidden_dim: int | None = setting(None, "width (mlp, conv, transformer)", absent=None, low=1)
    timestep_embedding_dim: int | None = setting(
        None, "length of the embedding of t (mlp, conv, transformer)", absent=None, low=2
    )
    fourier: int = setting(0, "octaves of sines and cosines added to the input (mlp)", absent=0, low=0, high=8)
    widths: tuple[int, ...] | None = setting(None, "channels of each level (unet)", absent=None, low=1)
    n_blocks: int | None = setting(None, "residual blocks a level (unet)", absent=None, low=1)
    attention: tuple[int, ...] | None = setting(None, "levels with self-attention, 0 the finest (unet)", absent=None)
    patch: int | None = setting(
        None, "pixels folded into channels along each side (unet, transformer)", absent=None, low=1
    )
    dropout: float | None = setting(None, "dropout in the residual blocks (unet)", absent=None, low=0.0, high=0.9)

    def check(self) -> None:
        for name, owners in _OWNERS.items():
            mine, value, unset = self.denoiser in owners, getattr(self, name), self.field(name).default
            if mine and value is None:
                raise ConfigError(f"{name} is missing: denoiser {self.denoiser!r} needs it")
            if not mine and value != unset:
                raise ConfigError(
                    f"{name}={value} does not apply to denoiser {self.denoiser!r} (it belongs to {', '.join(owners)}): "
                    f"set {name}={'none' if unset is None else unset}"
                )
        if self.beta_minmax is not None and not 0 < self.beta_minmax[0] < self.beta_minmax[1] < 1:
            raise ConfigError(f"beta_minmax must be two rising numbers between 0 and 1, not {self.beta_minmax}")


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(Config):
    """The network of the offline extractor, a residual one of eight convolutions."""

    kind: ClassVar[str] = "classifier"
    width: int = setting(32, "channels of the first layer", absent=32, low=1)
    lr: float = setting(0.1, "peak learning rate of SGD", absent=0.1, low=0.0, high=10.0)
    weight_decay: float = setting(5e-4, "weight decay of SGD", absent=5e-4, low=0.0, high=1.0)
    crop: int = setting(4, "random crops after padding by so many pixels", absent=4, low=0)
    label_smoothing: float = setting(0.1, "mass given to the wrong classes", absent=0.1, low=0.0, high=0.9)
    schedule_epochs: int = setting(10, "epochs over which the learning rate rises and falls", absent=10, low=1)


CONFIGS: dict[str, type[Config]] = {c.kind: c for c in (GANConfig, DiffusionConfig, ClassifierConfig)}


def from_dict(kind: str, values: dict[str, Any]) -> Config:
    """The configuration whose `to_dict()` was `values`."""
    if kind not in CONFIGS:
        raise ConfigError(f"kind {kind!r} is unknown: there are {', '.join(CONFIGS)}")
    make: Callable[..., Config] = CONFIGS[kind]
    for name in values:
        CONFIGS[kind].field(name)
    return make(**values)


@dataclass(frozen=True, kw_only=True)
class Sampling(Value):
    """How samples are drawn from a trained method. None asks for the method's own choice."""

    n: int = setting(64, "samples", absent=64, low=1)
    seed: int = setting(0, "seed of the noise", absent=0, low=0)
    batch_size: int = setting(64, "samples drawn together (part of the result: it shapes the noise)", absent=64, low=1)
    sampler: str | None = setting(None, "algorithm", absent=None)
    n_steps: int | None = setting(None, "evaluations of the network for a sample", absent=None, low=1)
    eta: float | None = setting(None, "DDIM's share of fresh noise, 0 to 1", absent=None, low=0.0, high=1.0)
    clip_x0: bool | None = setting(None, "clip the estimate of x0 to the data's range", absent=None)
    weights: str | None = setting(None, "raw or averaged weights", absent=None, choices=("raw", "ema"))
