"""Numbers of each result version, which must not move: see golden/README.md."""

import json
from pathlib import Path

import pytest
import torch

from gendiff_lib.data import load
from gendiff_lib.diffusion import likelihood
from gendiff_lib.diffusion.estimate import Estimate as Denoised
from gendiff_lib.diffusion.schedules import SCHEDULES
from gendiff_lib.evaluation import memorisation, metrics
from gendiff_lib.evaluation.features import Extractor, Features
from gendiff_lib.evaluation.points import score_points
from gendiff_lib.evaluation.uncertainty import Estimate, noise

FOLDER = Path(__file__).parent / "golden"


def rng(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(n, mean, sd, seed):
    """Features (n, 16) with 5 logits that follow from them."""
    x = mean + sd * torch.randn(n, 16, generator=rng(seed))
    return Features(x, x[:, :5] * 2, torch.arange(n))


def scores(fake, real):
    extractor = Extractor("golden", "golden", lambda images: None, own_classes=True)
    found = metrics.score(fake, real, extractor, reference="train")
    errors = {f"{label} error": found.errors[name] for name, label in found.labels.items()}
    spreads = {"cs std": found.classifier_score_std, "kd std": found.kernel_distance_std, "shares": list(found.shares)}
    return found.values | errors | spreads


def metrics_numbers():
    """Of Gaussian features, so many that the kernel distance draws subsets of its own size, and of a lattice."""
    lattice = 0.3 * torch.cartesian_prod(*[torch.arange(4.0)] * 3)  # its distances tie, but for the last digit
    edges = Features(lattice, lattice, torch.arange(64))
    truth = load("gaussians", "test")
    visited = torch.arange(len(truth.labels)) // 25 < 2 * truth.labels  # a mode's visits grow with its number
    points = score_points(truth.samples[visited] * 1.025, truth)
    one, other = Estimate(1, 0.1, 1, "groups", 0.1, 19), Estimate(1, 0.2, 3, "training seeds", 0.2, 2)
    return {
        **{f"gaussian {k}": v for k, v in scores(gaussian(1100, 0.1, 1.1, 1), gaussian(1200, 0, 1, 2)).items()},
        **{f"lattice {k}": v for k, v in scores(edges, edges).items() if k in ("density", "precision", "recall")},
        "points distance": points.distance,
        "points of high quality": points.high_quality,
        "modes": points.modes,
        "noise": noise(one, other),
    }


def memorisation_numbers():
    """Of images of which every third is nearly a copy."""
    training, fake, test = (torch.randint(0, 256, (n, 3, 8, 8), generator=rng(n)).byte() for n in (300, 150, 290))
    fake[::3] = (training[:50].float() * 0.3 + fake[::3].float() * 0.7).byte()
    extractor = Extractor("golden", "golden", lambda x: (x.float().flatten(1)[:, ::5], x.float().flatten(1)[:, :2]))
    found = memorisation.memorisation(fake, training, test, extractor)
    return {
        f"{space} {what}": value
        for space in ("pixel", "feature")
        for what, value in (
            ("nearer", found.nearer(space)),
            ("suspects", found.suspects(space)),
            ("distances", getattr(found, space)[:6].tolist()),
            ("test distances", getattr(found, f"test_{space}")[:6].tolist()),
        )
    }


def likelihood_numbers():
    """The bound's terms for an oracle that is wrong by a little, on ten steps."""
    x0 = torch.randint(0, 256, (3, 1, 4, 4), generator=rng(0)).double() / 127.5 - 1
    wrong = 0.05 * torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(2)
    schedule = SCHEDULES["linear"](10, (0.01, 0.5))
    terms = likelihood.bound(lambda x, t: Denoised(0.9 * x0 + 0.1 * x + wrong), schedule, x0, rng(1))
    prior, steps, decoder = terms.prior.tolist(), terms.steps.mean(0).tolist(), terms.decoder.tolist()
    return {"prior": prior, "steps": steps, "decoder": decoder, "total": terms.total.tolist()}


PINNED = {
    "metrics": (metrics.VERSION, metrics_numbers),
    "memorisation": (memorisation.VERSION, memorisation_numbers),
    "likelihood": (likelihood.VERSION, likelihood_numbers),
}


@pytest.mark.parametrize("name", PINNED)
def test_the_numbers_of_a_version_have_not_moved(name, request):
    path, (version, numbers) = FOLDER / f"{name}.json", PINNED[name]
    found = {"version": version, "numbers": numbers()}
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"version": None}
    if request.config.getoption("--golden") and known["version"] != version:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        known = found
    assert known["version"] == version, "these are another version's numbers: see golden/README.md"
    assert known["numbers"].keys() == found["numbers"].keys()
    for what, values in known["numbers"].items():
        assert found["numbers"][what] == pytest.approx(values, rel=1e-6, abs=1e-9), (
            f"{what} moved: see golden/README.md"
        )
