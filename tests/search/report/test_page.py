"""The report of a study: one page that needs nothing else, says all that it promises, and trusts no name."""

import csv
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.report.fromfolder import contents_of_folder
from fullspectrum.search.report.page import write_report

from ..synthetic import Synthetic, synthetic_study, written

SECTIONS = ["verdict", "leaderboard", "pictures", "audit", "methods", "configuration", "environment"]


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._section = ""
        self._style = False
        self.css = ""
        self.file = file
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"
        if tag == "section":
            self._section = dict(attrs)["id"]

    def handle_data(self, data):
        if self._style:
            self.css += data
            self._style = False
        else:
            self.text[self._section] = self.text.get(self._section, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(made: Synthetic, folder: Path, study: Study | None = None) -> Page:
    contents = contents_of_folder(study or made.study, made.folder, made.ledger(), " --home 'my runs'")
    return Page(write_report(contents, folder))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Synthetic:
    """A study of 80 trials, four of them trained in full."""
    return written(tmp_path_factory.mktemp("home"), synthetic_study(80, 4))


@pytest.fixture(scope="module")
def page(study, tmp_path_factory) -> Page:
    return page_of(study, tmp_path_factory.mktemp("report") / "new")


def test_the_page_needs_nothing_else(page):
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith("data:image/png;base64,")
    assert "url(" not in page.css and "@import" not in page.css and "@media print" in page.css
    (policy,) = [meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"].startswith("default-src 'none'")


def test_every_section_is_there_in_order_and_says_something(page):
    assert [section["id"] for section in page.all("section")] == SECTIONS
    assert all(len(page.text[name].split()) > 8 for name in SECTIONS)


def test_the_verdict_answers_three_questions(page, study):
    text = page.text["verdict"]
    best = max(study.ledger().finals(), key=lambda final: (final.accuracy_val or 0) * final.label.startswith("trial"))
    assert f"The best mask is {best.label}, of source " in text
    assert f"it reaches {best.accuracy_final:.4f} on the test split (95 % interval" in text
    assert "The best mask beats an ERK-random one" in text
    assert "layer density (Spearman" in text
    assert f"fullspectrum export best:{study.study.id} --home 'my runs' --format torch-prune -o best.pt" in text


def test_the_pictures_lie_beside_the_page_and_in_it(page):
    images = page.all("img")
    files = sorted(path.name for path in page.file.parent.glob("*.png"))
    # Nobody drew the coordinate of the best mask.
    assert len(images) == len(files) == 9
    assert all(image["alt"] for image in images)
    assert len(page.all("figcaption")) == len(images)
    assert "the coordinate of the best mask beside chance" in page.text["verdict"]


def test_a_long_leaderboard_is_folded_and_whole_in_the_table_beside(page, study):
    rows = list(csv.DictReader((page.file.parent / "leaderboard.csv").open(encoding="utf-8")))
    assert len(rows) == 80 + 6
    assert "30 more trials are left out here" in page.text["leaderboard"]
    shown = [attributes for attributes in page.all("tr") if attributes.get("class", "").strip()]
    assert len([row for row in shown if row["class"].startswith("best")]) == 1
    assert len([row for row in shown if row["class"].startswith("baseline")]) == 6
    best = rows[0]
    assert float(best["low"]) < float(best["accuracy/final"]) < float(best["high"])


def test_how_the_numbers_were_obtained_names_sizes_seeds_iterations_and_formulas(page):
    text = page.text["methods"]
    for words in ("45,000 images to train on", "10,000 for the test", "0; the initial weights", "300 iterations"):
        assert words in text
    for words in ("compared at 50, 150 by accuracy", "0 or 500 dense", "10 epochs", "Wilson", "Agresti", "Spearman"):
        assert words in text


def test_configuration_and_environment_are_there_without_the_tracking(page):
    assert "search.sources" in page.text["configuration"]
    assert "0.01 to 0.3, log-uniform" in page.text["configuration"]
    assert "tracking" not in page.text["configuration"]
    for name in ("python", "torch", "system", "cores"):
        assert name in page.text["environment"]


def test_the_page_is_small(page):
    assert page.file.stat().st_size < 3_000_000


def test_no_name_of_a_user_becomes_markup(tmp_path):
    evil = "<script>alert(1)<|script><img src=http:||evil.example|x onerror=alert(2)>"
    made = written(tmp_path / f"home {evil}", synthetic_study(60, 1), ended=2)
    search = made.study.search.model_copy(update={"sources": [f"file:{evil}"]})
    changed = made.study.model_copy(update={"model": f"mine:{evil}", "data": f"imagefolder:{evil}", "search": search})
    plain, page = page_of(made, tmp_path / "plain"), page_of(made, tmp_path / "evil", changed)
    assert page.all("script") == []
    assert len(page.all("img")) == len(plain.all("img")) > 0
    assert f"mine:{evil} on imagefolder:{evil}" in page.text[""] and f"home {evil}" in page.text[""]
    assert f"imagefolder:{evil}" in page.text["methods"] and f"file:{evil}" in page.text["configuration"]


@pytest.mark.parametrize("ended", [0, 12])
def test_a_study_that_was_interrupted_has_a_report_that_says_so(ended, tmp_path):
    made = written(tmp_path / "home", synthetic_study(100, 4), ended=ended)
    page = page_of(made, tmp_path / "report")
    assert f"The search was interrupted; it goes on with --resume: {ended} of 100 trials have ended" in page.text[""]
    assert [section["id"] for section in page.all("section")] == SECTIONS
    first = "The best mask so far is trial " if ended else "There is no mask yet."
    assert first in page.text["verdict"]
    assert bool(page.all("img")) == bool(ended)


def test_a_study_in_which_nothing_was_learned_says_that_first(tmp_path):
    made = written(tmp_path / "home", synthetic_study(60, 2), learns=False)
    contents = contents_of_folder(made.study, made.folder, made.ledger())
    (sentence,) = contents.verdicts
    assert sentence.startswith("Nothing was learned: trial ")
    assert contents.trust.startswith("No score can be judged: no mask trained better than guessing")
    assert contents.findings == []
