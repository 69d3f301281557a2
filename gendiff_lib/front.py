"""What the front page and the claims page say of published runs, as HTML; where there are none they say so."""

import html
from collections import Counter
from collections.abc import Sequence

from . import plots, views
from .cards import Number, score_number
from .claims import NOT_REPLICATED, REPLICATED, UNTOLD, VERDICTS, Claim, Recorded, Ruling, audit, equal_n
from .config import Sampling
from .experiments import COMPARED, TABLE1, get, protocol
from .metrics import VALUES, ScoreError, Scores, protocol_of
from .runs import Run, find, siblings
from .tables import lead_rows

SIGNS = {REPLICATED: "✓", NOT_REPLICATED: "✗", UNTOLD: "?"}
PAPERS = {"DCGAN": "dcgan", "diffusion": "ddpm-conv"}

TITLES = {  # of the pages that claims lead to
    "02_dcgan": "The paper's DCGAN",
    "03_collapse": "Does the DCGAN collapse after epoch 50?",
    "05_diffusion": "The paper's diffusion model",
    "07_live": "Live: trained on your own machine",
    "09_comparison": "The comparison",
    "11_speed": "How fast, beside others",
}

Rulings = Sequence[tuple[Claim, Ruling]]


def counted(rulings: Rulings) -> str:
    """How many claims have which verdict, in words."""
    found = Counter(ruling.verdict for _, ruling in rulings)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS)


def tally(rulings: Rulings, page: str = "") -> str:
    """A row of squares, one a claim, that lead to the claims; told by sign and words, not by colour alone."""
    squares = "".join(
        f'<li class="{ruling.verdict.replace(" ", "-")}"><a href="{page}#claim-{claim.number}" '
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


# ---------------------------------------------------------------- the front page


def front(preset: str = "paper") -> str:
    """The answer in a few sentences and one figure: from published runs of the paper's size, or that there are none."""
    rulings = audit(Recorded(preset))
    runs = {label: _published(name, preset) for label, name in PAPERS.items()}
    there = {label: run for label, run in runs.items() if run is not None}
    scored = {label: run for label, run in there.items() if _scores(run, preset)}
    whole = len(scored) == len(PAPERS)
    told = _answer(scored, preset) if whole else _no_answer(there)
    last = f"The paper's {len(rulings)} claims: {counted(rulings)}."
    figure = _figure(scored, preset) if whole else ""
    return f'<p class="answer">{told} {last}</p>{figure}{tally(rulings, "executed/12_claims.html")}\n'


def _published(name: str, preset: str) -> Run | None:
    return find(get(name, preset), published=True)


def _no_answer(there: dict[str, Run]) -> str:
    ahead = sum(_gan_ahead(name) for name in TABLE1)
    missing = [label for label in PAPERS if label not in there]
    what = f"no training of the paper's size of its {' and its '.join(missing)} model is published here"
    if not missing:
        what = "its two models are published here, but not yet scored alike"
    return (
        f"<strong>Not yet run at paper scale:</strong> {what}, so whether its diffusion model beats its GAN is open. "
        "What can be said without is that its own table does not bear out its title: the GAN is ahead in "
        f"{ahead} of its {len(TABLE1)} rows."
    )


def _gan_ahead(name: str) -> bool:
    """By the paper's print; of "(2.50)(3)" the first number counts."""
    gan, diffusion = (float(cell.strip("()").partition(")")[0]) for cell in TABLE1[name])
    return gan < diffusion if name == "FID" else gan > diffusion


def _sampling(run: Run, preset: str) -> Sampling:
    return protocol(run.config.name, preset).sampling.but(n=equal_n(preset))


def _scores(run: Run, preset: str) -> list[Scores]:
    """Of every published training seed, at the n that is equal for all; none where they were scored unlike."""
    known = protocol(run.config.name, preset)
    extractor = f"{run.config.dataset.partition(':')[0]}-classifier"
    several = siblings(get(run.config.name, preset, epochs=run.config.epochs), published=True)
    kept = [r.kept_scores(_sampling(run, preset), extractor, known.n_real) for r in several]
    found = [scores for scores in kept if scores is not None]
    return found if len({protocol_of(scores) for scores in found}) == 1 else []


def _answer(runs: dict[str, Run], preset: str) -> str:
    scores = {label: _scores(run, preset) for label, run in runs.items()}
    (gan, a), (diffusion, b) = scores.items()
    fd = a[0].labels["frechet_distance"]
    parts = [
        f"the {label} stands at {fd} {score_number(scores[label], 'frechet_distance').html} after "
        f"{run.config.epochs} epochs and {_seconds(run)} of training on {html.escape(run.record['device'])}"
        for label, run in runs.items()
    ]
    try:
        better = [row["better"] for row in lead_rows((gan, a), (diffusion, b))]
    except ScoreError:
        return f"At the paper's own size, {' and '.join(parts)}; the two were not scored alike."
    seeds = min(len({s.made["training_seed"] for s in several}) for several in scores.values())
    caution = "" if seeds > 1 else " There is one training seed each, so this speaks of two runs, not of two methods."
    return (
        f"At the paper's own size, {' and '.join(parts)} (less is better). Of {len(VALUES)} scores the GAN leads in "
        f"{better.count(gan)} beyond the noise and the diffusion model in {better.count(diffusion)}.{caution}"
    )


def _seconds(run: Run) -> str:
    seconds = float(run.snapshot["seconds"])
    return Number(f"{seconds:,.0f} s", seconds, {"what": "seconds of the first training seed"} | run.protocol).html


def _figure(runs: dict[str, Run], preset: str) -> str:
    """Samples of both side by side, and every compared model's distance against its compute."""
    sheets = "".join(
        f'<div style="flex:1 1 15em;min-width:0"><p>{label}, {run.id}</p>'
        + views.picture(run.sheet(), f"Forty samples of the {label}")
        + "</div>"
        for label, run in runs.items()
    )
    dots = []
    for name in COMPARED:
        run = _published(name, preset)
        if run is not None and (scores := _scores(run, preset)):
            number = score_number(scores, "frechet_distance")
            dots.append(("GAN" if "gan" in name else "diffusion", name, run.training_flops / 1e12, number.value))
    figure = plots.scatter(sorted(dots, key=lambda d: d[2]), xlabel="training compute (TFLOP)", ylabel="fd")
    alt = "; ".join(f"{name}: fd {value:.3g} after {work:.3g} TFLOP" for _, name, work, value in dots)
    caption = "Samples of the paper's two models, and the distance of all models to the training images by compute."
    inside = f'<div style="display:flex;flex-wrap:wrap;gap:1em">{sheets}</div>{views.plot(plots.svg(figure), alt)}'
    return f"<figure>{inside}<figcaption>{caption}</figcaption></figure>"
