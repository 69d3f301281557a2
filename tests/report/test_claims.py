import dataclasses
import types

import pytest

from gendiff_lib import paths, versions
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.uncertainty import compared, estimate, noise
from gendiff_lib.experiments import EXPERIMENTS, claimed, get, protocol
from gendiff_lib.experiments.claimed import EARLY_N, ENOUGH, FRESH, ROLES, SIZES, Place, is_claimed, places, trainings
from gendiff_lib.experiments.extractors import offline
from gendiff_lib.experiments.queue import TUNED, study
from gendiff_lib.runs import files
from gendiff_lib.runs.run import siblings
from gendiff_lib.runs.train import train
from gendiff_report.claims import evidence as records
from gendiff_report.claims import ruling
from gendiff_report.claims.evidence import Missing, Recorded
from gendiff_report.claims.ruling import (
    INCONCLUSIVE,
    NOT_REACHED,
    NOT_REPLICATED,
    REPLICATED,
    exactly,
    exceeds,
    ruled,
)
from gendiff_report.claims.stated import CLAIMS, CLASSIFIER, SPACES, Claim, audit
from tests.evaluation.test_metrics import gaussian, scored

SEEDS = range(ENOUGH)


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
            made={"run": f"r-{s}", "training_seed": s, "sampling_seed": 0, "sampler": "ddim", "n_steps": 50},
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
    """Evidence that a test makes up: scores by the role that their runs play, runs, and trials by side."""

    given: dict
    several: list = dataclasses.field(default_factory=list)
    other: dict = dataclasses.field(default_factory=dict)  # by extractor, where one sees otherwise
    tried: dict = dataclasses.field(default_factory=dict)
    preset: str = "paper"

    def scores(self, role, extractor, *, own_n=False):
        assert extractor in (*SPACES, CLASSIFIER)
        assert role in ROLES
        assert extractor == "inception" or not own_n  # what is held against a print is taken as it is printed
        given = self.other.get(extractor, self.given)
        if role not in given:
            raise Missing(role)
        return given[role]

    def runs(self, role):
        if not self.several:
            raise Missing(role)
        return self.several

    def trials(self, extractor):
        if not self.tried:
            raise Missing("trials")
        return self.tried


def verdict(number, given, runs=(), **more):
    return CLAIMS[number - 1].judge(Found(given, list(runs), **more)).verdict


FAR, NEAR = ({"GAN, before": scores(10), "GAN, after": scores(after)} for after in (30, 15))


@pytest.mark.parametrize("space", SPACES)
def test_a_verdict_takes_both_feature_spaces(space):
    garbage = CLAIMS[2]
    assert garbage.judge(Found(FAR)).verdict == REPLICATED
    split = garbage.judge(Found(FAR, other={space: NEAR}))
    assert split.verdict == INCONCLUSIVE
    assert split.why.startswith("The two feature spaces do not agree. By inception: twice the fd ")
    assert f"By {space}: twice the fd fails: the opposite holds beyond the noise" in split.why
    assert len(split.ours) == 4
    assert garbage.judge(Found(FAR, other={space: {}})).verdict == NOT_REACHED  # one alone is not enough
    silent = garbage.judge(Found(FAR, other={space: {"GAN, before": scores(10), "GAN, after": scores(20)}}))
    assert silent.verdict == INCONCLUSIVE
    assert silent.why.startswith("One feature space alone decides. By inception: twice the fd ")


def test_a_printed_fid_is_of_inception_and_classes_are_the_classifiers():
    assert [c.number for c in CLAIMS if c.spaces != SPACES] == [2, 4, 6, 7, 12]
    assert CLAIMS[1].spaces == ("inception",)
    good = {"GAN": scores(19), "GAN, late": scores(15)}
    assert CLAIMS[1].judge(Found(good, other={"efficientnet": {}, CLASSIFIER: {}})).verdict == REPLICATED
    even = {"diffusion": scores()}
    assert CLAIMS[6].judge(Found({}, [run()] * 3, {CLASSIFIER: even})).verdict == REPLICATED


@pytest.mark.parametrize("extractor", [*SPACES, CLASSIFIER])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_to_be_scored_is_what_rules_ask_for(extractor, size, monkeypatch):
    monkeypatch.setattr(claimed, "siblings", lambda config: [(config.name, config.epochs)])
    asked = {(who, how.n) for who, how in claimed.to_score(extractor, size)}
    n, known = claimed.equal_n(size), places(size)
    assert {who for who, at in asked if at == n} == {(p.name, p.epochs) for p in known.values()}
    own = {(name, epochs) for (name, epochs), at in asked if at == protocol(name, size).sampling.n}
    assert extractor != "inception" or own >= {known[role][:2] for role in claimed.FAMOUS}


def test_there_are_the_papers_twelve_claims():
    assert [c.number for c in CLAIMS] == list(range(1, 13))
    assert len({c.said for c in CLAIMS}) == len({c.smaller for c in CLAIMS}) == 12


PAIR = {"GAN": scores(10, recall=0.5), "diffusion": scores(5, recall=0.7)}
HUNDRED = {"GAN": scores(8), "diffusion": scores(10), "diffusion, before": scores(10), "diffusion, after": scores(7)}


@pytest.mark.parametrize(
    ("number", "given", "expected"),
    [
        (1, PAIR, REPLICATED),
        (1, PAIR | {"diffusion": scores(5, recall=0.3)}, NOT_REPLICATED),
        (1, PAIR | {"diffusion": scores(5)}, INCONCLUSIVE),  # equal recall
        (2, {"GAN": scores(19), "GAN, late": scores(15)}, REPLICATED),
        (2, {"GAN": scores(20), "GAN, late": scores(15)}, INCONCLUSIVE),  # inside the noise is no success
        (2, {"GAN": scores(19), "GAN, late": scores(25)}, NOT_REPLICATED),
        (3, {"GAN, before": scores(10), "GAN, after": scores(30)}, REPLICATED),
        (3, {"GAN, before": scores(10), "GAN, after": scores(15)}, NOT_REPLICATED),
        (3, {"GAN, before": scores(10), "GAN, after": scores(20)}, INCONCLUSIVE),
        (5, HUNDRED, REPLICATED),
        (5, HUNDRED | {"GAN": scores(15)}, NOT_REPLICATED),
        (5, HUNDRED | {"diffusion, after": scores(12)}, NOT_REPLICATED),
        (5, HUNDRED | {"diffusion, after": scores(9)}, NOT_REPLICATED),  # better, and still behind the DCGAN
        (8, {"diffusion": scores(precision=0.7, recall=0.3), "GAN": scores()}, REPLICATED),
        (8, {"diffusion": scores(precision=0.7, recall=0.6), "GAN": scores()}, NOT_REPLICATED),
        (9, {"usual loss": scores(10), "saturating loss": scores(12)}, REPLICATED),
        (9, {"usual loss": scores(10), "saturating loss": scores(9)}, NOT_REPLICATED),
        (10, {"batch norm": scores(10), "no batch norm": scores(40)}, REPLICATED),
        (10, {"batch norm": scores(10), "no batch norm": scores(12)}, NOT_REPLICATED),
        (11, {"small images": scores(10), "large images": scores(12)}, REPLICATED),
        (11, {"small images": scores(10), "large images": scores(18)}, NOT_REPLICATED),
    ],
)
def test_a_verdict_follows_from_scores_by_the_rule(number, given, expected):
    assert verdict(number, given) == expected
    for left_out in given:
        assert verdict(number, {k: v for k, v in given.items() if k != left_out}) == NOT_REACHED


@pytest.mark.parametrize(
    ("number", "several", "expected"),
    [
        (4, [run(loss_g=(1.0, 1.5))] * 3, REPLICATED),
        (4, [run(loss_g=(1.0, 3.0))] * 3, NOT_REPLICATED),
        (4, [run(loss_g=(1.0, 3.0)), run(), run()], INCONCLUSIVE),
        (4, [run(loss_g=(3.0, 0.01))] * 3, NOT_REPLICATED),  # this is how a generator wins
        (4, [run(loss_d=(1.0, 0.1))] * 3, NOT_REPLICATED),
        (6, [run(seconds=7200.0)] * 3, REPLICATED),
        (6, [run(seconds=100.0)] * 3, INCONCLUSIVE),  # of a faster machine
        (6, [run(seconds=36_000.0)] * 3, NOT_REPLICATED),
        (6, [run(seconds=100.0), run(seconds=7200.0)], INCONCLUSIVE),
    ],
)
def test_a_verdict_follows_from_losses_and_seconds(number, several, expected):
    assert verdict(number, {}, several) == expected


def test_stable_is_every_class_in_every_seed_and_a_falling_loss():
    even, lost = scores(shares=(0.5, 0.5)), scores(shares=(1.0, 0.0))
    falling, rising = [run()] * 3, [run(), run(), run(loss=(1.0, 1.1))]
    assert verdict(7, {"diffusion": even}, falling) == REPLICATED
    assert verdict(7, {"diffusion": lost}, falling) == NOT_REPLICATED
    assert verdict(7, {"diffusion": even}, [run(loss=(1.0, 1.1))] * 3) == NOT_REPLICATED
    assert verdict(7, {"diffusion": [*even[:2], lost[2]]}, falling) == INCONCLUSIVE
    assert verdict(7, {"diffusion": even}, rising) == INCONCLUSIVE
    assert verdict(7, {"diffusion": [*lost[:2], even[2]]}, rising) == NOT_REPLICATED  # no seed does both
    found = CLAIMS[6].judge(Found({"diffusion": [*even[:2], lost[2]]}, rising))
    assert found.why == "2 of 3 seeds cover every class, and the loss falls in 2."
    assert verdict(7, {"diffusion": scores(shares=())}, falling) == NOT_REACHED


@pytest.mark.parametrize(
    ("speeds", "expected"), [([50e9], INCONCLUSIVE), ([50e9, 4e12], REPLICATED), ([50e9, 4e12, 50e12], REPLICATED)]
)
def test_overnight_two_hours_are_judged_by_counted_operations_and_speeds(speeds, expected, monkeypatch):
    """At 4 TFLOP a second the paper's 20 epochs take two hours; at what is published they take less than one."""
    runs = [run(seconds=10.0) for _ in speeds]
    for each, speed in zip(runs, speeds, strict=True):
        each.training_operations = speed * 10.0
    assert verdict(6, {}, runs, preset="overnight") == expected
    (_, ours), *_ = CLAIMS[5].judge(Found({}, runs, preset="overnight")).ours
    assert ("of one training seed" in ours.protocol["what"], " to " in ours.text) == (len(runs) == 1, len(runs) > 1)
    monkeypatch.setattr("gendiff_report.claims.rules.PUBLISHED_RATES", {"a slow one": 1.0})
    assert verdict(6, {}, runs[:1], preset="overnight") == NOT_REPLICATED


def test_settings_matter_where_the_worst_is_far_from_the_best_on_both_sides():
    far, near = ([scores(fd)[0] for fd in several] for several in ((40, 10, 20), (10, 12)))
    assert verdict(12, {}, tried={"GAN": far, "diffusion": far}) == REPLICATED
    assert verdict(12, {}, tried={"GAN": far, "diffusion": near}) == NOT_REPLICATED
    assert verdict(12, {}) == NOT_REACHED
    found = CLAIMS[11].judge(Found({}, tried={"GAN": far, "diffusion": far}))
    assert [(label, n.value) for label, n in found.ours[:3]] == [
        ("fd of the best GAN setting", 10),
        ("fd of the last but one GAN setting", 20),
        ("fd of the worst GAN setting", 40),
    ]


def test_numbers_behind_a_verdict_open_to_their_runs():
    found = CLAIMS[2].judge(Found(FAR))
    labels = ["fd of DCGAN at 49", "fd of DCGAN at 100"]
    assert [label for label, _ in found.ours] == [f"{label}, by {space}" for space in SPACES for label in labels]
    assert found.ours[0][1].protocol["run"] == "r-0, r-1, r-2"


def test_the_reason_names_the_parts_of_a_claim():
    found = CLAIMS[0].judge(Found(PAIR | {"diffusion": scores(5, recall=0.3)}))
    pair, names = (PAIR["GAN"], scores(5, recall=0.3)), ("frechet_distance", "recall")
    fd, recall = (noise(*(estimate(s, name) for s in pair)) for name in names)
    why = (
        f"lower fd holds beyond the noise (5 apart, where chance may give {fd:.3g}); higher recall fails: "
        f"the opposite holds beyond the noise (0.2 apart, where chance may give {recall:.3g})."
    )
    assert found.why == f"By inception: {why} By efficientnet: {why}"


def test_a_large_difference_that_is_inside_the_noise_says_how_much_chance_may_give():
    """Of three seeds the errors are little known: where one side's differ and the other's do not, it takes much."""
    wide, narrow = (
        [dataclasses.replace(one, frechet_distance=float(fd)) for one, fd in zip(scores(), fds, strict=True)]
        for fds in ((747, 784, 821), (1090, 1093, 1097))
    )
    may = noise(estimate(wide, "frechet_distance"), estimate(narrow, "frechet_distance"))
    found = ruled({"higher fd": exceeds(narrow, wide)}, [])
    assert found == (INCONCLUSIVE, f"Higher fd is inside the noise (309 apart, where chance may give {may:.3g}).", ())
    assert 309 < may < 500


def test_what_chance_may_give_is_not_told_where_it_is_unknown():
    one = exactly(3.0)
    assert ruled({"less": -compared(one, one._replace(error=float("nan")))}, []).why == "Less is inside the noise."


@pytest.mark.parametrize("change", [{"n_fake": 2048}, {"extractor_digest": "another"}, {"n_real": 10}])
def test_what_was_scored_unlike_decides_nothing(change):
    other = [dataclasses.replace(s, **change) for s in scores(10)]
    assert verdict(9, {"usual loss": scores(5), "saturating loss": other}) == INCONCLUSIVE
    mixed = [*scores(10)[:2], dataclasses.replace(scores(10)[2], **change)]
    assert verdict(9, {"usual loss": scores(5), "saturating loss": mixed}) == INCONCLUSIVE


@pytest.mark.parametrize("size", SIZES)
def test_without_published_runs_every_claim_says_what_it_would_take(size, published):
    for claim, found in audit(Recorded(size)):
        assert (found.verdict, found.ours) == (NOT_REACHED, ()), claim.number
        assert "petaFLOP more" in found.why or "No settings were tried" in found.why


def test_all_that_is_missing_is_told_and_of_one_experiment_the_longest_training():
    class Lacking(Found):
        def scores(self, role, extractor, *, own_n=False):
            raise Missing(f"{role}.", places(self.preset)[role])

    def why(number):
        return CLAIMS[number - 1].judge(Lacking({})).why

    assert why(1) == "GAN. diffusion."
    assert why(3) == "GAN, after."  # which has the 49th epoch on its way
    assert why(5) == "GAN. diffusion, after."

    def overnight(number):
        return CLAIMS[number - 1].judge(Lacking({}, preset="overnight")).why

    assert overnight(5) == "GAN. diffusion. diffusion, after."  # of other seeds


def test_what_the_claims_look_at_is_what_their_rules_ask_for():
    asked = set()

    class Asking(Found):
        def scores(self, role, extractor, *, own_n=False):
            asked.add(role)
            return scores()

        def runs(self, role):
            asked.add(role)
            return [run()] * 3

    audit(Asking({}, tried={"GAN": scores(), "diffusion": scores()}))
    assert asked == set(ROLES)


@pytest.mark.parametrize("size", SIZES)
def test_every_part_is_played_by_a_snapshot_that_its_training_keeps(size):
    assert set(places(size)) == set(ROLES)
    for place in places(size).values():
        config = get(place.name, size)
        assert any(place.epochs == pytest.approx(e) for e in (*config.snapshots, config.epochs))
    longest = {(c.name, c.seed): c.epochs for c in trainings(size)}
    assert {name for name, _ in longest} <= set(EXPERIMENTS)
    assert all(longest[n, s] >= e for n, e, seeds in places(size).values() for s in seeds or (get(n, size).seed,))


def test_overnight_fresh_seeds_are_looked_at_and_the_study_trains_them():
    known = places("overnight")
    assert {p.seeds for role, p in known.items() if role not in claimed.ONE_SEED} == {FRESH}
    assert {known[role].seeds for role in claimed.ONE_SEED} == {(0,)}
    longest_last = sorted(study(), key=lambda c: c.epochs)
    there = {(c.name, c.seed): c.epochs for c in longest_last if c.dataset == "cifar10"}
    for config in trainings("overnight"):
        assert there[config.name, config.seed] >= config.epochs
    quarter = {get(name, "overnight").epochs for name in ("dcgan-32", "ddpm-conv")}
    assert all(there[name, seed] >= min(quarter) for name in ("dcgan-32", "ddpm-conv") for seed in FRESH)
    sides = [known[role] for role in ("small images", "large images")]
    assert sides[0].epochs == pytest.approx(sides[1].epochs, rel=0.02)  # as many images


def test_a_snapshot_is_claimed_where_a_part_looks_at_it():
    class Fake:
        def __init__(self, name, epochs, seed):
            self.config = types.SimpleNamespace(name=name, epochs=epochs, seed=seed)
            self.images = round(epochs, 6)

        def images_at(self, epochs):
            return round(epochs, 6)

    assert is_claimed(Fake("dcgan-32", 30.0, 1))
    assert is_claimed(Fake("dcgan-32", 100.0, 0))
    assert not is_claimed(Fake("dcgan-32", 30.0, 0))
    assert not is_claimed(Fake("dcgan-32", 20.0, 1))
    assert not is_claimed(Fake("flow-unet", 30.0, 1))


def trained(config, *, dirty=False):
    """A run as if from a clean checkout, whatever this one is."""
    path = train(config).folder / "run.json"
    files.write_json(path, files.read_json(path) | {"dirty": dirty})


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """A tiny experiment in the place of the DCGAN, whose local runs are published ones at the same time."""
    config = get("dcgan", "smoke", epochs=1).but(n_train=100)
    monkeypatch.setattr(records, "get", lambda name, preset, epochs: config.but(epochs=epochs))
    monkeypatch.setattr(
        records, "places", lambda preset: {"GAN": Place("dcgan", 1.0, (0, 1)), "one": Place("dcgan", 1.0, (0,))}
    )
    monkeypatch.setattr(records, "equal_n", lambda preset: 40)
    monkeypatch.setattr(paths, "published_dir", paths.runs_dir)
    trained(config)
    return config


def test_records_are_asked_for_every_seed_and_its_kept_scores(recorded):
    evidence = Recorded("smoke")
    with pytest.raises(
        Missing, match="takes training seeds 0, 1 of dcgan at smoke size after 1 epochs, and 1 of them is published"
    ):
        evidence.runs("GAN")
    trained(recorded.but(seed=1))
    assert {r.config.seed for r in evidence.runs("GAN")} == {0, 1}
    with pytest.raises(Missing, match="2 of 2 runs of dcgan after 1 epochs are not yet scored by shapes-classifier"):
        evidence.scores("GAN", "shapes-classifier")
    sampling = protocol("dcgan", "smoke").sampling.but(n=40)
    for one in evidence.runs("GAN"):
        evaluate(one, sampling, offline("shapes", "smoke"), protocol("dcgan", "smoke").n_real)
    assert [s.n_fake for s in evidence.scores("GAN", "shapes-classifier")] == [40, 40]


def test_runs_and_scores_of_changed_code_are_no_evidence(recorded, monkeypatch):
    evidence = Recorded("smoke")
    (one,) = evidence.runs("one")
    sampling = protocol("dcgan", "smoke").sampling.but(n=40)
    evaluate(one, sampling, offline("shapes", "smoke"), protocol("dcgan", "smoke").n_real)
    monkeypatch.setitem(versions.VERSIONS, "metrics", versions.VERSIONS["metrics"] + 1)
    with pytest.raises(Missing, match="has changed since it scored dcgan"):
        evidence.scores("one", "shapes-classifier")
    trained(recorded, dirty=True)
    with pytest.raises(Missing, match=f"has changed since it made {one.id}"):
        evidence.runs("one")


def test_a_run_that_is_not_published_is_no_evidence(recorded, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "none")
    with pytest.raises(Missing, match="and it is not published"):
        Recorded("smoke").runs("one")
    assert siblings(recorded)


def test_a_claim_that_lacks_evidence_says_what():
    claim = Claim(1, "said", "printed", "rule", "smaller", (), lambda seen: seen.scores("GAN"))
    assert claim.judge(Found({})) == (NOT_REACHED, "GAN", ())


def test_trials_are_looked_at_at_a_trials_operations_and_all_must_be_there(monkeypatch):
    with pytest.raises(Missing, match="No settings were tried at the paper's size"):
        Recorded("paper").trials("efficientnet")
    monkeypatch.setattr(records, "find", lambda config, published: None if config.name == "trial-gan-batch" else config)
    monkeypatch.setattr(records, "at_equal_operations", lambda runs, operations: runs)
    monkeypatch.setattr(records, "_kept", lambda run, preset, extractor, n: (run.name, n))
    with pytest.raises(Missing, match="1 of the 10 trials are not published yet"):
        Recorded("overnight").trials("efficientnet")
    monkeypatch.setattr(records, "find", lambda config, published: config)
    found = Recorded("overnight").trials("efficientnet")
    assert found == {side: [(name, EARLY_N) for name in names] for side, names in TUNED.items()}
