"""Every file name of a run, once. Snapshots are named by the images that the training had seen."""

from pathlib import Path

RECORD = "run.json"
HISTORY = "history.csv"
CHECKPOINT = "checkpoint.pt"
SAMPLES = "samples.safetensors"
SAMPLING = "sampling.json"
SHEET = "sheet.png"
WHOLE = "whole.txt"  # when the training ended of which the study has made all that it makes; not published
APART = "-published"  # ends the folder of what is made of a published run beside a training that made other weights
DRAWING = "drawing"  # batches of an unfinished drawing; its counts are in the file of this name and .json
WEIGHTS, SHEETS, SAMPLE_SETS, BITS, RESTORED = "weights", "sheets", "samples", "bits", "restored"  # folders
FRAMES = 21  # of a trajectory
TRAJECTORY = f"trajectory-{FRAMES}.safetensors"  # states on the way to samples, beside them
SCORES = "scores-*.json"  # of a set of samples, beside it


def weights(images: int) -> Path:
    """The weights of a snapshot."""
    return Path(WEIGHTS) / f"{images:010d}.safetensors"


def sheet(images: int) -> Path:
    """The contact sheet of a snapshot, of the same noise at every one."""
    return Path(SHEETS) / f"{images:010d}.png"


def samples(images: int, sampling: str) -> Path:
    """The folder of the samples of a snapshot, by the digest of their resolved sampling."""
    return Path(SAMPLE_SETS) / f"{images:010d}-{sampling}"


def scores(extractor: str, digest: str, reference: str, n_real: int | None) -> str:
    """Scores of samples, beside them."""
    return f"scores-{extractor}-{digest}-{reference}-{n_real or 'all'}.json"


def neighbours(extractor: str, digest: str, n: int) -> str:
    """Nearest training images of samples, beside them."""
    return f"neighbours-{extractor}-{digest}-{n}.safetensors"


def bits(images: int, weights: str | None, split: str, n: int, seed: int) -> Path:
    """Bits per dimension by a snapshot."""
    return Path(BITS) / f"{images:010d}-{weights}-{split}-{n}-{seed}.json"


def restored(images: int, extractor: str, digest: str, n: int) -> Path:
    """Test images as a snapshot gives them back."""
    return Path(RESTORED) / f"{images:010d}-{extractor}-{digest}-{n}.safetensors"


def training(digest: str, only: int | None = None) -> str:
    """The hidden folder of an unfinished training; `only` where a longer one must not be disturbed."""
    return f".training-{digest}" + (f"-{only}" if only else "")


CLUSTER = ".cluster"  # the folder of jobs, with their logs


def job(name: str, digest: str, epochs: str) -> Path:
    """What is known of the last job that was to train a run."""
    return Path(CLUSTER) / f"{name}-{digest}-{epochs}.json"


# What a run is without its weights, and what its pages show: this is published.
SAMPLE_SHEETS, NEIGHBOURS = f"{SAMPLE_SETS}/*/{SHEET}", f"{SAMPLE_SETS}/*/neighbours-*.safetensors"
LIGHT = (
    RECORD, HISTORY, f"{SHEETS}/*.png", f"{BITS}/*.json", f"{RESTORED}/*.safetensors",
    f"{SAMPLE_SETS}/*/{SAMPLING}", SAMPLE_SHEETS,
    f"{SAMPLE_SETS}/*/{SCORES}", f"{SAMPLE_SETS}/*/trajectory-*.safetensors", NEIGHBOURS,
)  # fmt: skip
