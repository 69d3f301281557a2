"""Which predictions, objectives and times fit which schedule: what no field can tell by itself is refused here."""

import torch

from ..errors import ConfigError
from .config import DiffusionConfig
from .schedules import Schedule


def check_fit(config: DiffusionConfig, schedule: Schedule) -> None:
    """ConfigError, which tells what to use, where parts of a configuration do not fit its schedule."""
    name = config.schedule
    if schedule.scale(torch.tensor(schedule.end).double()) == 0:
        if config.prediction == "eps":
            raise ConfigError(f"prediction 'eps' says nothing of x0 at the noise end of schedule {name!r}: use v or x0")
        if config.preconditioning == "edm":
            raise ConfigError(
                f"preconditioning 'edm' tells the network ln(std / scale), which has no end on schedule {name!r}: "
                "use schedule=edm, or preconditioning=none"
            )
    if schedule.n_timesteps is None and config.objective != "simple":
        raise ConfigError(
            f"objective {config.objective!r} sums over the steps of a schedule, of which {name!r} has none of its own: "
            "use linear, respaced, cosine or sigmoid"
        )
    if config.times == "log-normal" and name != "edm":
        raise ConfigError(
            f"times 'log-normal' are those of schedule 'edm', not of {name!r}: use uniform or logit-normal"
        )
