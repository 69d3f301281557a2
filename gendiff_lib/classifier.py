"""A small classifier, trained by the project on the data set it will judge: it counts classes, and is an extractor."""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import Config, setting
from .data.dataset import Dataset
from .data.images import to_model
from .errors import ConfigError
from .learner import Learner
from .networks.resnet9 import ResNet9
from .progress import Progress
from .versions import register


class ClassifierConfig(Config):
    """A data set's own classifier, a residual network of eight convolutions."""

    kind: ClassVar[str] = "classifier"
    width: int = setting(32, "channels of the first layer", absent=32, ge=1)
    lr: float = setting(0.1, "peak learning rate of SGD", absent=0.1, ge=0.0, le=10.0)
    weight_decay: float = setting(5e-4, "weight decay of SGD", absent=5e-4, ge=0.0, le=1.0)
    crop: int = setting(4, "random crops after padding by so many pixels", absent=4, ge=0)
    label_smoothing: float = setting(0.1, "mass given to the wrong classes", absent=0.1, ge=0.0, le=0.9)
    schedule_epochs: int = setting(10, "epochs over which the learning rate rises and falls", absent=10, ge=1)


# of what a training computes: raised when the same configuration gives other weights
VERSION = register("classifier", 1)


class Classifier(Learner):
    """Cross-entropy with random crops; SGD with Nesterov momentum under a triangular learning rate."""

    saved = ("net",)

    def __init__(self, config: ClassifierConfig, shape: tuple[int, ...], n_classes: int = 10) -> None:
        """The network; ConfigError where the samples are no images of at least 16 pixels."""
        super().__init__(config, shape)
        self.classifier = config
        self.net = ResNet9(config.width, shape, n_classes)
        if config.crop >= shape[-1]:
            raise ConfigError(
                f"crop={config.crop} shifts images of {shape[-1]} pixels out of sight: give less than {shape[-1]}"
            )
        self.modules = {"net": self.net}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        config, weights = self.classifier, self.net.parameters()
        return {"net": torch.optim.SGD(weights, config.lr, 0.9, weight_decay=config.weight_decay, nesterov=True)}

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; returns `loss` and `error`, the share of the batch that was misclassified."""
        done = min(progress.epochs / self.classifier.schedule_epochs, 1.0)
        rate = self.classifier.lr * max(min(done / 0.2, (1 - done) / 0.8), 1e-3)
        for group in self.optimizers["net"].param_groups:
            group["lr"] = rate
        with self.autocast():
            logits = self.net(self._crop(x, rng)).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.classifier.label_smoothing)
        self._differentiate("net", loss)
        self.optimizers["net"].step()
        return {"loss": loss.detach(), "error": (logits.detach().argmax(1) != labels).float().mean()}

    def _crop(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Each image moved by up to `crop` pixels each way, its border reflected."""
        pad = self.classifier.crop
        if not pad:
            return x
        n, _, h, w = x.shape
        padded = F.pad(x, (pad,) * 4, mode="reflect")
        dy, dx = torch.randint(0, 2 * pad + 1, (2, n), generator=rng, device=rng.device).to(x.device)
        windows = padded.unfold(2, h, 1).unfold(3, w, 1)  # a view (N, 3, 2 pad + 1, 2 pad + 1, h, w)
        return windows[torch.arange(n, device=x.device), :, dy, dx].contiguous()

    def assess(self, split: Callable[[str], Dataset]) -> dict[str, float]:
        """See Learner.assess: the accuracy on the test split."""
        dataset = split("test")
        return {"test_accuracy": self.accuracy(dataset.samples, dataset.labels)}

    @torch.no_grad()
    def accuracy(self, samples: Tensor, labels: Tensor, batch_size: int = 500) -> float:
        """The share of uint8 images (N, 3, H, W) that the network classifies as `labels` (N,)."""
        self.net.eval()
        right = 0
        for x, y in zip(samples.split(batch_size), labels.split(batch_size), strict=True):
            with self.autocast():
                logits = self.net(to_model(x.to(self.device), self.config.image_size))
            right += int((logits.argmax(1) == y.to(self.device)).sum())
        self.net.train()
        return right / len(samples)
