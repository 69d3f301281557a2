"""A notebook's page: it turns the notebook's parameters into runs, and shows them as tables, pictures and findings."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from gendiff_lib import paths
from gendiff_lib.config import Sampling
from gendiff_lib.diffusion.likelihood import Bits
from gendiff_lib.evaluation.evaluate import outdated_parts
from gendiff_lib.evaluation.memorisation import NEAR, Memorisation
from gendiff_lib.evaluation.points import evaluate_points
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.evaluation.validation import PERMUTATIONS, Validation
from gendiff_lib.experiments.paper import FIG16, FIG17, TABLE1
from gendiff_lib.experiments.reals import classifier_name, offline_name
from gendiff_lib.runs import files
from gendiff_lib.runs.run import Run
from gendiff_lib.versions import outdated

from .asking import FAMOUS, LACKING, Unpublished
from .claims.evidence import Recorded
from .claims.html import claim_block, claim_rows, tally
from .claims.ruling import Ruling
from .claims.stated import Claim, audit
from .number import Number, data_links, merged, numbered, over, plain, score_number, spanned
from .provenance import training_protocol
from .tables.scores import cell, class_columns, lead_rows, operations, protocol_row, score_row
from .tables.speed import contest_rows, measured_row, ratio_rows, scoring_rows, where
from .tables.table import details, table
from .trust import Trust

T = TypeVar("T")

MISSING = "not computed here"
TABLE1_ALIKE = tuple((name, name) for name in ("precision", "recall", "density", "coverage"))


class Page(Trust):
    """The parameters of one notebook, see Asking; every table of the report is a method."""

    SEEDS_NOTE = "Where there is one training seed this speaks of two runs, not of two methods."

    def printed(self, run: Run) -> None:
        """The hyper-parameters that the paper prints for this model (Fig. 16 or 17), beside the run's."""
        ours = {name.rpartition(".")[2]: value for name, value in run.config.flat().items()}
        ours |= {"num_epochs": run.config.epochs, "nc": 3, "ngpu": "not used"}
        ours |= {"image_size": run.config.image_size or run.record["sample_shape"][-1]}
        ours |= {"train_batch_size": run.config.batch_size, "inference_batch_size": self.sampling(run).batch_size}
        figure = FIG16 if run.config.kind == "gan" else FIG17
        rows = [{"name": k, "printed": plain(v), "this run": plain(ours[k])} for k, v in figure.items()]
        self.table(rows, f"The paper's Fig. {16 if figure is FIG16 else 17}, and what this run used.")

    def score_table(self, entries: Mapping[str, tuple[Run, Sampling | None]]) -> dict[str, Scores]:
        """A row an entry: the scores of one set of samples, with the protocol of each; Unpublished where none has any.

        What is not scored, and must not be now, is left out, and the page says so.
        """
        found = self._both_splits(entries, lambda *entry: [self.scores(*entry)])
        return {label: train[0] for label, train in self._show_scores(found, entries).items()}

    def _both_splits(
        self, entries: Mapping[str, tuple[Run, Sampling | None]], ask: Callable[..., list[Scores]]
    ) -> dict[str, tuple[list[Scores], list[Scores]]]:
        found, lacking = {}, []
        for label, entry in entries.items():
            try:
                train = ask(*entry, "train")
            except LACKING:
                lacking.append(label)
                continue
            try:
                found[label] = train, ask(*entry, "test")
            except LACKING:
                found[label] = train, []
        self.missing("not scored yet, so left out here", lacking)
        if not found:
            raise Unpublished(f"nothing of {', '.join(entries) or 'these models'} is scored yet")
        return found

    def seeds_table(self, entries: Mapping[str, tuple[Run, Sampling | None]]) -> dict[str, list[Scores]]:
        """A row an entry over all sampling and training seeds, otherwise as score_table."""
        return self._show_scores(self._both_splits(entries, self.several), entries)

    def _show_scores(
        self,
        found: Mapping[str, tuple[list[Scores], list[Scores]]],
        entries: Mapping[str, tuple[Run, Sampling | None]],
    ) -> dict[str, list[Scores]]:
        for what in ("samples", "scores"):
            old = [k for k, (train, _) in found.items() if any(what in outdated_parts(s) for s in train)]
            if old:
                self._warn(f"The {what} of {', '.join(old)} are older than the code that would make them now.")
        own = self._own_columns({label: entries[label] for label in found})
        rows = [score_row(label, train, test) | own.get(label, {}) for label, (train, test) in found.items()]
        one = next(iter(found.values()))[0][0]
        against = next((f"; (test): {test[0].n_real:,} test images" for _, test in found.values() if test), "")
        names = "" if one.extractor == "inception" else "fd, kd and cs are no FID, KID and IS. "
        self.table(rows, f"By the protocol {one.protocol}{against}. {names}{NOISE_NOTE}")
        protocols = [protocol_row(label, train) for label, (train, _) in found.items()]
        self.put(details("Protocol of each row", table(protocols)))
        return {label: train for label, (train, _) in found.items()}

    def _own_columns(self, entries: Mapping[str, tuple[Run, Sampling | None]]) -> dict[str, dict[str, Any]]:
        """What the data set's own classifier tells beside another extractor, by row; empty where it tells nothing."""
        own = {label: self.own_scores(*entry) for label, entry in entries.items()}
        return {label: class_columns(scores) for label, scores in own.items()} if any(own.values()) else {}

    def kept_table(self, runs: Mapping[str, Run]) -> dict[str, dict[str, list[Scores]]]:
        """Scores by the networks of the literature, where somebody who has their weights has computed them.

        A table an extractor, else a sentence; returns the scores by extractor and model. The offline extractor has a
        table of its own (seeds_table), so it has none here. Where one gives no classifier score, that of the data set's
        own classifier stands beside, under its own name.
        """
        shown = {}
        offline = {offline_name(run.config.dataset) for run in runs.values()}
        for extractor in (name for name in FAMOUS if name not in offline):
            train = {label: kept for label, run in runs.items() if (kept := self.kept(run, extractor))}
            rows = [self._famous_row(k, runs[k], extractor, several) for k, several in train.items()]
            if rows:
                names = "" if extractor == "inception" else f"By {extractor} they are no FID, KID and IS. "
                of = next(iter(train.values()))[0].protocol
                self.table(rows, f"{of}; each model at its own protocol's n. {names}{NOISE_NOTE}")
                self.missing(f"not scored by {extractor} yet, so left out here", [k for k in runs if k not in train])
                shown[extractor] = train
            else:
                command = f"gendiff score --all --preset {self.preset} --extractor {extractor}"
                self.put(f"<p>Not scored by {extractor} yet: <code>{command}</code> does it where its weights are.</p>")
        return shown

    def _famous_row(self, label: str, run: Run, extractor: str, train: list[Scores]) -> dict[str, Any]:
        row = score_row(label, train, self.kept(run, extractor, reference="test"))
        if train[0].classifier_score is None and (own := self.kept(run, classifier_name(run.config.dataset))):
            row["cs, classifier"] = cell(own, "classifier_score")
        return row | {"petaFLOP": operations(run.training_operations, training_protocol(run))}

    def table1(self, gan: Run, diffusion: Run) -> dict[str, list[Scores]]:
        """The paper's Table 1 beside ours, at one n. IS and FID are shown only where Inception-v3 computed them."""
        runs, n = {"DCGAN": gan, "diffusion": diffusion}, self.equal_n(gan, diffusion)
        ours = {k: self.several(run, self.sampling(run, n=n)) for k, run in runs.items()}
        famous = {k: self.kept(run, "inception", n) for k, run in runs.items()}
        rows = []
        for name, metric in (("classifier_score", "Inception Score"), ("frechet_distance", "FID"), *TABLE1_ALIKE):
            printed = TABLE1.get(metric, ("", ""))
            row: dict[str, Any] = {"": metric, "DCGAN, paper": printed[0], "diffusion, paper": printed[1]}
            for k, s in famous.items() if any(famous.values()) else ():
                row[f"{k}, Inception"] = cell(s, name) if s else MISSING
            for k, s in ours.items():
                row["offline, it is"] = s[0].labels[name]
                row[f"{k}, offline"] = score_number(s, name)
            rows.append(row)
        work = {f"{k}, offline": operations(run.training_operations, training_protocol(run)) for k, run in runs.items()}
        rows.append(dict.fromkeys(rows[0], "") | {"": "operations of the training, 10^15"} | work)
        self.table(
            rows,
            f"n = {n:,} each. Offline: {ours['DCGAN'][0].extractor}, whose scores are no IS, FID and KID; "
            f"mean ± std over {over(ours['DCGAN'])} and {over(ours['diffusion'])}. {NOISE_NOTE}",
        )
        shown = {f"{k}, offline": s for k, s in ours.items()} | {f"{k}, Inception": s for k, s in famous.items() if s}
        self.put(details("Protocol of ours", table([protocol_row(k, s) for k, s in shown.items()])))
        if not all(famous.values()):
            commands = " and ".join(
                f"<code>gendiff score {run.id} --epoch {run.config.text('epochs')} --n {n} --extractor inception</code>"
                for run in runs.values()
            )
            self.put(f"<p>IS and FID need Inception-v3's weights: {commands} compute them.</p>")
        return ours

    def lead_table(self, one: tuple[str, list[Scores]], other: tuple[str, list[Scores]]) -> list[str]:
        """Which of two is better in what, beyond the noise; returns the sides that lead, "" for none."""
        rows = lead_rows(one, other)
        self.table(
            rows, "By chance: three standard deviations, by Student's t for as few values as the errors rest on."
        )
        return [row["better"] if row["better"] in (one[0], other[0]) else "" for row in rows]

    def bits_table(self, runs: Mapping[str, Run]) -> dict[str, Bits]:
        """Bits per dimension of test and training images, and what they are made of, of those that have them."""
        test = self._there(runs, self.bits)
        seen = self._there({k: runs[k] for k in test}, lambda run: self.bits(run, "train"))
        rows = []
        for k in seen:
            run = runs[k]
            if outdated({"likelihood": test[k].version}):
                self._warn(f"The bits per dimension of {k} are older than the code that would compute them now.")
            rows.append(
                {
                    "": k,
                    "test": self._bits_number(run, test[k]),
                    "train": self._bits_number(run, seen[k]),
                    "steps": self._bits_part(run, test[k], "steps", sum(test[k].steps)),
                    "decoder": self._bits_part(run, test[k], "decoder", test[k].decoder),
                    "prior": self._bits_part(run, test[k], "prior", test[k].prior),
                    "n": f"{test[k].n:,}",
                    "T": len(test[k].steps) + 1,
                    "weights": test[k].weights,
                    "training seed": run.config.seed,
                    "epochs": f"{run.config.epochs:.4g}",
                    "seconds": f"{test[k].seconds:.1f}",
                    "device": test[k].device,
                }
            )
        self.table(rows, "Bits per dimension by the variational bound, mean ± standard error over images.")
        return {k: test[k] for k in seen}

    def _there(self, runs: Mapping[str, Run], ask: Callable[[Run], T]) -> dict[str, T]:
        """What is kept of some runs; those without it are left out, and the page says so. Unpublished for none."""
        found, lacking = {}, []
        for label, run in runs.items():
            try:
                found[label] = ask(run)
            except LACKING:
                lacking.append(label)
        self.missing("not computed yet, so left out here", lacking)
        if not found:
            raise Unpublished(f"none of this is computed yet of {', '.join(runs) or 'these models'}")
        return found

    def _bits_number(self, run: Run, found: Bits) -> Number:
        how = {"what": "bits per dimension", "± is": f"the standard error over {found.n:,} images"}
        protocol = how | self._bits_protocol(run, found)
        return Number(f"{found.total:.3f} ± {found.error:.3f}", found.total, protocol, found.error)

    def _bits_part(self, run: Run, found: Bits, part: str, value: float) -> Number:
        what = {"what": f"bits per dimension that the {part} costs"}
        return Number(f"{value:.3g}", value, what | self._bits_protocol(run, found))

    def _bits_protocol(self, run: Run, found: Bits) -> dict[str, str]:
        command = f"gendiff bits {run.id} --epoch {run.config.text('epochs')} --n {found.n} --split {found.split}"
        how = {
            "images": f"{found.n:,} {found.split}",
            "steps of the bound": f"{len(found.steps) + 1}",
            "weights": found.weights,
            "noise seed": f"{found.seed}",
            "seconds for the bound": f"{found.seconds:.1f} on {found.device}",
            "compute": f"{command} --weights {found.weights}",
        }
        return training_protocol(run) | how

    def validation_table(self, found: Validation, *families: str) -> None:
        """The rows of some families of an extractor's validation."""
        if found.stale:
            self._warn("These scores are older than the code that computes scores now.")
        rows = [
            {
                "images, against": row.what,
                "n": f"{row.scores.n_fake:,}",
                "real": f"{row.scores.n_real:,}",
                **{label: score_number([row.scores], v) for v, label in row.scores.labels.items()},
            }
            for family in families
            for row in found.family(family)
        ]
        rows = [{k: self._with(cell, self._judged(found)) for k, cell in row.items()} for row in rows]
        one = found.rows[0].scores
        seconds = f"{found.made['seconds']:.0f} s on {found.made['device']}, {found.made['threads']} threads"
        self.table(rows, f"Extractor {one.extractor} ({one.extractor_digest}) on {found.dataset}; {seconds}.")

    @staticmethod
    def _with(cell: Any, protocol: Mapping[str, str]) -> Any:
        """A cell whose number opens to more."""
        return dataclasses.replace(cell, protocol={**cell.protocol, **protocol}) if isinstance(cell, Number) else cell

    def calibration_table(self, found: Validation) -> dict[str, float]:
        """The spread of disjoint sets beside the standard errors that each of them shows alone; their ratios."""
        rows, ratios, how = [], {}, self._judged(found)
        for value, name in found.rows[0].scores.labels.items():
            spread, told = found.calibration(value)
            ratios[name] = told / spread
            shown = {"spread of sets": spread, "standard error told": told, "told / spread": ratios[name]}
            rows.append({"": name} | {k: Number(plain(v), v, how) for k, v in shown.items()})
        sets = found.family("independent sets")
        self.table(
            rows,
            f"{len(sets)} sets of {sets[0].scores.n_fake:,} test images, "
            f"disjoint within each of {PERMUTATIONS} permutations.",
        )
        return ratios

    def memory_table(self, runs: Mapping[str, Run]) -> dict[str, Memorisation]:
        """How near generated images are to training images, beside test images."""
        found = self._there(runs, self.memorisation)
        rows = [
            {
                "": k,
                **{
                    name: Number(format(value, form), value, self._neighbours_protocol(runs[k], m))
                    for name, value, form in (
                        ("median distance, pixels", m.pixel.median().item(), ".0f"),
                        ("of test images", m.test_pixel.median().item(), ".0f"),
                        ("nearer, pixels", m.nearer("pixel"), ".2f"),
                        ("nearer, features", m.nearer("feature"), ".2f"),
                        ("suspects, pixels", m.suspects("pixel"), ".3f"),
                        ("suspects, features", m.suspects("feature"), ".3f"),
                    )
                },
                "n": f"{len(m.pixel):,}",
                "training images": f"{runs[k].n_seen:,}",
            }
            for k, m in found.items()
        ]
        self.table(
            rows,
            "Distance to the nearest training image. Nearer: how probably a generated image is nearer than a test "
            f"image (one half if alike). Suspects: the share nearer than all but {NEAR:.0%} of test images.",
        )
        return found

    def _neighbours_protocol(self, run: Run, found: Memorisation) -> dict[str, str]:
        judge, drawn = self.classifier(run), self._drawn(run, self.sampling(run))
        how = {
            "n": f"{len(found.pixel):,} generated and {len(found.test_pixel):,} test images",
            "training images": f"{run.n_seen:,}" + (", each also mirrored" if run.config.flip else ""),
            "features of": f"{judge.name} {judge.digest}",
            "samples": ", ".join(f"{k} {plain(v)}" for k, v in drawn.items() if k not in ("run", "device")),
        }
        return training_protocol(run) | how

    def benchmarks(self, kind: str) -> dict[str, dict[str, Any]]:
        """The tracked results whose file names begin with `kind`, by file name."""
        return {p.stem: files.read_json(p) for p in paths.benchmark_results() if p.stem.startswith(kind)}

    def measured(self, results: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """A row a benchmark: where it ran, and where its every turn is kept."""
        return [measured_row(name, result) for name, result in results.items()]

    def claims(self) -> list[tuple[Claim, Ruling]]:
        """Every claim of the paper with its verdict, from runs of the paper's size whatever this page's preset is."""
        rulings = audit(Recorded())
        rows = claim_rows(rulings)
        caption = "Verdicts on the paper's claims, and the numbers they rest on."
        blocks = "".join(claim_block(*each) for each in rulings)
        self.put(tally(rulings) + data_links("claims", rows, caption) + blocks)
        return rulings

    def speed_tables(self) -> dict[str, dict[str, Any]]:
        """Every speed benchmark: its contests, their ratios, and what one should know of them."""
        results = self.benchmarks("speed")
        for name, result in results.items():
            how = measured_row(name, result)
            for contest in result["contests"].values():
                note = "Convolutions may do with fewer operations than are counted, so more than 100% can be reached."
                self.table(contest_rows(contest, how), f"{contest['title']}. {where(result)}. {note}")
            self.table(ratio_rows(result["contests"], how), "Medians of the rounds' ratios (least to greatest).")
            self._notes(result)
        return results

    def scoring_tables(self) -> dict[str, dict[str, Any]]:
        """Every scoring benchmark."""
        results = self.benchmarks("scoring")
        for name, result in results.items():
            sizes = f"{result['n_fake']:,} new images against {result['n_real']:,} known ones"
            extractor = f"{result['extractor']['name']} ({result['extractor']['digest']})"
            self.table(
                scoring_rows(result, measured_row(name, result)), f"{sizes}, extractor {extractor}. {where(result)}."
            )
            self._notes(result)
        return results

    def _notes(self, result: Mapping[str, Any]) -> None:
        self.put(details("How this was measured", "".join(f"<p>{note}</p>" for note in result["notes"])))

    def point_table(self, runs: Mapping[str, Sequence[Run]]) -> None:
        """A row a method in the plane: the mean over seeds, with the least and the greatest, of its point scores."""
        rows = []
        for label, several in runs.items():
            scores = [asdict(evaluate_points(run, self.sampling(run))) for run in several]
            row: dict[str, Any] = {"": label}
            for key, name in POINT_COLUMNS.items():
                values = [s[key] for s in scores if s[key] is not None]
                if not values:
                    row[name] = "no modes"
                    continue
                row[name] = spanned(values, self._points_protocol(several))
            row |= {"n": scores[0]["n"], "seeds": len(several)}
            row["training s"] = spanned([r.snapshot["seconds"] for r in several], self._points_protocol(several), ".1f")
            rows.append(row)
        self.table(rows, "Mean over seeds (least to greatest).")

    def _points_protocol(self, several: Sequence[Run]) -> dict[str, str]:
        runs = merged([training_protocol(run) for run in several])
        sampling = self.sampling(several[0])
        shown = {k: v for k, v in several[0].resolve(sampling).to_dict().items() if v is not None}
        given = {k: v for k, v in sampling.to_dict().items() if v is not None}
        options = " ".join(f"--{k.replace('_', '-')} {sampling.text(k)}" for k in given)
        commands = [f"gendiff score {run.id} --epoch {run.config.text('epochs')} {options}" for run in several]
        samples = {"samples": ", ".join(f"{k} {plain(v)}" for k, v in shown.items())}
        return runs | samples | numbered("score", commands)


POINT_COLUMNS = {"modes": "modes covered", "high_quality": "high quality", "distance": "sliced Wasserstein"}

NOISE_NOTE = "± is the standard deviation over seeds; where there is one set, the error that its groups tell."
