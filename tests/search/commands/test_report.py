"""`fullspectrum report` and `fullspectrum compare`: from a folder, from a server, and one line for every mistake."""

import json
from pathlib import Path

import pytest
from fullspectrum.search.cli import main
from fullspectrum.search.config import studyfile
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import Home, plain

from ..report.test_page import Page
from ..synthetic import synthetic_study, written


@pytest.fixture
def said(capsys):
    """Runs a command, which ends well; returns what it printed."""

    def run(*arguments: str) -> str:
        status = main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert (status, err) == (0, "")
        return out

    return run


@pytest.fixture
def complaint(capsys):
    """Runs a command that is a mistake; returns its one line."""

    def run(*arguments: str) -> str:
        status = main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert (status, out, err.count("\n")) == (2, "", 1)
        return err

    return run


def test_a_study_is_reported_by_the_beginning_of_its_id(finished, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = finished.folder.path.parent
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    study = finished.study.id
    assert said("report", study[:6], "--home", home).startswith(f"wrote report-{study}/report.html (")
    page = (tmp_path / f"report-{study}" / "report.html").read_text()
    assert f"fullspectrum export best:{study} --home {home}" in page
    assert " of 504,706 parameters, " in page
    # The best mask is beside chance, as the search drew it.
    assert (tmp_path / f"report-{study}" / "coordinate.png").read_bytes() == (
        finished.folder.trial(finished.rows[0].number) / "coordinate.png"
    ).read_bytes()
    assert before == {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}


def test_a_study_of_another_machine_is_reported_from_its_server(finished, said, tmp_path):
    server = Home(finished.folder.path.parent).tracking_uri
    said("report", finished.study.id[:8], "--home", tmp_path / "empty", "--tracking", server, "-o", tmp_path / "there")
    page = (tmp_path / "there" / "report.html").read_text()
    for sentence in finished.verdicts[:2]:
        assert sentence.replace("'", "&#39;") in page
    winner = finished.rows[0]
    assert f"The best mask is {winner.label}" in page
    costs = finished.trials_by_label[winner.label].result.costs
    cost = f"With it the network has {costs['parameters']:,.0f} of 504,706 parameters, {costs['flops']:,.0f} of "
    assert cost in page
    assert f"--tracking {server}" in page and "best:" not in page
    assert "learning curves, importances and slices" in page
    drawn = {path.name for path in (tmp_path / "there").glob("*.png")}
    assert drawn == {"accuracies.png", "cost.png", "sparsities.png", "scores.png", "history.png", "coordinate.png"}
    # What cannot be drawn from tables is the picture of the record.
    recorded = finished.folder.report / "history.png"
    assert (tmp_path / "there" / "history.png").read_bytes() == recorded.read_bytes()


def test_mistakes_have_one_line(finished, complaint, tmp_path):
    home = finished.folder.path.parent
    (tmp_path / "file").write_text("")
    assert "it is no folder; give -o a folder" in complaint("report", "x", "--home", home, "-o", tmp_path / "file")
    assert "no study 'nosuch'" in complaint("report", "nosuch", "--home", home)
    server = Home(home).tracking_uri
    assert "twelve hexadecimal digits" in complaint("report", "digits", "--tracking", server)
    assert "no study 'ffff'" in complaint("report", "ffff", "--tracking", server)
    assert "does not go with --tracking" in complaint("report", "ffff", "--tracking", server, "--set", "seed=1")
    assert "there is no file" in complaint("report", "ffff", "--tracking", f"sqlite:///{tmp_path}/none.db")
    assert "compare takes two or more" in complaint("compare", finished.study.id, "--home", home)
    assert "expected the name of a picture" in complaint("compare", "a", "b", "-o", tmp_path / "picture.doc")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> tuple:
    """A home with two studies of one file, and one that was interrupted."""
    home = tmp_path_factory.mktemp("sweep")
    made = [written(home, synthetic_study(12, 2, seed=seed)) for seed in (0, 1)]
    return home, [each.study.id for each in [*made, written(home, synthetic_study(13, 2), ended=2)]]


def test_studies_are_compared_in_a_table_and_a_picture(sweep, said, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    home, ids = sweep
    out = said("compare", *ids, "--home", home, "-o", tmp_path / "studies.png")
    assert [line.split()[0] for line in out.splitlines()[1:4]] == ids
    assert "seed=1" in out and "search.trials=13" in out and "interrupted" in out
    assert "Over 2 seeds" in out.splitlines()[-1]
    assert (tmp_path / "studies.png").stat().st_size > 10_000


def test_json_is_one_document_and_nothing_else(sweep, said):
    home, ids = sweep
    document = json.loads(said("compare", *ids, ids[0], "--home", home, "--json"))
    assert document.keys() == {"studies", "seeds", "notes"}
    # One that is named twice is there once.
    assert [study["study"] for study in document["studies"]] == ids
    assert document["studies"][0]["settings"] == {"seed": 0, "search.trials": 12}
    assert document["seeds"][0]["studies"] == ids[:2]


def test_a_family_is_reported_on_one_page_with_a_page_for_each_study(said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = plain(synthetic_study(12, 2).settings()) | {"sparsity": [0.9, 0.98], "replicates": 2}
    members = [
        written(tmp_path / "runs", synthetic_study(12, 2, sparsity=x, seed=s)) for x in (0.9, 0.98) for s in (0, 1)
    ]
    monkeypatch.setattr(studyfile, "_study_of_text", lambda *_: parse(settings))
    Path("<both>.toml").write_text("")
    assert said("report", "<both>.toml").startswith("wrote report-<both>/report.html (")
    page = Page(Path("report-<both>/report.html"))
    assert [section["id"] for section in page.all("section")] == ["verdict", "studies", "pictures", "masks"]
    assert page.text["verdict"].count("Over 2 seeds at sparsity") == 2
    links = [link["href"] for link in page.all("a")]
    assert links == [f"{each.study.id}/report.html" for each in members]
    assert all("leaderboard" in Page(page.file.with_name(link.split("/")[0]) / "report.html").text for link in links)
    assert f"best:{members[3].study.id}" in page.text["masks"]
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "both"})
