"""Inception-v3 with the weights of 2015, which FID, KID and IS are defined by: torch-fidelity's network.

Its weights come from one of two files: torch-fidelity's own, or the one that `gendiff fetch inception` brings, which
lacks the last layer. Both give the same features, so both are one space; the logits, and with them IS, are the first's.
"""

import io
import zipfile
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..device import default_device
from ..errors import GendiffError
from .features import Extractor, digest_of, folded, images_at_once
from .weights import INCEPTION, INCEPTION_FEATURES, check_sha256, has_sha256, loading, named_file, weights_path

FEATURES = "2048"  # torch-fidelity's name of the layer


def inception() -> Extractor:
    """2048 features, and unbiased logits where the file at hand holds the last layer.

    GendiffError where no file of weights is to be had.
    """
    net, has_logits = load()
    device = default_device()
    fast = folded(net).to(device)

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        features, *logits = fast(images.to(device))
        return features, logits[0] if logits else features[:, :0]

    digest, resize, n = digest_of(convolutional(net)), "bilinear as in TensorFlow 1, 299 px", images_at_once(device)
    return Extractor("inception", digest, run, resize, has_logits=has_logits, batch_size=n)


def convolutional(net: nn.Module) -> dict[str, Tensor]:
    """The weights of all but the last layer, by which the network is known whichever file they came from."""
    state: dict[str, Tensor] = net.state_dict()
    return {k: v for k, v in state.items() if not k.startswith("fc.") and not k.endswith("num_batches_tracked")}


def load() -> tuple[nn.Module, bool]:
    """The network, uint8 images to features (and to logits after them), and whether it has logits."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path, whole = _weights()
    if whole:
        with loading(path, INCEPTION.remedy):
            return FeatureExtractorInceptionV3("inception", [FEATURES, "logits_unbiased"], str(path)), True
    with loading(path, INCEPTION_FEATURES.remedy):
        return _fill(_unfilled(), path), False


def _weights() -> tuple[Path, bool]:
    """The file that is at hand, and whether it is the whole one.

    Looked for where GENDIFF_INCEPTION says, else in torch's own cache, else where `gendiff fetch inception` puts it;
    else the whole one is downloaded.
    """
    features = INCEPTION_FEATURES
    if path := named_file(INCEPTION):
        return (path, False) if has_sha256(path, features.sha256) else (weights_path(INCEPTION), True)
    if features.cached.is_file() and not INCEPTION.cached.is_file():
        return check_sha256(features.cached, features.sha256, features.remedy), False
    try:
        return weights_path(INCEPTION), True
    except GendiffError as error:
        raise GendiffError(f"{error}, or run `{features.command}`, whose file gives all but IS") from None


def _unfilled() -> nn.Module:
    """torch-fidelity's network without weights, which its constructor would load from a file."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unfilled(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state_dict: Any) -> None:
            """Leave the weights as they are."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    return Unfilled("inception", [FEATURES], nothing)


def _fill(net: nn.Module, path: Path) -> nn.Module:
    """`net` with the weights of the fetched file: of its layers in order weight, bias, mean and variance.

    The file is a TorchScript archive. Its tensors are read as the bytes that they are; nothing in it is run.
    """
    layers = [name for name, module in net.named_modules() if hasattr(module, "conv") and hasattr(module, "bn")]
    parts = ("conv.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    state = net.state_dict()
    with zipfile.ZipFile(path) as archive:
        for i, (layer, part) in enumerate(product(layers, parts)):
            stored = bytearray(archive.read(f"out_jit_module/data/{i}"))
            there = state[f"{layer}.{part}"]
            there.copy_(torch.frombuffer(stored, dtype=torch.float32).reshape(there.shape))
    return net
