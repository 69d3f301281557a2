"""How pages show claims: a square each, a block each, and the rows of the files beside them."""

import html
from collections import Counter
from collections.abc import Sequence

from ..downloads import data_links
from ..exhibit import Exhibit
from .evidence import Recorded
from .ruling import NOT_REPLICATED, REPLICATED, UNTOLD, VERDICTS, Ruling
from .stated import Claim, audit

SIGNS = {REPLICATED: "✓", NOT_REPLICATED: "✗", UNTOLD: "?"}

TITLES = {  # of the pages that claims lead to
    "02_dcgan": "The paper's DCGAN",
    "03_collapse": "Does the DCGAN collapse after epoch 50?",
    "05_diffusion": "The paper's diffusion model",
    "07_live": "Live: trained on your own machine",
    "09_comparison": "The comparison",
    "11_speed": "How fast, beside others",
}

Rulings = Sequence[tuple[Claim, Ruling]]


def verdicts() -> Exhibit[Rulings]:
    """Every claim of the paper with its verdict, from runs of the paper's size whatever a page's preset is."""
    rulings = audit(Recorded())
    links = data_links("claims", claim_rows(rulings), "Verdicts on the paper's claims, and the numbers they rest on.")
    return Exhibit(tally(rulings) + links + "".join(claim_block(*each) for each in rulings), rulings)


def counted(rulings: Rulings) -> str:
    """How many claims have which verdict, in words."""
    found = Counter(ruling.verdict for _, ruling in rulings)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS)


def tally(rulings: Rulings, page: str | None = None) -> str:
    """A row of squares, one a claim, that lead to the claims; told by sign and words, not by colour alone."""
    squares = "".join(
        f'<li class="{ruling.verdict.replace(" ", "-")}"><a href="{page or ""}#claim-{claim.number}" '
        f'aria-label="Claim {claim.number}, {ruling.verdict}: {html.escape(claim.said)}">'
        f"<span>{claim.number}</span> {SIGNS[ruling.verdict]}</a></li>"
        for claim, ruling in rulings
    )
    meaning = ", ".join(f"{SIGNS[v]} {v}" for v in VERDICTS)
    caption = f"One square a claim of the paper: {meaning}."
    return f'<figure class="tally"><ol>{squares}</ol><figcaption>{caption}</figcaption></figure>'


def claim_block(claim: Claim, ruling: Ruling) -> str:
    """All there is to one claim: what the paper says and prints, the rule, our numbers, the verdict, where to look."""
    ours = "; ".join(f"{html.escape(label)} {number.html}" for label, number in ruling.ours) or "none"
    several = ", ".join(n.protocol.get("run", "") for _, n in ruling.ours)
    runs = sorted({word.partition(" ")[0] for word in several.split(", ") if word})  # less " (published)"
    places = [f'<a href="{page}.html">{TITLES[page]}</a>' for page in claim.pages]
    places += [f'<a href="../data/runs/{run}.json">{run}</a>' for run in runs]
    rows = {
        "verdict": f"<strong>{SIGNS[ruling.verdict]} {ruling.verdict}</strong>. {html.escape(ruling.why)}",
        "the paper prints": html.escape(claim.printed),
        "ours": ours,
        "the rule": html.escape(claim.rule),
        "look at": ", ".join(places),
    }
    inside = "".join(f"<dt>{label}</dt><dd>{text}</dd>" for label, text in rows.items())
    title = f'<h3 id="claim-{claim.number}">{claim.number}. {html.escape(claim.said)}</h3>'
    return f'<section class="claim {ruling.verdict.replace(" ", "-")}">{title}<dl>{inside}</dl></section>'


def claim_rows(rulings: Rulings) -> list[dict[str, object]]:
    """A row a number of ours, for the files beside the claims."""
    return [
        {
            "claim": claim.number,
            "what the paper says": claim.said,
            "what it prints": claim.printed,
            "verdict": ruling.verdict,
            "why": ruling.why,
            "ours": label,
            "value": number,
            "rule": claim.rule,
        }
        for claim, ruling in rulings
        for label, number in (ruling.ours or (("none", "none"),))
    ]
