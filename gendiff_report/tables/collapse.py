"""Whether GANs have collapsed, and what their training told."""

from collections.abc import Mapping

from gendiff_lib.gan.collapse import MOST, PATIENCE, Collapse, collapsed
from gendiff_lib.runs.run import Run

from ..exhibit import Exhibit
from ..number import Number
from ..provenance import training_protocol
from ..verdict import said
from .table import filed

LAST = 10  # rows of a history that its end is told by: an epoch, where it has so many batches


def collapse(runs: Mapping[str, Run]) -> Exhibit[dict[str, Collapse | None]]:
    """A row a GAN: the rule's verdict on its history, and the means of its last epoch; found are the verdicts."""
    found = {label: collapsed(run.history) for label, run in runs.items()}
    rows = [{"model": label, "verdict": said(found[label], run), **_end(run)} for label, run in runs.items()]
    caption = (
        f"A run has collapsed where {MOST:.0%} of the rows of its history over {PATIENCE:,} batches show the same one "
        "of the signs that the method's page defines. Beside it, means over the last rows: how unlike images of a "
        "fixed batch are, of what share of real images and of fakes the discriminator is right, and the norm of the "
        "generator's gradient, before it is clipped where it is."
    )
    return Exhibit(filed(rows, caption), found)


def gan_setting(run: Run) -> str:
    """A GAN's learning rates and batch, as a label."""
    values = run.config.flat()
    return f"G {values['lrG']:g}, D {values['lrD']:g}, batch {values['batch_size']}"


def _end(run: Run) -> dict[str, Number]:
    columns = {
        "batches": ("step", ",.0f"),
        "diversity": ("diversity", ".3g"),
        "D right on real": ("accuracy_real", ".2f"),
        "D right on fakes": ("accuracy_fake", ".2f"),
        "gradient of G": ("grad_norm_g", ".3g"),
    }
    protocol, history = training_protocol(run), run.history
    told = {}
    for title, (column, form) in columns.items():
        last = [v for v in history[column][-LAST:] if v == v]  # nan: a row that does not tell it
        value = history[column][-1] if column == "step" else sum(last) / max(len(last), 1)
        told[title] = Number(format(value, form), value, protocol)
    return told
