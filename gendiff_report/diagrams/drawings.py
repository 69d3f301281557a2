"""Drawings of networks and processes, each from a run or an experiment."""

import torch
from torch import Tensor, nn

from gendiff_lib.diffusion.model import Diffusion
from gendiff_lib.experiments import get
from gendiff_lib.gan.config import GANConfig
from gendiff_lib.learner import Learner
from gendiff_lib.networks.dcgan import Discriminator
from gendiff_lib.runs.run import Run
from gendiff_lib.training.build import make

from ..asking import Asking
from ..exhibit import Exhibit, details
from ..tables.table import table
from . import process as processes
from .network import diagram, figure
from .network import rows as drawn_rows
from .plan import Plan, plan
from .trace import entering, size


def architecture(asked: Asking, of: Run | str, part: str, caption: str, *, printed: str | None = None) -> Exhibit[None]:
    """A network, or a part of it by its path, as the preset `paper` has it, with its layers in a box.

    `of` is a run or, where this page has none, an experiment's name; `printed` names another experiment, whose
    network the paper prints. Where this page's own is smaller, it follows.
    """
    name, preset = of if isinstance(of, str) else of.config.name, asked.preset
    own = _survey(_untrained(asked, name, preset) if isinstance(of, str) else _fresh(of), part)
    name = printed or name
    paper = own if preset == "paper" and not printed else _survey(_untrained(asked, name, "paper"), part)
    title = f"{part} of {name}, preset paper"
    if own.layers == paper.layers:
        return Exhibit(_drawing(paper, title, caption), None)
    where = f"in {name} of the preset {preset}" if isinstance(of, str) else f"trained in {of.id}"
    drawing = _drawing(paper, title, caption, f" The one {where} has {own.parameters:,}.")
    return Exhibit(drawing + _smaller(own, f"{part} of {name}, preset {preset}", where), None)


class Probability(nn.Module):
    """A DCGAN's discriminator with its last layer, Fig. 14's sigmoid, which is taken by the loss."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.main = discriminator.main

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, side, side) to probabilities (N, 1, 1, 1)."""
        probabilities: Tensor = self.main(x)
        return probabilities


def game(run: Run, caption: str) -> Exhibit[None]:
    """The two players of a GAN, with the shapes and sizes of the run's own."""
    g, d = (_survey(_fresh(run), part) for part in ("generator", "discriminator"))
    drawing = processes.game(g.entry.shape, d.entry.shape, g.parameters, d.parameters)
    return Exhibit(figure(drawing, caption), None)


def process(run: Run, caption: str) -> Exhibit[None]:
    """The process of a diffusion run: its own schedule at five times."""
    method = _fresh(run)
    assert isinstance(method, Diffusion)
    schedule, t = method.schedule, method.schedule.steps(4).flip(0)
    scale, std = schedule.scale(t).tolist(), schedule.std(t).tolist()
    return Exhibit(figure(processes.process(t.tolist(), scale, std, "the network"), caption), None)


def _drawing(found: Plan, title: str, caption: str, note: str | None = None) -> str:
    box = details(f"Layer by layer: {title}", _layer_table(found), printed=False)
    return figure(diagram(found, title), _counted(caption, found) + (note or "")) + box


def _smaller(own: Plan, title: str, where: str) -> str:
    drawing = figure(diagram(own, title), _counted("The same, smaller.", own))
    return details(f"The one {where}", drawing + _layer_table(own), printed=False)


def _untrained(asked: Asking, name: str, preset: str) -> Learner:
    """An experiment's networks for this page's data set, as they are before training."""
    config, data = get(name, preset, dataset=asked.dataset or ""), asked.reals()
    return make(config, data.bridge.shape(config.image_size), len(data.classes))


def _fresh(run: Run) -> Learner:
    """A run's networks as they are before training, for what its configuration alone decides."""
    return make(run.config, run.shape, len(run.record["classes"]))


def _survey(method: Learner, part: str) -> Plan:
    """The parts of a method's network, such as `generator`, or of something inside it, such as `net.down.0.0`."""
    name, _, inner = part.partition(".")
    module, x = method.modules[name], torch.empty(1, *method.shape, device="meta")
    if isinstance(module, Discriminator):
        module = Probability(module)
    noise = torch.empty(1, method.config.nz, 1, 1) if isinstance(method.config, GANConfig) else x
    inputs = {"generator": (noise,), "net": (x, torch.empty(1))}.get(name, (x,))
    return plan(module.get_submodule(inner), *entering(module, inner, *inputs)) if inner else plan(module, *inputs)


def _counted(caption: str, found: Plan) -> str:
    return f"{caption} Input {size(found.entry.shape)}; {found.parameters:,} parameters."


def _layer_table(found: Plan) -> str:
    return table(drawn_rows(found), _counted("In the order of their work.", found))
