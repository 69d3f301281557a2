"""What a notebook shows beside its figures: where its runs come from, what was shrunk, tables, findings.

A `Page` is one notebook's view: it turns the notebook's parameters into runs, and says so on the page.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from IPython.display import HTML, Markdown, display
from torch import Tensor

from . import plots, processes, store, views
from .anatomy import Plan, entering, plan, size
from .cards import Number, data_links, download, over, plain, score_number
from .claims import Claim, Recorded, Ruling, audit, equal_n
from .config import Config, ConfigError, GANConfig, GendiffError, Sampling
from .data import Dataset, load
from .diffusion import Diffusion
from .drawings import diagram, figure
from .drawings import rows as drawn_rows
from .experiments import (
    CLAIMED,
    CODED,
    COLLAPSE,
    COMPARED,
    EXPERIMENTS,
    FIG16,
    FIG17,
    LIVE_IMAGES,
    PRESETS,
    TABLE1,
    Protocol,
    get,
    protocol,
    sampler_grid,
    shrunk,
)
from .features import Extractor, extract
from .front import claim_block, claim_rows, tally
from .learner import Learner
from .likelihood import Bits
from .memorisation import NEAR, Memorisation
from .metrics import VALUES, Scores, kept_reference, score
from .recorder import train
from .runs import Run, find, likelihood_digest, metrics_digest, sampler_digest, siblings
from .scoring import offline
from .tables import (
    contest_rows,
    details,
    lead_rows,
    protocol_row,
    ratio_rows,
    score_row,
    scoring_rows,
    table,
    where,
)
from .training import make
from .validation import Validation, kept_validation

MISSING = "not computed here"
TABLE1_ALIKE = tuple((name, name) for name in ("precision", "recall", "density", "coverage"))


def training_allowed() -> bool:
    """False while a book is built from what is there: the build sets GENDIFF_TRAIN=0."""
    return os.environ.get("GENDIFF_TRAIN", "1") != "0"


class Page:
    """The parameters of one notebook. 0, -1 and "" ask for the preset's own epochs, seed and data set."""

    SEEDS_NOTE = "Where there is one training seed this speaks of two runs, not of two methods."

    def __init__(self, *, preset: str, epochs: int = 0, seed: int = -1, dataset: str = "") -> None:
        """ConfigError for a parameter of the wrong type or an unknown preset."""
        for name, value, kind in (("epochs", epochs, int), ("seed", seed, int), ("dataset", dataset, str)):
            if type(value) is not kind:
                raise ConfigError(f"{name} must be {'a whole number' if kind is int else 'a word'}, not {value!r}")
        if preset not in PRESETS:
            raise ConfigError(f"preset {preset!r} is unknown: there are {', '.join(PRESETS)}")
        self.preset, self.epochs, self.seed, self.dataset = preset, epochs, seed, dataset
        self._preset_of: dict[str, str] = {}
        self._judges: dict[tuple[str, str], Extractor] = {}
        self._data: set[str] = set()
        self._tables = 0
        self._shown: tuple[Run, ...] = ()
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

    def protocol(self, run: Run) -> Protocol:
        """How samples of the run's experiment are drawn and scored in the preset that it was taken from."""
        return protocol(run.config.name, self.preset_of(run))

    def judge(self, run: Run) -> Extractor:
        """The offline extractor for a run's samples."""
        return self._offline(run.config.dataset, self.preset_of(run))

    def _offline(self, dataset: str, preset: str) -> Extractor:
        """Loaded once a page: its weights are read, rounded and digested."""
        key = dataset, preset
        if key not in self._judges:
            self._judges[key] = offline(dataset, preset)
        return self._judges[key]

    def scores(self, run: Run, sampling: Sampling | None = None, reference: str = "train") -> Scores:
        """Scores by the offline extractor, by the protocol of the run's experiment and preset."""
        return run.scores(sampling or self.sampling(run), self.judge(run), self._n_real(run, reference), reference)

    def _n_real(self, run: Run, reference: str = "train") -> int:
        return min(self.protocol(run).n_real, len(load(run.config.dataset, reference).samples))

    def several(self, run: Run, sampling: Sampling | None = None, reference: str = "train") -> list[Scores]:
        """The same over the protocol's sampling seeds, and over every training seed that there is a run of."""
        first = sampling or self.sampling(run)
        seeds = range(first.seed, first.seed + self.protocol(run).seeds)
        return [self.scores(r, first.but(seed=s), reference) for r in self._family(run) for s in seeds]

    def _family(self, run: Run) -> list[Run]:
        found = siblings(run)
        self._preset_of |= {r.id: self.preset_of(run) for r in found}
        return found

    def bits(self, run: Run, split: str = "test") -> Bits:
        """Bits per dimension of a split's first images, as many as the protocol says."""
        return run.bits(self.protocol(run).n_checked, split)

    def memorisation(self, run: Run) -> Memorisation:
        """Nearest training images of the run's samples, as many as the protocol says."""
        return run.memorisation(self.sampling(run), self.judge(run), self.protocol(run).n_checked)

    def validation(self) -> Validation:
        """The offline extractor's scores of damaged and thinned real images."""
        name = self.dataset or get("dcgan", self.preset).dataset
        self._data.add(name)
        return kept_validation(self._offline(name, self.preset), name, *protocol("dcgan", self.preset).validated)

    def until(self, run: Run) -> list[int]:
        """The run's snapshots up to the epoch that is shown: a longer training may have left later ones."""
        return [e for e in run.epochs if e <= run.config.epochs]

    def early(self, run: Run) -> int:
        """The first of the collapse page's two epochs; the run's first snapshot where it keeps none of that epoch."""
        first = COLLAPSE[self.preset_of(run)][0]
        return first if first in self.until(run) else run.epochs[0]

    def equal_n(self, *runs: Run) -> int:
        """The greatest number of samples that every run's protocol draws: values of unlike n do not compare."""
        return min(self.sampling(run).n for run in runs)

    def score_images(self, fake: Tensor, run: Run) -> Scores:
        """Scores of any uint8 images (N, 3, H, W) as if `run` had made them: by its protocol, on its data."""
        data, preset = load(run.config.dataset), self.preset_of(run)
        judge = self._offline(data.name, preset)
        real = data.first(self._n_real(run))
        return score(extract(judge, fake), kept_reference(judge, real.samples), judge, reference="train")

    # ------------------------------------------------------------ what is shown

    def show(self, *runs: Run) -> None:
        """Banners that a reader must see, then the parameters of this page and the runs it reads."""
        self._shown = runs
        for text in self._warnings(runs):
            self._warn(text)
        display(
            HTML(details("Parameters and runs of this page", self._parameters() + table([r.protocol for r in runs])))
        )
        for run in runs:
            changes = self._shrinkage(run)
            if changes:
                title = f"What {self.preset_of(run)} shrinks in {run.config.name}"
                display(HTML(details(title, table(changes))))

    def _warn(self, text: str) -> None:
        display(HTML(f'<div class="admonition warning banner"><p class="admonition-title">{text}</p></div>'))

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
        return table(rows)

    def _shrinkage(self, run: Run) -> list[dict[str, Any]]:
        if self.preset_of(run) == "paper" or run.config.name.startswith("live-"):
            return []
        return [
            {"field": k, "paper preset": plain(a), "here": plain(b)}
            for k, (a, b) in shrunk(run.config, run.config.name).items()
        ]

    def printed(self, run: Run) -> None:
        """The hyper-parameters that the paper prints for this model (Fig. 16 or 17), beside the run's."""
        ours = run.config.to_dict() | {"num_epochs": run.config.epochs, "nc": 3, "ngpu": "not used"}
        ours |= {"train_batch_size": run.config.batch_size, "inference_batch_size": self.sampling(run).batch_size}
        figure = FIG16 if run.config.kind == "gan" else FIG17
        rows = [{"name": k, "printed": plain(v), "this run": plain(ours[k])} for k, v in figure.items()]
        self.table(rows, f"The paper's Fig. {16 if figure is FIG16 else 17}, and what this run used.")

    def architecture(self, of: Run | str, part: str, caption: str) -> None:
        """Draw a network, or a part of it by its path, as the preset `paper` has it, with its layers in a box.

        `of` is a run or, where this page has none, an experiment's name. Where this page's own is smaller, it follows.
        """
        name = of if isinstance(of, str) else of.config.name
        preset = self.preset if isinstance(of, str) else self.preset_of(of)
        own = _survey(self._untrained(name, preset) if isinstance(of, str) else of.method, part)
        paper = own if preset == "paper" else _survey(self._untrained(name, "paper"), part)
        smaller = own.layers != paper.layers
        where = f"in {name} of the preset {preset}" if isinstance(of, str) else f"trained in {of.id}"
        note = f" The one {where} has {own.parameters:,}." if smaller else ""
        self._drawing(paper, f"{part} of {name}, preset paper", caption, note)
        if smaller:
            title = f"{part} of {name}, preset {preset}"
            box = figure(diagram(own, title), _counted("The same, smaller.", own)) + _layer_table(own)
            display(HTML(details(f"The one {where}", box)))

    def _drawing(self, found: Plan, title: str, caption: str, note: str) -> None:
        text = _counted(caption, found) + note
        box = details(f"Layer by layer: {title}", _layer_table(found))
        display(HTML(figure(diagram(found, title), text) + box))

    def _untrained(self, name: str, preset: str) -> Learner:
        """An experiment's networks for this page's data set, as they are before training."""
        config = self.config(name, preset)
        data = load(self.config(name).dataset)
        return make(config, data.bridge.shape(config.image_size), len(data.classes))

    def game(self, run: Run, caption: str) -> None:
        """Draw the two players of a GAN, with the shapes and sizes of the run's own."""
        g, d = (_survey(run.method, part) for part in ("generator", "discriminator"))
        drawing = processes.game(g.entry.shape, d.entry.shape, g.parameters, d.parameters)
        display(HTML(figure(drawing, caption)))

    def process(self, run: Run, caption: str) -> None:
        """Draw the process of a diffusion run: its own path at five times."""
        method = run.method
        assert isinstance(method, Diffusion)
        path, t = method.path, method.path.steps(4).flip(0)
        drawing = processes.process(t.tolist(), path.scale(t).tolist(), path.std(t).tolist(), "the network")
        display(HTML(figure(drawing, caption)))

    def table(self, rows: Sequence[Mapping[str, Any]], caption: str = "") -> None:
        """Rows as a table, floats with four digits, with links to the same as CSV and JSON."""
        self._tables += 1
        links = data_links(f"table-{self._tables}", rows, caption) if rows else ""
        display(HTML(table(rows, caption) + links))

    def finding(self, text: str) -> None:
        """The paragraph that a figure leads to; every number in it has been formatted from a run.

        Where no number in it opens to its own protocol, a box below opens to that of the page.
        """
        display(Markdown(f"**Finding.** {text}"))
        if 'class="number"' not in text:
            self.note(self._sources(), of="these numbers were")

    def value(self, scores: Scores | Sequence[Scores], name: str) -> str:
        """A field of scores, with its noise, as HTML that opens to its protocol."""
        return score_number([scores] if isinstance(scores, Scores) else scores, name).html

    def numbers(self, scores: Scores) -> dict[str, Number]:
        """Every value by the name that it may bear, each of which opens to its protocol."""
        return {label: score_number([scores], name) for name, label in scores.labels.items()}

    def of(self, run: Run, value: float, form: str = ".3g") -> str:
        """A number that is a run's own (a loss, its seconds) as HTML that opens to how the run was made."""
        return Number(format(value, form), value, run.protocol).html

    def source(self, *runs: Run, sampling: Sampling | None = None) -> None:
        """A box below a figure that opens to what it was drawn from: these runs, else all of the page, else its data.

        With `sampling`, also how the runs' samples were drawn.
        """
        drawn = [self._drawn(run, sampling) for run in runs] if sampling else []
        self.note(self._sources(runs), drawn)

    def note(self, *tables: Sequence[Mapping[str, Any]], of: str = "this figure was") -> None:
        """A box that opens to how something was made."""
        if any(tables):
            display(HTML(details(f"How {of} made", "".join(map(table, tables)))))

    def judged_by(self, found: Validation) -> None:
        """The same for a figure of an extractor's validation."""
        self.note([self._judged(found)])

    def _judged(self, found: Validation) -> dict[str, str]:
        one, made = found.rows[0].scores, found.made
        dataset = "" if found.dataset == "cifar10" else f" --dataset {found.dataset}"
        return {
            "extractor": f"{one.extractor} {one.extractor_digest}",
            "real images": f"{found.dataset}, damaged or thinned with fixed seeds",
            "device": f"{made['device']}, {made['threads']} threads",
            "seconds for all": f"{made['seconds']:.0f}",
            "commit": str(made["commit"])[:10],
            "command": f"gendiff validate --preset {self.preset}{dataset}",
        }

    def _sources(self, runs: Sequence[Run] = ()) -> list[dict[str, Any]]:
        """What these runs, else all of the page, else its data, are."""
        return [run.protocol for run in runs or self._shown] or [self._data_row(name) for name in sorted(self._data)]

    def _data_row(self, name: str) -> dict[str, Any]:
        data = load(name)
        return {"data": name, "split": data.split, "images": len(data.samples), "digest": data.digest}

    def _drawn(self, run: Run, sampling: Sampling) -> dict[str, Any]:
        record = run.sampling_record(sampling)
        shown = {k: v for k, v in record["sampling"].items() if v is not None}
        return {"run": run.id, **shown, "seconds": record["seconds"], "device": record["device"]}

    # ------------------------------------------------------------ views: one output each, so that it can be a figure

    def losses(self, run: Run, marks: Sequence[int] = ()) -> None:
        """The run's losses over training, `marks` being epochs to point out, and their points as a file."""
        names = [name for name in run.history if name in plots.LABELS and name != "error"]
        text, every = views.columns_csv(run.history)
        link = download(f"{run.id}-losses.csv", text)
        note = f"Every point: {link}" if every == 1 else f"One point in {every}, the last among them: {link}"
        alt = f"Loss of {' and '.join(plots.LABELS[name] for name in names)} over epochs, to epoch {run.config.epochs}"
        display(HTML(views.plot(plots.svg(plots.losses(run.history, marks)), alt, note)))

    def denoising(self, run: Run, sampling: Sampling) -> None:
        """A slider over the way from noise to samples: the state and the estimate of the clean images beside it."""
        way = run.trajectory(sampling)
        self._way(run, {"state x": way.x, "estimate of x0": way.x0}, way.t, sampling)

    def two_ways(self, run: Run, samplings: Mapping[str, Sampling]) -> None:
        """A slider over the states of several samplings, by name, that take the same steps."""
        ways = {name: run.trajectory(sampling) for name, sampling in samplings.items()}
        one = next(iter(samplings))
        self._way(run, {name: way.x for name, way in ways.items()}, ways[one].t, samplings[one])

    def _way(self, run: Run, tracks: Mapping[str, Tensor], t: Tensor, sampling: Sampling) -> None:
        n_steps = run.settle(sampling).n_steps or 1
        times = [f"t = {v:.4g}" for v in t.tolist()]
        steps = [f", step {round(i * n_steps / (len(times) - 1)):,} of {n_steps:,}" for i in range(len(times))]
        alt = f"{sampling.n} samples that clear up from noise, in {len(times)} frames: {', '.join(tracks)}"
        said = [time + step for time, step in zip(times, steps, strict=True)]
        display(HTML(views.frames(tracks, times, said=said, name="Step from noise to image", alt=alt)))

    def filmstrip(self, *runs: Run, beside: Mapping[str, Tensor] | None = None) -> None:
        """A slider over the snapshots that all `runs` keep: the first samples of their sheets, of the same noise.

        It begins at the epoch that the page shows. `beside` adds frames of other images (n, 3, H, W) by their names.
        GendiffError where the runs have no snapshot in common.
        """
        epochs = sorted(set.intersection(*(set(run.epochs) for run in runs)))
        if not epochs:
            raise GendiffError(f"{', '.join(run.id for run in runs)} keep no epoch in common: train them equally long")
        extra = beside or {}
        tracks = {
            run.config.name if len(runs) > 1 else "": torch.stack(
                [*(self._few(run.at(e)) for e in epochs), *(v[:FEW] for v in extra.values())]
            )
            for run in runs
        }
        names = " and ".join(run.config.name for run in runs)
        alt = f"{FEW} samples of {names} at epoch {', '.join(map(str, epochs))}{''.join(f'; {k}' for k in extra)}"
        labels = [*(f"epoch {e}" for e in epochs), *extra]
        shown = min(epochs, key=lambda e: abs(e - runs[0].config.epochs))
        start = epochs.index(shown)
        display(HTML(views.frames(tracks, labels, name="Epoch", alt=alt, columns=5, start=start)))

    def _few(self, run: Run) -> Tensor:
        _, h, w = run.record["sample_shape"]
        return views.cells(run.sheet(), (h, w))[:FEW]

    def before_after(self, run: Run, epochs: tuple[int, int]) -> None:
        """A slider between the run's sheets at two epochs, of the same noise; a sentence where the two are one."""
        if epochs[0] == epochs[1]:
            text = f"This run keeps epoch {epochs[0]} alone: there is no second sheet to hold beside this one."
            display(HTML(f"{views.picture(run.at(epochs[0]).sheet(), f'Samples at epoch {epochs[0]}')}<p>{text}</p>"))
            return
        labels = f"epoch {epochs[0]}", f"epoch {epochs[1]}"
        before, after = (run.at(e).sheet() for e in epochs)
        alt = f"Samples of {run.config.name}"
        display(HTML(views.compare(before, after, labels, name=f"Divider between {' and '.join(labels)}", alt=alt)))

    # ------------------------------------------------------------ tables

    def score_table(self, entries: Mapping[str, tuple[Run, Sampling | None]]) -> dict[str, Scores]:
        """A row an entry: the scores of one set of samples, with the protocol of each."""
        found = {k: [[self.scores(*entry, split)] for split in ("train", "test")] for k, entry in entries.items()}
        return {label: train[0] for label, train in self._show_scores(found).items()}

    def seeds_table(self, entries: Mapping[str, tuple[Run, Sampling | None]]) -> dict[str, list[Scores]]:
        """The same over all sampling and training seeds."""
        found = {k: [self.several(*entry, split) for split in ("train", "test")] for k, entry in entries.items()}
        return self._show_scores(found)

    def _show_scores(self, found: Mapping[str, Sequence[list[Scores]]]) -> dict[str, list[Scores]]:
        now = {"samples": sampler_digest(), "scores": metrics_digest()}
        for i, (what, digest) in enumerate(now.items()):
            old = [k for k, (train, _) in found.items() if any(s.made["sources"][i] != digest for s in train)]
            if old:
                self._warn(f"The {what} of {', '.join(old)} are older than the code that would make them now.")
        rows = [score_row(label, train, test) for label, (train, test) in found.items()]
        one, against = (several[0] for several in next(iter(found.values())))
        names = "" if one.extractor == "inception" else "fd, kd and cs are no FID, KID and IS. "
        self.table(rows, f"By the protocol {one.protocol}; (test): {against.n_real:,} test images. {names}{NOISE_NOTE}")
        protocols = [protocol_row(label, train) for label, (train, _) in found.items()]
        display(HTML(details("Protocol of each row", table(protocols))))
        return {label: train for label, (train, _) in found.items()}

    def kept_table(self, runs: Mapping[str, Run]) -> None:
        """Scores by Inception-v3 and VGG16 where somebody who has their weights has computed them; else a sentence."""
        for extractor in ("inception", "vgg16"):
            kept = {
                label: [self._kept(run, extractor, reference=split) for split in ("train", "test")]
                for label, run in runs.items()
            }
            rows = [score_row(k, train, test) for k, (train, test) in kept.items() if train]
            if rows:
                self.table(rows, f"By {extractor}; each model at its own protocol's n. {NOISE_NOTE}")
            else:
                command = f"gendiff score --all --preset {self.preset} --extractor {extractor}"
                display(
                    HTML(f"<p>Not scored by {extractor} yet: <code>{command}</code> does it where its weights are.</p>")
                )

    def table1(self, gan: Run, diffusion: Run) -> dict[str, list[Scores]]:
        """The paper's Table 1 beside ours, at one n. IS and FID are shown only where Inception-v3 computed them."""
        runs, n = {"DCGAN": gan, "diffusion": diffusion}, self.equal_n(gan, diffusion)
        ours = {k: self.several(run, self.sampling(run, n=n)) for k, run in runs.items()}
        famous = {k: self._kept(run, "inception", n) for k, run in runs.items()}
        rows = []
        for name, metric in (("classifier_score", "Inception Score"), ("frechet_distance", "FID"), *TABLE1_ALIKE):
            printed = TABLE1.get(metric, ("", ""))
            row: dict[str, Any] = {"": metric, "DCGAN, paper": printed[0], "diffusion, paper": printed[1]}
            for k, s in famous.items():
                row[f"{k}, Inception"] = score_number(s, name) if s else MISSING
            for k, s in ours.items():
                number, label = score_number(s, name), s[0].labels[name]
                text = f"{'' if label == metric else label + ' '}{number}"
                row[f"{k}, offline"] = dataclasses.replace(number, text=text)
            rows.append(row)
        self.table(
            rows,
            f"n = {n:,} each. Offline: {ours['DCGAN'][0].extractor}, whose scores are no IS, FID and KID; "
            f"mean ± std over {over(ours['DCGAN'])} and {over(ours['diffusion'])}. {NOISE_NOTE}",
        )
        shown = {f"{k}, offline": s for k, s in ours.items()} | {f"{k}, Inception": s for k, s in famous.items() if s}
        display(HTML(details("Protocol of ours", table([protocol_row(k, s) for k, s in shown.items()]))))
        if not all(famous.values()):
            commands = " and ".join(
                f"<code>gendiff score {run.id} --epoch {run.config.epochs} --n {n} --extractor inception</code>"
                for run in runs.values()
            )
            display(HTML(f"<p>IS and FID need Inception-v3's weights: {commands} compute them.</p>"))
        return ours

    def _kept(self, run: Run, extractor: str, n: int = 0, reference: str = "train") -> list[Scores]:
        """The scores by a famous network of this run's protocol (at another n where given); empty where none are."""
        sampling = self.sampling(run, n=n) if n else self.sampling(run)
        found = run.kept_scores(sampling, extractor, self._n_real(run, reference), reference)
        return [found] if found else []

    def lead_table(self, one: tuple[str, list[Scores]], other: tuple[str, list[Scores]]) -> list[str]:
        """Which of two is better in what, beyond the noise; returns the sides that lead, "" for none."""
        rows = lead_rows(one, other)
        self.table(
            rows, "By chance: three standard deviations, by Student's t for as few values as the errors rest on."
        )
        return [row["better"] if row["better"] in (one[0], other[0]) else "" for row in rows]

    def bits_table(self, runs: Mapping[str, Run]) -> dict[str, Bits]:
        """Bits per dimension of test and training images, and what they are made of."""
        test = {k: self.bits(run) for k, run in runs.items()}
        rows = []
        for k, run in runs.items():
            seen = self.bits(run, "train")
            if test[k].sources != likelihood_digest():
                self._warn(f"The bits per dimension of {k} are older than the code that would compute them now.")
            rows.append(
                {
                    "": k,
                    "test": self._bits_number(run, test[k]),
                    "train": self._bits_number(run, seen),
                    "steps": f"{sum(test[k].steps):.3f}",
                    "decoder": f"{test[k].decoder:.3f}",
                    "prior": f"{test[k].prior:.1e}",
                    "n": f"{test[k].n:,}",
                    "T": len(test[k].steps) + 1,
                    "weights": test[k].weights,
                    "training seed": run.config.seed,
                    "epochs": run.config.epochs,
                    "seconds": f"{test[k].seconds:.1f}",
                    "device": test[k].device,
                }
            )
        self.table(rows, "Bits per dimension by the variational bound, mean ± standard error over images.")
        return test

    def _bits_number(self, run: Run, found: Bits) -> Number:
        command = f"gendiff bits {run.id} --epoch {run.config.epochs} --n {found.n} --split {found.split}"
        how = {
            "± is": f"the standard error over {found.n:,} {found.split} images",
            "steps of the bound": f"{len(found.steps) + 1}",
            "weights": found.weights,
            "noise seed": f"{found.seed}",
            "seconds for the bound": f"{found.seconds:.1f} on {found.device}",
            "compute": f"{command} --weights {found.weights}",
        }
        protocol = {"what": "bits per dimension"} | run.protocol | how
        return Number(f"{found.total:.3f} ± {found.error:.3f}", found.total, protocol, found.error)

    def validation_table(self, found: Validation, *families: str) -> None:
        """The rows of some families of an extractor's validation."""
        if found.made["sources"] != metrics_digest():
            self._warn("These scores are older than the code that computes scores now.")
        rows = [
            {
                "images, against": row.what,
                "n": f"{row.scores.n_fake:,}",
                "real": f"{row.scores.n_real:,}",
                **{row.scores.labels[v]: score_number([row.scores], v) for v in VALUES},
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

    def calibration_table(self, found: Validation) -> None:
        """The spread of disjoint sets beside the standard errors that each of them shows alone."""
        rows = []
        for value in VALUES:
            _, values, errors = found.response("independent sets", value)
            spread = torch.tensor(values).double().std().item()
            told = sum(errors) / len(errors)
            name = found.rows[0].scores.labels[value]
            rows.append(
                {"": name, "spread of sets": spread, "standard error told": told, "told / spread": told / spread}
            )
        sets = found.family("independent sets")
        self.table(rows, f"{len(sets)} disjoint sets of {sets[0].scores.n_fake:,} test images each.")

    def memory_table(self, runs: Mapping[str, Run]) -> dict[str, Memorisation]:
        """How near generated images are to training images, beside test images."""
        found = {k: self.memorisation(run) for k, run in runs.items()}
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
                "training images": f"{self.runs_data(runs[k]):,}",
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
        judge, drawn = self.judge(run), self._drawn(run, self.sampling(run))
        how = {
            "n": f"{len(found.pixel):,} generated and {len(found.test_pixel):,} test images",
            "training images": f"{self.runs_data(run):,}" + (", each also mirrored" if run.config.flip else ""),
            "features of": f"{judge.name} {judge.digest}",
            "samples": ", ".join(f"{k} {plain(v)}" for k, v in drawn.items() if k not in ("run", "device")),
        }
        return run.protocol | how

    def runs_data(self, run: Run) -> int:
        """How many training images a run saw."""
        return int(run.record["data"]["samples"])

    def benchmarks(self, kind: str) -> dict[str, dict[str, Any]]:
        """The tracked results whose file names begin with `kind`, by file name."""
        return {p.stem: store.read_json(p) for p in store.benchmark_results() if p.stem.startswith(kind)}

    def measured(self, results: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """A row a benchmark: where it ran, and where its every turn is kept."""
        place = "benchmarks/results"
        return [{"benchmark": k, "measured on": where(r), "all turns": f"{place}/{k}.json"} for k, r in results.items()]

    def claims(self) -> list[tuple[Claim, Ruling]]:
        """Every claim of the paper with its verdict, from runs of the paper's size whatever this page's preset is."""
        rulings = audit(Recorded())
        rows = claim_rows(rulings)
        caption = "Verdicts on the paper's claims, and the numbers they rest on."
        blocks = "".join(claim_block(*each) for each in rulings)
        display(HTML(tally(rulings) + data_links("claims", rows, caption) + blocks))
        return rulings

    def speed_tables(self) -> dict[str, dict[str, Any]]:
        """Every speed benchmark: its contests, their ratios, and what one should know of them."""
        results = self.benchmarks("speed")
        for result in results.values():
            for contest in result["contests"].values():
                note = "Convolutions may do with fewer operations than are counted, so more than 100% can be reached."
                self.table(contest_rows(contest), f"{contest['title']}. {where(result)}. {note}")
            self.table(ratio_rows(result["contests"]), "Medians of the rounds' ratios (least to greatest).")
            display(HTML(details("How this was measured", "".join(f"<p>{note}</p>" for note in result["notes"]))))
        return results

    def scoring_tables(self) -> dict[str, dict[str, Any]]:
        """Every scoring benchmark."""
        results = self.benchmarks("scoring")
        for result in results.values():
            sizes = f"{result['n_fake']:,} new images against {result['n_real']:,} known ones"
            extractor = f"{result['extractor']['name']} ({result['extractor']['digest']})"
            self.table(scoring_rows(result), f"{sizes}, extractor {extractor}. {where(result)}.")
            display(HTML(details("How this was measured", "".join(f"<p>{note}</p>" for note in result["notes"]))))
        return results

    def point_table(self, runs: Mapping[str, Sequence[Run]]) -> None:
        """A row a method in the plane: the mean over seeds, with the least and the greatest, of its point scores."""
        rows = []
        for label, several in runs.items():
            scores = [asdict(run.point_scores(self.sampling(run))) for run in several]
            row: dict[str, Any] = {"": label}
            for key, name in POINT_COLUMNS.items():
                values = [s[key] for s in scores if s[key] is not None]
                if not values:
                    row[name] = "no modes"
                    continue
                mean = sum(values) / len(values)
                text = f"{mean:.3g} ({min(values):.3g} to {max(values):.3g})"
                row[name] = Number(text, mean, self._points_protocol(several))
            row |= {"n": scores[0]["n"], "seeds": len(several)}
            row["training s"] = f"{sum(r.snapshot['seconds'] for r in several) / len(several):.1f}"
            rows.append(row)
        self.table(rows, "Mean over seeds (least to greatest).")

    def _points_protocol(self, several: Sequence[Run]) -> dict[str, str]:
        every = [run.protocol for run in several]
        runs = {label: ", ".join(dict.fromkeys(p[label] for p in every)) for label in every[0]}
        sampling = self.sampling(several[0])
        shown = {k: v for k, v in several[0].settle(sampling).to_dict().items() if v is not None}
        return runs | {"samples": ", ".join(f"{k} {plain(v)}" for k, v in shown.items())}


def _survey(method: Learner, part: str) -> Plan:
    """The parts of a method's network, such as `generator`, or of something inside it, such as `net.down.0.0`."""
    name, _, inner = part.partition(".")
    module, x = method.modules[name], torch.empty(1, *method.shape, device="meta")
    noise = torch.empty(1, method.config.nz, 1, 1) if isinstance(method.config, GANConfig) else x
    inputs = {"generator": (noise,), "net": (x, torch.empty(1))}.get(name, (x,))
    return plan(module.get_submodule(inner), *entering(module, inner, *inputs)) if inner else plan(module, *inputs)


def _counted(caption: str, found: Plan) -> str:
    return f"{caption} Input {size(found.entry.shape)}; {found.parameters:,} parameters."


def _layer_table(found: Plan) -> str:
    return table(drawn_rows(found), _counted("In the order of their work.", found))


def prepare(preset: str, *, dataset: str = "", epochs: int = 0) -> None:
    """Draw and score what the notebooks show, one run at a time, so that the seconds they tell are true."""
    page = Page(preset=preset, epochs=epochs, dataset=dataset)
    page.validation()
    print("extractor validated", flush=True)
    runs = {name: page.run(name) for name in (*COMPARED, *LIVE_IMAGES)}
    n = page.equal_n(*(runs[name] for name in COMPARED))
    for name, run in runs.items():
        wanted = [page.sampling(run), page.sampling(run, n=n)] if name in COMPARED else [page.sampling(run)]
        for sampling in wanted:
            _score_all(page, run, sampling)
        if name in COMPARED:
            page.memorisation(run)
        if name in CODED:
            for split in ("test", "train"):
                page.bits(run, split)
        print(f"{run.id}: sampled, scored and checked", flush=True)
    long, conv = page.run("dcgan", long=True), runs["ddpm-conv"]
    for run in (*map(long.at, page.until(long)), *map(conv.at, page.until(conv))):
        _score_once(page, run)
    conv.trajectory(page.sampling(conv, n=4, batch_size=4))
    for label, sampling in sampler_grid(page.preset_of(conv)).items():
        _score_once(page, conv, sampling)
        if label.startswith(("ddpm ", "tutorial ")):
            conv.trajectory(sampling.but(n=4, batch_size=4))
    print(f"{long.id}, {conv.id}: snapshots and samplers compared", flush=True)
    _score_claimed(page)


def _score_claimed(page: Page) -> None:
    """Of what the claims look at, at the n they compare at: the runs that are on this machine whole."""
    for name, epochs in CLAIMED if page.preset == "paper" else ():
        run = find(get(name, "paper", epochs=epochs))
        if run is not None and not run.published:
            sampling = protocol(name, "paper").sampling.but(n=equal_n("paper"))
            page.several(run, sampling)


def _score_once(page: Page, run: Run, sampling: Sampling | None = None) -> None:
    for split in ("train", "test"):
        page.scores(run, sampling, split)


def _score_all(page: Page, run: Run, sampling: Sampling) -> None:
    for split in ("train", "test"):
        page.several(run, sampling, split)


FEW = 20  # samples a frame of a filmstrip: what shows change, and stays small

POINT_COLUMNS = {"modes": "modes covered", "high_quality": "high quality", "distance": "sliced Wasserstein"}

NOISE_NOTE = "± is the standard deviation over seeds; where there is one set of samples, the error that its parts show."

SMALL = "Such budgets give palette and texture, not objects."
