"""Tables of the questions: architectures side by side, what scales, and what each side is good for."""

from typing import Any

from gendiff_lib.config import Config
from gendiff_lib.diffusion.config import DiffusionConfig
from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.gan.config import GANConfig
from gendiff_lib.runs.run import Run
from gendiff_lib.training.build import make
from gendiff_lib.training.memory import activation_bytes

from ..compute import GIGA
from ..exhibit import Exhibit
from ..number import Number, score_number
from ..tables.rows import spent
from ..tables.table import Rows, of_rows
from .models import Models, distance, number

MEBI = 2**20


def side_by_side(models: Models) -> Exhibit[Rows]:
    """A row a model at equal operations: its network, objective and rates, what it costs, and its distance."""
    order = sorted(models.at_equal.items(), key=lambda entry: distance(entry[1][1]))
    rows = [_row(models, name, run, scores) for name, (run, scores) in order]
    return of_rows(rows, "Each model at as many operations of training; rows in the order of their distance.")


def _row(models: Models, name: str, run: Run, scores: list[Scores]) -> dict[str, Any]:
    return {
        "model": name,
        scores[0].labels["frechet_distance"]: score_number(scores, "frechet_distance"),
        "trained by": _method(run.config),
        "parameters": f"{parameters(run):,}",
        "images seen": f"{run.images:,}",
        **_of_an_image(run),
        "GFLOP a sample": models.drawing(run),
    }


def _of_an_image(run: Run) -> dict[str, Number]:
    """What an image of training costs: operations, and the memory that a step holds of it."""
    work = run.training_operations / run.images / GIGA
    return {
        "GFLOP an image": number(work, run, "operations of training an image"),
        "MiB an image": number(memory(run), run, "activations that a training step holds, counted"),
    }


def _method(config: Config) -> str:
    """Objective and rates, in a few words."""
    batch = f"batch {config.batch_size}"
    if isinstance(config, GANConfig):
        return f"{config.loss} loss, rates {config.lrG:g} and {config.lrD:g}, {batch}"
    assert isinstance(config, DiffusionConfig)
    return f"{config.schedule} schedule, predicts {config.prediction}, rate {config.lr:g}, {batch}"


def parameters(run: Run) -> int:
    """Of all networks that are trained, both players of a GAN; averages are no parameters of their own."""
    learner = make(run.config, run.shape, len(run.record["classes"]))
    trained = [net for name, net in learner.modules.items() if name != "ema"]
    return sum(p.numel() for net in trained for p in net.parameters())


def memory(run: Run) -> float:
    """See activation_bytes; in MiB."""
    return activation_bytes(run.config, run.shape, len(run.record["classes"])) / MEBI


def scales(models: Models) -> Exhibit[Rows]:
    """A row a size or a data set and side: operations, memory and distance, at equal operations within each."""
    found = models.sized | models.scaled
    rows = [_scale_row(what, side, *entry) for what, sides in found.items() for side, entry in sides.items()]
    return of_rows(rows, "Distances compare within a row's data set alone: each is scored against its own images.")


def _scale_row(what: str, side: str, run: Run, scores: list[Scores]) -> dict[str, Any]:
    return {
        "data": what,
        "side": side,
        "model": run.config.name,
        "epochs": f"{run.config.epochs:.4g}",
        "petaFLOP": spent(scores),
        **_of_an_image(run),
        scores[0].labels["frechet_distance"]: score_number(scores, "frechet_distance"),
        "real images": scores[0].reals,
        "n": f"{scores[0].n_fake:,}",
    }
