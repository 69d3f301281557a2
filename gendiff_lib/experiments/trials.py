"""Settings that were tried for the best pair: a table of the book tells every one of them."""

from typing import Any

from ..config import Config
from ..gan.config import DCGANNetwork
from .diffusion import FLOW, NIGHT_FLOW, NIGHT_TRANSFORMER
from .experiment import DDIM, GENERATOR, TRIAL, Experiment
from .gan import NIGHT_GAN, NIGHT_R3GAN, R3GAN

_FLOW_TRANSFORMER = NIGHT_TRANSFORMER.but(**NIGHT_FLOW)
_R3GAN = R3GAN.but(**NIGHT_R3GAN)
_TUNED_GAN = NIGHT_GAN.but(batch_size=64, lrG=2e-4, lrD=2e-4)


def _trial(title: str, base: Config, **changes: Any) -> Experiment:
    """A setting that was tried for the best pair: at 1/32 petaFLOP, in the preset `overnight` alone."""
    sampled = DDIM if base.kind == "diffusion" else GENERATOR
    return Experiment(
        title, {"overnight": base.but(**changes, seed=0)}, {"overnight": sampled["overnight"]}, petaflops=TRIAL
    )


EXPERIMENTS: dict[str, Experiment] = {
    "trial-gan-rates": _trial("both rates 2e-4, batch 64", _TUNED_GAN, name="trial-gan-rates"),
    "trial-gan-narrow": _trial(
        "half the width, both rates 4e-4, batch 64",
        _TUNED_GAN,
        name="trial-gan-narrow",
        lrG=4e-4,
        lrD=4e-4,
        network=DCGANNetwork(ngf=16, ndf=16),
    ),
    "trial-gan-batch": _trial("both rates 2e-4, batch 32", _TUNED_GAN, name="trial-gan-batch", batch_size=32),
    "trial-gan-smooth": _trial(
        "rates 4e-4 and 2e-4, batch 64, real label 0.9",
        _TUNED_GAN,
        name="trial-gan-smooth",
        lrG=4e-4,
        real_label=0.9,
    ),
    **{
        name: _trial(f"R3GAN, gamma {gamma:g}", _R3GAN, name=name, gamma=gamma)
        for name, gamma in (("trial-r3gan-low", 0.01), ("trial-r3gan-middle", 0.1), ("trial-r3gan-high", 1.0))
    },
    "trial-flow-velocity": _trial(
        "the flow transformer, predicting the velocity at uniform times",
        NIGHT_TRANSFORMER.but(**FLOW),
        name="trial-flow-velocity",
    ),
    **{
        name: _trial(f"the flow transformer, {title}", _FLOW_TRANSFORMER, name=name, **changes)
        for name, title, changes in (
            ("trial-flow-fast", "rate 2e-3", {"lr": 2e-3}),
            ("trial-flow-slow", "rate 5e-4", {"lr": 5e-4}),
            ("trial-flow-batch", "batch 16", {"batch_size": 16}),
        )
    },
}
