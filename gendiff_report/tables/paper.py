"""What the paper prints, beside ours: its hyper-parameters (Figs. 16 and 17) and its Table 1."""

from collections.abc import Mapping
from typing import Any

from gendiff_lib.evaluation.scores import Scores
from gendiff_lib.parsing import as_text
from gendiff_lib.runs.run import Run

from .. import results
from ..asking import Asking
from ..exhibit import Exhibit, details
from ..number import over, plain, score_number
from ..printed import FIG16, FIG17, TABLE1
from .protocol import protocol_table
from .rows import NOISE_NOTE, cell, protocol_row, spent
from .table import filed

MISSING = "not computed here"
ALIKE = tuple((name, name) for name in ("precision", "recall", "density", "coverage"))
METRICS = (("classifier_score", "Inception Score"), ("frechet_distance", "FID"), *ALIKE)


def printed(asked: Asking, run: Run) -> Exhibit[None]:
    """The hyper-parameters that the paper prints for this model (Fig. 16 or 17), beside the run's."""
    ours = {name.rpartition(".")[2]: value for name, value in run.config.flat().items()}
    ours |= {"num_epochs": run.config.epochs, "nc": 3, "ngpu": "not used"}
    ours |= {"image_size": run.config.image_size or run.record["sample_shape"][-1]}
    ours |= {"train_batch_size": run.config.batch_size, "inference_batch_size": asked.sampling(run).batch_size}
    figure = FIG16 if run.config.kind == "gan" else FIG17
    rows = [{"name": k, "printed": plain(v), "this run": plain(ours[k])} for k, v in figure.items()]
    return Exhibit(filed(rows, f"The paper's Fig. {16 if figure is FIG16 else 17}, and what this run used."), None)


def table1(asked: Asking, gan: Run, diffusion: Run) -> Exhibit[dict[str, list[Scores]]]:
    """The paper's Table 1 beside ours, at one n. IS and FID are shown only where Inception-v3 computed them."""
    runs, n = {"DCGAN": gan, "diffusion": diffusion}, asked.equal_n(gan, diffusion)
    ours = {k: results.several(asked, run, asked.sampling(run, n=n)) for k, run in runs.items()}
    famous = {k: results.kept(asked, run, "inception", n) for k, run in runs.items()}
    rows = [_metric_row(name, metric, ours, famous) for name, metric in METRICS]
    work = {f"{k}, offline": spent(scores) for k, scores in ours.items()}
    rows.append(dict.fromkeys(rows[0], "") | {"": "petaFLOP of the training"} | work)
    caption = (
        f"n = {n:,} each. Offline: {ours['DCGAN'][0].extractor}, whose scores are no IS, FID and KID; "
        f"mean ± std over {over(ours['DCGAN'])} and {over(ours['diffusion'])}. {NOISE_NOTE}"
    )
    shown = {f"{k}, offline": s for k, s in ours.items()} | {f"{k}, Inception": s for k, s in famous.items() if s}
    protocols = details("Protocol of ours", protocol_table([protocol_row(k, s) for k, s in shown.items()]))
    how = "" if all(famous.values()) else _how_to_have_inceptions(runs, n)
    return Exhibit(filed(rows, caption) + protocols + how, ours)


def _metric_row(
    name: str, metric: str, ours: Mapping[str, list[Scores]], famous: Mapping[str, list[Scores]]
) -> dict[str, Any]:
    gan, diffusion = TABLE1.get(metric, ("", ""))
    row: dict[str, Any] = {"": metric, "DCGAN, paper": gan, "diffusion, paper": diffusion}
    for k, scored in famous.items() if any(famous.values()) else ():
        row[f"{k}, Inception"] = cell(scored, name) if scored else MISSING
    for k, scored in ours.items():
        row["offline, it is"] = scored[0].labels[name]
        row[f"{k}, offline"] = score_number(scored, name)
    return row


def _how_to_have_inceptions(runs: Mapping[str, Run], n: int) -> str:
    commands = " and ".join(
        f"<code>gendiff score {run.id} --epoch {as_text(run.config.epochs)} --n {n} --extractor inception</code>"
        for run in runs.values()
    )
    return f"<p>IS and FID need Inception-v3's weights: {commands} compute them.</p>"
