"""What there is to choose from, and what it costs."""

import argparse
import typing
from collections.abc import Sequence

from .. import data
from ..diffusion.model import DENOISERS
from ..diffusion.objectives import PREDICTIONS, TIMES, WEIGHTINGS
from ..diffusion.samplers import SAMPLERS
from ..diffusion.schedules import SCHEDULES
from ..experiments import EXPERIMENTS, get
from ..experiments.budget import seconds_of_image
from ..experiments.cost import operations, samples_of
from ..experiments.experiment import PRESETS, check_preset
from ..experiments.extractors import EXTRACTORS
from ..parsing import choices
from .words import print_table


def list_command(args: argparse.Namespace) -> None:
    """Show everything that can be named, or what a preset's experiments cost."""
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
        "denoisers": DENOISERS,
        "samplers": SAMPLERS,
        "extractors": EXTRACTORS,
    }
    for title, names in registries.items():
        print(f"{title:<12} {', '.join(names)}")
    for kind in dict.fromkeys(type(c) for e in EXPERIMENTS.values() for c in e.presets.values()):
        print(f"fields of {kind.__name__} (for --set)")
        for name, field in kind.fields().items():
            print(f"  {name:<32} {field.description}")
            for part in choices(field.annotation).values():
                for inner, its in part.fields().items() if part.tag() else ():
                    print(
                        f"    {f'{name}.{inner} ({part.tag()})':<38} {its.description}"
                        if inner != "type"
                        else f"    {name}={part.tag()}"
                    )


def _costs(preset: str) -> list[Sequence[str]]:
    """What each experiment of a preset costs: measured, by a few seconds of each training, on this machine."""
    check_preset(preset)
    rows: list[Sequence[str]] = [("experiment", "GFLOP an image", "epochs", "petaFLOP", "images/s here", "hours here")]
    for name, known in EXPERIMENTS.items():
        if preset not in known.presets or known.presets[preset].kind == "classifier":
            continue
        config = get(name, preset)
        cost, images = operations(config), config.epochs * samples_of(config)
        rate = 1 / seconds_of_image(config)
        told = (f"{cost / 1e9:.4g}", f"{config.epochs:.4g}", f"{cost * images / 1e15:.3g}", f"{rate:,.0f}")
        rows.append((name, *told, f"{images / rate / 3600:.2g}"))
    return rows
