"""Every file name of a run, once. Snapshots are named by the images that the training had seen."""

from pathlib import Path

RECORD = "run.json"
HISTORY = "history.csv"
CHECKPOINT = "checkpoint.pt"
SAMPLES = "samples.safetensors"
SAMPLING = "sampling.json"
SHEET = "sheet.png"
WHOLE = "whole.txt"  # when the training ended of which the study has made all that it makes; not published
DRAWING = "drawing"  # batches of an unfinished drawing


def weights(images: int) -> Path:
    """The weights of a snapshot."""
    return Path("weights") / f"{images:010d}.safetensors"


def sheet(images: int) -> Path:
    """The contact sheet of a snapshot, of the same noise at every one."""
    return Path("sheets") / f"{images:010d}.png"


def samples(images: int, sampling: str) -> Path:
    """The folder of the samples of a snapshot, by the digest of their resolved sampling."""
    return Path("samples") / f"{images:010d}-{sampling}"


def scores(extractor: str, digest: str, reference: str, n_real: int | None) -> str:
    """Scores of samples, beside them."""
    return f"scores-{extractor}-{digest}-{reference}-{n_real or 'all'}.json"


def trajectory(frames: int) -> str:
    """States on the way to samples, beside them."""
    return f"trajectory-{frames}.safetensors"


def neighbours(extractor: str, digest: str, n: int) -> str:
    """Nearest training images of samples, beside them."""
    return f"neighbours-{extractor}-{digest}-{n}.safetensors"


def bits(images: int, weights: str | None, split: str, n: int, seed: int) -> Path:
    """Bits per dimension by a snapshot."""
    return Path("bits") / f"{images:010d}-{weights}-{split}-{n}-{seed}.json"


def training(digest: str, only: int | None = None) -> str:
    """The hidden folder of an unfinished training; `only` where a longer one must not be disturbed."""
    return f".training-{digest}" + (f"-{only}" if only else "")


# What a run is without its weights, and what its pages show: this is published.
LIGHT = (
    RECORD, HISTORY, "sheets/*.png", "bits/*.json", f"samples/*/{SAMPLING}", f"samples/*/{SHEET}",
    "samples/*/scores-*.json", "samples/*/trajectory-*.safetensors", "samples/*/neighbours-*.safetensors",
)  # fmt: skip
