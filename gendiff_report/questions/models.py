"""What the questions are asked of: the models of a page, their scores, and what else is kept of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, tensor

from gendiff_lib.config import Config
from gendiff_lib.evaluation.memorisation import Memorisation
from gendiff_lib.evaluation.restoration import Restored
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.experiments.cost import PETA
from gendiff_lib.experiments.experiment import TRIAL
from gendiff_lib.experiments.extractors import offline_name
from gendiff_lib.experiments.scaling import SCALED, on_distributions
from gendiff_lib.runs.run import Run

from .. import results
from ..asking import Asking
from ..claims.evidence import Missing
from ..claims.stated import SPACES
from ..compute import GIGA, modelled
from ..equal import at_equal_operations
from ..number import Number
from ..provenance import training_protocol
from ..reading import LACKING
from ..scored import found_in_turn

SIDES = ("GAN", "diffusion")  # of the paper's pair
Sides = dict[str, tuple[Run, list[Scores]]]  # a run of each side, and its scores


@dataclass(frozen=True)
class Models:
    """The runs of a page by experiment; a rule that needs what is not there raises Missing."""

    asked: Asking
    runs: Mapping[str, Run]

    @classmethod
    def of(cls, asked: Asking) -> "Models":
        """Every model that stands beside the others in this preset, and that is there."""
        return cls(asked, asked.train_several(*modelled(asked)))

    @cached_property
    def pair(self) -> dict[str, Run]:
        """The paper's two models by side."""
        found = {side: self.runs.get(name) for side, name in zip(SIDES, self.asked.pair, strict=True)}
        if lacking := [name for name, run in zip(self.asked.pair, found.values(), strict=True) if run is None]:
            raise Missing(f"It takes {' and '.join(lacking)}, which are not there yet.")
        return {side: run for side, run in found.items() if run}

    @property
    def spaces(self) -> tuple[str, ...]:
        """The extractors by which a verdict on distances must be the same; for generated data its own one."""
        judge = offline_name(self.pair["GAN"].config.dataset)
        return SPACES if judge in SPACES and self.asked.preset in ("overnight", "paper") else (judge,)

    def scores(self, run: Run, space: str) -> list[Scores]:
        """By the run's protocol, of the training seeds that speak of the model."""
        try:
            offline = space == offline_name(run.config.dataset)
            found = results.several(self.asked, run) if offline else results.kept(self.asked, run, space)
        except LACKING:
            found = []
        if not found:
            raise Missing(f"The samples of {run.id} are not scored by {space} yet.")
        return found

    @property
    def operations(self) -> float | None:
        """Of training, at which models stand side by side: 1/8 petaFLOP overnight; None for the fewest that one had."""
        return 4 * TRIAL * PETA if self.asked.preset == "overnight" else None

    @cached_property
    def at_equal(self) -> Sides:
        """Each model of the report at the same operations of training, and its scores by the offline extractor."""
        return self.scored(at_equal_operations(self.runs, self.operations))

    def scored(self, runs: Mapping[str, Run]) -> Sides:
        """Those that are scored by the offline extractor, as snapshots are: all at one n."""
        found = {}
        for name, run in runs.items():
            try:
                how = self.asked.of_snapshots(run)
                found[name] = run, results.of_each_training(self.asked, run, how)
            except LACKING:
                continue
        return found

    def images(self, run: Run) -> Tensor:
        """The images of the sheet that this snapshot keeps, uint8 (40, 3, S, S)."""
        return results.whole_sheet(run)

    def real_power(self) -> Tensor:
        """The mean power of test images by frequency, of the pair's data set."""
        return tensor(self.asked.reals().power, dtype=float)  # type: ignore[arg-type]

    def restored(self, side: str) -> Restored:
        """Test images as the pair's model of a side gives them back."""
        try:
            return results.restored(self.asked, self.pair[side])
        except LACKING:
            raise Missing(f"What {self.pair[side].id} gives back of test images is not published yet.") from None

    def copies(self, side: str) -> Memorisation:
        """Nearest training images of the samples of the pair's model of a side."""
        try:
            return results.memorisation(self.asked, self.pair[side])
        except LACKING:
            raise Missing(f"No nearest training images of {self.pair[side].id} are published yet.") from None

    def everyone(self, kind: str) -> list[Run]:
        """Every training seed of every model of a kind, of those that keep their sheet."""
        runs = [run for run in self.runs.values() if run.config.kind == kind]
        seeds = [each for run in runs for each in results.seeds_of(self.asked, run)]
        return found_in_turn(seeds, lambda each: each if each.keeps_sheet() else None)

    @cached_property
    def scaled(self) -> dict[str, Sides]:
        """By data set and side what was trained on it at equal operations, and its scores; where both sides are."""
        found = {}
        for dataset, sides in on_distributions(self.asked.preset).items():
            scored = self.scored({side: run for side, config in sides.items() if (run := self._there(config))})
            if len(scored) == len(SCALED):
                found[dataset] = scored
        return found

    @cached_property
    def sized(self) -> dict[str, Sides]:
        """By pixels and side the models at 32 and at 64 pixels, at equal operations; those that are there."""
        runs = {name: self._there(self.asked.config(name)) for pair in SCALED.values() for name in pair}
        scored = self.scored(at_equal_operations({name: run for name, run in runs.items() if run}, self.operations))
        found = {}
        for i, side in enumerate((32, 64)):
            found[f"at {side} pixels"] = {k: scored[pair[i]] for k, pair in SCALED.items() if pair[i] in scored}
        return found

    def drawing(self, run: Run) -> Number:
        """The operations of drawing a sample of a run by its protocol, in 10^9."""
        work = run.drawing_operations(self.asked.sampling(run)) / GIGA
        return number(work, run, "operations of drawing a sample")

    def _there(self, config: Config) -> Run | None:
        try:
            return self.asked.train(config.name, dataset=config.dataset, epochs=config.epochs)
        except LACKING:
            return None


def distance(scores: Sequence[Scores]) -> float:
    """The mean Fréchet distance over training seeds."""
    return estimate(scores, "frechet_distance").mean


def number(value: float, run: Run, what: str, form: str = ".3g", **more: str) -> Number:
    """A number that is made of a run, which opens to how that was trained."""
    return Number(format(value, form), value, {"what": what, **more} | training_protocol(run))
