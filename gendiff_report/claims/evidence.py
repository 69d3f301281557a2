"""Where the rules look: published runs of one size by several training seeds, and scores by one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation.evaluate import outdated_parts
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.experiments import get, protocol
from gendiff_lib.experiments.claimed import EARLY_N, ENOUGH, Place, equal_n, places
from gendiff_lib.experiments.cost import PETA, training_operations
from gendiff_lib.experiments.experiment import TRIAL
from gendiff_lib.experiments.queue import TUNED
from gendiff_lib.runs.run import Run, find, siblings

from ..equal import at_equal_operations
from ..number import command_name
from ..scored import kept_scores


class Missing(GendiffError):
    """Evidence that a rule needs and that is not there, or that cannot be compared.

    `place` is what should be trained for it, where that is what is missing.
    """

    def __init__(self, told: str, place: Place | None = None) -> None:
        super().__init__(told)
        self.place = place


class Evidence(Protocol):
    """Where a rule looks, in one size: runs and their scores by the role they play, one of each training seed."""

    @property
    def preset(self) -> str:
        """The size of the runs."""

    def runs(self, role: str) -> list[Run]:
        """Missing where there are too few."""

    def scores(self, role: str, extractor: str, *, own_n: bool = False) -> list[Scores]:
        """At one n for all, or at the experiment's own; Missing where there are too few."""

    def trials(self, extractor: str) -> dict[str, list[Scores]]:
        """The scores of every setting tried of one model, by side; Missing where one is lacking."""


@dataclass(frozen=True)
class Seen:
    """Evidence as one extractor sees it."""

    evidence: Evidence
    extractor: str | None  # None for a rule that asks for no scores

    @property
    def preset(self) -> str:
        """The size of the runs."""
        return self.evidence.preset

    def runs(self, role: str) -> list[Run]:
        """See Evidence."""
        return self.evidence.runs(role)

    def scores(self, *roles: str, own_n: bool = False) -> list[list[Scores]]:
        """Of each of these roles; see Evidence; by this extractor. Missing tells all that is missing of them."""
        found, lacking = [], []
        for role in roles:
            try:
                found.append(self.evidence.scores(role, self._extractor(), own_n=own_n))
            except Missing as missing:
                lacking.append(missing)
        if lacking:
            raise _together(lacking)
        return found

    def trials(self) -> dict[str, list[Scores]]:
        """See Evidence; by this extractor."""
        return self.evidence.trials(self._extractor())

    def _extractor(self) -> str:
        assert self.extractor is not None, "a rule that asks for scores names its extractors"
        return self.extractor


def _together(lacking: Sequence[Missing]) -> Missing:
    """One that tells of them all: of trainings of one experiment and seeds the longest, which is the others too."""
    longest: dict[object, Missing] = {}
    for each in sorted(lacking, key=lambda m: m.place.epochs if m.place else 0.0):
        longest[(each.place.name, each.place.seeds) if each.place else str(each)] = each
    return Missing(" ".join(map(str, longest.values())))


@dataclass(frozen=True)
class Recorded:
    """Evidence from published runs, by what is kept beside them: nothing is drawn, scored or trained for it."""

    preset: str = "paper"

    def runs(self, role: str) -> list[Run]:
        """See Evidence. Runs of changed or of older code are no evidence."""
        place = places(self.preset)[role]
        config = get(place.name, self.preset, epochs=place.epochs)
        there = siblings(config, published=True)
        found = [run for run in there if place.seeds is None or run.config.seed in place.seeds]
        wanted = ENOUGH if place.seeds is None else len(place.seeds)
        if len(found) < wanted:
            work = (wanted - len(found)) * training_operations(config) / PETA
            told = f"{work:,.0f}" if work > 9.5 else f"{work:.2f}"
            raise Missing(
                f"It takes {_seeds(place)} of {place.name} {called(self.preset)} after {place.epochs:.4g} epochs, and "
                f"{_there(len(found), wanted)} published: {told} petaFLOP more.",
                place,
            )
        if unfit := [run.id for run in found if run.stale or run.record["dirty"]]:
            raise Missing(f"The code has changed since it made {', '.join(unfit)}.")
        return found

    def scores(self, role: str, extractor: str, *, own_n: bool = False) -> list[Scores]:
        """See Evidence. Scores of older code are no evidence."""
        place, runs = places(self.preset)[role], self.runs(role)
        n = None if own_n and self.preset == "paper" else equal_n(self.preset)
        kept = [_kept(run, self.preset, extractor, n) for run in runs]
        found = [scores for scores in kept if scores is not None]
        if len(found) < len(runs):
            command = f"gendiff score --all --preset {self.preset} --extractor {command_name(extractor)}"
            raise Missing(
                f"{len(runs) - len(found)} of {len(runs)} runs of {place.name} after {place.epochs:.4g} epochs are not "
                f"yet scored by {extractor}: where the weights are at hand, `{command}` does it.",
                place,
            )
        if any(map(outdated_parts, found)):
            raise Missing(
                f"The code has changed since it scored {place.name} after {place.epochs:.4g} epochs: where the weights "
                f"are at hand, `gendiff score --all --preset {self.preset} --again` does it anew, and `gendiff "
                "publish` shows it."
            )
        return found

    def trials(self, extractor: str) -> dict[str, list[Scores]]:
        """See Evidence."""
        if self.preset != "overnight":
            raise Missing(f"No settings were tried {called(self.preset)}; overnight they were.")
        runs = {side: {n: find(get(n, self.preset), published=True) for n in names} for side, names in TUNED.items()}
        found = {side: _scored({n: r for n, r in some.items() if r}, extractor) for side, some in runs.items()}
        lacking = sum(len(TUNED[side]) - len(scores) for side, scores in found.items())
        if lacking:
            raise Missing(
                f"{lacking} of the {sum(map(len, TUNED.values()))} trials are not published yet, or not scored by "
                f"{extractor}: up to {lacking * TRIAL:.2g} petaFLOP more."
            )
        return found


def _seeds(place: Place) -> str:
    if place.seeds is None:
        return f"{ENOUGH} training seeds"
    return f"training seed{'s' * (len(place.seeds) > 1)} {', '.join(map(str, place.seeds))}"


def _there(n: int, of: int) -> str:
    if of == 1:
        return "it is not"
    return f"{n or 'none'} of them {'is' if n == 1 else 'are'}"


def called(preset: str) -> str:
    """Of what size runs of a preset are, in words."""
    return "at the paper's size" if preset == "paper" else f"at {preset} size"


def _kept(run: Run, preset: str, extractor: str, n: int | None) -> Scores | None:
    known = protocol(run.config.name, preset)
    sampling = known.sampling if n is None else known.sampling.but(n=n)
    return kept_scores(run, sampling, extractor, known.n_real)


def _scored(runs: dict[str, Run], extractor: str) -> list[Scores]:
    at_a_trial: Sequence[Run] = list(at_equal_operations(runs, TRIAL * PETA).values())
    kept = [_kept(run, "overnight", extractor, EARLY_N) for run in at_a_trial]
    return [scores for scores in kept if scores is not None]
