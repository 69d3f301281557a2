import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from gendiff_lib import config as config_module
from gendiff_lib.autoencoder import AutoencoderConfig
from gendiff_lib.classifier import ClassifierConfig
from gendiff_lib.config import Config, Sampling, setting
from gendiff_lib.diffusion.config import ConvNetwork, DiffusionConfig, MLPNetwork, TransformerNetwork, UNetNetwork
from gendiff_lib.errors import ConfigError
from gendiff_lib.experiments import EXPERIMENTS
from gendiff_lib.gan.config import (
    DCGANNetwork,
    GANConfig,
    PointGANNetwork,
    ProgressiveNetwork,
    R3GANNetwork,
    ResNetGANNetwork,
)
from gendiff_lib.parsing import as_text
from gendiff_lib.paths import published_dir
from gendiff_lib.runs.run import Run
from gendiff_lib.training.build import CONFIGS, from_dict

CONV = DiffusionConfig(network=ConvNetwork(), n_timesteps=1000, beta_minmax=(1e-4, 2e-2), lr=5e-5)
UNET = DiffusionConfig(
    network=UNetNetwork(widths=(8,), n_blocks=1, attention=(0,), dropout=0.1), n_timesteps=10, beta_minmax=(0.1, 0.5)
)
VALUES = (GANConfig(), GANConfig(network=PointGANNetwork()), CONV, UNET, ClassifierConfig(), Sampling())
PARTS = (
    DCGANNetwork(),
    ResNetGANNetwork(),
    R3GANNetwork(widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1)),
    ProgressiveNetwork(),
    PointGANNetwork(),
    MLPNetwork(),
    ConvNetwork(),
    UNetNetwork(widths=(8, 8), attention=(1,)),
    TransformerNetwork(),
)


def test_the_module_needs_the_standard_library_pydantic_and_parsing_alone():
    tree = ast.parse(Path(config_module.__file__).read_text(encoding="utf-8"))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert "json" in names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"pydantic", "parsing", "errors"}


def test_a_record_is_read_without_torch():
    code = "import sys, types; sys.modules['gendiff_lib'] = bare = types.ModuleType('gendiff_lib')\n"
    code += (
        f"bare.__path__ = [{str(Path(config_module.__file__).parent)!r}]\n"  # without what the package itself imports
    )
    code += "import gendiff_lib.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        GANConfig().lrG = 1e-3
    with pytest.raises(ValidationError, match="frozen"):
        GANConfig().network.ngf = 3


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
        ("epochs", "3"),
        ("beta_minmax", ("1e-4", "2e-2")),
        ("beta_minmax", [1e-4]),
        ("beta_minmax", 1e-4),
        ("snapshots", "10"),
        ("snapshots", 10),
        ("snapshots", ["a"]),
        ("n_timesteps", 10.5),
        ("network", "conv"),
        ("network", None),
        ("network", 8),
        ("network", DCGANNetwork()),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"^{field} must be .*, not .*$"):
        CONV.but(**{field: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("field", ["clip_grad", "epochs", "lr", "snapshots"])
def test_what_is_no_finite_number_is_refused(field, value):
    with pytest.raises(ConfigError, match=rf"^{field} must be .*number.*, not -?(nan|inf)"):
        CONV.but(**{field: (value,) if field == "snapshots" else value})


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("batch_size", 0, "at least 1"),
        ("n_train", 0, "at least 1"),
        ("image_size", 0, "at least 1"),
        ("epochs", 0, "more than 0, at most 1000000000"),
        ("epochs", 2e9, "more than 0, at most 1000000000"),
        ("snapshots", (5, 0), "more than 0"),
        ("lr", -1e-9, "at least 0, at most 1"),
        ("lr", 1.5, "at least 0, at most 1"),
        ("ema", 0.0, "more than 0"),
        ("clip_grad", 0.0, "more than 0"),
        ("n_timesteps", 0, "at least 1"),
        ("seed", -1, "at least 0"),
        ("seed", 2**31, "at least 0, at most 2147483647"),
        ("precision", "fp16", "one of fp32, bf16"),
        ("beta_minmax", (0.02, 1e-4), "two rising numbers"),
        ("beta_minmax", (0, 0.5), "two rising numbers"),
        ("beta_minmax", (0.5, 1), "two rising numbers"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(field, value, bound):
    with pytest.raises(ConfigError, match=rf"^{field} must be {bound}.*, not "):
        CONV.but(**{field: value})


def test_the_ends_of_a_range_belong_to_it():
    assert CONV.but(lr=0.0, batch_size=1, seed=2**31 - 1, epochs=1e9).but(lr=1.0).lr == 1.0


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-dash", "a b", "ü", "٣", "a\n", "a.b", "a" * 65])
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(
        ConfigError, match=r"^name=.* cannot name a folder: use letters, digits, dashes and underscores"
    ):
        CONV.but(name=name)


def test_a_name_has_sixty_four_characters_at_most():
    assert CONV.but(name="a" * 64).name == "a" * 64
    with pytest.raises(ConfigError, match=r"^name='a{65}' cannot name a folder: use .* underscores, 64 at most$"):
        CONV.but(name="a" * 65)


def test_a_field_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"'lr_g' is no field of GANConfig: it has .*lrG"):
        GANConfig().but(lr_g=1e-4)
    with pytest.raises(ConfigError, match="'lr_g' is no field"):
        from_dict("gan", {"lr_g": 1e-4})
    with pytest.raises(ConfigError, match="'lr_g' is no field"):
        GANConfig().told({"lr_g": "1e-4"})
    with pytest.raises(ConfigError, match=r"'lr\.x' is no field of DiffusionConfig: lr has no parts"):
        CONV.but(**{"lr.x": 1})
    with pytest.raises(ConfigError, match=r"'lr\.x' is no field of DiffusionConfig: lr has no parts"):
        CONV.told({"lr.x": "1"})
    with pytest.raises(ConfigError, match=r"'net\.x' is no field of DiffusionConfig: it has .*network"):
        CONV.told({"net.x": "1"})
    with pytest.raises(ConfigError, match=r"'net\.x' is no field of DiffusionConfig: it has .*network"):
        CONV.but(**{"net.x": 1})
    with pytest.raises(ConfigError, match="'vae' is unknown: there are gan, diffusion, autoencoder, classifier"):
        from_dict("vae", {})


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"type": "vae"}, r"network must be one of mlp, conv, unet, transformer, not {'type': 'vae'}"),
        ({"hidden_dim": 8}, "network must be one of mlp, conv, unet, transformer, not"),
        ({"type": "conv", "widths": (8,)}, "'widths' is no field of ConvNetwork: it has type, n_layers, hidden_dim"),
        ({"type": "conv", "hidden_dim": "a"}, "hidden_dim must be a whole number, not 'a'"),
        ({"type": "conv", "hidden_dim": 0}, "hidden_dim must be at least 1, at most 2147483647, not 0"),
        ({"type": "unet", "widths": []}, "widths=.* name no level: give at least one width"),
        ({"type": "unet", "widths": [8, 0]}, "widths must be at least 1, not 0"),
        ({"type": "unet", "dropout": 0.95}, "dropout must be at least 0, at most 0.9, not 0.95"),
    ],
)
def test_a_network_that_is_none_is_refused_in_one_sentence(network, words):
    for make in (lambda: CONV.but(network=network), lambda: from_dict("diffusion", {"network": network})):
        with pytest.raises(ConfigError, match=f"^{words}") as told:
            make()
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("made", "name", "value", "words"),
    [
        (CONV, "network.widths", (8,), "'widths' is no field of ConvNetwork"),
        (UNET, "network.hidden_dim", 8, "'hidden_dim' is no field of UNetNetwork: it has .*widths"),
        (GANConfig(), "network.fourier", 2, "'fourier' is no field of DCGANNetwork"),
        (CONV, "network.hidden_dim", 12, "hidden_dim=12 must be a multiple of 8 for network 'conv': it has 8 groups"),
        (CONV, "network.timestep_embedding_dim", 5, "timestep_embedding_dim=5 must be even"),
        (UNET, "network.widths", (9, 18), r"widths=\(9, 18\) must begin with an even width"),
        (UNET, "network.attention", (1,), r"attention=\(1,\) names a level that is not there: levels are 0\.\.0"),
        (UNET, "network.attention", (-1,), "attention must be at least 0, not -1"),
    ],
)
def test_a_field_of_a_network_is_refused_by_its_name(made, name, value, words):
    with pytest.raises(ConfigError, match=f"^{words}"):
        made.but(**{name: value})


@pytest.mark.parametrize(("network", "dim"), [(n, d) for n in ("mlp", "conv", "transformer") for d in (3, 5, 255)])
def test_an_odd_embedding_is_refused_and_an_even_one_is_not(network, dim):
    made = CONV.told({"network": network})
    with pytest.raises(ConfigError, match=f"timestep_embedding_dim={dim} must be even: half of it are sines"):
        made.but(**{"network.timestep_embedding_dim": dim})
    assert made.but(**{"network.timestep_embedding_dim": dim + 1}).network.timestep_embedding_dim == dim + 1


@pytest.mark.parametrize("hidden", [6, 68, 130, 132])
def test_a_transformer_has_heads_of_64_channels(hidden):
    with pytest.raises(ConfigError, match=f"hidden_dim={hidden} must be a multiple of 64, or of 4 below that"):
        TransformerNetwork(hidden_dim=hidden)


def test_fields_of_a_network_are_changed_in_order_with_the_network_itself():
    made = CONV.but(network=UNetNetwork(), **{"network.n_blocks": 1})
    assert made.network == UNetNetwork(n_blocks=1)
    assert CONV.network == ConvNetwork()  # a value never changes


# ---------------------------------------------------------------- identity


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        (GANConfig(), "140ce5b5c2b7"),
        (GANConfig(image_size=64, lrG=1e-4, lrD=4e-4, seed=1234), "cdef60fe0911"),
        (CONV, "0127dee0c270"),
        (UNET, "fd4d1dd9cae5"),
        (ClassifierConfig(), "9caa7b1fe52b"),
        (Sampling(n=8, sampler="ddim", n_steps=5, eta=0.5), "ccaa03b59052"),
    ],
)
def test_digests_are_pinned(value, digest):
    assert value.digest == digest


def test_published_samples_are_found_by_the_digest_in_their_folders_name():
    records = list(published_dir().glob("*/samples/*/sampling.json"))
    assert records
    for path in records:
        sampling = Sampling(**json.loads(path.read_text())["sampling"])
        assert path.parent.name.endswith(f"-{sampling.digest}")
        assert Run.read(path.parents[2]).resolve(sampling) == sampling


def test_the_published_classifier_has_the_digest_in_its_folders_name():
    (folder,) = published_dir().glob("classifier-*")
    record = json.loads((folder / "run.json").read_text())
    assert from_dict(record["kind"], record["config"]).digest == record["digest"] == "dba9206a4ea5"
    assert folder.name == "classifier-dba9206a4ea5"


OTHER = {  # where a field takes words, or is bound to another one
    "dataset": "moons", "network": MLPNetwork(), "schedule": "cosine", "prediction": "v", "weighting": "other",
    "times": "other", "objective": "vlb", "loss": "minimax", "precision": "bf16", "norm": "none", "norm_d": "none",
    "slope": 0.25,
    "resampling": "pool", "penalty": "wgan-gp", "augment": ("color",), "blocks": (2, 2, 2, 2), "weights": "raw",
    "batchnorm": "batch",
    "sampler": "ddim", "flip": True, "clip_x0": True, "beta_minmax": (0.2, 0.3), "name": "other", "attention": (0,),
    "grid": "rho", "widths": (16, 16), "snapshots": (7.0,), "timestep_embedding_dim": 64, "hidden_dim": 64, "eta": 0.25,
    "real_label": 0.75, "beta1": 0.25, "label_smoothing": 0.25, "dropout": 0.25, "lr": 0.25,
}  # fmt: skip


GAN_NETWORKS = (DCGANNetwork, ResNetGANNetwork, R3GANNetwork, ProgressiveNetwork, PointGANNetwork)


def another(name, value):
    """A value of the field `name` other than `value`."""
    if name == "network" and isinstance(value, GAN_NETWORKS):
        return R3GANNetwork()
    if isinstance(value, bool):
        return not value
    if name == "latent":
        return AutoencoderConfig()
    if name in OTHER:
        return OTHER[name]
    return 1 if value is None else value + 1 if isinstance(value, int) else value / 2


# Fields that only fit others, each with these others and two values of its own.
BOUND = {
    "variance": ({"objective": "vlb"}, "fixed", "learned"),
    "vlb_weight": ({"objective": "hybrid", "variance": "learned"}, 0.001, 1.0),
    "preconditioning": ({"prediction": "x0"}, "none", "edm"),
}
FREE = GANConfig(network=ResNetGANNetwork(), penalty="r1", gamma=1.0)  # with it each field can be changed alone
CHANGED = [FREE, CONV, UNET, AutoencoderConfig(), ClassifierConfig(), Sampling(), *PARTS]


@pytest.mark.parametrize("value", CHANGED, ids=lambda v: f"{type(v).__name__}-{v.digest}")
def test_every_field_moves_the_digest_but_name_epochs_and_snapshots(value):
    still = {
        name
        for name in value.fields()
        if name not in ("type", *BOUND)
        and value.but(**{name: another(name, getattr(value, name))}).digest == value.digest
    }
    assert still == ({"name", "epochs", "snapshots"} if isinstance(value, Config) else set())


@pytest.mark.parametrize("name", BOUND)
def test_a_field_that_is_bound_to_others_moves_the_digest(name):
    others, one, other = BOUND[name]
    assert CONV.but(**others, **{name: one}).digest != CONV.but(**others, **{name: other}).digest


@pytest.mark.parametrize("part", PARTS, ids=lambda p: type(p).__name__)
def test_every_field_of_a_network_moves_its_configurations_digest(part):
    cls = GANConfig if isinstance(part, GAN_NETWORKS) else DiffusionConfig
    made = cls(network=part)
    for name in part.fields():
        if name != "type":
            assert made.but(**{f"network.{name}": another(name, getattr(part, name))}).digest != made.digest
    assert f'"type":"{part.tag()}"' in made.to_json()


def test_networks_with_equal_fields_have_different_digests():
    assert GANConfig(network=PointGANNetwork()).digest != GANConfig(network=DCGANNetwork()).digest


def test_kinds_with_equal_fields_have_different_digests():
    class Other(ClassifierConfig):
        kind = "other"

    assert Other().to_json() == ClassifierConfig().to_json()
    assert Other().digest != ClassifierConfig().digest


class Grown(GANConfig):
    fresh: int = setting(5, "a field of a later version", absent=1)


class WiderNetwork(DCGANNetwork):
    fresh: int = setting(5, "a field of a later version", absent=1)


def test_a_new_field_orphans_no_old_digest_and_a_new_default_finds_no_old_one():
    assert Grown(fresh=1).digest == GANConfig().digest
    assert Grown().digest != GANConfig().digest
    assert "fresh" not in Grown(fresh=1).identity()
    assert WiderNetwork(fresh=1).digest == DCGANNetwork().digest
    assert WiderNetwork().digest != DCGANNetwork().digest


def test_equal_values_have_one_canonical_form():
    a = DiffusionConfig(**{**CONV.to_dict(), "lr": 1, "beta_minmax": [0.25, 0.5], "snapshots": [3], "epochs": 2})
    b = CONV.but(lr=1.0, beta_minmax=(0.25, 0.5), snapshots=(3,), epochs=2.0)
    assert a == b
    assert a.beta_minmax == (0.25, 0.5)
    assert {type(v) for v in (a.lr, a.epochs, *a.snapshots)} == {float}
    assert a.to_json() == b.to_json()
    assert '"lr":1.0' in a.to_json()


# ---------------------------------------------------------------- JSON and words

EVERY = [config for e in EXPERIMENTS.values() for config in e.presets.values()]
EVERY += [v.but(snapshots=(1, 2.5), epochs=3.125) for v in VALUES if isinstance(v, Config)]


@pytest.mark.parametrize("made", EVERY, ids=lambda c: f"{c.name}-{c.digest}")
def test_json_gives_the_same_configuration_back(made):
    back = from_dict(made.kind, json.loads(json.dumps(made.to_dict())))
    assert back == made
    assert back.digest == made.digest
    assert type(back) is CONFIGS[made.kind]


@pytest.mark.parametrize("made", EVERY, ids=lambda c: f"{c.name}-{c.digest}")
def test_the_words_that_make_a_configuration_of_another_make_it(made):
    others = [c for c in EVERY if c.kind == made.kind and c.name == made.name]
    for base in (CONFIGS[made.kind](), *others):
        words = made.words(base)
        assert base.told(words) == made
        assert all(isinstance(word, str) for word in words.values())
        assert (words == {}) == (base == made)
        assert base.told(dict(reversed(words.items()))) == made  # in any order


def test_every_field_has_a_word_that_parses_to_it_again():
    for made in EVERY:
        for name, value in made.flat().items():
            back = made.told({name: as_text(value)})
            assert back == made if name not in ("network", "latent") else back.flat()[name] == value


@pytest.mark.parametrize(
    ("made", "field", "text", "value"),
    [
        (CONV, "lr", "5e-5", 5e-5),
        (CONV, "lr", "1", 1.0),
        (CONV, "beta_minmax", "1e-4,2e-2", (1e-4, 2e-2)),
        (CONV, "beta_minmax", "[1e-4, 2e-2]", (1e-4, 2e-2)),
        (CONV, "beta_minmax", "none", None),
        (CONV, "snapshots", "1,2.5", (1.0, 2.5)),
        (CONV, "snapshots", "()", ()),
        (CONV, "snapshots", "", ()),
        (CONV, "snapshots", "(3)", (3.0,)),
        (CONV, "epochs", "0.25", 0.25),
        (CONV, "n_timesteps", "1000", 1000),
        (CONV, "n_train", "none", None),
        (CONV, "flip", "True", True),
        (CONV, "network", "transformer", TransformerNetwork()),
        (CONV, "network.hidden_dim", "64", 64),
        (UNET, "network.widths", "64,128", (64, 128)),
        (UNET, "network.attention", "()", ()),
        (GANConfig(), "network", "mlp", PointGANNetwork()),
        (GANConfig(), "network.norm", "none", "none"),
        (Sampling(), "clip_x0", "false", False),
        (Sampling(), "sampler", "ddim", "ddim"),
        (Sampling(), "sampler", "none", None),
        (Sampling(), "batchnorm", "running", "running"),
    ],
)
def test_a_word_of_the_command_line_becomes_a_value(made, field, text, value):
    told = made.told({field: text})
    found = told.flat()[field] if "." in field else getattr(told, field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("made", "field", "text"),
    [
        (CONV, "lr", "fast"),
        (CONV, "lr", ""),
        (CONV, "lr", " 1"),
        (CONV, "lr", "1e-4 "),
        (CONV, "batch_size", "+5"),
        (CONV, "batch_size", " 5"),
        (CONV, "batch_size", "5 "),
        (CONV, "batch_size", "007"),
        (CONV, "batch_size", "--5"),
        (CONV, "batch_size", "9" * 18 + "٣"),
        (CONV, "batch_size", "9" * 18 + "x"),
        (CONV, "snapshots", "1,,2"),
        (CONV, "snapshots", "1,"),
        (CONV, "snapshots", "(1"),
        (CONV, "snapshots", "1)"),
        (CONV, "snapshots", "[1)"),
        (CONV, "snapshots", "((1))"),
        (CONV, "beta_minmax", "0.1,,0.2"),
        (UNET, "network.widths", "8,+8"),
        (CONV, "lr", "nan"),
        (CONV, "lr", "٣"),
        (CONV, "epochs", "inf"),
        (CONV, "epochs", "1_0.0"),
        (CONV, "n_timesteps", "1.5"),
        (CONV, "batch_size", "٣"),
        (CONV, "batch_size", "²"),
        (CONV, "batch_size", "1_000"),
        (CONV, "batch_size", "1e3"),
        (CONV, "flip", "yes"),
        (CONV, "network", "vae"),
        (CONV, "network.hidden_dim", "64,big"),
        (UNET, "network.widths", "64,big"),
        (UNET, "network.widths", "64,٣"),
        (UNET, "network.patch", "²"),
        (GANConfig(), "network.norm", "group"),
    ],
)
def test_a_word_that_is_no_value_is_refused_by_name(made, field, text):
    inner = field.rpartition(".")[2]
    with pytest.raises(ConfigError, match=f"^{inner} must be .*, not '{re.escape(text)}'$"):
        made.told({field: text})


def test_a_number_with_a_line_break_is_refused():
    with pytest.raises(ConfigError, match=r"^batch_size must be a whole number, not '5\\n'$"):
        CONV.told({"batch_size": "5\n"})


def test_a_list_of_another_length_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"^beta_minmax must be 2 numbers or none, not \(0\.1,\)$"):
        CONV.told({"beta_minmax": "0.1"})


@pytest.mark.parametrize(
    ("made", "field", "text", "bound"),
    [
        (CONV, "batch_size", "-1", "at least 1, at most 2147483647"),
        (CONV, "seed", "-1", "at least 0, at most 2147483647"),
        (CONV, "seed", "9" * 20, "at least 0, at most 2147483647"),
        (CONV, "lr", "-0.5", "at least 0, at most 1"),
        (CONV, "snapshots", "-2", "more than 0"),
        (UNET, "network.attention", "-1", "at least 0"),
    ],
)
def test_a_number_out_of_its_range_is_refused_with_the_range(made, field, text, bound):
    with pytest.raises(ConfigError, match=rf"^{field.rpartition('.')[2]} must be {bound}, not {text}(\.0)?$"):
        made.told({field: text})


def test_words_are_told_with_the_network_before_its_fields():
    made = CONV.told({"network.widths": "8,16", "network.attention": "", "network": "unet"})
    assert made.network == UNetNetwork(widths=(8, 16), attention=())


def test_every_field_has_its_help():
    for cls in (*CONFIGS.values(), Sampling, *map(type, PARTS)):
        assert all(f.description for f in cls.fields().values())


def test_flat_names_every_field_of_a_network_after_its_type():
    flat = UNET.flat()
    names = list(flat)
    assert flat["network"] == "unet"
    assert names[names.index("network") + 1] == "network.widths"
    assert "network.type" not in flat
