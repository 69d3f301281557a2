"""Drawings of networks and processes, and views that a reader moves through, each from a run."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gendiff_lib.config import Sampling
from gendiff_lib.data import images
from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.errors import GendiffError
from gendiff_lib.gan.config import GANConfig
from gendiff_lib.learner import Learner
from gendiff_lib.runs import layout
from gendiff_lib.runs.run import Run
from gendiff_lib.training.build import make

from . import figures, viewers
from .diagrams import process as processes
from .diagrams.network import diagram, figure
from .diagrams.network import rows as drawn_rows
from .diagrams.plan import Plan, plan
from .diagrams.trace import entering, size
from .number import download
from .pairs import Pairs, as_html, blind, key
from .showing import Showing
from .tables.table import details, table


class Exhibits(Showing):
    """A page with pictures. Each view is one output, so that it can be a numbered figure."""

    def architecture(self, of: Run | str, part: str, caption: str, printed: str = "") -> None:
        """Draw a network, or a part of it by its path, as the preset `paper` has it, with its layers in a box.

        `of` is a run or, where this page has none, an experiment's name; `printed` names another experiment, whose
        network the paper prints. Where this page's own is smaller, it follows.
        """
        name, preset = of if isinstance(of, str) else of.config.name, self.preset
        own = _survey(self._untrained(name, preset) if isinstance(of, str) else of.method, part)
        name = printed or name
        paper = own if preset == "paper" and not printed else _survey(self._untrained(name, "paper"), part)
        smaller = own.layers != paper.layers
        where = f"in {name} of the preset {preset}" if isinstance(of, str) else f"trained in {of.id}"
        note = f" The one {where} has {own.parameters:,}." if smaller else ""
        self._drawing(paper, f"{part} of {name}, preset paper", caption, note)
        if smaller:
            title = f"{part} of {name}, preset {preset}"
            box = figure(diagram(own, title), _counted("The same, smaller.", own)) + _layer_table(own)
            self.put(details(f"The one {where}", box))

    def _drawing(self, found: Plan, title: str, caption: str, note: str) -> None:
        text = _counted(caption, found) + note
        box = details(f"Layer by layer: {title}", _layer_table(found))
        self.put(figure(diagram(found, title), text) + box)

    def _untrained(self, name: str, preset: str) -> Learner:
        """An experiment's networks for this page's data set, as they are before training."""
        config = self.config(name, preset)
        data = self.reals()
        return make(config, data.bridge.shape(config.image_size), len(data.classes))

    def game(self, run: Run, caption: str) -> None:
        """Draw the two players of a GAN, with the shapes and sizes of the run's own."""
        g, d = (_survey(run.method, part) for part in ("generator", "discriminator"))
        drawing = processes.game(g.entry.shape, d.entry.shape, g.parameters, d.parameters)
        self.put(figure(drawing, caption))

    def process(self, run: Run, caption: str) -> None:
        """Draw the process of a diffusion run: its own schedule at five times."""
        method = run.method
        assert isinstance(method, Diffusion)
        schedule, t = method.schedule, method.schedule.steps(4).flip(0)
        scale, std = schedule.scale(t).tolist(), schedule.std(t).tolist()
        drawing = processes.process(t.tolist(), scale, std, "the network")
        self.put(figure(drawing, caption))

    def losses(self, run: Run, marks: Sequence[float] = ()) -> None:
        """The run's losses over training, `marks` being epochs to point out, and their points as a file."""
        names = [name for name in run.history if name in figures.LABELS and name != "error"]
        text, every = viewers.columns_csv(run.history)
        link = download(f"{run.id}-losses.csv", text)
        note = f"Every point: {link}" if every == 1 else f"One point in {every}, the last among them: {link}"
        alt = f"Loss of {' and '.join(figures.LABELS[name] for name in names)} over epochs, to {self.epoch(run)}"
        self.put(viewers.plot(figures.svg(figures.losses(run.history, marks)), alt, note))

    def denoising(self, run: Run, sampling: Sampling) -> None:
        """A slider over the way from noise to samples: the state and the estimate of the clean images beside it."""
        way = self.trajectory(run, sampling)
        self._way(run, {"state x": way.x, "estimate of x0": way.x0}, way.t, sampling)

    def two_ways(self, run: Run, samplings: Mapping[str, Sampling]) -> None:
        """A slider over the states of several samplings, by name, that take the same steps."""
        ways = {name: self.trajectory(run, sampling) for name, sampling in samplings.items()}
        one = next(iter(samplings))
        self._way(run, {name: way.x for name, way in ways.items()}, ways[one].t, samplings[one])

    def _way(self, run: Run, tracks: Mapping[str, Tensor], t: Tensor, sampling: Sampling) -> None:
        n_steps = run.resolve(sampling).n_steps or 1
        times = [f"t = {v:.4g}" for v in t.tolist()]
        steps = [f", step {round(i * n_steps / (len(times) - 1)):,} of {n_steps:,}" for i in range(len(times))]
        alt = f"{sampling.n} samples that clear up from noise, in {len(times)} frames: {', '.join(tracks)}"
        said = [time + step for time, step in zip(times, steps, strict=True)]
        self.put(viewers.frames(tracks, times, said=said, name="Step from noise to image", alt=alt))

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
        shown_at = [f"epoch {e:.4g}" for e in epochs]
        alt = f"{FEW} samples of {names} at {', '.join(shown_at)}{''.join(f'; {k}' for k in extra)}"
        labels = [*shown_at, *extra]
        shown = min(epochs, key=lambda e: abs(e - runs[0].config.epochs))
        start = epochs.index(shown)
        self.put(viewers.frames(tracks, labels, name="Epoch", alt=alt, columns=5, start=start))

    def _few(self, run: Run) -> Tensor:
        _, h, w = run.record["sample_shape"]
        return images.cells(run.sheet(), (h, w))[:FEW]

    def before_after(self, run: Run, epochs: tuple[float, float]) -> None:
        """A slider between the run's sheets at two epochs, of the same noise; a sentence where the two are one."""
        labels = f"epoch {epochs[0]:.4g}", f"epoch {epochs[1]:.4g}"
        if epochs[0] == epochs[1]:
            text = f"This run keeps {labels[0]} alone: there is no second sheet to hold beside this one."
            self.put(f"{viewers.picture(run.at(epochs[0]).sheet(), f'Samples at {labels[0]}')}<p>{text}</p>")
            return
        before, after = (run.at(e).sheet() for e in epochs)
        alt = f"Samples of {run.config.name}"
        self.put(viewers.compare(before, after, labels, name=f"Divider between {' and '.join(labels)}", alt=alt))

    def blind(self, gan: Run, diffusion: Run) -> Pairs:
        """Show pairs of the first images of both runs' sheets, on sides that nothing tells; returns them for the key.

        Unpublished where this page only reads, and a sheet is not there.
        """
        for run in (gan, diffusion):
            self._must_keep(run, layout.sheet(run.images))
        pairs = blind(self._few(gan), self._few(diffusion))
        self.put(as_html(pairs))
        return pairs

    def key(self, pairs: Pairs) -> None:
        """A closed box that tells which image of each pair is whose, and what guessing would have given."""
        self.put(details("The key: open it once you have ticked", key(pairs, "the GAN", "the diffusion model")))


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


FEW = 20  # samples a frame of a filmstrip, and blind pairs: what shows change, and stays small
