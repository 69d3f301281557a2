"""Numbers that open to their protocol: what lets a reader check a page without leaving it.

A number is a button, and its card a popover: both are HTML's own, so they work without JavaScript and by keyboard.
"""

import hashlib
import html
import itertools
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gendiff_lib.device import with_threads
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.parsing import as_text

EACH = ("seconds", "of processor")  # labels whose values are told of each run, though they be equal
_SERIAL = itertools.count(1)  # equal numbers on one page are still two elements


@dataclass(frozen=True)
class Number:
    """A number as readers meet it: its text, its value and spread, and the protocol behind it, label by label."""

    text: str
    value: float
    protocol: Mapping[str, str]
    spread: float | None = None

    def __str__(self) -> str:
        return self.text

    @property
    def html(self) -> str:
        """A button that opens the card; a new element at every call."""
        if not self.protocol:
            return html.escape(joined(self.text))
        content = f"{self.text}{sorted(self.protocol.items())}{next(_SERIAL)}"
        name = f"card-{hashlib.sha256(content.encode()).hexdigest()[:10]}"
        text = html.escape(joined(self.text))
        mean, sign, spread = text.partition("±")
        lines = f'{mean}<span class="spread">{sign}{spread}</span>' if sign else text
        rows = "".join(_row(label, value) for label, value in self.protocol.items() if value)
        card = f'popover id="{name}" tabindex="0" role="dialog" aria-label="How {text} was made"'
        return (
            f'<button type="button" class="number" popovertarget="{name}">{lines}</button>'
            f'<span class="number-card" {card}>{_close(name)}<span class="value">{text}</span>{rows}</span>'
        )


# A card ends with its last row, which ends with its value.
_CARD = re.compile(r'<span class="number-card".*?</span></span></span>', re.DOTALL)
_SPREAD = re.compile(r'<span class="spread">(.*?)</span>')
_BUTTON = re.compile(r'<button type="button" class="number"[^>]*>(.*?)</button>', re.DOTALL)


def without_cards(text: str) -> str:
    """HTML in which every `Number.html` is its text alone."""
    return _SPREAD.sub(r"\1", _BUTTON.sub(r"\1", _CARD.sub("", text)))


def joined(text: str) -> str:
    """A mean and its deviation, kept on one line."""
    return text.replace(" ± ", "\u00a0±\u00a0")


def _close(name: str) -> str:
    hides = f'popovertarget="{name}" popovertargetaction="hide"'
    return f'<button type="button" class="close" aria-label="Close" {hides}>×</button>'


def _row(label: str, value: str) -> str:
    name = f'<span class="label">{html.escape(label)}</span>'
    return f'<span class="row" style="display:block">{name} <span>{as_code(value)}</span></span>'


def as_code(value: str) -> str:
    """A value as HTML, a command as code."""
    command = value.startswith(("gendiff ", "python -m ", "OMP_NUM_THREADS="))
    return f"<code>{html.escape(value)}</code>" if command else html.escape(value)


# ---------------------------------------------------------------- the protocol of scores


def plain(value: Any) -> str:
    """A cell's text; floats with four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(v) for v in value)
    return "none" if value is None else joined(str(value))


def distinct(values: Iterable[Any]) -> str:
    """The different ones of several values, in their order."""
    return ", ".join(dict.fromkeys(plain(v) for v in values))


def over(scores: Sequence[Scores]) -> str:
    """What a mean ± std was taken over, in words."""
    found = estimate(scores, "frechet_distance")
    if found.source == "groups":
        return f"1 set in {scores[0].groups} groups"
    return f"{found.n} {found.source}"


def score_protocol(scores: Sequence[Scores]) -> dict[str, str]:
    """How samples came about and what they were compared with, label by label."""
    one = scores[0]

    def several(key: str) -> str:
        return distinct(s.made.get(key) for s in scores)

    def seconds(key: str) -> str:
        found = [s.made[key] for s in scores if key in s.made]
        of = f", mean of {len(found)}" if len(set(found)) > 1 else ""
        return f"{sum(found) / len(found):.1f}{of}" if found else "none"

    work = one.made.get("training_operations")
    return {
        "run": several("run"),
        "epochs": several("epochs"),
        "training seeds": several("training_seed"),
        "training s": seconds("training_seconds"),
        "training TFLOP": f"{work / 1e12:.4g}" if work else "none",
        "trained on": re.sub(r"\b1 threads", "1 thread", several("training_device")),  # as older records have it
        "trained at commit": several("training_commit"),
        "weights": several("weights"),
        "sampler": several("sampler"),
        "steps": several("n_steps"),
        "grid of steps": several("grid"),
        "eta": several("eta"),
        "guidance": several("guidance"),
        "clip x0": several("clip_x0"),
        "batch statistics": several("batchnorm"),
        "sampling seeds": several("sampling_seed"),
        "sampling s": seconds("sampling_seconds"),
        "sampled on": with_threads(several("device"), several("threads")),
        "extractor": f"{one.extractor} {one.extractor_digest}",
        "n": f"{one.n_fake:,}",
        "real images": one.reals.replace(" images", ""),
        "k": f"{one.neighbours} and {one.density_neighbours}",
        "scored with": distinct(map(_packages, scores)),
        "sampled at commit": distinct((s.made.get("commit") or "none")[:10] for s in scores),
    }


def score_number(scores: Sequence[Scores], name: str) -> Number:
    """A value of `Scores` over its seeds, which opens to all that made it, the commands that make it again included."""
    found = estimate(scores, name)
    deviation = "standard error" if found.source == "groups" else "std"
    spread = {"what": scores[0].labels[name], "± is": f"the {deviation} over {over(scores)}"}
    again = _trained_again(scores)
    commands = [_command(s) for s in scores if "run" in s.made]
    if commands:
        again["score" if len(commands) == 1 else "score the first (then each run and seed)"] = commands[0]
    made = scores[0].made  # of real images, which no run has drawn
    again |= {label: made[key] for label, key in (("kept in", "kept"), ("made again by", "again")) if key in made}
    return Number(str(found), found.mean, spread | _known(scores) | again, found.std)


def made_of(value: float, what: str, scores: Sequence[Scores], form: str = ".3g", **more: str) -> Number:
    """A number that is made of several scores (a ratio, a spread), which opens to all of these."""
    return Number(format(value, form), value, {"what": what, **more} | _known(scores) | _trained_again(scores))


def trainings(scores: Sequence[Scores]) -> dict[str, str]:
    """How the trainings went whose samples these scores are of, label by label, and the commands that repeat them."""
    labels = ("run", "epochs", "training seeds", "training s", "training TFLOP", "trained on", "trained at commit")
    return {k: v for k, v in _known(scores).items() if k in labels} | _trained_again(scores)


def _known(scores: Sequence[Scores]) -> dict[str, str]:
    return {k: v for k, v in score_protocol(scores).items() if not v.startswith("none")}


def _trained_again(scores: Sequence[Scores]) -> dict[str, str]:
    return numbered("train", [s.made.get("training_command", "") for s in scores])


def value(scores: Scores | Sequence[Scores], name: str) -> str:
    """A field of scores, with its noise, as HTML that opens to its protocol."""
    return score_number([scores] if isinstance(scores, Scores) else scores, name).html


def numbers(scores: Scores, what: str) -> dict[str, Number]:
    """Every value by the name that it may bear, each of which opens to its protocol; `what` are its images."""
    there = {label: name for name, label in scores.labels.items() if getattr(scores, name) is not None}
    found = {label: score_number([scores], name) for label, name in there.items()}
    return {k: replace(v, protocol={"images": what, **v.protocol}) for k, v in found.items()}


def spanned(values: Sequence[float], protocol: Mapping[str, str], form: str = ".3g") -> Number:
    """The mean of several values, with the least and the greatest; one value as it is."""
    mean = sum(values) / len(values)
    span = f" ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else ""
    return Number(f"{mean:{form}}{span}", mean, protocol)


def numbered(label: str, commands: Iterable[str]) -> dict[str, str]:
    """Different commands each under a label of its own, so that each can be copied."""
    several = [command for command in dict.fromkeys(commands) if command]
    return {f"{label} {i}" if len(several) > 1 else label: c for i, c in enumerate(several, 1)}


def merged(protocols: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Several protocols as one: the different values of each label, all seconds, and the commands each on its own."""
    labels = [label for label in protocols[0] if label != "train"]
    several = {label: [p[label] for p in protocols] for label in labels}
    values = {k: ", ".join(v if k in EACH else dict.fromkeys(v)) for k, v in several.items()}
    return values | numbered("train", [p.get("train", "") for p in protocols])


def _packages(s: Scores) -> str | None:
    known = s.made.get("packages", {})
    return ", ".join(f"{name} {known[name]}" for name in ("torch", "torch-fidelity") if name in known) or None


def _command(s: Scores) -> str:
    words = ["gendiff", "score", str(s.made["run"]), "--epoch", as_text(s.made.get("epochs")), "--n", str(s.n_fake)]
    options = {"batch_size": "batch-size", "sampling_seed": "seed", "sampler": "sampler", "n_steps": "n-steps"}
    options |= {"grid": "grid", "eta": "eta", "guidance": "guidance", "clip_x0": "clip-x0"}
    options |= {"weights": "weights", "batchnorm": "batchnorm"}
    for key, flag in options.items():
        if (value := s.made.get(key)) is not None:
            words += [f"--{flag}", as_text(value)]
    words += ["--n-real", str(s.n_real), "--reference", s.reference, "--extractor", command_name(s.extractor)]
    return shlex.join(words)


def command_name(extractor: str) -> str:
    """What the command line calls an extractor: the classifier of any data set is `classifier` there."""
    return "classifier" if extractor.endswith("-classifier") else extractor
