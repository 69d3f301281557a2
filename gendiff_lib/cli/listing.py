"""What there is to choose from, and what it costs."""

import argparse
import sys
import typing
from collections.abc import Sequence

from pydantic.fields import FieldInfo

from .. import data
from ..diffusion.grids import GRIDS
from ..diffusion.model import DENOISERS
from ..diffusion.objectives import PREDICTIONS, TIMES, WEIGHTINGS
from ..diffusion.preconditioning import PRECONDITIONINGS
from ..diffusion.samplers import SAMPLERS
from ..diffusion.schedules import SCHEDULES
from ..experiments import EXPERIMENTS, get
from ..experiments.budget import seconds_of_image
from ..experiments.cost import operations, samples_of
from ..experiments.experiment import PRESETS
from ..experiments.extractors import EXTRACTORS
from ..parsing import choices, named_values
from ..training.build import CONFIGS
from .parser import command, option
from .words import print_table


@command(
    option("--preset", choices=PRESETS, help="what each experiment costs in this size: operations, epochs, hours here")
)
def list_command(args: argparse.Namespace) -> None:
    """List experiments, data sets, samplers, denoisers, schedules and the rest."""
    if args.preset is not None:
        print_table(_costs(args.preset))
        return
    print("experiments")
    for name, known in EXPERIMENTS.items():
        print(f"  {name:<20} {known.title}")
    registries: dict[str, typing.Iterable[str]] = {
        "presets": PRESETS,
        "data sets": data.DATASETS,
        "schedules": SCHEDULES,
        "predictions": PREDICTIONS,
        "weightings": WEIGHTINGS,
        "times": TIMES,
        "preconditioning": PRECONDITIONINGS,
        "denoisers": DENOISERS,
        "samplers": SAMPLERS,
        "grids": GRIDS,
        "extractors": EXTRACTORS,
    }
    for title, names in registries.items():
        print(f"{title:<16} {', '.join(names)}")
    for kind in CONFIGS.values():
        print(f"fields of {kind.__name__} (for --set)")
        for name, field in kind.fields().items():
            print(f"  {name:<32} {_told(field)}")
            for tag, part in choices(field.annotation).items():
                print(f"    {name}={tag}")
                for inner, its in part.model_fields.items():
                    if inner != "type":
                        print(f"    {f'{name}.{inner} ({tag})':<38} {_told(its)}")


def _told(field: FieldInfo) -> str:
    """What a field is, and the words that it takes where it takes no others."""
    values = ", ".join(named_values(field.annotation))
    return f"{field.description}: {values}" if values else str(field.description)


def _costs(preset: str) -> list[Sequence[str]]:
    """What each experiment of a preset costs: measured, by a second of each training, on this machine."""
    rows: list[Sequence[str]] = [("experiment", "GFLOP an image", "epochs", "petaFLOP", "images/s here", "hours here")]
    known = [name for name, e in EXPERIMENTS.items() if preset in e.presets and e.presets[preset].kind != "classifier"]
    print(f"measuring {len(known)} trainings, some seconds each", file=sys.stderr)
    for name in known:
        config = get(name, preset)
        cost, images = operations(config), config.epochs * samples_of(config)
        rate = 1 / seconds_of_image(config, 1.0)
        told = (f"{cost / 1e9:.4g}", f"{config.epochs:.4g}", f"{cost * images / 1e15:.3g}", f"{rate:,.0f}")
        rows.append((name, *told, f"{images / rate / 3600:.2g}"))
    return rows
