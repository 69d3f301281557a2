"""Bits per dimension of real images by a run that is a diffusion model, computed once and kept beside it."""

import time
from dataclasses import asdict
from typing import Literal

from ..config import Sampling
from ..data import load
from ..device import check_precision, commit, device_name
from ..diffusion import likelihood
from ..diffusion.config import DiffusionConfig
from ..diffusion.likelihood import Bits
from ..diffusion.model import Diffusion
from ..errors import ConfigError
from ..runs import files, layout
from ..runs.run import Run
from ..runs.samples import check_weights
from ..streams import stream


def bits_of(run: Run, n: int, split: str = "test", weights: Literal["raw", "ema"] | None = None, seed: int = 0) -> Bits:
    """Bits per dimension of n images of a split, a balanced choice, by the variational bound; kept.

    ConfigError for a run that is no diffusion model of images on a schedule with steps of its own.
    """
    if n < 2:
        raise ConfigError(f"n={n} images give no mean with an error: give at least 2")
    is_image = len(run.record["sample_shape"]) == 3  # told without the data, which kept bits do not need
    config = run.config
    if not isinstance(config, DiffusionConfig) or not is_image or config.image_size or config.latent:
        raise ConfigError(
            f"{run.id} has no bits per dimension: they are a diffusion model's, of images at their own size, no latents"
        )
    resolved = run.resolve(Sampling(weights=weights))
    path, there = run.place(layout.bits(run.images, resolved.weights, split, n, seed))
    if there:
        with files.understanding(path):
            kept = dict(files.read_json(path))
            return Bits(**{**kept, "steps": tuple(kept["steps"])})
    learner = run.learner
    assert isinstance(learner, Diffusion)
    check_precision(run.config, learner.device)
    chosen = load(run.config.dataset, split).choose(n, "checked", "n")
    check_weights(run, resolved)
    denoise, rng = learner.denoise(resolved), stream("bits", seed, device=learner.device)
    for module in learner.modules.values():  # no dropout
        module.eval()
    started = time.monotonic()
    bounds = [
        likelihood.bound(denoise, learner.schedule, chosen.bridge.encode(part.to(learner.device), None), rng)
        for part in chosen.samples.split(128)
    ]
    how = {"split": split, "seed": seed, "weights": resolved.weights, "device": device_name(learner.device)}
    how |= {"version": likelihood.VERSION, "commit": commit()["commit"]}
    found = Bits.of(bounds, seconds=time.monotonic() - started, **how)
    files.write_json(path, asdict(found))
    return found
