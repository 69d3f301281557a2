"""Where the rules look: published runs of the paper's size by several training seeds, and scores by one protocol."""

from dataclasses import dataclass
from typing import Protocol

from gendiff_lib.errors import GendiffError
from gendiff_lib.evaluation.evaluate import outdated_parts
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.experiments import get, protocol
from gendiff_lib.experiments.book import CLAIM_SEEDS, equal_n
from gendiff_lib.runs.run import Run, siblings

from ..number import command_name
from ..scored import kept_scores


class Missing(GendiffError):
    """Evidence that a rule needs and that is not there, or that cannot be compared."""


class Evidence(Protocol):
    """Where a rule looks: runs by their experiment and epoch, one of each training seed, and their scores."""

    def runs(self, name: str, epochs: int) -> list[Run]:
        """Missing where there are too few."""

    def scores(self, name: str, epochs: int, extractor: str, *, own_n: bool = False) -> list[Scores]:
        """At one n for all, or at the experiment's own; Missing where there are too few."""


@dataclass(frozen=True)
class Seen:
    """Evidence as one extractor sees it."""

    evidence: Evidence
    extractor: str | None  # None for a rule that asks for no scores

    def runs(self, name: str, epochs: int) -> list[Run]:
        """See Evidence."""
        return self.evidence.runs(name, epochs)

    def scores(self, name: str, epochs: int, *, own_n: bool = False) -> list[Scores]:
        """See Evidence; by this extractor."""
        assert self.extractor is not None, "a rule that asks for scores names its extractors"
        return self.evidence.scores(name, epochs, self.extractor, own_n=own_n)


@dataclass(frozen=True)
class Recorded:
    """Evidence from published runs, by what is kept beside them: nothing is drawn, scored or trained for it."""

    preset: str = "paper"
    seeds: int = CLAIM_SEEDS

    def runs(self, name: str, epochs: int) -> list[Run]:
        """See Evidence. Runs of changed or of older code are no evidence."""
        found = siblings(get(name, self.preset, epochs=epochs), published=True)
        if len(found) < self.seeds:
            raise Missing(
                f"It takes {self.seeds} training seeds of {name} at the paper's size after {epochs} epochs; "
                f"published {'is' if len(found) == 1 else 'are'} {len(found) or 'none'}."
            )
        if unfit := [run.id for run in found if run.stale or run.record["dirty"]]:
            raise Missing(f"The code has changed since it made {', '.join(unfit)}.")
        return found

    def scores(self, name: str, epochs: int, extractor: str, *, own_n: bool = False) -> list[Scores]:
        """See Evidence. Scores of older code are no evidence."""
        runs, known = self.runs(name, epochs), protocol(name, self.preset)
        sampling = known.sampling if own_n else known.sampling.but(n=equal_n(self.preset))
        kept = [kept_scores(run, sampling, extractor, known.n_real) for run in runs]
        found = [scores for scores in kept if scores is not None]
        if len(found) < len(runs):
            command = f"gendiff score --all --preset {self.preset} --extractor {command_name(extractor)}"
            raise Missing(
                f"{len(runs) - len(found)} of {len(runs)} runs of {name} after {epochs} epochs are not yet scored by "
                f"{extractor}: `{command}` does it."
            )
        if any(map(outdated_parts, found)):
            raise Missing(
                f"The code has changed since it scored {name} after {epochs} epochs: where the weights are at hand, "
                f"`gendiff score --all --preset {self.preset} --again` does it anew, and `gendiff publish` shows it."
            )
        return found
