import csv
import math
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from gendiff_lib.data import load
from gendiff_lib.errors import GendiffError
from gendiff_lib.gan.collapse import PATIENCE, SAME, Collapse, collapsed, nearest
from gendiff_lib.gan.config import DCGANNetwork
from gendiff_lib.progress import Progress
from gendiff_lib.streams import stream
from gendiff_lib.training.build import make
from gendiff_lib.training.loop import fit

ROWS = 40  # of 100 updates each, a quarter of an epoch
LASTS = PATIENCE // 100 - 2  # nine rows of ten
HEALTHY = {
    "loss_d": 0.4, "loss_g": 3.0, "grad_norm_d": 20.0, "grad_norm_g": 30.0, "accuracy_real": 0.96,
    "accuracy_fake": 0.97, "diversity": 0.7, "nearest": 0.3,
}  # fmt: skip
IGNORES, REPEATS, WON = "the generator ignores z", "the generator repeats itself", "the discriminator has won"


def history(start=20, end=ROWS, **changed):
    """That of a healthy run, columns changed from row `start` to `end`: to a value, or to a function of the row."""
    rows = range(ROWS)
    columns = {k: [v] * ROWS for k, v in HEALTHY.items()}
    for name, value in changed.items():
        columns[name][start:end] = [value(i) if callable(value) else value for i in rows[start:end]]
    return {"epoch": [(i + 1) / 4 for i in rows], "step": [100 * (i + 1) for i in rows]} | columns


def fires(row, why):
    return Collapse((row + 1) / 4, why)


def published():
    path = Path(__file__).parents[2] / "runs" / "dcgan-32-265a07ec5657" / "history.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def test_the_published_healthy_run_has_not_collapsed():
    assert len(published()["step"]) == 500
    assert collapsed(published()) is None
    assert collapsed(history()) is None
    assert collapsed({}) is None


@pytest.mark.parametrize(("start", "fired"), [(0, 9), (5, 13), (20, 28)])
def test_a_generator_that_ignores_z_has_collapsed_once_nine_rows_of_ten_say_so(start, fired):
    assert collapsed(history(start, diversity=0.9 * SAME)) == fires(fired, IGNORES)


def test_a_generator_that_lost_most_of_its_diversity_has_collapsed():
    assert collapsed(history(diversity=0.7 / 4 - 1e-6)) == fires(20 + LASTS, IGNORES)
    assert collapsed(history(diversity=0.7 / 4)) is None


def test_one_image_now_and_another_later_is_a_collapse_too():
    """Two images that take turns: at any time all latents give one of them."""
    turns = torch.stack([torch.full((64, 3, 8, 8), value) for value in (-0.5, 0.5)])
    assert [(2 * images.var(0).mean()).sqrt().item() for images in turns] == [0, 0]
    assert collapsed(history(diversity=0.0, loss_g=lambda i: 2.0 + i % 2)) == fires(20 + LASTS, IGNORES)


def test_a_sign_must_last():
    assert collapsed(history(20, 28, diversity=0.0)) is None
    assert collapsed(history(20, 29, diversity=0.0)) == fires(28, IGNORES)
    assert collapsed(history(20, diversity=lambda i: 0.7 if i == 25 else 0.0)) == fires(29, IGNORES)
    assert collapsed(history(20, diversity=lambda i: 0.7 if i % 5 == 0 else 0.0)) is None


class Two(torch.nn.Module):
    """A generator of two images, the latent's first sign choosing one."""

    def __init__(self):
        super().__init__()
        self.images = torch.nn.Parameter(torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1)

    def forward(self, z):
        return self.images[(z[:, 0, 0, 0] > 0).long()]


def test_two_images_at_once_are_as_diverse_as_a_healthy_run_and_only_their_twins_tell(gan):
    learner = make(gan, (3, 8, 8), 10)
    learner.generator = learner.modules["generator"] = Two()
    diversity = learner.diagnose()["diversity"]
    a, b = learner.generator.images.detach()
    n = int((stream_latents(gan)[:, 0] > 0).sum())
    assert_close(diversity, (a - b).square().mean().sqrt() * (2 * n * (64 - n) / (64 * 63)) ** 0.5)
    assert diversity > 0.5
    twins = nearest(learner.generator(stream_latents(gan)).detach())
    assert twins == 0
    told = history(diversity=diversity.item(), nearest=twins.item())
    assert collapsed(told) == fires(20 + LASTS, REPEATS)
    assert collapsed({k: v for k, v in told.items() if k != "nearest"}) is None


def stream_latents(gan):
    return torch.randn(64, gan.nz, 1, 1, generator=stream("diversity", gan.seed))


def test_nearest_by_hand():
    images = torch.tensor([0.0, 0.1, 0.3, 0.9])[:, None, None, None].expand(4, 3, 2, 2)
    assert nearest(images).item() == pytest.approx(0.1)  # of 0.1, 0.1, 0.2, 0.6 the lower middle
    real = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert nearest(real) > 10 * SAME


WINNING = {
    "accuracy_real": 1.0, "accuracy_fake": 0.995, "grad_norm_g": lambda i: 30 * 0.1 ** (i - 18),
    "loss_g": lambda i: 3.0 + i / 10,
}  # fmt: skip


def test_a_discriminator_that_has_won_is_a_collapse():
    assert collapsed(history(**WINNING)) == fires(20 + LASTS, WON)
    minimax = history(**WINNING | {"loss_g": lambda i: -math.exp(-i)})
    minimax["loss_g"][:20] = [-0.5] * 20
    assert collapsed(minimax) == fires(20 + LASTS, WON)


@pytest.mark.parametrize(
    "healthy", [{"accuracy_real": 0.98}, {"accuracy_fake": 0.98}, {"grad_norm_g": 3.0}, {"loss_g": 2.9}]
)
def test_a_discriminator_has_not_won_by_less(healthy):
    assert collapsed(history(**WINNING | healthy)) is None


def test_the_first_sign_is_told():
    both = history(**WINNING, diversity=lambda i: 0.0 if i > 25 else 0.7)
    assert collapsed(both) == fires(20 + LASTS, WON)
    assert collapsed(history(**WINNING, diversity=0.0)).why == IGNORES  # of two at once, the generator's own


def test_a_missing_number_is_no_sign():
    assert collapsed(history(**dict.fromkeys(("accuracy_real", "diversity", "nearest"), math.nan))) is None
    told = history(diversity=0.1)
    told["diversity"][0] = math.nan
    assert collapsed(told) == fires(20 + LASTS, IGNORES)  # nor does it hide one


def test_the_history_of_another_model_is_refused():
    with pytest.raises(GendiffError, match="no column grad_norm_g: only a GAN's"):
        collapsed({k: v for k, v in history().items() if k != "grad_norm_g"})


# ---------------------------------------------------------------- trainings of another data set


def trained(gan, epochs, prepare=lambda learner: None, **changed):
    """The history of a training on 8x8 shapes; an epoch has 312 updates."""
    network = DCGANNetwork(ngf=8, ndf=8, norm=changed.pop("norm", "batch"))
    config = gan.but(network=network, nz=16, n_train=None, batch_size=32, epochs=epochs, **changed)
    learner, dataset = make(config, (3, 8, 8), 10), load("shapes:8", "train")
    prepare(learner)
    progress = Progress(stream("training", config.seed), len(dataset.samples) // 32)
    assert len(list(fit(learner, dataset, config, progress))) > PATIENCE
    return {name: [row[name] for row in progress.history] for name in progress.history[0]}


def test_a_healthy_training_on_shapes_is_silent_though_its_first_images_are_alike(gan):
    told = trained(gan, 3.4, norm="none")
    assert told["diversity"][0] < SAME
    assert told["diversity"][-1] > 5 * SAME
    assert collapsed(told) is None


def test_a_trained_generator_that_cannot_see_z_has_collapsed(gan):
    told = trained(gan, 3.4, lambda learner: learner.generator.main[0].register_forward_hook(lambda m, i, out: 0 * out))
    assert max(told["diversity"]) < 1e-6
    fired = collapsed(told)
    assert fired.why == IGNORES
    assert PATIENCE / 312 <= fired.epoch < PATIENCE / 312 + 0.2
