"""A small classifier, trained by the project on the data set it will judge: it counts classes, and is an extractor."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ClassifierConfig, ConfigError
from .images import to_model
from .learner import Learner
from .progress import Progress

VERSION = 1  # of what a training computes: raised when the same configuration gives other weights


def _conv(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class ResNet9(nn.Module):
    """Nine layers with two residual pairs, the shape that airbench's forerunners made known (Page 2018).

    Features are the average-pooled last maps, 8 * width of them.
    """

    def __init__(self, width: int, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        if len(shape) != 3 or shape[-1] < 16:
            raise ConfigError(f"the classifier needs images of at least 16 pixels, not samples of shape {shape}")
        w = width
        self.enter, self.layer1 = _conv(shape[0], w), _conv(w, 2 * w)
        self.pair1 = nn.Sequential(_conv(2 * w, 2 * w), _conv(2 * w, 2 * w))
        self.layer2, self.layer3 = _conv(2 * w, 4 * w), _conv(4 * w, 8 * w)
        self.pair2 = nn.Sequential(_conv(8 * w, 8 * w), _conv(8 * w, 8 * w))
        self.head = nn.Linear(8 * w, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N, 8 * width)."""
        h = F.max_pool2d(self.layer1(self.enter(x)), 2)
        h = F.max_pool2d(self.layer2(h + self.pair1(h)), 2)
        h = F.max_pool2d(self.layer3(h), 2)
        features: Tensor = (h + self.pair2(h)).float().mean((2, 3))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to logits (N, n_classes)."""
        logits: Tensor = self.head(self.features(x))
        return logits


class Classifier(Learner):
    """Cross-entropy with random crops; SGD with Nesterov momentum under a triangular learning rate."""

    saved = ("net",)

    def __init__(self, config: ClassifierConfig, shape: tuple[int, ...], n_classes: int = 10) -> None:
        """The network and its optimiser; ConfigError where the samples are no images of at least 16 pixels."""
        super().__init__(config, shape)
        self.classifier = config
        self.net = ResNet9(config.width, shape, n_classes)
        self.modules = {"net": self.net}
        sgd = torch.optim.SGD(
            self.net.parameters(), config.lr, momentum=0.9, nesterov=True, weight_decay=config.weight_decay
        )
        self.optimizers = {"net": sgd}

    def step(self, x: Tensor, labels: Tensor, progress: Progress, rng: torch.Generator) -> dict[str, Tensor]:
        """See Learner.step; returns `loss` and `error`, the share of the batch that was misclassified."""
        done = min(progress.epochs / self.classifier.schedule_epochs, 1.0)
        rate = self.classifier.lr * max(min(done / 0.2, (1 - done) / 0.8), 1e-3)
        for group in self.optimizers["net"].param_groups:
            group["lr"] = rate
        with self.autocast():
            logits = self.net(self._crop(x, rng)).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.classifier.label_smoothing)
        self.optimizers["net"].zero_grad(set_to_none=True)
        loss.backward()
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
        rows = dy[:, None] + torch.arange(h, device=x.device)
        columns = dx[:, None] + torch.arange(w, device=x.device)
        index = torch.arange(n, device=x.device)
        return padded[index[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()

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
