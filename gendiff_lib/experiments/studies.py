"""One setting at a time of the paper's DCGAN: its section VII asks for experiments with hyper-parameters."""

from .experiment import TRIAL, Experiment
from .gan import altered_dcgan

RATES: dict[str, tuple[float, float]] = {  # of the generator and of the discriminator; the paper's are 1e-4 and 4e-4
    "study-gan-rates-1-1": (1e-4, 1e-4),
    "study-gan-rates-2-2": (2e-4, 2e-4),
    "study-gan-rates-4-4": (4e-4, 4e-4),
    "study-gan-rates-4-1": (4e-4, 1e-4),
}
BATCHES: dict[str, int] = {"study-gan-batch-32": 32, "study-gan-batch-64": 64, "study-gan-batch-256": 256}


EXPERIMENTS: dict[str, Experiment] = {
    **{
        name: altered_dcgan(f"the DCGAN at rates {g:g} and {d:g}", name, petaflops=TRIAL, changes={"lrG": g, "lrD": d})
        for name, (g, d) in RATES.items()
    },
    **{
        name: altered_dcgan(f"the DCGAN in batches of {n}", name, petaflops=TRIAL, changes={"batch_size": n})
        for name, n in BATCHES.items()
    },
}
