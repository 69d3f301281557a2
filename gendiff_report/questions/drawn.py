"""Figures of the questions: images given back from noise, and power over spatial frequencies."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from gendiff_lib.data.images import sheet
from gendiff_lib.evaluation.spectrum import radial_power

from ..figures.plots import curves, gallery
from ..figures.style import SIDES as COLOURS
from ..figures.views import sheets
from .models import SIDES, Models
from .noise import sharing, told

LEVELS = (0.1, 0.3, 0.5, 0.8)  # from which images are shown


def given_back(models: Models) -> Figure:
    """The PSNR of test images restored from each level of noise, beside that of a GAN's nearest images.

    Lines are means over the images, bands a standard deviation of them.
    """
    figure, axes = plt.subplots()
    gan, diffusion = (models.restored(side) for side in SIDES)
    level, mean, std = diffusion.level, diffusion.psnr.mean(1), diffusion.psnr.std(1)
    axes.plot(level, mean, color=COLOURS["diffusion"], marker="o", label="denoised by the diffusion model")
    axes.fill_between(level, mean - std, mean + std, color=COLOURS["diffusion"], alpha=0.15, linewidth=0)
    found, spread = gan.psnr.mean().item(), gan.psnr.std().item()
    axes.axhline(found, color=COLOURS["GAN"], label="the nearest image of the DCGAN", linestyle="--")
    axes.axhspan(found - spread, found + spread, color=COLOURS["GAN"], alpha=0.1, linewidth=0)
    axes.set(xlabel="share of the way to noise", ylabel="PSNR, dB")
    axes.legend()
    return figure


def pictures_given_back(models: Models) -> Figure:
    """A few test images, the nearest that the GAN was found to make, and those denoised from some levels."""
    gan, diffusion = (models.restored(side) for side in SIDES)
    shown = {"test images": diffusion.shown[0], "the nearest of the DCGAN": gan.shown[1]}
    for level in LEVELS:
        i = int((diffusion.level - level).abs().argmin())
        shown[f"denoised from {level:g}"] = diffusion.shown[i + 1]
    return gallery({name: sheet(images, columns=len(images)) for name, images in shown.items()})


def same_noise(models: Models) -> Figure:
    """The first samples of every model that was given the noise of others: diffusion models, then GANs."""
    alike = [run for kind in ("diffusion", "gan") for run in sharing(models, kind)]
    return sheets({told(run): run for run in alike})


def spectra(models: Models) -> Figure:
    """The mean power of the pair's samples, and of test images, over cycles an image; both axes logarithmic."""
    real = models.real_power()
    lines, colours = {"test images": real.tolist()}, {"test images": "#000000"}
    for side, run in models.pair.items():
        name = f"{run.config.name} ({side})"
        lines[name], colours[name] = radial_power(models.images(run)).mean(0).tolist(), COLOURS[side]
    cycles = list(range(1, len(real) + 1))
    return curves(cycles, lines, xlabel="cycles an image", ylabel="power", log="xy", colours=colours)
