"""How pages show claims: a square each, a block each, and the rows of the files beside them."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence

from gendiff_lib.experiments.claimed import SIZES

from ..downloads import data_links
from ..exhibit import Exhibit, with_commands
from .evidence import Recorded, called
from .ruling import INCONCLUSIVE, NOT_REACHED, NOT_REPLICATED, REPLICATED, VERDICTS, Ruling
from .stated import CLAIMS, Claim, audit

SIGNS = {REPLICATED: "✓", NOT_REPLICATED: "✗", INCONCLUSIVE: "?", NOT_REACHED: "…"}
CALLED = {size: called(size) for size in SIZES}

TITLES = {  # of the pages that claims lead to
    "02_dcgan": "The paper's DCGAN",
    "03_collapse": "Does the DCGAN collapse after epoch 50?",
    "05_diffusion": "The paper's diffusion model",
    "07_live": "Live: trained on your own machine",
    "09_comparison": "The comparison",
    "11_speed": "How fast, beside others",
    "15_settings": "Learning rates, batches, and all that was tried",
    "16_parts": "What the parts of a DCGAN do",
}

Rulings = Sequence[tuple[Claim, Ruling]]


def judged() -> dict[str, Rulings]:
    """Every claim with its verdict in each size, from published runs."""
    return {size: audit(Recorded(size)) for size in SIZES}


def verdicts() -> Exhibit[dict[str, Rulings]]:
    """Every claim of the paper with its verdicts, whatever a page's preset is."""
    rulings = judged()
    links = data_links("claims", claim_rows(rulings), "Verdicts on the paper's claims, and the numbers they rest on.")
    blocks = "".join(claim_block(claim, by_size(rulings, i)) for i, claim in enumerate(CLAIMS))
    return Exhibit(tally(rulings) + links + blocks, rulings)


def on_page(page: str) -> str:
    """The verdicts on the claims that the notebook `page` looks at, each with a link to its block; "" without any."""
    claims = [claim for claim in CLAIMS if page in claim.pages]
    if not claims:
        return ""
    lines = "".join(f"<li>{_in_a_line(claim)}</li>" for claim in claims)
    return f'<p>What the paper claims of this, judged by published runs:</p><ul class="verdicts">{lines}</ul>'


def _in_a_line(claim: Claim) -> str:
    """With the sizes where there is a verdict."""
    rulings = {size: claim.judge(Recorded(size)) for size in SIZES}
    there = [f"{_verdict(r)} {CALLED[size]}" for size, r in rulings.items() if r.verdict != NOT_REACHED]
    told = ", ".join(there) or f"{_verdict(rulings[SIZES[0]])} at any size"
    return f'<a href="12_claims.html#claim-{claim.number}">Claim {claim.number}</a>: {html.escape(claim.said)} {told}.'


def by_size(rulings: Mapping[str, Rulings], i: int) -> dict[str, Ruling]:
    """The rulings on one claim."""
    return {size: several[i][1] for size, several in rulings.items()}


def counted(rulings: Rulings) -> str:
    """How many claims have which verdict, in words."""
    found = Counter(ruling.verdict for _, ruling in rulings)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS)


def tally(rulings: Mapping[str, Rulings], page: str | None = None) -> str:
    """A row of squares a size, one a claim, that lead to the claims; told by sign and words, not by colour alone."""
    rows = "".join(
        f"<p>{CALLED[size]}: {counted(several)}</p>{_squares(several, page or '')}" for size, several in rulings.items()
    )
    meaning = ", ".join(f"{SIGNS[v]} {v}" for v in VERDICTS)
    caption = f"One square a claim of the paper: {meaning}."
    return f'<figure class="tally">{rows}<figcaption>{caption}</figcaption></figure>'


def _squares(rulings: Rulings, page: str) -> str:
    squares = "".join(
        f'<li class="{_class(ruling)}"><a href="{page}#claim-{claim.number}" '
        f'aria-label="Claim {claim.number}, {ruling.verdict}: {html.escape(claim.said)}">'
        f"<span>{claim.number}</span> {SIGNS[ruling.verdict]}</a></li>"
        for claim, ruling in rulings
    )
    return f"<ol>{squares}</ol>"


def _verdict(ruling: Ruling) -> str:
    return f'<strong class="{_class(ruling)}">{SIGNS[ruling.verdict]} {ruling.verdict}</strong>'


def _class(ruling: Ruling) -> str:
    return ruling.verdict.replace(" ", "-")


def claim_block(claim: Claim, rulings: Mapping[str, Ruling]) -> str:
    """All there is to one claim: what the paper says and prints, the rule, our numbers, the verdicts, where to look."""
    rows = {"the paper prints": html.escape(claim.printed), "the rule": html.escape(claim.rule)}
    for size, ruling in rulings.items():
        rows[CALLED[size]] = f"{_verdict(ruling)}. {with_commands(ruling.why)}{ours(ruling)}"
    if claim.overnight:
        rows["the rule overnight"] = html.escape(claim.overnight)
    rows["a smaller network"] = html.escape(claim.smaller)
    rows["look at"] = ", ".join(_places(claim, rulings))
    return block(f"claim-{claim.number}", f"{claim.number}. {claim.said}", rows)


def block(name: str, title: str, rows: Mapping[str, str]) -> str:
    """A section that is linked to by `name`: its title, and rows of HTML under their labels."""
    inside = "".join(f"<dt>{label}</dt><dd>{text}</dd>" for label, text in rows.items())
    return f'<section class="claim"><h3 id="{name}">{html.escape(title)}</h3><dl>{inside}</dl></section>'


def ours(ruling: Ruling) -> str:
    """The numbers that a verdict rests on, and of how many samples, on a line of their own; nothing where none are."""
    told = "; ".join(f"{html.escape(label)} {number.html}" for label, number in ruling.ours)
    n = " and ".join(dict.fromkeys(n for _, number in ruling.ours if (n := number.protocol.get("n"))))
    return f"<br>Ours{f', of {n} samples' if n else ''}: {told}." if told else ""


def _places(claim: Claim, rulings: Mapping[str, Ruling]) -> list[str]:
    """Links to the pages and the records that a claim's verdicts rest on."""
    several = ", ".join(n.protocol.get("run", "") for ruling in rulings.values() for _, n in ruling.ours)
    runs = sorted({word.partition(" ")[0] for word in several.split(", ") if word})  # less " (published)"
    places = [f'<a href="{page}.html">{TITLES[page]}</a>' for page in claim.pages]
    return places + [f'<a href="../data/runs/{run}.json">{run}</a>' for run in runs]


def claim_rows(rulings: Mapping[str, Rulings]) -> list[dict[str, object]]:
    """A row a number of ours, for the files beside the claims."""
    return [
        {
            "claim": claim.number,
            "size": size,
            "what the paper says": claim.said,
            "what it prints": claim.printed,
            "verdict": ruling.verdict,
            "why": ruling.why,
            "ours": label,
            "value": number,
            "rule": claim.overnight or claim.rule if size == "overnight" else claim.rule,
        }
        for size, several in rulings.items()
        for claim, ruling in several
        for label, number in (ruling.ours or (("none", "none"),))
    ]
