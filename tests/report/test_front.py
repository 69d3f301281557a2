import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from gendiff_lib import experiments, paths
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.experiments import EXPERIMENTS, PAPER_PAIR, get, protocol
from gendiff_lib.runs.train import train
from gendiff_report import answer, front
from gendiff_report.claims import html
from gendiff_report.claims.stated import CLAIMS, SPACES, audit
from gendiff_report.number import without_cards
from gendiff_report.printed import TABLE1
from gendiff_report.tables.paper import MISSING
from tests.report.test_claims import FAR, Found, scores

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_without_published_runs_the_front_page_says_so_and_shows_no_number_of_ours(published):
    text = front.front()
    assert "Not yet answered" in text
    assert "no run of the paper's DCGAN at 32 pixels and its diffusion model at equal operations" in text
    assert "the GAN is ahead in 3 of its 4 rows" in text
    told = "0 replicated, 0 not replicated, 0 inconclusive, 12 budget not reached"
    assert f"<p>at overnight size: {told}</p>" in text
    assert f"<p>at the paper's size: {told}</p>" in text
    assert 'class="number"' not in text
    table = front.table1()
    assert "as its Table 1 (its Fig. 5).\n" in table
    assert table.count(MISSING) == 2 * len(TABLE1)


@pytest.fixture
def night(monkeypatch):
    """The smoke runs of the paper's pair in the place of the preset overnight, and local runs as published ones."""
    for name in PAPER_PAIR:
        known = EXPERIMENTS[name]
        presets = known.presets | {"overnight": get(name, "smoke", seed=0)}
        protocols = known.protocols | {"overnight": dataclasses.replace(protocol(name, "smoke"), seeds=1)}
        small = dataclasses.replace(known, presets=presets, protocols=protocols, petaflops=1e-5)
        monkeypatch.setitem(EXPERIMENTS, name, small)
    monkeypatch.setattr(answer, "COMPARED", PAPER_PAIR)
    monkeypatch.setattr(answer, "MODELLED", PAPER_PAIR)
    monkeypatch.setattr(front, "EARLY_N", 60)
    monkeypatch.setattr(experiments, "BUDGETS", (1e-6,))
    monkeypatch.setattr(experiments, "PAPER_EPOCHS", (1.0,))
    monkeypatch.setattr(paths, "published_dir", paths.runs_dir)


def pixels(name, *, has_logits=True):
    """An extractor that needs no weights."""

    def network(x):
        flat = x.float().flatten(1)
        return flat[:, :4], flat[:, :3] if has_logits else flat[:, :0]

    return Extractor(name, "d", network, has_logits=has_logits)


def test_with_the_pair_published_it_answers_in_numbers_that_open_and_says_what_is_open(night):
    for name in PAPER_PAIR:
        run, known = train(get(name, "overnight")), protocol(name, "overnight")
        assert "Not yet answered" in front.front()  # one of the two, or not scored
        for judge in (pixels("efficientnet"), pixels("inception", has_logits=False)):
            evaluate(run, known.sampling, judge, known.n_real)
        evaluate(run.at(1.0), known.sampling.but(n=60), pixels("efficientnet"), known.n_real)
    text = front.front()
    assert "Not yet answered" not in text
    assert len(re.findall(r"has FID <button[^>]*>[\d.]+", text)) == 2  # Inception's before any other
    assert re.search(r":</strong> FID <button[^>]*>[\d.]+.* against <button[^>]*>[\d.]+.* of the paper's diff", text)
    assert text.count("precision <button") == text.count("recall <button") == 2
    assert text.count(" GFLOP to draw an image, and its") + text.count(" GFLOP to draw an image (100") == 2
    assert "100 images of each against 500 train images of shapes, by inception" in text
    assert "makes the better images:" in text or "is not decided:" in text
    assert re.search(r"by inception; the diffusion model's drawn in \d+ steps of \w+\)", text)
    counted = re.findall(r"of (\d) scores by (\w+) the GAN leads in (\d)(?: \([^)]*\))?, the [a-z ]+ in (\d)", text)
    assert [(n, space) for n, space, *_ in counted] == [("5", "inception"), ("6", "efficientnet")]  # density is none
    assert all(int(gan) + int(diffusion) <= int(n) for n, _, gan, diffusion in counted)
    assert "of two runs, not of two methods" in text
    assert "Still open" in text
    assert re.search(r"the best GAN model is dcgan-32 with FID <button[^>]*>[\d.]+", text)
    assert text.count(" GFLOP to draw an image") == 4 + text.count("with as few operations the best ")
    assert text.count('<p class="answer">') == 4
    assert not any(brace in sentence for sentence in answer.answer("overnight", str) for brace in "{}")
    plain = answer.in_readme(f"before {answer.BEGIN}yesterday's {answer.END}after")
    assert "yesterday" not in plain
    assert plain.startswith(f"before {answer.BEGIN}\n**At equal counted operations")
    assert "<" not in plain.removeprefix(f"before {answer.BEGIN}").removesuffix(f"{answer.END}after")
    assert [text.index(f"<strong>{words}") > text.index("<figure") for words in ("At equal", "In numb", "Of all")] == [
        False, True, True,
    ]  # fmt: skip
    assert text.count('<img class="samples"') == 2
    assert "fd by efficientnet of every model" in text  # whose snapshots are scored, where Inception's are not
    table = without_cards(front.table1())
    assert "and ours: by inception, 100 images of each model against 500 train images" in table
    assert re.search(r"FID \(lower is better\)\n  - 20\n  - 30\n  - [\d.]+\s±\s[\d.]+\n", table)
    assert table.count(MISSING) == 2  # the Inception Score of both: these features come without logits


def test_fresh_seeds_answer_once_all_of_them_are_published(night):
    seeds = []

    def shown(number):
        seeds.append(getattr(number, "protocol", {}).get("training seeds"))
        return str(number)

    def answered(seed, *names):
        """The answer once this seed is published too, and the training seeds of its values."""
        for name in names or PAPER_PAIR:
            known, run = protocol(name, "overnight"), train(get(name, "overnight", seed=seed))
            evaluate(run, known.sampling, pixels("inception", has_logits=False), known.n_real)
        seeds.clear()
        return " ".join(answer.answer("overnight", shown)), {told for told in seeds if told}

    first, of = answered(0)
    assert "either is told by one training" in first
    assert of == {"0"}
    assert answered(1) == answered(2) == (first, of)
    text, of = answered(3, PAPER_PAIR[0])
    assert re.search(r"the paper's DCGAN at 32 pixels, of [\d,]+ parameters, has, over 3 trainings, FID", text)
    assert re.search(r"its diffusion model, of [\d,]+ parameters, has FID", text)
    assert "the paper's diffusion model is told by one training, so there this speaks of a run" in text
    assert of == {"0", "1, 2, 3"}
    text, of = answered(3, PAPER_PAIR[1])
    assert text.count("has, over 3 trainings, FID") == 2
    assert text.count("(3 later trainings) after") == 2
    assert first.count("(that one) after") == 2 + first.count("with as few operations the best ")
    assert "by one training" not in text
    assert of == {"1, 2, 3"}


@pytest.mark.parametrize(
    ("operations", "rivals"),
    [((2, 1, 1), ["GAN model is third, fd 30.000"]), ((1, 2, 1), []), ((1, 1, 1), []), ((2, 1, 2), [])],
)
def test_the_best_of_all_has_beside_it_the_best_with_as_few_operations(operations, rivals, monkeypatch):
    kinds = {"first": ("gan", 10.0), "second": ("diffusion", 20.0), "third": ("gan", 30.0)}
    runs = [
        SimpleNamespace(config=SimpleNamespace(name=name, kind=kind), training_operations=o, fd=fd)
        for (name, (kind, fd)), o in zip(kinds.items(), operations, strict=True)
    ]
    monkeypatch.setattr(answer, "published_models", lambda preset: runs)
    monkeypatch.setattr(answer, "kept", lambda run, judge, preset: scores(run.fd)[:1])
    monkeypatch.setattr(answer, "_costs", lambda *_: "a while")
    (told,) = answer._of_all("inception", "overnight", str)
    assert "the best GAN model is first with fd 10" in told
    assert "the best diffusion model is second with fd 20" in told
    assert re.findall(r"with as few operations the best (.*?) ± ", told) == rivals


@pytest.mark.parametrize(
    ("gan", "diffusion", "headline"),
    [
        ((20, 60), (90, 170), "the paper's DCGAN at 32 pixels makes the better images"),
        ((90, 170), (20, 60), "the paper's diffusion model makes the better images"),
        ((20, 170), (90, 60), "which of the paper's two models makes the better images is not decided"),
        ((20, 60), (20, 60), "which of the paper's two models makes the better images is not decided"),
    ],
)
def test_better_is_what_both_spaces_put_first_beyond_the_noise(gan, diffusion, headline, monkeypatch):
    first = {"g": dict(zip(SPACES, gan, strict=True)), "d": dict(zip(SPACES, diffusion, strict=True))}
    monkeypatch.setattr(answer, "_standing", lambda label, *_: label)
    pair = {label: Known(name) for label, name in zip(answer.MODELS, "gd", strict=True)}
    scored = {name: {label: scores(first[run.name][name]) for label, run in pair.items()} for name in SPACES}
    told, _ = answer._of_the_pair(pair, scored, "overnight", str)
    assert told.startswith(f"<strong>At equal counted operations {headline}:</strong>")


class Known:
    record = {"data": {"name": "cifar10"}}  # noqa: RUF012

    def __init__(self, name):
        self.name = name


RULINGS = {"paper": audit(Found(FAR)), "overnight": audit(Found({}))}


def test_every_claim_has_a_square_in_each_size_and_its_block():
    squares = html.tally(RULINGS, "there.html")
    blocks = "".join(html.claim_block(claim, html.by_size(RULINGS, i)) for i, claim in enumerate(CLAIMS))
    for claim in CLAIMS:
        assert squares.count(f'href="there.html#claim-{claim.number}"') == 2
        assert f'<h3 id="claim-{claim.number}">' in blocks
    assert squares.count('class="replicated"') == 1  # the third, at the paper's size
    assert "at overnight size" in squares
    assert "✓ replicated</strong>. By inception: twice the fd holds beyond the noise (" in blocks
    assert blocks.count("… budget not reached</strong>") == 23
    assert '<a href="../data/runs/r-0.json">r-0</a>' in blocks


def test_a_page_tells_the_verdicts_on_its_claims_where_there_are_any(monkeypatch):
    monkeypatch.setattr(html, "Recorded", {"paper": Found(FAR), "overnight": Found({})}.get)
    told = html.on_page("03_collapse")
    assert re.findall(r'href="12_claims.html#(.+?)"', told) == ["claim-2", "claim-3", "claim-4"]
    assert told.count("✓ replicated</strong> at the paper's size.") == 1  # the third, which is open at the other
    assert told.count("… budget not reached</strong> at any size.") == 2
    assert html.on_page("01_data") == ""


def test_the_files_beside_the_claims_hold_a_row_a_number():
    rows = html.claim_rows(RULINGS)
    labels = [f"fd of DCGAN at {e}, by {space}" for space in SPACES for e in (49, 100)]
    assert [row["ours"] for row in rows if row["claim"] == 3] == [*labels, "none"]
    assert {(row["claim"], row["size"]) for row in rows} == {(c.number, size) for c in CLAIMS for size in RULINGS}


def test_claims_lead_to_pages_by_the_titles_that_these_have():
    for stem, title in html.TITLES.items():
        cells = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells
        assert cells[0].source.splitlines()[0] == f"# {title}"
    assert {page for claim in CLAIMS for page in claim.pages} == set(html.TITLES)
