import dataclasses
import re
import shlex
from base64 import b64decode

import pytest

from benchmarks import costs, processes, scoring, speed
from gendiff_lib.evaluation.scores import VALUES, ScoreError
from gendiff_lib.runs import files
from gendiff_report.number import over
from gendiff_report.scale import Study
from gendiff_report.scored import speaking
from gendiff_report.tables import rows as score_rows
from gendiff_report.tables import scale
from gendiff_report.tables.protocol import protocol_table
from gendiff_report.tables.speed import (
    benchmark_results,
    contest_rows,
    measured_row,
    process_rows,
    ratio_rows,
    scoring_rows,
    where,
)
from gendiff_report.tables.table import filed, table
from tests.evaluation.test_metrics import OWN, gaussian, scored


def made(value, training_seed=0, sampling_seed=0, **changes):
    scores = scored(gaussian(60), gaussian(50, seed=5))
    how = {"run": "r-1", "training_seed": training_seed, "sampling_seed": sampling_seed, "sampling_seconds": 2.0}
    return dataclasses.replace(scores, frechet_distance=value, precision=0.4, made=how, **changes)


@pytest.mark.parametrize(
    ("preset", "there", "speak"),
    [
        ("overnight", [0], [0]),
        ("overnight", [0, 1, 3], [0]),  # 2 is lacking
        ("overnight", [0, 1, 2, 3], [1, 2, 3]),
        ("overnight", [2, 0, 1], [2]),  # the seed that was asked for comes first
        ("paper", [0, 1, 2, 3], [0, 1, 2, 3]),
        ("overnight", [], []),
    ],
)
def test_overnight_fresh_seeds_speak_of_a_model_once_all_are_there(preset, there, speak):
    found = speaking([made(1.0, seed, part) for seed in there for part in (0, 1)], preset)
    assert [(s.made["training_seed"], s.made["sampling_seed"]) for s in found] == [
        (t, p) for t in speak for p in (0, 1)
    ]


def test_cells_are_escaped_and_floats_short():
    found = table([{"a<b": 1.23456, "c": ("x", None), "d": "1 ± 2"}], "of <these>")
    assert '<th scope="col">a&lt;b</th>' in found
    assert "<td>1.235</td><td>x, none</td>" in found
    assert "<td>1\u00a0±\u00a02</td>" in found
    assert "of &lt;these&gt;" in found
    assert table([]) == ""


def test_a_protocol_is_turned_and_tells_once_what_is_the_same():
    rows = [{"run": "gan", "batchnorm": "running", "n": 5}, {"run": "ddim", "eta": 0.0, "n": 5}]
    lines = re.findall(r"<tr>(.*?)</tr>", protocol_table(rows))
    assert [re.findall(r">([^<]+)</t[hd]>", line) for line in lines] == [
        ["run", "gan", "ddim"], ["batchnorm", "running", "none"], ["n", "5"], ["eta", "none", "0"],
    ]  # fmt: skip
    assert '<td colspan="2">5</td>' in lines[2]
    assert protocol_table([]) == ""


def test_the_protocol_of_many_tells_what_all_share_and_then_a_line_each():
    rows = [{"": f"model {i}", "seed": i, "n": 5_000, "train": f"gendiff train <{i}>"} for i in range(4)]
    lines = re.findall(r"<tr>(.*?)</tr>", protocol_table(rows))
    assert [re.sub("<[^>]+>", " ", line).split() for line in lines[:2]] == [
        ["all", "n", "5000"], ["model", "0", "seed", "0;", "train", "gendiff", "train", "&lt;0&gt;"],
    ]  # fmt: skip
    assert len(lines) == 5
    assert "<code>gendiff train &lt;3&gt;</code>" in lines[4]


def test_what_tells_no_rows_apart_is_said_once_and_stays_in_the_files():
    rows = [{"": "a", "fd": 1.0, "n": "5,000", "over": "1 set"}, {"": "b", "fd": 1.0, "n": "5,000", "over": "3 seeds"}]
    shown = filed(rows, "By inception.", once=("n", "over", "weights"))
    assert re.findall(r'<th scope="col">(.*?)</th>', shown) == ["fd", "over"]
    assert "By inception. All rows: n 5,000.</span>" in shown
    (csv,) = re.findall('data:text/csv;base64,([^"]+)', shown)
    assert b64decode(csv).decode() == ',fd,n,over\na,1.0,"5,000",1 set\nb,1.0,"5,000",3 seeds\n'
    assert "All rows: n 5,000, over 1 set." in filed(rows[:1], once=("n", "over"))


def test_a_row_shows_every_value_with_its_noise_and_both_references():
    train, test = [made(1.0, 0), made(2.0, 1)], [made(3.0, 0), made(5.0, 1)]
    row = score_rows.score_row("model", train, test)
    assert list(row) == ["", "cs", "fd (train)", "fd (test)", "kd", "precision", "recall", "density", "coverage",
                         "classes", "n", "over"]  # fmt: skip
    assert (str(row["fd (train)"]), str(row["fd (test)"])) == ("1.50 ± 0.71", "4.0 ± 1.4")
    assert (row["n"], row["over"], row["classes"]) == ("60", "2 training seeds", "2 of 2")
    assert over([made(1.0)]) == "1 set in 20 groups"


def test_a_protocol_row_names_every_seed():
    row = score_rows.protocol_row("model", [made(1.0, 0, 0), made(2.0, 0, 1), made(2.0, 3, 0)])
    assert (row["training seeds"], row["sampling seeds"], row["run"]) == ("0, 3", "0, 1", "r-1")
    assert row["sampling s"] == "2.0"
    assert row["extractor"] == f"{OWN.name} {OWN.digest}"


def test_inceptions_rows_bear_the_famous_names():
    row = score_rows.score_row("m", [made(1.0, extractor="inception", shares=())], [made(1.0, extractor="inception")])
    assert {"IS", "FID (train)", "FID (test)", "KID"} < set(row)
    assert "classes" not in row


def test_an_extractor_without_classes_has_no_classifier_score_to_show():
    none = {"classifier_score": None, "classifier_score_std": None, "shares": ()}
    one, other = ([made(value, s, n_real_frechet=50_000, **none) for s in range(2)] for value in (1.0, 2.0))
    assert score_rows.score_row("model", one, other)["cs"] == "none: no logits"
    assert [row[""] for row in score_rows.lead_rows(("GAN", one), ("diffusion", other))][:2] == ["fd", "kd"]
    assert score_rows.protocol_row("model", one)["real images"] == "50 train (fd: 50,000)"


@pytest.mark.parametrize(
    ("a", "b", "lead"),
    [
        ((1.0, 1.1, 1.2), (3.0, 3.1, 3.2), "GAN"),
        ((3.0, 3.1, 3.2), (1.0, 1.1, 1.2), "diffusion"),
        ((1, 3, 2), (2, 4, 3), "inside"),
        ((1.0, 1.0, 1.0), (2.0, 2.0, 2.0), "inside"),  # no spread is no knowledge
    ],
)
def test_less_distance_leads_and_only_beyond_the_noise(a, b, lead):
    one, other = ([made(float(v), 0, i) for i, v in enumerate(side)] for side in (a, b))
    rows = score_rows.lead_rows(("GAN", one), ("diffusion", other))
    assert [row[""] for row in rows] == [one[0].labels[name] for name in VALUES]
    assert rows[1]["better"].startswith(lead)
    assert {row["better"] for row in rows if row[""] == "precision"} == {"inside the noise"}


def test_more_precision_leads():
    several = [[dataclasses.replace(made(1.0, s), precision=p + s / 100) for s in range(5)] for p in (0.2, 0.8)]
    rows = score_rows.lead_rows(("GAN", several[0]), ("diffusion", several[1]))
    assert next(row["better"] for row in rows if row[""] == "precision") == "diffusion"
    assert next(row["better"] for row in rows if row[""] == "density") == "none: 1 is real"


def test_shares_of_nothing_are_never_a_lead():
    none, few = ([dataclasses.replace(made(1.0, 0, s), recall=r) for s in range(3)] for r in (0.0, 0.002))
    rows = score_rows.lead_rows(("GAN", none), ("diffusion", few))
    assert next(row["better"] for row in rows if row[""] == "recall") == "inside the noise"


def test_sides_of_unlike_protocols_are_not_compared():
    with pytest.raises(ScoreError, match="these scores do not compare"):
        score_rows.lead_rows(("GAN", [made(1.0)]), ("diffusion", [made(1.0, n_fake=99)]))


def test_every_tracked_benchmark_is_shown_whole():
    kinds = {"speed": 0, "scoring": 0, "processes": 0, "costs": 0}
    for path in benchmark_results():
        result = files.read_json(path)
        kinds[path.stem.partition("-")[0]] += 1
        assert result["device"] in where(result)
        how = measured_row(path.stem, result)
        words = shlex.split(how["command"])
        if "contests" in result:
            asked = speed._parser().parse_args(words[words.index("speed") + 1 :])
            assert (asked.threads, asked.rounds) == (result["threads"], result["settings"]["rounds"])
        elif path.stem.startswith("costs"):
            asked = costs._parser().parse_args(words[words.index("costs") + 1 :])
            assert asked.models == result["settings"]["models"] == sum(c["seeds"] for c in result["trainings"])
        elif "trainings" in result:
            asked = processes._parser().parse_args(words[words.index("processes") + 1 :])
            assert {k: getattr(asked, k) for k in ("processes", "rounds", "dataset")} == {
                k: result["settings"][k] for k in ("processes", "rounds", "dataset")
            }
        else:
            asked = scoring._parser().parse_args(words[words.index("scoring") + 1 :])
            assert (asked.n_real, asked.repeats) == (result["n_real"], result["repeats"])
        if "contests" in result:
            rows = ratio_rows(result["contests"], how)
            assert len(rows) == sum(len(c["ratios"]) for c in result["contests"].values())
            assert {row["reached"] for row in rows} <= {"yes", "no", ""}
            assert all(contest_rows(c, how) for c in result["contests"].values())
        elif path.stem.startswith("costs"):
            assert len(scale.costs(Study.recorded()).found.trainings) == len(result["trainings"])
        elif "trainings" in result:
            assert len(process_rows(result, how)) == len(result["trainings"]) == 2
        else:
            assert [row[""] for row in scoring_rows(result, how)] == list(result["contestants"])
    assert all(kinds.values())
