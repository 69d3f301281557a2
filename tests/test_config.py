import ast
import dataclasses
import json
import sys
from pathlib import Path

import pytest

from gendiff_lib import config
from gendiff_lib.config import (
    CONFIGS,
    ClassifierConfig,
    Config,
    ConfigError,
    DiffusionConfig,
    GANConfig,
    Sampling,
    from_dict,
    setting,
)

CONV = DiffusionConfig(
    n_layers=8, hidden_dim=256, timestep_embedding_dim=256, n_timesteps=1000, beta_minmax=(1e-4, 2e-2), lr=5e-5
)
UNET = DiffusionConfig(denoiser="unet", widths=(8,), n_blocks=1, attention=(0,), patch=1, dropout=0.1)
VALUES = (GANConfig(), CONV, UNET, ClassifierConfig(), Sampling())


def test_the_module_needs_the_standard_library_alone():
    tree = ast.parse(Path(config.__file__).read_text(encoding="utf-8"))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert "json" in names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_a_configuration_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GANConfig().lrG = 1e-3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", "128"),
        ("batch_size", 128.0),
        ("batch_size", True),
        ("batch_size", None),
        ("flip", 1),
        ("flip", "true"),
        ("name", 3),
        ("lr", "1e-4"),
        ("lr", True),
        ("lr", (1e-4,)),
        ("beta_minmax", ("1e-4", "2e-2")),
        ("beta_minmax", [1e-4]),
        ("beta_minmax", 1e-4),
        ("snapshots", "10"),
        ("snapshots", 10),
        ("snapshots", [1.5]),
        ("n_timesteps", 10.5),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"^{field} must be "):
        CONV.but(**{field: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ConfigError, match=r"^clip_grad must be a number"):
        CONV.but(clip_grad=value)


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("batch_size", 0, "at least 1"),
        ("n_train", -1, "at least 0"),
        ("epochs", 0, "at least 1"),
        ("snapshots", (5, 0), "at least 1"),
        ("lr", -1e-9, "between 0 and 1"),
        ("lr", 1.5, "between 0 and 1"),
        ("ema", 1.0, "between 0 and 0.99999"),
        ("n_timesteps", 0, "at least 1"),
        ("precision", "fp16", "one of fp32, bf16"),
        ("beta_minmax", (0.02, 1e-4), "two rising numbers"),
        ("beta_minmax", (0, 0.5), "two rising numbers"),
        ("beta_minmax", (0.5, 1), "two rising numbers"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(field, value, bound):
    with pytest.raises(ConfigError, match=rf"{field} must be {bound}"):
        CONV.but(**{field: value})


def test_the_ends_of_a_range_belong_to_it():
    assert CONV.but(lr=0.0, ema=0.99999, batch_size=1).but(lr=1.0).lr == 1.0


def test_a_field_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"'lr_g' is no field of GANConfig: it has .*lrG"):
        GANConfig().but(lr_g=1e-4)
    with pytest.raises(ConfigError, match="'lr_g' is no field"):
        from_dict("gan", {"lr_g": 1e-4})
    with pytest.raises(ConfigError, match="'vae' is unknown: there are gan, diffusion, classifier"):
        from_dict("vae", {})


@pytest.mark.parametrize(
    ("made", "field", "value", "owner"),
    [(CONV, "widths", (8,), "unet"), (CONV, "dropout", 0.0, "unet"), (UNET, "hidden_dim", 8, "mlp, conv")],
)
def test_a_field_of_another_denoiser_is_refused_with_its_owner(made, field, value, owner):
    with pytest.raises(ConfigError, match=rf"{field}=.* does not apply .*belongs to {owner}.*set {field}=none"):
        made.but(**{field: value})


@pytest.mark.parametrize(("made", "field"), [(CONV, "n_layers"), (UNET, "patch"), (UNET, "attention")])
def test_a_field_that_a_denoiser_needs_is_asked_for(made, field):
    with pytest.raises(ConfigError, match=f"{field} is missing"):
        made.but(**{field: None})


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        (GANConfig(), "25967dd1fd82"),
        (GANConfig(image_size=64, lrG=1e-4, lrD=4e-4, seed=1234), "e5742783953b"),
        (CONV, "dcf937327874"),
        (UNET, "138aab7b2b6b"),
        (ClassifierConfig(), "9caa7b1fe52b"),
        (Sampling(n=8, sampler="ddim", n_steps=5, eta=0.5), "ccaa03b59052"),
    ],
)
def test_digests_are_pinned(value, digest):
    assert value.digest == digest


def another(field, value):
    """A value of `field` other than `value`."""
    if field.metadata["choices"]:
        return next(c for c in field.metadata["choices"] if c != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value > 0.5 else value + 0.25
    if isinstance(value, tuple):
        return tuple(v / 2 for v in value) if value and isinstance(value[0], float) else (*value, 1)
    if isinstance(value, str):
        return f"{value}x"
    return 1 if field.name in ("n_steps", "n_timesteps") else None


@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{type(v).__name__}-{getattr(v, 'denoiser', '')}")
def test_every_field_moves_the_digest_but_name_epochs_and_snapshots(value):
    still = set()
    for field in dataclasses.fields(value):
        other = another(field, getattr(value, field.name))
        if other is None or field.name in ("denoiser", "fourier"):  # bound to other fields; the latter: below
            continue
        if value.but(**{field.name: other}).digest == value.digest:
            still.add(field.name)
    assert still == ({"name", "epochs", "snapshots"} if isinstance(value, Config) else set())


def test_fourier_moves_the_digest_and_zero_is_as_if_it_were_not_there():
    config = GANConfig(network="mlp")
    assert config.but(fourier=1).digest != config.digest
    assert "fourier" not in config.to_json()


def test_kinds_with_equal_fields_have_different_digests():
    assert GANConfig().to_json() == ClassifierConfig().to_json()
    assert GANConfig().digest != ClassifierConfig().digest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grown(GANConfig):
    fresh: int = setting(5, "a field of a later version", absent=1)


def test_a_new_field_orphans_no_old_digest_and_a_new_default_finds_no_old_one():
    assert Grown(fresh=1).digest == GANConfig().digest
    assert Grown().digest != GANConfig().digest
    assert "fresh" not in Grown(fresh=1).identity()


def test_equal_values_have_one_canonical_form():
    a = DiffusionConfig(**{**CONV.to_dict(), "lr": 1, "beta_minmax": [0.25, 0.5], "snapshots": [3]})
    b = CONV.but(lr=1.0, beta_minmax=(0.25, 0.5), snapshots=(3,))
    assert a == b
    assert a.beta_minmax == (0.25, 0.5)
    assert type(a.lr) is float
    assert a.to_json() == b.to_json()
    assert '"lr":1.0' in a.to_json()


@pytest.mark.parametrize("made", [v for v in VALUES if isinstance(v, Config)], ids=lambda c: type(c).__name__)
def test_json_gives_the_same_configuration_back(made):
    made = made.but(snapshots=(1, 2), epochs=3)
    back = from_dict(made.kind, json.loads(json.dumps(made.to_dict())))
    assert back == made
    assert type(back) is CONFIGS[made.kind]


@pytest.mark.parametrize(
    ("cls", "field", "text", "value"),
    [
        (DiffusionConfig, "lr", "5e-5", 5e-5),
        (DiffusionConfig, "beta_minmax", "1e-4,2e-2", (1e-4, 2e-2)),
        (DiffusionConfig, "beta_minmax", "[1e-4, 2e-2]", (1e-4, 2e-2)),
        (DiffusionConfig, "beta_minmax", "none", None),
        (DiffusionConfig, "widths", "64,128", (64, 128)),
        (DiffusionConfig, "attention", "()", ()),
        (DiffusionConfig, "n_timesteps", "1000", 1000),
        (DiffusionConfig, "flip", "True", True),
        (Sampling, "clip_x0", "false", False),
        (Sampling, "sampler", "ddim", "ddim"),
        (Sampling, "sampler", "none", None),
    ],
)
def test_a_word_of_the_command_line_becomes_a_value(cls, field, text, value):
    found = cls.parse(field, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("field", "text"), [("lr", "fast"), ("n_timesteps", "1.5"), ("widths", "64,big")])
def test_a_word_that_is_no_value_is_refused_by_name(field, text):
    with pytest.raises(ConfigError, match=f"^{field} must be .*, not '{text}'"):
        DiffusionConfig.parse(field, text)


def test_every_field_has_its_help():
    for cls in (*CONFIGS.values(), Sampling):
        assert all(f.metadata["help"] for f in dataclasses.fields(cls))
