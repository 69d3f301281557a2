"""Whether scores can be trusted: tables of known damages, printed numbers, standard errors and two feature spaces."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gendiff_lib.evaluation.agreement import FEWEST, Agreement, agreements, discordant, scored_sets
from gendiff_lib.evaluation.calibration import Calibration, published_calibrations
from gendiff_lib.evaluation.scores import VALUES, Scores
from gendiff_lib.evaluation.statistics import PRINTED, told_of
from gendiff_lib.evaluation.uncertainty import estimate
from gendiff_lib.evaluation.validation import UNITS, Validation
from gendiff_lib.parsing import as_text

from .exhibits import Exhibits
from .number import Number, command_name, plain
from .tables.scores import NO_LOGITS, label_of


class Trust(Exhibits):
    """A page that holds scores against what is known of them."""

    def damage_table(self, several: Mapping[str, Validation]) -> dict[str, int]:
        """Which damages each extractor puts in order, and how far; how many of them it does, by extractor."""
        rows: list[dict[str, Any]] = [
            {
                "damage": family,
                "level": unit,
                **{f"fd by {name}": self._growth(found, family) for name, found in several.items()},
            }
            for family, unit in UNITS.items()
        ]
        self.table(
            rows, "The fd to the training images from no damage to the greatest, and whether each level has more."
        )
        return {name: sum(found.ordered("frechet_distance").values()) for name, found in several.items()}

    def _growth(self, found: Validation, family: str) -> Number:
        """From the least to the greatest damage, and whether it grows throughout; opens to every level's value."""
        levels, values, _ = found.response(family, "frechet_distance")
        grows = "grows" if found.ordered("frechet_distance")[family] else "does not always grow"
        how = {"what": f"fd at the levels {', '.join(f'{level:g}' for level in levels)}", "fd": plain(values)}
        return Number(f"{grows}: {plain(values[0])} to {plain(values[-1])}", values[-1], how | self._judged(found))

    def reference_table(self) -> None:
        """The FID of CIFAR-10's training images to its test images, beside what others print; nothing without it."""
        if (told := told_of("cifar10", "inception")) is None:
            return
        n = ", ".join(f"{count:,} {split}" for split, count in told["n"].items())
        how = {"what": "FID of the training images to the test images", "images": n, "made": told["made"]}
        how |= {"computed": told["fid_train_test_how"], "extractor": f"inception {told['extractor_digest']}"}
        value = float(told["fid_train_test"])
        ours = {"by": "this project", "FID (train, test)": Number(f"{value:.4f}", value, how), "images": n}
        rows = [{"by": by, "FID (train, test)": f"{fid}", "images": n} for by, fid in PRINTED.items()]
        self.table([ours, *rows], "CIFAR-10 by Inception-v3: all training images against all test images.")

    def errors_table(self) -> dict[str, dict[str, float]]:
        """Told over measured standard errors of one model's samples: a row a score, a column an extractor.

        Returns the ratios by extractor and score, of all extractors whose calibration is published.
        """
        several = published_calibrations(self._dataset())
        if not several:
            self.put(
                f"<p>No calibration on {self._dataset()} is published: <code>gendiff calibrate</code> makes one.</p>"
            )
            return {}
        if stale := [name for name, found in several.items() if found.stale]:
            self._warn(f"The calibrations by {', '.join(stale)} are older than the code that computes scores now.")
        ratios = {name: found.ratios() for name, found in several.items()}
        rows: list[dict[str, Any]] = [
            {"": label, **{name: _ratio(found, value) for name, found in several.items()}}
            for value, label in _named(found.draws[0] for found in several.values()).items()
        ]
        self.table(rows, f"Standard error told, over the spread of draws: one is exact. {_draws(several)}")
        return ratios

    def agreement_table(self) -> list[Agreement]:
        """How alike two extractors order the published sets of samples: a row a pair of extractors and an n."""
        found = agreements(scored_sets(self._dataset()))
        if found:
            caption = "Sets of samples that two extractors have both scored, each pair at one n: the snapshots of runs."
            self.table([_agreement_row(each) for each in found], caption)
        else:
            self.put("<p>No published set of samples is scored by two extractors yet.</p>")
        return found

    def unlike(self, one: Mapping[str, Sequence[Scores]], other: Mapping[str, Sequence[Scores]]) -> None:
        """Say which of the models that two extractors have scored they order differently by the Fréchet distance."""
        both = [label for label in one if label in other]
        if len(both) < 2:
            return
        names = [next(iter(side.values()))[0].extractor for side in (one, other)]
        fd = {k: (_mean_distance(one[k]), _mean_distance(other[k])) for k in both}
        pairs = "; ".join(f"{a} and {b}" for a, b in discordant(fd))
        told = (
            f"order these differently: {pairs}. A lead in one space alone is no verdict"
            if pairs
            else f"order all {len(both)} alike"
        )
        self.put(f"<p>By the Fréchet distance {' and '.join(names)} {told}.</p>")


def _draws(several: Mapping[str, Calibration]) -> str:
    """What was drawn for each extractor, and how well a spread over so few draws is known."""
    of = "; ".join(
        f"by {name}: {len(c.draws)} draws of {c.n:,} from {c.pool:,} samples of {c.made['run']}, a spread known to "
        f"{c.doubt:.0%}"
        for name, c in several.items()
    )
    return of[0].upper() + of[1:] + "."


def _ratio(found: Calibration, value: str) -> Number | str:
    """A ratio that opens to both errors and to how it was made; a word where there is none."""
    ratio = found.ratios().get(value)
    if ratio is None:
        return NO_LOGITS
    made, one = found.made, found.draws[0]
    command = f"gendiff calibrate {made['run']} --epoch {as_text(made['epochs'])} --n {found.n} --pool {found.pool}"
    how = {
        "what": f"{one.labels[value]}: standard error told, over the standard deviation of draws",
        "told": plain(found.told(value)),
        "measured": plain(found.spread(value)),
        "extractor": f"{one.extractor} {one.extractor_digest}",
        "real images": one.reals,
        "seconds": f"{made['seconds']:.0f} on {made['device']}",
        "commit": (made["commit"] or "none")[:10],
        "command": f"{command} --draws {len(found.draws)} --extractor {command_name(one.extractor)}",
    }
    return Number(f"{ratio:.2f}", ratio, how)


def _agreement_row(found: Agreement) -> dict[str, Any]:
    how = {"what": "Kendall's tau-b of the Fréchet distances", "sets": "; ".join(found.sets)}
    known = len(found.sets) >= FEWEST
    return {
        "extractors": f"{found.one}, {found.other}",
        "n of each set": f"{found.n:,}",
        "sets": len(found.sets),
        "tau": Number(f"{found.tau:.2f}", found.tau, how) if known else f"fewer than {FEWEST} sets",
        "p by chance": f"{found.p:.2g}" if known else "",
        "pairs ordered differently": len(found.discordant),
    }


def _mean_distance(scores: Sequence[Scores]) -> float:
    return estimate(scores, "frechet_distance").mean


def _named(several: Iterable[Scores]) -> dict[str, str]:
    """What each value is called by several extractors, by each of the names that it bears."""
    called = [label_of(scores) for scores in several]
    return {value: " or ".join(dict.fromkeys(names[value] for names in called)) for value in VALUES}
