"""A hundred models at the paper's size: what they cost, how long they take on several GPUs, what sharing asks for."""

from collections.abc import Callable, Sequence
from typing import Any

from ..exhibit import Exhibit, details
from ..number import Number
from ..scale import APART, GPUS, TOGETHER, Cost, Study, kept, operations, sent
from .table import filed

PETA, EXA, GIGA, MEGA = 1e15, 1e18, 1e9, 1e6
SHOWN = 10  # trainings that have a row of their own
LEFT_OUT = "What GPUs tell each other takes no time here."


def costs(study: Study) -> Exhibit[Study]:
    """The most costly experiments, the others together, and all."""
    first, others = study.trainings[:SHOWN], study.trainings[SHOWN:]
    rows = [_row(study, cost["name"], [cost]) for cost in first]
    rows += [_row(study, f"the {len(others)} others", others), _row(study, "all", study.trainings)]
    shown = filed(rows, f"{study.costs['settings']['models']} models, by experiment.")
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
            faster = used / 86_400 / study.days(way, n, rate)
            rows.append({"": way, "GPUs": n, **days, "times as fast as one": f"{faster:.2g}"})
    return Exhibit(filed(rows, f"Days of training, and of drawing after it. {LEFT_OUT}"), study)


def _days(study: Study, way: str, n: int, rate: float) -> Number:
    """Of what is shared with the least and the greatest, by the rounds in which the efficiency was measured."""
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
                "GB a second": sent(cost) / GIGA / together,
            }
        )
    stands = "The efficiency of a GAN is that of the DCGAN, of all else that of the U-Net."
    return Exhibit(filed(rows, f"At the speed of {device}. {stands} {LEFT_OUT}"), study)


def lines(study: Study, gpus: Sequence[int]) -> dict[str, list[float]]:
    """Days by the way of giving models to GPUs, of the fastest device, over their number."""
    *_, rate = study.rates.values()
    found = {way: [study.days(way, n, rate) for n in gpus] for way in study.ways}
    return found | {"evenly divided": [study.days(APART, 1, rate) / n for n in gpus]}


def hundred(study: Study) -> str:
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
        f"network ran as fast as DDPM's U-Net is told to on one {device}, that would be {apart[0]} days of one such "
        f"GPU, {apart[1]} of {GPUS[1]} and {apart[2]} of {last}, a model to each: {study.heaviest} is {share:.0%} of "
        f"it, and ends no sooner for having neighbours. With the longest shared by up to {TOGETHER} GPUs each, {last} "
        f"would take {together[-1]} days (a projection, untried on GPUs); all but {study.heaviest} take {without[0]} "
        f"days of one, and {without[-1]} of {last}."
    )
