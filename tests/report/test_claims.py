import dataclasses
import types

import pytest

from gendiff_lib import paths, versions
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.experiments import EXPERIMENTS, book, get, protocol
from gendiff_lib.experiments.book import CLAIM_SEEDS, CLAIMED
from gendiff_lib.experiments.extractors import offline
from gendiff_lib.runs import files
from gendiff_lib.runs.run import siblings
from gendiff_lib.runs.train import train
from gendiff_report.claims import evidence as records
from gendiff_report.claims import ruling
from gendiff_report.claims.evidence import Missing, Recorded
from gendiff_report.claims.ruling import NOT_REPLICATED, REPLICATED, UNTOLD
from gendiff_report.claims.stated import CLAIMS, CLASSIFIER, SPACES, Claim, audit
from tests.evaluation.test_metrics import gaussian, scored

SEEDS = range(CLAIM_SEEDS)


@pytest.fixture(autouse=True)
def _protocols_of_made_up_runs(monkeypatch):
    monkeypatch.setattr(ruling, "training_protocol", lambda run: run.protocol)


def scores(fd=10.0, precision=0.5, recall=0.5, shares=(0.5, 0.5)):
    """Of three training seeds that differ a little."""
    one = scored(gaussian(60), gaussian(50, seed=5))
    return [
        dataclasses.replace(
            one,
            frechet_distance=fd * (1 + s / 1000),
            precision=precision + s / 1000,
            recall=recall + s / 1000,
            n_fake=50_000,
            n_real=50_000,
            shares=shares,
            made={"run": f"r-{s}", "training_seed": s, "sampling_seed": 0},
        )
        for s in SEEDS
    ]


def run(seconds=100.0, loss=(1.0, 0.5), loss_g=(1.0, 1.0), loss_d=(1.0, 1.0), seed=0):
    """A run whose losses have one value up to epoch 10 and another one after 30."""
    epochs = [float(e) for e in range(1, 51)]
    given = {"loss": loss, "loss_g": loss_g, "loss_d": loss_d}
    columns = {name: [a if e <= 30 else b for e in epochs] for name, (a, b) in given.items()}
    return types.SimpleNamespace(
        history={"epoch": epochs, **columns},
        snapshot={"seconds": seconds, "images": 1_000_000},
        protocol={"run": f"r-{seed}"},
    )


@dataclasses.dataclass
class Found:
    """Evidence that a test makes up: scores by experiment and epoch, and runs."""

    given: dict
    several: list = dataclasses.field(default_factory=list)
    other: dict = dataclasses.field(default_factory=dict)  # by extractor, where one sees otherwise

    def scores(self, name, epochs, extractor, *, own_n=False):
        assert extractor in (*SPACES, CLASSIFIER)
        assert extractor == "inception" or not own_n  # what is held against a print is taken as it is printed
        given = self.other.get(extractor, self.given)
        if (name, epochs) not in given:
            raise Missing(f"{name} after {epochs}")
        return given[name, epochs]

    def runs(self, name, epochs):
        if not self.several:
            raise Missing(f"{name} after {epochs}")
        return self.several


def verdict(number, given, runs=()):
    return CLAIMS[number - 1].judge(Found(given, list(runs))).verdict


FAR, NEAR = (
    {("dcgan", 49): scores(10), ("dcgan", 100): scores(30)},
    {
        ("dcgan", 49): scores(10),
        ("dcgan", 100): scores(15),
    },
)


@pytest.mark.parametrize("space", SPACES)
def test_a_verdict_takes_both_feature_spaces(space):
    garbage = CLAIMS[2]
    assert garbage.judge(Found(FAR)).verdict == REPLICATED
    split = garbage.judge(Found(FAR, other={space: NEAR}))
    assert split.verdict == UNTOLD
    assert split.why.startswith("The two feature spaces do not agree. By inception: twice the fd ")
    assert f"By {space}: twice the fd is the other way round" in split.why
    assert len(split.ours) == 4
    assert garbage.judge(Found(FAR, other={space: {}})).verdict == UNTOLD  # one alone is not enough


def test_a_printed_fid_is_of_inception_and_classes_are_the_classifiers():
    assert [c.number for c in CLAIMS if c.spaces != SPACES] == [2, 4, 6, 7]
    assert CLAIMS[1].spaces == ("inception",)
    good = {("dcgan", 30): scores(19), ("dcgan", 49): scores(15)}
    assert CLAIMS[1].judge(Found(good, other={"efficientnet": {}, CLASSIFIER: {}})).verdict == REPLICATED
    even = {("ddpm-conv", 40): scores()}
    assert CLAIMS[6].judge(Found({}, [run()] * 3, {CLASSIFIER: even})).verdict == REPLICATED


@pytest.mark.parametrize("extractor", [*SPACES, CLASSIFIER])
def test_what_is_to_be_scored_is_what_rules_ask_for(extractor, monkeypatch):
    monkeypatch.setattr(book, "siblings", lambda config: [(config.name, config.epochs)])
    asked = {(who, how.n) for who, how in book.to_score(extractor)}
    n = book.equal_n("paper")
    assert {(name, epochs) for (name, epochs), at in asked if at == n} == set(CLAIMED)
    own = {(name, epochs) for (name, epochs), at in asked if at == protocol(name, "paper").sampling.n}
    assert extractor != "inception" or own >= set(book.FAMOUS)


def test_there_are_the_papers_eleven_claims():
    assert [c.number for c in CLAIMS] == list(range(1, 12))
    assert len({c.said for c in CLAIMS}) == 11


@pytest.mark.parametrize(
    ("number", "given", "expected"),
    [
        (1, {("ddpm-conv", 40): scores(5, recall=0.7), ("dcgan", 30): scores(10, recall=0.5)}, REPLICATED),
        (1, {("ddpm-conv", 40): scores(5, recall=0.3), ("dcgan", 30): scores(10, recall=0.5)}, NOT_REPLICATED),
        (1, {("ddpm-conv", 40): scores(5), ("dcgan", 30): scores(10)}, UNTOLD),  # equal recall
        (2, {("dcgan", 30): scores(19), ("dcgan", 49): scores(15)}, REPLICATED),
        (2, {("dcgan", 30): scores(20), ("dcgan", 49): scores(15)}, UNTOLD),  # inside the noise is no success
        (2, {("dcgan", 30): scores(19), ("dcgan", 49): scores(25)}, NOT_REPLICATED),
        (3, {("dcgan", 49): scores(10), ("dcgan", 100): scores(30)}, REPLICATED),
        (3, {("dcgan", 49): scores(10), ("dcgan", 100): scores(15)}, NOT_REPLICATED),
        (3, {("dcgan", 49): scores(10), ("dcgan", 100): scores(20)}, UNTOLD),
        (5, {("dcgan", 30): scores(5), ("ddpm-conv", 40): scores(10), ("ddpm-conv", 100): scores(7)}, REPLICATED),
        (5, {("dcgan", 30): scores(15), ("ddpm-conv", 40): scores(10), ("ddpm-conv", 100): scores(7)}, NOT_REPLICATED),
        (8, {("ddpm-conv", 40): scores(precision=0.7, recall=0.3), ("dcgan", 30): scores()}, REPLICATED),
        (8, {("ddpm-conv", 40): scores(precision=0.7, recall=0.6), ("dcgan", 30): scores()}, NOT_REPLICATED),
        (9, {("dcgan", 30): scores(10), ("dcgan-minimax", 30): scores(12)}, REPLICATED),
        (9, {("dcgan", 30): scores(10), ("dcgan-minimax", 30): scores(9)}, NOT_REPLICATED),
        (10, {("dcgan", 30): scores(10), ("dcgan-plain", 30): scores(40)}, REPLICATED),
        (10, {("dcgan", 30): scores(10), ("dcgan-plain", 30): scores(12)}, NOT_REPLICATED),
        (11, {("ddpm-unet", 40): scores(10), ("ddpm-unet-64", 40): scores(12)}, REPLICATED),
        (11, {("ddpm-unet", 40): scores(10), ("ddpm-unet-64", 40): scores(18)}, NOT_REPLICATED),
    ],
)
def test_a_verdict_follows_from_scores_by_the_rule(number, given, expected):
    assert verdict(number, given) == expected
    for left_out in given:
        assert verdict(number, {k: v for k, v in given.items() if k != left_out}) == UNTOLD


@pytest.mark.parametrize(
    ("number", "several", "expected"),
    [
        (4, [run(loss_g=(1.0, 1.5))] * 3, REPLICATED),
        (4, [run(loss_g=(1.0, 3.0))] * 3, NOT_REPLICATED),
        (4, [run(loss_g=(1.0, 3.0)), run(), run()], UNTOLD),
        (4, [run(loss_g=(3.0, 0.01))] * 3, NOT_REPLICATED),  # this is how a generator wins
        (4, [run(loss_d=(1.0, 0.1))] * 3, NOT_REPLICATED),
        (6, [run(seconds=7200.0)] * 3, REPLICATED),
        (6, [run(seconds=100.0)] * 3, UNTOLD),  # of a faster machine
        (6, [run(seconds=36_000.0)] * 3, NOT_REPLICATED),
        (6, [run(seconds=100.0), run(seconds=7200.0)], UNTOLD),
    ],
)
def test_a_verdict_follows_from_losses_and_seconds(number, several, expected):
    assert verdict(number, {}, several) == expected


def test_stable_is_every_class_in_every_seed_and_a_falling_loss():
    even, lost = scores(shares=(0.5, 0.5)), scores(shares=(1.0, 0.0))
    falling, rising = [run()] * 3, [run(), run(), run(loss=(1.0, 1.1))]
    assert verdict(7, {("ddpm-conv", 40): even}, falling) == REPLICATED
    assert verdict(7, {("ddpm-conv", 40): [*even[:2], lost[2]]}, falling) == NOT_REPLICATED
    assert verdict(7, {("ddpm-conv", 40): even}, rising) == NOT_REPLICATED
    assert verdict(7, {("ddpm-conv", 40): scores(shares=())}, falling) == UNTOLD


def test_numbers_behind_a_verdict_open_to_their_runs():
    found = CLAIMS[2].judge(Found({("dcgan", 49): scores(10), ("dcgan", 100): scores(30)}))
    labels = ["fd of DCGAN at 49", "fd of DCGAN at 100"]
    assert [label for label, _ in found.ours] == [f"{label}, by {space}" for space in SPACES for label in labels]
    assert found.ours[0][1].protocol["run"] == "r-0, r-1, r-2"


def test_the_reason_names_the_parts_of_a_claim():
    found = CLAIMS[0].judge(Found({("ddpm-conv", 40): scores(5, recall=0.3), ("dcgan", 30): scores(10)}))
    why = "lower fd holds beyond the noise; higher recall is the other way round, beyond the noise."
    assert found.why == f"By inception: {why} By efficientnet: {why}"


@pytest.mark.parametrize("change", [{"n_fake": 2048}, {"extractor_digest": "another"}, {"n_real": 10}])
def test_what_was_scored_unlike_decides_nothing(change):
    other = [dataclasses.replace(s, **change) for s in scores(10)]
    assert verdict(9, {("dcgan", 30): scores(5), ("dcgan-minimax", 30): other}) == UNTOLD
    mixed = [*scores(10)[:2], dataclasses.replace(scores(10)[2], **change)]
    assert verdict(9, {("dcgan", 30): scores(5), ("dcgan-minimax", 30): mixed}) == UNTOLD


def test_without_runs_of_the_papers_size_nothing_can_be_told():
    for claim, found in audit(Recorded()):
        assert (found.verdict, found.ours) == (UNTOLD, ()), claim.number
        assert "training seeds of" in found.why


def test_what_the_claims_look_at_is_what_their_rules_ask_for():
    asked = set()

    class Asking(Found):
        def scores(self, name, epochs, extractor, *, own_n=False):
            asked.add((name, epochs))
            return scores()

        def runs(self, name, epochs):
            asked.add((name, epochs))
            return [run()] * 3

    audit(Asking({}))
    assert asked == set(CLAIMED)
    assert {name for name, _ in CLAIMED} <= set(EXPERIMENTS)
    for name, epochs in CLAIMED:  # a snapshot that the training keeps
        assert epochs in (*get(name, "paper").snapshots, get(name, "paper").epochs)
    assert {(c.name, c.epochs) for c in book.claim_configs()} >= {("dcgan", 100), ("ddpm-conv", 100)}


def trained(config, *, dirty=False):
    """A run as if from a clean checkout, whatever this one is."""
    path = train(config).folder / "run.json"
    files.write_json(path, files.read_json(path) | {"dirty": dirty})


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """A tiny experiment in the place of the DCGAN, whose local runs are published ones at the same time."""
    config = get("dcgan", "smoke", epochs=1).but(n_train=100)
    monkeypatch.setattr(records, "get", lambda name, preset, epochs: config.but(epochs=epochs))
    monkeypatch.setattr(records, "equal_n", lambda preset: 40)
    monkeypatch.setattr(paths, "published_dir", paths.runs_dir)
    trained(config)
    return config


def test_records_are_asked_for_every_seed_and_its_kept_scores(recorded):
    evidence = Recorded("smoke", seeds=2)
    with pytest.raises(Missing, match="takes 2 training seeds of dcgan at the paper's size after 1 epochs; published"):
        evidence.runs("dcgan", 1)
    trained(recorded.but(seed=1))
    assert {r.config.seed for r in evidence.runs("dcgan", 1)} == {0, 1}
    with pytest.raises(Missing, match="2 of 2 runs of dcgan after 1 epochs are not yet scored by shapes-classifier"):
        evidence.scores("dcgan", 1, "shapes-classifier")
    sampling = protocol("dcgan", "smoke").sampling.but(n=40)
    for one in evidence.runs("dcgan", 1):
        evaluate(one, sampling, offline("shapes", "smoke"), protocol("dcgan", "smoke").n_real)
    assert [s.n_fake for s in evidence.scores("dcgan", 1, "shapes-classifier")] == [40, 40]


def test_runs_and_scores_of_changed_code_are_no_evidence(recorded, monkeypatch):
    evidence = Recorded("smoke", seeds=1)
    (one,) = evidence.runs("dcgan", 1)
    sampling = protocol("dcgan", "smoke").sampling.but(n=40)
    evaluate(one, sampling, offline("shapes", "smoke"), protocol("dcgan", "smoke").n_real)
    monkeypatch.setitem(versions.VERSIONS, "metrics", versions.VERSIONS["metrics"] + 1)
    with pytest.raises(Missing, match="has changed since it scored dcgan"):
        evidence.scores("dcgan", 1, "shapes-classifier")
    trained(recorded, dirty=True)
    with pytest.raises(Missing, match=f"has changed since it made {one.id}"):
        evidence.runs("dcgan", 1)


def test_a_run_that_is_not_published_is_no_evidence(recorded, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "none")
    with pytest.raises(Missing, match="published are none"):
        Recorded("smoke", seeds=1).runs("dcgan", 1)
    assert siblings(recorded)


def test_a_claim_that_lacks_evidence_says_what():
    claim = Claim(1, "said", "printed", "rule", (), lambda seen: seen.scores("dcgan", 30))
    assert claim.judge(Found({})) == (UNTOLD, "dcgan after 30", ())
