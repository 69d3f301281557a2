"""How near generated images are to training images, beside test images."""

from collections.abc import Mapping
from typing import Any

from gendiff_lib.evaluation.memorisation import NEAR, Memorisation
from gendiff_lib.runs.run import Run

from .. import results
from ..asking import Asking
from ..exhibit import Exhibit
from ..number import Number, plain
from ..provenance import drawn, training_protocol
from .table import filed
from .there import there


def memorisation(asked: Asking, runs: Mapping[str, Run]) -> Exhibit[dict[str, Memorisation]]:
    """A row a model, of those of which it is known."""
    found, missing = there(runs, lambda run: results.memorisation(asked, run))
    rows = [_row(asked, label, runs[label], each) for label, each in found.items()]
    caption = (
        "Distance to the nearest training image. Nearer: how probably a generated image is nearer than a test "
        f"image (one half if alike). Suspects: the share nearer than all but {NEAR:.0%} of test images."
    )
    return Exhibit(missing + filed(rows, caption), found)


def _row(asked: Asking, label: str, run: Run, found: Memorisation) -> dict[str, Any]:
    values = (
        ("median distance, pixels", found.pixel.median().item(), ".0f"),
        ("of test images", found.test_pixel.median().item(), ".0f"),
        ("nearer, pixels", found.nearer("pixel"), ".2f"),
        ("nearer, features", found.nearer("feature"), ".2f"),
        ("suspects, pixels", found.suspects("pixel"), ".3f"),
        ("suspects, features", found.suspects("feature"), ".3f"),
    )
    how = _protocol(asked, run, found)
    numbers = {name: Number(format(value, form), value, how) for name, value, form in values}
    return {"": label, **numbers, "n": f"{len(found.pixel):,}", "training images": f"{run.record['data']['samples']:,}"}


def _protocol(asked: Asking, run: Run, found: Memorisation) -> dict[str, str]:
    judge, samples = asked.classifier(run), drawn(run, asked.sampling(run))
    how = {
        "n": f"{len(found.pixel):,} generated and {len(found.test_pixel):,} test images",
        "training images": f"{run.record['data']['samples']:,}" + (", each also mirrored" if run.config.flip else ""),
        "features of": f"{judge.name} {judge.digest}",
        "samples": ", ".join(f"{k} {plain(v)}" for k, v in samples.items() if k not in ("run", "device")),
    }
    return training_protocol(run) | how
