"""The paper's claims, each with the rules that decide on it. Verdicts come from runs alone, and are never typed.

A rule looks at runs of one size by several training seeds, all scored by one protocol: the same number of images, the
same reference, the same extractor. A rule that compares scores is asked twice, once by each of two networks that
ImageNet trained, and only a verdict that both give stands: a lead in one feature space alone is weak, and inconclusive.
A few are asked in one space, which their words then name.
What a rule needs and does not find makes the verdict "budget not reached". Each claim is judged in two sizes: the
paper's, and overnight.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gendiff_lib.evaluation.scores import ScoreError

from . import rules
from .evidence import Evidence, Missing, Seen
from .ruling import INCONCLUSIVE, NOT_REACHED, Ruling, united

CLASSIFIER = "cifar10-classifier"
SPACES = ("inception", "efficientnet")  # whose verdicts must agree
NO_SCORES = (None,)  # of a rule that asks for none


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words; what it prints; the rule in words, and the function that is the rule.

    `overnight` says what the rule is at that size, where it is another, and `smaller` what the verdict there tells of
    the claim, and what not.
    """

    number: int
    said: str
    printed: str
    rule: str
    smaller: str
    pages: tuple[str, ...]  # the notebooks that look at it
    decide: Callable[[Seen], Ruling]
    spaces: tuple[str | None, ...] = SPACES  # the extractors by each of which the rule is asked
    overnight: str = ""

    def judge(self, evidence: Evidence) -> Ruling:
        """What the evidence says of it, if it says the same by every extractor."""
        return told(lambda: united({space: self.decide(Seen(evidence, space)) for space in self.spaces}))


def told(decide: Callable[[], Ruling]) -> Ruling:
    """What a rule says; where it lacks what it needs, or may not compare what it finds, the verdict is that."""
    try:
        return decide()
    except Missing as missing:
        return Ruling(NOT_REACHED, str(missing))
    except ScoreError as unlike:
        return Ruling(INCONCLUSIVE, str(unlike))


CLAIMS = (
    Claim(
        1,
        "Diffusion gives better and more diverse images than GANs.",
        "FID 30 against 20, recall 0.56 against 0.60: its own table says the opposite",
        "The paper's diffusion model after 40 epochs has a lower fd and a higher recall than its DCGAN after 30. "
        "(Whether it is more stable is claim 7.)",
        "Which of two narrow networks leads after a fraction of a petaFLOP says nothing of where wide ones end.",
        ("09_comparison",),
        rules.better,
    ),
    Claim(
        2,
        "The DCGAN makes good images after 30 to 49 epochs.",
        "FID 20",
        "Good is as good as printed: after 30 and after 49 epochs its FID, by Inception-v3 and of 50,000 samples, is "
        "below 20.",
        "A narrow network that falls short does not show that a wide one would; one that reaches it would show it.",
        ("02_dcgan", "03_collapse"),
        rules.good,
        ("inception",),
        overnight="The same of 2,000 samples, which makes any FID larger.",
    ),
    Claim(
        3,
        "From epoch 50 on the generator wins and the images become garbage.",
        "pictures alone; its conclusion calls epochs 50 to 100 exceptionally successful",
        "Garbage is a large change: the fd after 100 epochs is more than twice that after 49.",
        "A collapse is a matter of the balance between two networks, which another width may tip or not.",
        ("03_collapse",),
        rules.garbage,
        overnight="The same of one training, seed 0, held against itself.",
    ),
    Claim(
        4,
        "The DCGAN's losses are normal for the first 49 epochs.",
        "a figure of the losses",
        "Normal is steady: in every seed the mean of either loss over epochs 40 to 49 is between half and twice that "
        "over the first ten. A generator that wins would raise one loss and lower the other.",
        "Losses of narrower networks lie elsewhere; whether they are steady is the same question.",
        ("02_dcgan", "03_collapse"),
        rules.normal_losses,
        NO_SCORES,
    ),
    Claim(
        5,
        "Diffusion is subpar in its first 30 to 40 epochs and needs at least 100.",
        "no number",
        "After 40 epochs its fd is higher than the DCGAN's after 30, and after 100 epochs it is lower than after 40 "
        "and than the DCGAN's.",
        "A narrow denoiser learns as long as a wide one in epochs, and reaches less.",
        ("05_diffusion",),
        rules.needs_a_hundred,
        overnight="The same; what is said of 100 epochs, of one training, seed 0, held against itself and the DCGAN.",
    ),
    Claim(
        6,
        "Twenty epochs of diffusion take about two hours.",
        "two hours, about 139 images a second",
        "A cost belongs to a machine, and the paper names none. Replicated if all our runs take one to four hours; "
        "not, if all take longer; a faster machine tells nothing.",
        "Counted operations are those of the paper's own network; only the speed is that of our narrow one.",
        ("05_diffusion", "11_speed"),
        rules.two_hours,
        NO_SCORES,
        overnight="What twenty epochs of the paper's network would take, by counted operations, at the speed of our "
        "training of seed 0 and at published ones of DDPM's U-Net on one device. Replicated if one of them takes one "
        "to four hours; not, if all take longer; else inconclusive.",
    ),
    Claim(
        7,
        "Training a diffusion model is stable and does not lose modes.",
        "no number",
        "In every seed all ten classes are covered (each has at least a fifth of its fair share of samples) and the "
        "loss over the last ten epochs is below that over the first ten; not, if that holds of no seed.",
        "A classifier puts every image into some class, blurred ones too, and not evenly: so here neither covered "
        "classes nor lost ones are a strong sign.",
        ("05_diffusion", "07_live"),
        rules.stable,
        (CLASSIFIER,),
    ),
    Claim(
        8,
        "Diffusion has higher precision and lower recall than the DCGAN.",
        "precision 0.78 against 0.64, recall 0.56 against 0.60",
        "The diffusion model's precision is higher and its recall lower, after 40 and 30 epochs.",
        "Precision and recall both grow with training, at another pace in each network.",
        ("09_comparison",),
        rules.precise,
    ),
    Claim(
        9,
        "The saturating generator loss gives too little gradient early in training.",
        "no number",
        "The same DCGAN with the saturating loss has a higher fd after 30 epochs. (That its gradient vanishes where "
        "the discriminator is sure is arithmetic; whether training suffers from it is the question.)",
        "A narrow discriminator is less sure of itself, so the gradient it leaves may be larger.",
        ("16_parts",),
        rules.saturates,
        overnight="The same after 1/32 petaFLOP of each, at 32x32 pixels, which is early in training.",
    ),
    Claim(
        10,
        "Batch norm after the transposed convolutions is critical.",
        "no number",
        "Critical is a large change: without it the fd after 30 epochs is more than twice as high.",
        "What a narrow, short training can do without, a long one may need. An fd has a ceiling, that of images "
        "without any structure: where the DCGAN itself is above half of it, nothing can be twice as bad.",
        ("16_parts",),
        rules.needs_norm,
        overnight="The same after 1/32 petaFLOP of each, at 32x32 pixels.",
    ),
    Claim(
        11,
        "Diffusion scales to higher resolution.",
        "no number",
        "A U-Net at twice the side, on the same images enlarged, scored at their own size, stays below one and a half "
        "times the fd of the one at the data's side, after as many images.",
        "Early in training both are far from where they end, and so may be their ratio, which the ceiling of an fd "
        "keeps low.",
        ("09_comparison",),
        rules.scales,
    ),
    Claim(
        12,
        "Careful selection of hyper-parameters is important for both models.",
        "its conclusion; no number",
        "Important is a large change: of five settings of one model on either side (the paper's DCGAN, the flow "
        "transformer) at equal operations, the worst one's fd is more than one and a half times the best one's, on "
        "both sides, by EfficientNet-Lite0 alone: Inception-v3 has not seen all of them. Each is one training, so the "
        "noise is that of drawing alone.",
        "The settings that matter at 1/32 petaFLOP are those that learn fast, and a single bad one is enough for the "
        "rule: so the last but one is told too.",
        ("15_settings",),
        rules.selects,
        ("efficientnet",),
    ),
)


def audit(evidence: Evidence) -> list[tuple[Claim, Ruling]]:
    """Every claim with what the evidence says of it."""
    return [(claim, claim.judge(evidence)) for claim in CLAIMS]
