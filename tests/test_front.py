import re
from pathlib import Path

import nbformat
from test_claims import Found, scores

from gendiff_lib import front, store
from gendiff_lib.claims import CLAIMS, audit, equal_n
from gendiff_lib.experiments import get, protocol
from gendiff_lib.recorder import train
from gendiff_lib.scoring import offline

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def test_without_runs_of_the_papers_size_the_front_page_says_so_and_shows_no_number_of_ours():
    text = front.front()
    assert "Not yet run at paper scale" in text
    assert "the GAN is ahead in 3 of its 4 rows" in text
    assert "0 replicated, 0 not replicated, 11 cannot be told" in text
    assert 'class="number"' not in text


def test_with_both_models_published_it_answers_in_numbers_that_open(monkeypatch):
    monkeypatch.setattr(store, "published_dir", store.runs_dir)
    for name in ("dcgan", "ddpm-conv"):
        run = train(get(name, "smoke"))
        known = protocol(name, "smoke")
        run.scores(known.sampling.but(n=equal_n("smoke")), offline("shapes", "smoke"), known.n_real)
        text = front.front("smoke")
        assert ("Not yet run" in text) == (name == "dcgan")
    assert len(re.findall(r"stands at fd <button[^>]*>[\d.]+", text)) == 2
    assert "after 2 epochs and <button" in text
    assert "this speaks of two runs, not of two methods" in text
    assert text.count('<img class="samples"') == 2
    assert text.count('<img class="plot"') == 1


def test_every_claim_has_its_square_and_its_block():
    rulings = audit(Found({("dcgan", 49): scores(10), ("dcgan", 100): scores(30)}))
    squares, blocks = front.tally(rulings, "there.html"), "".join(front.claim_block(*each) for each in rulings)
    for claim in CLAIMS:
        assert f'href="there.html#claim-{claim.number}"' in squares
        assert f'<h3 id="claim-{claim.number}">' in blocks
    assert squares.count('class="replicated"') == 1  # the third
    assert "<strong>✓ replicated</strong>. Twice the fd holds beyond the noise." in blocks
    assert '<a href="../data/runs/r-0.json">r-0</a>' in blocks


def test_the_files_beside_the_claims_hold_a_row_a_number():
    rulings = audit(Found({("dcgan", 49): scores(10), ("dcgan", 100): scores(30)}))
    rows = front.claim_rows(rulings)
    assert [row["ours"] for row in rows if row["claim"] == 3] == ["fd of DCGAN at 49", "fd of DCGAN at 100"]
    assert {row["claim"] for row in rows} == {claim.number for claim in CLAIMS}


def test_claims_lead_to_pages_by_the_titles_that_these_have():
    for stem, title in front.TITLES.items():
        cells = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells
        assert cells[0].source.splitlines()[0] == f"# {title}"
    assert {page for claim in CLAIMS for page in claim.pages} == set(front.TITLES)
