"""What each side is good for and what it lacks, in sentences; each is told only with the number that carries it."""

from collections.abc import Callable, Iterator

from gendiff_lib.diffusion.likelihood import Bits
from gendiff_lib.gan.collapse import collapsed
from gendiff_lib.runs.run import Run

from .. import compute, results
from ..claims.evidence import Missing
from ..exhibit import Exhibit
from ..reading import LACKING
from ..verdict import said
from .models import Models, number


def listed(models: Models) -> Exhibit[list[str]]:
    """A list of sentences; what is not measured is not told."""
    found = list(_told(models))
    return Exhibit(f'<ul class="insights">{"".join(f"<li>{sentence}</li>" for sentence in found)}</ul>', found)


def _told(models: Models) -> Iterator[str]:
    for sentence in SENTENCES:
        try:
            yield sentence(models)
        except (Missing, *LACKING):
            continue


def one_pass(models: Models) -> str:
    """The GAN's strength: one evaluation."""
    costs = {}
    for side, run in models.pair.items():
        costs[side] = models.drawing(run), run.evaluations(models.asked.sampling(run))
    (gan, _), (diffusion, n) = costs.values()
    return (
        f"<strong>A GAN draws in one pass.</strong> A sample costs {gan.html} GFLOP, one of the diffusion model, in "
        f"{n} evaluations, {diffusion.html}: {diffusion.value / gan.value:.0f} times as much."
    )


def early_and_late(models: Models) -> str:
    """Which side leads after how many operations, of all models."""
    curves = compute.curves(models.asked, models.runs)
    return f"<strong>Who is ahead, by the means.</strong> {compute.led(curves)}{compute.of_trials(models.asked)}"


def likelihood(models: Models) -> str:
    """The diffusion model's strength: it codes images it has not seen."""
    run = models.pair["diffusion"]
    test, train = (_bits(models, split) for split in ("test", "train"))
    shown, beside = (_coded(run, found, split) for found, split in ((test, "test"), (train, "train")))
    return (
        f"<strong>A diffusion model can be asked about an image.</strong> It codes test images with {shown} bits per "
        f"dimension, training images with {beside}; a GAN gives no such number."
    )


def _coded(run: Run, found: Bits, split: str) -> str:
    how = {
        "standard error": f"{found.error:.3f}",
        "made again by": f"gendiff bits {run.id} --n {found.n} --split {split}",
    }
    what = f"bits per dimension of {found.n} images, {split}"
    return number(found.total, run, what, ".3f", **how).html


def _bits(models: Models, split: str) -> Bits:
    return results.bits(models.asked, models.pair["diffusion"], split)


def balance(models: Models) -> str:
    """The GAN's limit: two players that must keep pace."""
    run = models.pair["GAN"]
    right = run.history["accuracy_real"]
    late = right[-max(len(right) // 4, 1) :]
    shown = number(sum(late) / len(late), run, "mean over the last quarter of training", ".0%").html
    return (
        f"<strong>A GAN is a balance.</strong> Over its last quarter its discriminator calls {shown} of real images "
        f"real; by the rule of the method's page: {said(collapsed(run.history), run)}"
    )


def steady_loss(models: Models) -> str:
    """The diffusion model's strength: a loss that says how far it is."""
    run = models.pair["diffusion"]
    loss = run.history["loss"]
    tenth = max(len(loss) // 10, 1)
    first, last = sum(loss[:tenth]) / tenth, sum(loss[-tenth:]) / tenth
    shown = number(last / first, run, "mean loss over the last tenth of training, over that of the first").html
    return (
        f"<strong>A diffusion model's loss falls.</strong> Over its last tenth of training it is {shown} times that "
        "over the first; but it measures denoising, not the look of samples."
    )


SENTENCES: tuple[Callable[[Models], str], ...] = (one_pass, early_and_late, balance, likelihood, steady_loss)
