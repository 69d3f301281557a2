"""How pages show the answers: a block a part, a table of what scales, a list of strengths and limits."""

import html
from collections import Counter
from collections.abc import Mapping

from ..claims.html import SIGNS, block, ours
from ..claims.ruling import Ruling
from ..downloads import data_links
from ..exhibit import Exhibit, with_commands
from .models import Models
from .stated import ANSWERS, QUESTIONS, Part

Answers = Mapping[str, Ruling]  # by the name of a part


def answers(models: Models, question: str) -> Exhibit[Answers]:
    """The parts of a question, each with its rule, two numbers and the answer, and the numbers as files."""
    parts = QUESTIONS[question].parts
    found = {part.name: part.answer(models) for part in parts}
    blocks = "".join(_block(part, found[part.name]) for part in parts)
    one = "<p>Where a model has one training alone, an answer speaks of that, not of its method.</p>"
    rows = [row for part in parts for row in _rows(part, found[part.name])]
    return Exhibit(one + blocks + data_links(f"answers-{question}", rows, QUESTIONS[question].title), found)


def _block(part: Part, ruling: Ruling) -> str:
    said = f"<strong>{SIGNS[ruling.verdict]} {ANSWERS[ruling.verdict]}</strong>. {with_commands(ruling.why)}"
    rows = {"the rule": html.escape(part.rule), "the answer": said + ours(ruling)}
    return block(f"part-{part.name}", part.asked, rows)


def _rows(part: Part, ruling: Ruling) -> list[dict[str, object]]:
    told = {"question": part.asked, "answer": ANSWERS[ruling.verdict], "why": ruling.why}
    return [{**told, "ours": label, "value": n, "rule": part.rule} for label, n in ruling.ours or (("none", "none"),)]


def said(*questions: tuple[str, Answers]) -> str:
    """How many parts have which answer, and each that is answered by yes or no with its answer, in sentences."""
    asked = {part.name: part.asked for name, _ in questions for part in QUESTIONS[name].parts}
    rulings = {name: ruling for _, found in questions for name, ruling in found.items()}
    counts = Counter(ANSWERS[ruling.verdict] for ruling in rulings.values())
    told = ", ".join(f"{counts[word]} {word}" for word in ANSWERS.values() if counts[word])
    decided = {name: ANSWERS[ruling.verdict] for name, ruling in rulings.items()}
    sentences = [f"{asked[name]} {word.capitalize()}." for name, word in decided.items() if word in ("yes", "no")]
    return " ".join([f"Of {len(asked)} parts: {told}.", *sentences])
