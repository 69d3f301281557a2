"""Every score on every page, held against the records as they lie on disk: by JSON alone, no code of the library."""

import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from built import ENVIRONMENT, PAGES, ROOT, SITE

PLACES = (ROOT / "runs", Path(ENVIRONMENT.get("GENDIFF_RUNS") or ROOT / ".runs"))
FIELDS = {"FID": "frechet_distance", "fd": "frechet_distance", "KID": "kernel_distance", "kd": "kernel_distance"}
FIELDS |= {"IS": "classifier_score", "cs": "classifier_score"}
FIELDS |= {name: name for name in ("precision", "recall", "density", "coverage")}
TOLD = {  # labels of a card, and what a record of scores calls the same
    "run": "run", "epochs": "epochs", "training seeds": "training_seed", "weights": "weights", "sampler": "sampler",
    "steps": "n_steps", "eta": "eta", "guidance": "guidance", "sampling seeds": "sampling_seed",
    "batch statistics": "batchnorm", "grid of steps": "grid", "clip x0": "clip_x0",
}  # fmt: skip


@cache
def soup(page):
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


def card(button):
    """What a number opens to, label by label."""
    shown = button.find_next_sibling(class_="number-card")
    rows = (row.find_all("span", recursive=False) for row in shown.find_all(class_="row", recursive=False))
    return {label.get_text(): value.get_text() for label, value in rows}


def numbers(page, selector="button.number"):
    return [(button.get_text(), card(button)) for button in soup(page).select(selector)]


@cache
def records(run):
    """Every record of scores of a run, those of one place together."""
    found = [
        [json.loads(path.read_text(encoding="utf-8")) for path in sorted((place / run).glob("samples/*/scores-*.json"))]
        for place in PLACES
    ]
    return [several for several in found if several]


def plain(value):
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def agrees(record, told):
    """Whether a record is one of those that a card tells of."""
    made = record["made"]
    for label, key in TOLD.items():
        if plain(made.get(key)) not in told.get(label, "none").split(", "):  # a card leaves out what is none
            return False
    real = f"{record['n_real']:,} {record['reference']}"
    name = f"{record['extractor']} {record['extractor_digest']}"
    return (told["extractor"], told["n"]) == (name, f"{record['n_fake']:,}") and told["real images"].startswith(real)


def values(told):
    """The values of the score that a card is about, of each of its runs and seeds; once for each place."""
    runs = told["run"].split(", ")
    places = zip(*(records(run) for run in runs), strict=True) if len(runs) > 1 else ([p] for p in records(runs[0]))
    key = FIELDS[told["what"]]
    return [[each[key] for several in place for each in several if agrees(each, told)] for place in places]


def rounded(text):
    """The mean that a number tells, and half of its last digit."""
    mean = Decimal(re.split(r"\s*[±(]", text)[0].strip())
    return float(mean), 0.5 * 10.0 ** mean.as_tuple().exponent


def is_score(told):
    return told.get("what") in FIELDS and {"run", "extractor", "n", "real images"} <= told.keys()


def wrong(text, told):
    """What is not as its record has it, in words; empty where it is."""
    mean, half = rounded(text)
    found = values(told)
    if not any(found):
        return f"{text}: there is no record of {told}"
    if any(several and abs(sum(several) / len(several) - mean) <= half * 1.001 for several in found):
        return ""
    return f"{text}: {told['what']} of {told['run']} by {told['extractor']}, n {told['n']}, is {found} in its records"


@pytest.mark.parametrize("page", PAGES)
def test_every_score_is_the_one_in_its_record(page):
    assert [why for text, told in numbers(page) if is_score(told) and (why := wrong(text, told))] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_open_for_want_of_a_run_alone(page):
    """What is published of runs is enough for every page that shows them: none needs their weights, or other scores."""
    told = re.findall(r"Not shown yet: (.*)", soup(page).get_text())
    assert [why for why in told if "no run of it" not in why] == []


def test_there_are_scores_to_check():
    assert sum(is_score(told) for page in PAGES for _, told in numbers(page)) > 100


def test_the_front_page_answers_with_scores_and_operations_of_published_runs():
    told = [(text, card) for text, card in numbers("index.html", ".answer button.number")]
    scores = [card for _, card in told if is_score(card)]
    assert {card["what"] for card in scores} >= {"FID", "precision", "recall"}
    for text, card in told:
        if card.get("what", "").startswith("operations of the training"):
            runs = [word.removesuffix(" (published)") for word in card["run"].split(", ")]
            several = [json.loads((PLACES[0] / run / "run.json").read_text(encoding="utf-8")) for run in runs]
            spent = [[s["operations"] / 1e15 for s in record["snapshots"].values()] for record in several]
            mean, half = rounded(text)
            near = [min(each, key=lambda value: abs(value - mean)) for each in spent]
            assert abs(sum(near) / len(near) - mean) <= half * 1.001, (text, runs, spent)
