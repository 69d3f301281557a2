"""The paper's four questions, each in parts that a rule can decide; no answer is typed.

Each part is put as what the paper hopes for, so that yes means it holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..claims.ruling import INCONCLUSIVE, NOT_REACHED, NOT_REPLICATED, REPLICATED, Ruling
from ..claims.stated import told
from . import noise, rules
from .models import Models

ANSWERS = {REPLICATED: "yes", NOT_REPLICATED: "no", INCONCLUSIVE: INCONCLUSIVE, NOT_REACHED: NOT_REACHED}


@dataclass(frozen=True)
class Part:
    """What is asked, the rule in words, and the function that is the rule."""

    name: str  # by which its block is linked to
    asked: str
    rule: str
    decide: Callable[[Models], Ruling]

    def answer(self, models: Models) -> Ruling:
        """What the models say of it."""
        return told(lambda: self.decide(models))


@dataclass(frozen=True)
class Question:
    """One of the four, in our words."""

    title: str
    parts: Sequence[Part]


QUESTIONS = {
    "architectures": Question(
        "Architectures and training, side by side",
        (
            Part(
                "equal",
                "At equal operations of training, does the paper's diffusion model make better images than its DCGAN?",
                "Yes where its distance to the training images is lower beyond the noise, by every extractor asked.",
                rules.at_equal_operations,
            ),
            Part(
                "best",
                "Does the best diffusion model of this report then make better images than its best GAN?",
                "The same of the model of either side with the least distance after as many operations (1/8 petaFLOP "
                "overnight), by the offline extractor. Being the least of several, both are a little too low.",
                rules.best_of_each,
            ),
            Part(
                "cost",
                "Does a sample of the paper's diffusion model cost no more than one of its DCGAN?",
                "Yes where drawing it takes no more counted operations, by the protocol of the scores.",
                rules.cost_of_a_sample,
            ),
        ),
    ),
    "noise": Question(
        "Handling of noise: sharper, more detailed, more stable?",
        (
            Part(
                "restores",
                "Does the diffusion model give back more of a test image that is half hidden in noise than the DCGAN "
                "can make of it at all?",
                "Yes where, from half of its way to noise, DDIM comes nearer to the image than the nearest image of "
                "the DCGAN, found by following the gradient to its latent, in pixels and in an extractor's features, "
                "by more than three standard errors over the same images.",
                noise.restores,
            ),
            Part(
                "sharper",
                "Are the samples of the diffusion model sharper than the DCGAN's?",
                "Yes where the share of their power in the upper half of spatial frequencies is nearer to that of "
                "test images, in decibels, by more than three standard errors over 40 unpicked samples. Noise is not "
                "sharpness: too much power counts as much as too little; and a spectrum knows no objects.",
                noise.sharper,
            ),
            Part(
                "detailed",
                "Are the samples of the diffusion model more detailed?",
                "The same of the whole spectrum: the root mean square of the decibels over all frequencies.",
                noise.more_detailed,
            ),
            Part(
                "steadier",
                "Is the training of the diffusion model steadier at its end?",
                "Yes where, from the first scored snapshot of the last quarter of training to the last, the DCGAN's "
                "distance rises beyond the noise, and the diffusion model's does not; no the other way round.",
                noise.steadier,
            ),
            Part(
                "seeds",
                "Does the diffusion model come out more alike when it is trained again?",
                "Yes where the standard deviation of its distance over training seeds, as a share of it, is less than "
                "the DCGAN's, by more than chance may give of so few seeds (Fisher's F), by every extractor asked.",
                noise.alike_over_seeds,
            ),
            Part(
                "same",
                "Does the same noise mean the same image to diffusion models that were trained apart, and not to GANs?",
                "Yes where the correlation of images from the same noise, as a mean over all pairs of trainings (of "
                f"one model or of two), is above {noise.ALIKE:g} for diffusion models, and below it for GANs. "
                "It has no error: pairs share their models.",
                noise.same_noise,
            ),
        ),
    ),
    "scale": Question(
        "Higher resolution, and more complex data",
        (
            Part(
                "size",
                "Does the diffusion model bear 64 pixels better than the DCGAN?",
                "Yes where, at equal operations, its distance at 64 pixels over that at 32 is the smaller factor. The "
                "diffusion model is the U-Net, at both sides; scores are taken at the data's own 32 pixels. An fd near "
                "its ceiling, that of images without structure, cannot grow much, which favours whoever starts there.",
                rules.holds_at_64,
            ),
            Part(
                "classes",
                "Does the diffusion model bear more classes better than the DCGAN?",
                "Yes where, at equal operations, its distance on the whole data set over that on the plainest part of "
                "it is the smaller factor; each part is scored against its own training images.",
                rules.holds_for_more_classes,
            ),
            Part(
                "shapes",
                "Does the diffusion model draw shapes of 64 pixels better?",
                "Yes where its distance is lower beyond the noise, by a classifier of such shapes.",
                rules.draws_shapes,
            ),
        ),
    ),
    "insights": Question(
        "Insights: strengths and limits of each",
        (
            Part(
                "precise",
                "Do the samples of the diffusion model look real more often?",
                "Yes where their precision is higher beyond the noise, by every extractor asked.",
                rules.precise,
            ),
            Part(
                "covering",
                "Do the samples of the diffusion model reach more of the real images?",
                "Yes where their recall is higher beyond the noise, by every extractor asked.",
                rules.covering,
            ),
            Part(
                "copies",
                "Are fewer of the diffusion model's samples copies?",
                "Yes where fewer lie nearer to a training image, in features, than all but one in a hundred test "
                "images do, by more than three standard errors of such shares.",
                rules.copies_less,
            ),
        ),
    ),
}
