"""How figures look, and their text as SVG.

Generator and denoiser losses are blue, the discriminator's yellow, as in the paper; the rest suits colour-blind eyes.
"""

import io
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

COLOURS = {"loss_g": "#1f77b4", "loss": "#1f77b4", "loss_d": "#b58900", "error": "#7f7f7f"}
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")  # Okabe and Ito
CHANNELS = {"red": "#cc3311", "green": "#1b8a3a", "blue": "#2f6fd0"}
ON_BOTH = "#797979"  # a grey that is read on a light page and on a dark one
SIDES = {"GAN": "#d55e00", "diffusion": "#0072b2"}
STYLES: dict[str, Any] = {"loss_d": (0, (6, 1.5))}  # so that colour is not all that tells two losses apart
LABELS = {"loss_g": "generator", "loss_d": "discriminator", "loss": "denoiser", "error": "error"}

plt.rcParams.update(
    {
        "axes.prop_cycle": plt.cycler(color=CYCLE),  # type: ignore[attr-defined]
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "figure.figsize": (7.0, 3.6),
        "figure.constrained_layout.use": True,
        "legend.frameon": False,
        "svg.hashsalt": "gendiff",
        "svg.fonttype": "path",
    }
)


def use_svg() -> None:
    """Have notebooks draw vector figures; outside a notebook it changes nothing."""
    from IPython import get_ipython
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    if get_ipython() is not None:  # type: ignore[no-untyped-call]
        set_matplotlib_formats("svg", metadata={"Date": None})  # type: ignore[no-untyped-call]


def svg(figure: Figure) -> str:
    """The figure as SVG text, alike whenever it is drawn; the figure is closed."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return file.getvalue()
