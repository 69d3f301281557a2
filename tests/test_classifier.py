import pytest
import torch

from gendiff_lib.classifier import Classifier, ClassifierConfig
from gendiff_lib.errors import ConfigError
from gendiff_lib.networks.resnet9 import ResNet9
from gendiff_lib.progress import Progress
from gendiff_lib.training.build import make

SHAPE = (3, 16, 16)
TINY = ClassifierConfig(name="tiny", dataset="shapes:16", width=2, schedule_epochs=10, batch_size=8)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def after(epochs):
    return Progress(rng(), 1, epoch=epochs)


def test_features_are_eight_times_the_width_and_the_logits_their_linear_map():
    net = ResNet9(4, SHAPE, 7).eval()
    x = torch.randn(3, *SHAPE)
    assert net.features(x).shape == (3, 32)
    assert net(x).shape == (3, 7)
    torch.testing.assert_close(net.head(net.features(x)), net(x))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2,)])
def test_images_too_small_are_refused(shape):
    with pytest.raises(ConfigError, match="at least 16 pixels"):
        Classifier(TINY, shape)


def test_the_learning_rate_rises_over_a_fifth_of_the_schedule_and_falls_to_its_end():
    learner = make(TINY.but(lr=0.5), SHAPE, 10)
    rates = []
    for epochs in (0, 1, 2, 6, 10, 50):
        learner.step(torch.zeros(2, *SHAPE), torch.zeros(2).long(), after(epochs), rng())
        rates.append(learner.optimizers["net"].param_groups[0]["lr"])
    assert rates == pytest.approx([0.0005, 0.25, 0.5, 0.25, 0.0005, 0.0005])


def test_a_crop_is_a_window_of_the_reflected_image():
    learner = make(TINY.but(crop=2), SHAPE, 10)
    x = torch.arange(256.0).reshape(1, 1, 16, 16).repeat(40, 3, 1, 1)
    padded = torch.nn.functional.pad(x[:1], (2,) * 4, mode="reflect")
    windows = padded.unfold(2, 16, 1).unfold(3, 16, 1)[0, 0].reshape(25, 16, 16)
    cropped = learner._crop(x, rng())
    found = [next(i for i, w in enumerate(windows) if torch.equal(c[0], w)) for c in cropped]
    assert all(torch.equal(c[0], c[2]) for c in cropped)
    assert len(set(found)) > 12
    assert torch.equal(make(TINY.but(crop=0), SHAPE, 10)._crop(x, rng()), x)


def test_training_teaches_and_reports_the_error():
    learner = make(TINY.but(width=4, crop=0, lr=0.02, label_smoothing=0.0), SHAPE, 2)
    labels = torch.arange(16) % 2
    images = (labels[:, None, None, None] * 200).byte().expand(16, *SHAPE).contiguous()
    x = images / 127.5 - 1
    first = learner.step(x, labels, after(2), rng())
    for _ in range(20):
        last = learner.step(x, labels, after(2), rng())
    assert last["loss"] < 0.3 * first["loss"]
    assert last["error"] == 0
    assert learner.accuracy(images, labels) == 1.0
    assert learner.accuracy(images, 1 - labels, batch_size=5) == 0.0
    assert learner.net.training
