import json
from types import SimpleNamespace

from gendiff_lib import versions
from gendiff_lib.config import Sampling
from gendiff_lib.evaluation.evaluate import evaluate
from gendiff_lib.evaluation.features import Extractor
from gendiff_lib.runs import files
from gendiff_lib.runs.publish import publish
from gendiff_lib.runs.run import find
from gendiff_lib.runs.train import train
from gendiff_report import scored
from gendiff_report.scored import kept_scores, published_run


def pixels(images):
    x = images.float().flatten(1)
    return x[:, :4], x[:, -3:]


JUDGE = Extractor("pixels", "d1", pixels)


def test_kept_scores_are_of_the_very_split_and_extractor(gan):
    run, sampling = train(gan), Sampling(n=24)
    scores = {split: evaluate(run, sampling, JUDGE, 20, split) for split in ("train", "test")}
    evaluate(run, sampling, Extractor("pixels-64", "d2", pixels), 20, "test")
    for split, found in scores.items():
        assert kept_scores(run, sampling, "pixels", 20, split) == found
    assert kept_scores(run, sampling, "pixels", 21) is None
    assert kept_scores(run, sampling.but(seed=1), "pixels", 20) is None


def test_scores_of_an_earlier_form_are_as_good_as_none(gan):
    run, sampling = train(gan), Sampling(n=24)
    evaluate(run, sampling, JUDGE, 20)
    (path,) = run.folder.glob("samples/*/scores-*")
    files.write_json(path, {k: v for k, v in json.loads(path.read_text()).items() if k != "density"})
    assert kept_scores(run, sampling, "pixels", 20) is None


def test_of_several_kept_scores_those_of_the_present_code_count(gan, published, monkeypatch):
    run, sampling = train(gan), Sampling(n=24)
    with monkeypatch.context() as patch:
        patch.setitem(versions.VERSIONS, "metrics", 0)
        evaluate(run, sampling, JUDGE, n_real=20)
    publish(run)
    light = find(gan, published=True)
    assert kept_scores(light, sampling, "pixels", 20).made["versions"]["metrics"] == 0
    for path in run.folder.glob("samples/*/scores-*"):
        path.unlink()
    made = evaluate(run, sampling, JUDGE, n_real=20).made
    assert kept_scores(light, sampling, "pixels", 20).made["versions"] == made["versions"]
    assert made["versions"]["metrics"] == versions.VERSIONS["metrics"] > 0


class Trained(SimpleNamespace):
    """A training of 1,000 images an epoch."""

    @property
    def images(self):
        return round(self.epoch * 1000)

    def at(self, epoch):
        return Trained(config=self.config, epochs=self.epochs, epoch=epoch)


def test_a_sibling_that_ends_a_little_later_is_looked_at_there_too(monkeypatch):
    def training(seed, *epochs):
        return Trained(config=SimpleNamespace(seed=seed), epochs=epochs, epoch=4.0)

    run = training(0, 2.0, 4.0)
    there = [run, training(1, 4.0), training(2, 4.0, 4.04), training(3, 4.0, 4.041), training(4, 4.0, 4.02, 8.0)]
    monkeypatch.setattr(scored, "siblings", lambda config, published: there)
    family = scored.family(run)
    assert [[each.epoch for each in some] for some in family] == [[4.0], [4.0], [4.0, 4.04], [4.0], [4.0]]
    assert family[0][0] is run
    known = {(0, 4.0): "a", (1, 4.0): "b", (2, 4.0): "c", (2, 4.04): "d", (3, 4.0): None}

    def ask(each):
        return known.get((each.config.seed, each.epoch))

    assert scored.found_in_turn(family, ask) == ["a", "b", "c"]
    known[2, 4.0] = None
    assert scored.found_in_turn(family, ask) == ["a", "b", "d"]


def test_a_fresh_seed_stands_in_overnight_where_the_first_is_not_published(gan, published):
    assert published_run(gan, "overnight") is None
    publish(train(gan.but(seed=2)))
    assert published_run(gan, "overnight").config.seed == 2
    assert published_run(gan, "laptop") is None
    publish(train(gan))
    assert published_run(gan, "overnight").config.seed == gan.seed == 0
