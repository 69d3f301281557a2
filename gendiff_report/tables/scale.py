"""A hundred models at the paper's size: what they cost, how long they take on several GPUs, what sharing asks for."""

from collections.abc import Callable, Sequence
from typing import Any

from gendiff_lib import paths
from gendiff_lib.data import count
from gendiff_lib.experiments.cost import PETA
from gendiff_lib.runs import layout
from gendiff_lib.runs.prune import size
from gendiff_lib.runs.train import CHECKPOINT_SECONDS

from ..exhibit import Exhibit, details
from ..number import Number
from ..scale import APART, DAY, GPUS, TOGETHER, Cost, Study, kept, operations, sent
from .table import filed

EXA, GIGA, MEGA = 1e18, 1e9, 1e6
SHOWN = 10  # trainings that have a row of their own
LEFT_OUT = "The time that GPUs take to send each other anything is left out."
BRACKETS = (
    "In brackets: if all were shared as in the best of all measured rounds, of either network, or as in the worst."
)


def costs(study: Study) -> Exhibit[Study]:
    """The most costly experiments, the others together, and all."""
    first, others = study.trainings[:SHOWN], study.trainings[SHOWN:]
    rows = [_row(study, cost["name"], [cost]) for cost in first]
    rows += [_row(study, f"the {len(others)} others", others), _row(study, "all", study.trainings)]
    shown = filed(rows, f"{study.costs['settings']['models']} models, by experiment: sums over the models of each.")
    return Exhibit(
        shown + details("How this was counted", "".join(f"<p>{n}.</p>" for n in study.costs["notes"])), study
    )


def _row(study: Study, name: str, several: Sequence[Cost]) -> dict[str, Any]:
    def total(value: Callable[[Cost], float], unit: float) -> Number:
        found = _total(several, value) / unit
        return Number(f"{found:,.0f}" if found >= 1000 else f"{found:.3g}", found, study.counted)

    return {
        "": name,
        "models": sum(c["seeds"] for c in several),
        "images seen, million": total(lambda c: float(c["images"]), MEGA),
        "training, petaFLOP": total(lambda c: float(c["training_operations"]), PETA),
        "drawing, petaFLOP": total(lambda c: float(c["drawing_operations"]), PETA),
        "parameters, million": total(lambda c: float(c["parameters"]), MEGA),
        "on disk, GB": total(kept, GIGA),
    }


def _total(several: Sequence[Cost], value: Callable[[Cost], float]) -> float:
    return sum(value(c) * int(c["seeds"]) for c in several)


def plans(study: Study) -> Exhibit[Study]:
    """Days until all are done, by how models are given to GPUs, how many there are, and which."""
    *_, rate = study.rates.values()
    rows = []
    for way in study.ways:
        used = sum(job.seconds for job in study.planned(way, rate))
        for n in GPUS:
            days = {f"days, by {name}": _days(study, way, n, r) for name, r in study.rates.items()}
            faster = used / DAY / study.days(way, n, rate)
            rows.append({"": way, "GPUs": n, **days, "times as fast as one": f"{faster:.2g}"})
    return Exhibit(filed(rows, f"Days of training, and of drawing after it. {LEFT_OUT} {BRACKETS}"), study)


def _days(study: Study, way: str, n: int, rate: float) -> Number:
    """Of what is shared with the least and the greatest: by the best and the worst of all measured rounds."""
    value, (low, high) = study.days(way, n, rate), (study.days(way, n, rate, of) for of in ("max", "min"))
    spread = f" ({low:.2g} to {high:.2g})" if f"{low:.2g}" != f"{high:.2g}" else ""
    return Number(f"{value:.2g}{spread}" if value < 100 else f"{value:.0f}{spread}", value, study.projected)


def sharing(study: Study) -> Exhibit[Study]:
    """What sharing a batch gives and asks for, of the most costly trainings."""
    *_, (device, rate) = study.rates.items()
    rows = []
    for cost in study.trainings[:SHOWN]:
        left, update = study.unshared(cost["kind"]), cost["training_operations"] / cost["updates"] / rate
        least, most, middle = (f"{study.efficiency(cost['kind'])[of]:.0%}" for of in ("min", "max", "median"))
        together = update * (left + (1 - left) / TOGETHER)
        rows.append(
            {
                "": cost["name"],
                "batch": cost["batch_size"],
                "of two processes, measured": f"{middle} ({least} to {most})",
                "seconds an update, one GPU": update,
                f"{TOGETHER} GPUs, projected": together,
                "MB that each sends an update": Number(f"{sent(cost) / MEGA:.3g}", sent(cost), study.counted),
                "GB a second, to take as long again": sent(cost) / GIGA / together,
            }
        )
    stands = "The efficiency of a GAN is that of the DCGAN, of all else that of the U-Net."
    return Exhibit(filed(rows, f"At the speed of {device}. {stands} {LEFT_OUT}"), study)


def lines(study: Study, gpus: Sequence[int]) -> dict[str, list[float]]:
    """Days by the way of giving models to GPUs, of the fastest device, over their number."""
    *_, rate = study.rates.values()
    found = {way: [study.days(way, n, rate) for n in gpus] for way in study.ways}
    return found | {"evenly divided": [study.days(APART, 1, rate) / n for n in gpus]}


def stops(study: Study) -> str:
    """Where more GPUs, or more models, are of no use, each limit with its number, as Markdown."""
    longest, fewest = study.trainings[0], min(study.trainings, key=lambda c: int(c["batch_size"]))
    large = max(study.trainings, key=lambda c: float(c["checkpoint_bytes"]))
    written = GPUS[-1] * large["checkpoint_bytes"] / CHECKPOINT_SECONDS / GIGA
    runs = len(list(paths.published_dir().glob(f"*/{layout.RECORD}")))
    tracked = size(paths.published_dir()) / MEGA
    limits = {
        "the longest training": "a model a GPU is done no sooner, whatever their number. "
        f"{longest['name']} sees {longest['images'] / MEGA:,.0f} million images, "
        f"{longest['images'] / count('cifar10'):,.0f} times the data set.",
        "the rows of a batch": "it has work for as many GPUs as it has rows, and less for each the more there are. "
        f"The smallest, of {fewest['name']}, has {fewest['batch_size']}.",
        "what every process does by itself": "noise, losses, averages and optimisers, which more GPUs do not shorten.",
        "the network between GPUs": "gradients are summed after the backward pass. At the bytes a second of the table "
        "every update takes twice as long, at ten times as many a tenth longer.",
        "a disk that all write to": f"there is a checkpoint every {CHECKPOINT_SECONDS:.0f} seconds. {GPUS[-1]} "
        f"trainings as large as {large['name']} would write {written:.2g} GB a second.",
        "the published runs": "a checkout tracks them, and is meant to stay below 30 MB. "
        f"{runs} runs take {tracked:.0f} MB, so a hundred do not fit with all that pages show of them.",
    }
    return "\n".join(f"- **At {what}**: {told}" for what, told in limits.items())


def finding(study: Study) -> str:
    """The sentences that the page leads to."""
    *_, (device, rate) = study.rates.items()
    training = _total(study.trainings, lambda c: float(c["training_operations"]))
    drawing = _total(study.trainings, lambda c: float(c["drawing_operations"]))
    share = _total(study.trainings[:1], operations) / (training + drawing)
    *_, last = GPUS
    apart, together, without = ([_days(study, way, n, rate).text for n in GPUS] for way in study.ways)
    return (
        f"{study.costs['settings']['models']} models at the paper's size take {training / EXA:.3g} exaFLOP to train, "
        f"{drawing / EXA:.2g} to draw from, and {_total(study.trainings, kept) / GIGA:.0f} GB to keep. If every "
        f"network ran as fast as DDPM's U-Net is reported to on one {device}, that would be {apart[0]} days on one "
        f"such GPU, {apart[1]} days on {GPUS[1]} and {apart[2]} days on {last}, a GPU to each model: "
        f"{study.heaviest} is {share:.0%} of all, and ends no sooner for having neighbours. With the longest trainings "
        f"shared by up to {TOGETHER} GPUs each, {last} would take {together[-1]} days, projected from two processes on "
        f"a CPU and untried on GPUs. All models but {study.heaviest} take {without[0]} days on one, {without[1]} days "
        f"on {GPUS[1]} and {without[-1]} days on {last}."
    )
