import re

import pytest

from gendiff_lib.experiments import get
from gendiff_lib.experiments.book import book_configs
from gendiff_lib.experiments.scaling import SCALED
from gendiff_lib.runs.train import train
from gendiff_report import page as report
from gendiff_report import provenance, tables
from gendiff_report.asking import Asking
from gendiff_report.compute import modelled
from gendiff_report.page import Page, shrunk
from gendiff_report.reading import Unpublished


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr(report, "display", lambda thing: texts.append(thing.data))
    return texts


def test_page_says_data_set_size_and_shrinkage():
    asked = Asking(preset="smoke", epochs=1)
    text = Page(asked, asked.train("dcgan", n_train=100))._repr_html_()
    assert "not CIFAR-10" in text
    assert "no verdict can rest on them" in text
    assert "What smoke changes in dcgan" in text
    assert "palette and texture" in text


def test_a_trial_has_no_paper_preset_to_be_smaller_than(gan):
    run = train(gan.but(name="trial-gan-rates"))
    html = Page(Asking(preset="overnight"), run)._repr_html_()
    assert run.id in html
    assert "What overnight changes" not in html


def test_a_page_that_only_reads_leaves_out_what_is_not_published_and_trains_nothing(published, monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    asked = Asking(preset="overnight")
    assert asked.train_several("dcgan-32", "ddpm-unet") == {}
    text = Page(asked)._repr_html_()
    assert '<p class="missing">dcgan-32, ddpm-unet: not published yet, so left out of this page.</p>' in text
    with pytest.raises(Unpublished, match="dcgan-32 is not published yet"):
        asked.train("dcgan-32", long=True)
    assert not asked.reads("live-gan-2d")  # seconds of training, wherever it is built
    assert asked.reads("live-gan")
    monkeypatch.setenv("GENDIFF_TRAIN", "1")
    assert not asked.reads("live-gan")
    assert not Asking(preset="laptop").reads("dcgan")


def test_a_laptops_page_trains_nothing_but_what_its_book_has_trained_before(monkeypatch):
    monkeypatch.setenv("GENDIFF_TRAIN", "0")
    laptop, night = Asking(preset="laptop"), Asking(preset="overnight")
    ahead = {config.name for config in book_configs("laptop")}
    shown = {*night.compared, *modelled(night), *(name for pair in SCALED.values() for name in pair)}
    assert {name for name in shown if not laptop.reads(name)} <= ahead


def test_a_finding_opens_to_the_pages_runs_unless_a_number_in_it_opens_to_its_own(shown):
    asked = Asking(preset="smoke", epochs=1)
    run = asked.train("dcgan", n_train=100)
    page = Page(asked, run)
    page.finding("one")
    assert shown[0] == "**Finding.** one"
    assert "How these numbers were made" in shown[1]
    assert run.id in shown[1]
    page.finding(f"two, {provenance.of_run(run, 1.5)}")
    assert len(shown) == 3


def test_an_exhibit_is_its_html_and_each_table_has_files_of_its_own():
    one, other = (tables.of_rows([{"a": 1.5}], "of these") for _ in range(2))
    assert one._repr_html_() == one.html != other.html
    names = [re.search(r'download="(table-\d+)\.csv"', each.html)[1] for each in (one, other)]
    assert names[0] != names[1]
    assert one.found == [{"a": 1.5}]


def test_shrunk_names_what_differs_from_the_paper():
    changes = shrunk(get("ddpm-conv", "laptop"), "ddpm-conv")
    assert changes["network.hidden_dim"] == (256, get("ddpm-conv", "laptop").network.hidden_dim)
    assert not shrunk(get("ddpm-conv", "paper"), "ddpm-conv")
