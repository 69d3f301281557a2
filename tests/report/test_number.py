import base64
import csv
import dataclasses
import io
import json
import re
import shlex

import pytest

from gendiff_lib.cli.parser import parser
from gendiff_lib.evaluation.scores import VALUES
from gendiff_report import downloads
from gendiff_report.number import Number, made_of, score_number, trainings
from gendiff_report.tables.rows import TRAINED, spent
from tests.report.test_tables import made


def rows_of(html):
    return dict(re.findall(r'<span class="label">(.*?)</span> <span>(?:<code>)?(.*?)(?:</code>)?</span>', html))


def test_a_number_is_a_button_of_its_own_card():
    number = Number("1 ± 2", 1.0, {"run": "a<b", "empty": "", "train": "gendiff train x"}, 2.0)
    first, second = number.html, number.html
    target, name = (re.search(rf' {key}="(card-\w+)"', first)[1] for key in ("popovertarget", "id"))
    assert target == name
    assert f'aria-label="Close" popovertarget="{name}" popovertargetaction="hide"' in first
    assert name not in second  # two of a kind are two elements
    assert rows_of(first) == {"run": "a&lt;b", "train": "gendiff train x"}
    assert "<code>gendiff train x</code>" in first
    assert '1\u00a0<span class="spread">±\u00a02</span></button>' in first


def test_a_number_without_a_protocol_is_text():
    assert Number("3", 3.0, {}).html == "3"


def test_a_score_opens_to_its_whole_protocol():
    how = {"training_command": "gendiff train dcgan", "epochs": 3, "sampler": "ddim", "n_steps": 5, "clip_x0": True}
    how |= {
        "batch_size": 60,
        "grid": "rho",
        "weights": "ema",
        "training_operations": 2e12,
        "device": "CPU",
        "threads": 1,
    }
    several = [made(1.0, 0, 0), made(2.0, 0, 1)]
    several = [dataclasses.replace(s, made=s.made | how) for s in several]
    number = score_number(several, "frechet_distance")
    shown = number.protocol
    assert (str(number), number.value) == ("1.50 ± 0.71", 1.5)
    assert shown["grid of steps"] == "rho"
    assert shown["± is"] == "the std over 2 sampling seeds"
    assert (shown["n"], shown["real images"], shown["training TFLOP"]) == ("60", "50 train", "2")
    assert (shown["sampling seeds"], shown["sampled on"], shown["train"]) == (
        "0, 1",
        "CPU, 1 thread",
        "gendiff train dcgan",
    )
    assert not any(value.startswith("none") for value in shown.values())
    command = next(v for k, v in shown.items() if k.startswith("score the first"))
    assert "score r-1 --epoch 3 --n 60 --batch-size 60 --seed 0 --sampler ddim --n-steps 5 --grid rho" in command
    parser().parse_args(shlex.split(command)[1:])  # a command that the command line knows


def test_commands_of_several_seeds_can_each_be_copied():
    several = [made(1.0, s, 0) for s in (0, 1)]
    several = [
        dataclasses.replace(s, made=s.made | {"training_command": f"gendiff train dcgan-{i} --epochs 30 --again"})
        for i, s in enumerate(several)
    ]
    commands = [v for v in score_number(several, "precision").protocol.values() if v.startswith("gendiff ")]
    assert len(commands) == 3  # two trainings, and the scoring of the first
    for command in commands:
        parser().parse_args(shlex.split(command)[1:])


def test_what_is_made_of_several_trainings_opens_to_all_of_them():
    several = [made(1.0, s, 0) for s in (0, 1)]
    works = (2e15, 4e15)
    several = [
        dataclasses.replace(
            s,
            made=s.made
            | {"run": f"r-{i}", "training_command": f"gendiff train x --seed {i}", "training_operations": w},
        )
        for i, (s, w) in enumerate(zip(several, works, strict=True))
    ]
    both = {"run": "r-0, r-1", "training seeds": "0, 1", "train 1": "gendiff train x --seed 0"}
    for number in (spent(several), made_of(0.5, "a ratio", several, error="0.1")):
        assert both.items() <= number.protocol.items()
    assert (str(spent(several)), spent(several).protocol["what"]) == ("3", TRAINED)
    assert "sampler" not in trainings(several)
    ratio = made_of(0.5, "a ratio", several, error="0.1")
    assert (str(ratio), ratio.protocol["error"], ratio.protocol["n"]) == ("0.5", "0.1", "60")


def test_scores_of_real_images_tell_where_they_are_kept_and_what_makes_them_again():
    kept = {"kept": "runs/real/shapes.json", "again": "gendiff publish --real --dataset shapes"}
    scores = dataclasses.replace(made(1.0), made={"images": "real"} | kept)
    shown = score_number([scores], "precision").protocol
    assert (shown["kept in"], shown["made again by"]) == tuple(kept.values())
    parser().parse_args(shlex.split(shown["made again by"])[1:])


def test_every_value_of_scores_becomes_a_number():
    for name in VALUES:
        assert score_number([made(1.0)], name).protocol["what"] == made(1.0).labels[name]


def test_a_table_comes_as_csv_in_full_precision_with_its_spreads():
    rows = [{"": "a", "fd": Number("1.2 ± 0.1", 1.23456789, {"run": "r"}, 0.1)}, {"": "b,c", "fd": "not computed"}]
    assert list(csv.reader(io.StringIO(downloads.as_csv(rows)))) == [
        ["", "fd", "fd ±"],
        ["a", "1.23456789", "0.1"],
        ["b,c", "not computed", ""],
    ]


def test_a_table_comes_as_json_with_the_protocol_of_every_number():
    one, other = Number("1", 1.0, {"run": "r"}), Number("nan", float("nan"), {"run": "s"})
    found = json.loads(downloads.as_json([{"x": one, "y": one, "z": other, "w": (1, 2), "v": None}], "caption"))
    row = found["rows"][0]
    assert found["protocols"] == [{"run": "r"}, {"run": "s"}]
    assert [row[k]["protocol"] for k in "xyz"] == [0, 0, 1]
    assert (row["z"]["value"], row["w"], row["v"]) == (None, "1, 2", None)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_links_carry_their_files(kind):
    links = downloads.data_links("table-1", [{"a": 1.5}], "of these")
    name, mime, content = re.search(rf'download="(table-1.{kind})" href="data:([^;]+);base64,([^"]+)"', links).groups()
    assert mime.endswith(kind)
    assert "1.5" in base64.b64decode(content).decode()
    assert name == f"table-1.{kind}"
