"""One setting at a time of the paper's DCGAN: its section VII asks for experiments with hyper-parameters."""

from .experiment import GENERATOR, Experiment
from .gan import NIGHT_GAN

PAPERS = "dcgan-32"  # the run of the paper's own rates and batch
RATES: dict[str, tuple[float, float]] = {  # of the generator and of the discriminator
    "study-gan-rates-1-1": (1e-4, 1e-4),
    "study-gan-rates-2-2": (2e-4, 2e-4),
    "study-gan-rates-4-4": (4e-4, 4e-4),
    "study-gan-rates-4-1": (4e-4, 1e-4),
}
BATCHES: dict[str, int] = {"study-gan-batch-32": 32, "study-gan-batch-64": 64, "study-gan-batch-256": 256}


def _study(name: str, title: str, **changes: float) -> Experiment:
    """A DCGAN at 32x32 pixels, at 1/32 petaFLOP, in the preset `overnight` alone."""
    config = NIGHT_GAN.but(name=name, seed=0, snapshots=(), **changes)
    return Experiment(title, {"overnight": config}, {"overnight": GENERATOR["overnight"]}, petaflops=1 / 32)


EXPERIMENTS: dict[str, Experiment] = {
    **{
        name: _study(name, f"the DCGAN, rates {g:g} and {d:g}, else the paper's", lrG=g, lrD=d)
        for name, (g, d) in RATES.items()
    },
    **{
        name: _study(name, f"the DCGAN in batches of {n}, else the paper's", batch_size=n)
        for name, n in BATCHES.items()
    },
}
