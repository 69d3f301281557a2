"""What a notebook shows beside its figures: where its runs come from, what was shrunk, tables, findings.

A `Page` is one notebook's view: it turns the notebook's parameters into runs, and says so on the page.
"""

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from IPython.display import HTML, Markdown, display
from torch import Tensor

from . import plots
from .config import Config, ConfigError, Sampling
from .data import Dataset, load
from .experiments import (
    COLLAPSE,
    COMPARED,
    EXPERIMENTS,
    FIG16,
    FIG17,
    LIVE_IMAGES,
    PRESETS,
    TABLE1,
    get,
    protocol,
    sampler_grid,
    shrunk,
)
from .features import extract
from .metrics import Scores, score
from .recorder import train
from .runs import Run, find
from .scoring import offline

MISSING = "not computed here"


def training_allowed() -> bool:
    """False while a book is built from what is there: the build sets GENDIFF_TRAIN=0."""
    return os.environ.get("GENDIFF_TRAIN", "1") != "0"


class Page:
    """The parameters of one notebook. 0, -1 and "" ask for the preset's own epochs, seed and data set."""

    def __init__(self, *, preset: str, epochs: int = 0, seed: int = -1, dataset: str = "") -> None:
        """ConfigError for a parameter of the wrong type or an unknown preset."""
        for name, value, kind in (("epochs", epochs, int), ("seed", seed, int), ("dataset", dataset, str)):
            if type(value) is not kind:
                raise ConfigError(f"{name} must be {'a whole number' if kind is int else 'a word'}, not {value!r}")
        if preset not in PRESETS:
            raise ConfigError(f"preset {preset!r} is unknown: there are {', '.join(PRESETS)}")
        self.preset, self.epochs, self.seed, self.dataset = preset, epochs, seed, dataset
        self._preset_of: dict[str, str] = {}
        self._data: set[str] = set()
        plots.use_svg()

    def config(self, name: str, preset: str = "", **overrides: Any) -> Config:
        """The configuration that this page asks for, with `overrides` on top of its own parameters."""
        chosen: dict[str, Any] = {"epochs": self.epochs} if self.epochs else {}
        chosen |= {"seed": self.seed} if self.seed >= 0 else {}
        dataset = overrides.pop("dataset", "" if name.startswith("live-") else self.dataset)
        return get(name, preset or self.preset, dataset=dataset, **{**chosen, **overrides})

    def run(self, name: str, *, long: bool = False, **overrides: Any) -> Run:
        """The run of an experiment. Where its paper-size run is not there and none may be trained: the laptop's.

        `long` asks for the collapse page's last epoch instead of the experiment's own.
        """

        def ask(preset: str) -> Config:
            later = {"epochs": self.epochs or COLLAPSE[preset][1]} if long else {}
            return self.config(name, preset, **later, **overrides)

        preset = self.preset
        if preset == "paper" and find(ask(preset)) is None and not training_allowed():
            preset = "laptop"
        run = train(ask(preset))
        self._preset_of[run.id] = preset
        return run

    def data(self, split: str = "train") -> Dataset:
        """The data set that this page's image experiments train on."""
        name = self.dataset or get("dcgan", self.preset).dataset
        self._data.add(name)
        return load(name, split)

    def preset_of(self, run: Run) -> str:
        """The preset that this page took `run` from."""
        return self._preset_of.get(run.id, self.preset)

    def sampling(self, run: Run, **changes: Any) -> Sampling:
        """How the run's experiment is sampled in its preset, with some fields changed."""
        return protocol(run.config.name, self.preset_of(run)).sampling.but(**changes)

    def scores(self, run: Run, sampling: Sampling | None = None) -> Scores:
        """Scores by the offline extractor, by the protocol of the run's experiment and preset."""
        preset = self.preset_of(run)
        chosen = sampling or self.sampling(run)
        n_real = protocol(run.config.name, preset).n_real
        return run.scores(chosen, offline(run.config.dataset, preset), n_real)

    def until(self, run: Run) -> list[int]:
        """The run's snapshots up to the epoch that is shown: a longer training may have left later ones."""
        return [e for e in run.epochs if e <= run.config.epochs]

    def equal_n(self, *runs: Run) -> int:
        """The greatest number of samples that every run's protocol draws: values of unlike n do not compare."""
        return min(self.sampling(run).n for run in runs)

    def score_images(self, fake: Tensor, run: Run) -> Scores:
        """Scores of any uint8 images (N, 3, H, W) as if `run` had made them: by its protocol, on its data."""
        data, preset = load(run.config.dataset), self.preset_of(run)
        judge = offline(data.name, preset)
        real = data.first(protocol(run.config.name, preset).n_real)
        return score(extract(judge, fake), extract(judge, real.samples), judge, reference="train")

    # ------------------------------------------------------------ what is shown

    def show(self, *runs: Run) -> None:
        """Banners that a reader must see, then the parameters of this page and the runs it reads."""
        for text in self._warnings(runs):
            display(HTML(f'<div class="admonition warning banner"><p class="admonition-title">{text}</p></div>'))
        display(HTML(_details("Parameters and runs of this page", self._parameters() + _table(self._provenance(runs)))))
        for run in runs:
            changes = self._shrinkage(run)
            if changes:
                title = f"What {self.preset_of(run)} shrinks in {run.config.name}"
                display(HTML(_details(title, _table(changes))))

    def _warnings(self, runs: Sequence[Run]) -> list[str]:
        texts = []
        names = self._data | {r.config.dataset for r in runs if not r.config.name.startswith("live-")}
        if names - {"cifar10"}:
            texts.append(f"This page shows the data set {', '.join(sorted(names))}, not CIFAR-10.")
        unlike = self.preset == "paper" and [r.config.name for r in runs if self.preset_of(r) != "paper"]
        fallen = dict.fromkeys(unlike or ())
        if fallen:
            texts.append(f"No paper-size run of {', '.join(fallen)} is published yet: this page shows laptop runs.")
        elif self.preset != "paper" and any(EXPERIMENTS[r.config.name].in_paper for r in runs):
            texts.append(
                f"Runs of the preset {self.preset}, smaller than the paper's: no verdict can rest on them. {SMALL}"
            )
        texts += [f"{r.id} is older than the code that made it." for r in runs if r.stale]
        return texts

    def _parameters(self) -> str:
        rows: list[dict[str, Any]] = [
            {"parameter": "preset", "value": self.preset, "meaning": "size of every run: " + ", ".join(PRESETS)},
            {"parameter": "epochs", "value": self.epochs or "preset's own", "meaning": "epochs of this page's runs"},
            {"parameter": "seed", "value": self.seed if self.seed >= 0 else "preset's own", "meaning": "training seed"},
            {
                "parameter": "dataset",
                "value": self.dataset or "preset's own",
                "meaning": "data set of this page's runs",
            },
        ]
        return _table(rows)

    def _provenance(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        return [
            {
                "run": r.id + (" (published)" if r.published else ""),
                "data": f"{r.record['data']['name']}, {r.record['data']['samples']:,}",
                "epochs": r.config.epochs,
                "seed": r.config.seed,
                "precision": r.config.precision,
                "images seen": f"{r.snapshot['images']:,}",
                "seconds": f"{r.snapshot['seconds']:.1f}",
                "GFLOP an image": f"{r.record['flops_per_image'] / 1e9:.3g}",
                "device": f"{r.record['device']}, {r.record['threads']} threads",
                "commit": (r.record["commit"] or "none")[:10] + (" + changes" if r.record["dirty"] else ""),
            }
            for r in runs
        ]

    def _shrinkage(self, run: Run) -> list[dict[str, Any]]:
        if self.preset_of(run) == "paper" or run.config.name.startswith("live-"):
            return []
        return [
            {"field": k, "paper preset": _plain(a), "here": _plain(b)}
            for k, (a, b) in shrunk(run.config, run.config.name).items()
        ]

    def printed(self, run: Run) -> None:
        """The hyper-parameters that the paper prints for this model (Fig. 16 or 17), beside the run's."""
        ours = run.config.to_dict() | {"num_epochs": run.config.epochs, "nc": 3, "ngpu": "not used"}
        ours |= {"train_batch_size": run.config.batch_size, "inference_batch_size": self.sampling(run).batch_size}
        figure = FIG16 if run.config.kind == "gan" else FIG17
        rows = [{"name": k, "printed": _plain(v), "this run": _plain(ours[k])} for k, v in figure.items()]
        self.table(rows, f"The paper's Fig. {16 if figure is FIG16 else 17}, and what this run used.")

    def table(self, rows: Sequence[Mapping[str, Any]], caption: str = "") -> None:
        """Rows as a table; floats with four digits."""
        display(HTML(_table(rows, caption)))

    def finding(self, text: str) -> None:
        """The paragraph that a figure leads to; every number in it has been formatted from a run."""
        display(Markdown(f"**Finding.** {text}"))

    def score_table(self, entries: Mapping[str, tuple[Run, Sampling | None]]) -> dict[str, Scores]:
        """A row of scores an entry, with the protocol of each; returns them by label."""
        found, rows, protocols = {}, [], []
        for label, (run, sampling) in entries.items():
            chosen = run.settle(sampling or self.sampling(run))
            scores = found[label] = self.scores(run, chosen)
            rows.append({"": label, **scores.values, "n": f"{scores.n_fake:,}"})
            judged = {"extractor": scores.extractor, "real images": f"{scores.n_real:,} {scores.reference}"}
            protocols.append({"": label, **_how_sampled(run, chosen), **judged})
        one = next(iter(found.values()))
        caption = (
            f"Against the first {one.n_real:,} {one.reference} images by the extractor {one.extractor} "
            f"({one.extractor_digest}, {one.n_features} features; k = {one.neighbours}; cs over {one.splits} splits). "
            "fd, kd and cs are no FID, KID and IS."
        )
        self.table(rows, caption)
        display(HTML(_details("Protocol of each row", _table(protocols))))
        return found

    def table1(self, gan: Run, diffusion: Run) -> dict[str, Scores]:
        """The paper's Table 1 beside ours. IS and FID are shown only where Inception-v3 computed them."""
        ours = {"DCGAN": (gan, self.scores(gan)), "diffusion": (diffusion, self.scores(diffusion))}
        kept = {k: run.kept_scores(self.sampling(run), "inception") for k, (run, _) in ours.items()}
        inception = {k: s for k, s in kept.items() if s} if all(kept.values()) else {}
        rows = []
        for metric, printed in TABLE1.items():
            row: dict[str, Any] = {"metric": metric, "DCGAN, paper": printed[0], "diffusion, paper": printed[1]}
            for k, (_, scores) in ours.items():
                name = {"Inception Score": "IS"}.get(metric, metric)
                row[f"{k}, ours"] = inception.get(k, scores).values.get(name, MISSING)
            rows.append(row)
        for name in ("cs", "fd", "kd"):
            row = {"metric": name, "DCGAN, paper": "", "diffusion, paper": ""}
            rows.append(row | {f"{k}, ours": scores.values[name] for k, (_, scores) in ours.items()})
        lines = [f"{k}: {s.protocol}" for k, (_, s) in ours.items()]
        lines += [f"IS, FID, precision and recall of {k}: {s.protocol}" for k, s in inception.items()]
        self.table(rows, "Ours. " + "; ".join(lines) + ".")
        if not inception:
            commands = " and ".join(
                f"<code>gendiff score {run.id} --epoch {run.config.epochs} --extractor inception</code>"
                for run, _ in ours.values()
            )
            display(HTML(f"<p>IS and FID need Inception-v3's weights: {commands} compute them.</p>"))
        return {k: scores for k, (_, scores) in ours.items()}

    def point_table(self, runs: Mapping[str, Sequence[Run]]) -> None:
        """A row a method in the plane: the mean over seeds, with the least and the greatest, of its point scores."""
        rows = []
        for label, several in runs.items():
            scores = [asdict(run.point_scores(self.sampling(run))) for run in several]
            row: dict[str, Any] = {"": label}
            for key, name in POINT_COLUMNS.items():
                values = [s[key] for s in scores if s[key] is not None]
                mean = sum(values) / max(len(values), 1)
                row[name] = f"{mean:.3g} ({min(values):.3g} to {max(values):.3g})" if values else "no modes"
            row |= {"n": scores[0]["n"], "seeds": len(several)}
            row["training s"] = f"{sum(r.snapshot['seconds'] for r in several) / len(several):.1f}"
            rows.append(row)
        self.table(rows, "Mean over seeds (least to greatest).")


def prepare(preset: str, *, dataset: str = "", epochs: int = 0) -> None:
    """Draw and score what the notebooks show, one run at a time, so that the seconds they tell are true."""
    page = Page(preset=preset, epochs=epochs, dataset=dataset)
    runs = {name: page.run(name) for name in (*COMPARED, *LIVE_IMAGES)}
    n = page.equal_n(*(runs[name] for name in COMPARED))
    for name, run in runs.items():
        page.scores(run)
        if name in COMPARED:
            page.scores(run, page.sampling(run, n=n))
        print(f"{run.id}: sampled and scored", flush=True)
    long, conv = page.run("dcgan", long=True), runs["ddpm-conv"]
    for run in (*map(long.at, page.until(long)), *map(conv.at, page.until(conv))):
        page.scores(run)
    conv.trajectory(page.sampling(conv, n=4, batch_size=4))
    for label, sampling in sampler_grid(page.preset_of(conv)).items():
        page.scores(conv, sampling)
        if label.startswith(("ddpm ", "tutorial ")):
            conv.trajectory(sampling.but(n=4, batch_size=4))
    print(f"{long.id}, {conv.id}: snapshots and samplers compared", flush=True)


POINT_COLUMNS = {"modes": "modes covered", "high_quality": "high quality", "distance": "sliced Wasserstein"}

SMALL = "Such budgets give palette and texture, not objects."


def _how_sampled(run: Run, sampling: Sampling) -> dict[str, Any]:
    record = run.sampling_record(sampling)
    return {
        "run": run.id,
        "epochs": run.config.epochs,
        "training seed": run.config.seed,
        "training s": f"{run.snapshot['seconds']:.0f}",
        "weights": sampling.weights,
        "sampler": sampling.sampler,
        "steps": sampling.n_steps,
        "sampling seed": sampling.seed,
        "sampling s": f"{record['seconds']:.1f}",
        "device": f"{record['device']}, {record['threads']} threads",
    }


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(v) for v in value)
    return "none" if value is None else str(value)


def _details(title: str, body: str) -> str:
    return f'<details class="provenance"><summary>{html.escape(title)}</summary>{body}</details>'


def _table(rows: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(str(k))}</th>" for k in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_plain(v))}</td>" for v in row.values()) + "</tr>" for row in rows
    )
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    inside = f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table class="table">{inside}</table></div>'
