"""`fullspectrum audit`: a study and a table, on the screen and as JSON, and one line for every mistake."""

import gzip
import json

import numpy as np
import pytest
from fullspectrum.search.cli import main


@pytest.fixture
def masks(tmp_path, monkeypatch):
    """A table of masks in two groups, from three sources: the score follows accuracy, noise does not."""
    generator = np.random.default_rng(0)
    accuracy = generator.random(60)
    rows = ["run,accuracy,source,layer_density,good,noise,task"]
    for number, value in enumerate(accuracy):
        density, noise = generator.random(2)
        near = value + generator.normal(0, 0.1)
        rows.append(f"{number},{value},{('a', 'b', 'c')[number % 3]},{density},{near},{noise},{number % 2}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks.csv").write_text("\n".join(rows))
    (tmp_path / "masks.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    return tmp_path


@pytest.fixture
def said(capsys):
    """Runs the command, which ends well and says nothing on stderr; returns what it printed."""

    def run(*arguments: str) -> str:
        status = main(["audit", *arguments])
        out, err = capsys.readouterr()
        assert (status, err) == (0, "")
        return out

    return run


def test_a_table_is_audited_packed_or_not(masks, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = said("masks.csv", "--group", "task")
    assert out.startswith("masks.csv: 60 masks, 60 trainings to compare, ranked within 2 groups\n")
    assert 'Accuracy: the column "accuracy".' in out
    assert "No scores: run." in out
    for heading in ("given layer_density", "within sources", "without one source", "gain", "tenth over middle"):
        assert heading in out
    assert [row for row in out.splitlines() if row.startswith(("good ", "noise ", "layer_density "))]
    assert "With 60 trainings a correlation under " in out
    assert out.splitlines()[-1].startswith("Of 3 scores the strongest: good ranks masks better than layer density (")
    packed = said("masks.csv.gz", "--group", "task")
    assert packed == out.replace("masks.csv", "masks.csv.gz")


def test_json_is_one_document_and_nothing_else(masks, said):
    document = json.loads(said("masks.csv", "--json", "--scores", "noise,good"))
    assert list(document["scores"]) == ["good", "noise"]
    assert document["judged"] == "noise"
    assert document["scores"]["good"]["rho"]["low"] > 0.5
    assert document["scores"]["good"]["given"].keys() == {"layer_density"}
    assert document["verdict"].startswith("On this task ")


def test_another_column_can_hold_accuracy_or_source(masks, said):
    document = json.loads(said("masks.csv", "--json", "--accuracy", "good", "--source", "task"))
    assert document["accuracy"] == 'the column "good"'
    assert document["scores"].keys() == {"layer_density", "noise"}
    assert document["scores"]["noise"]["without_one_source"]["each"].keys() == {"0", "1"}


def test_a_picture_is_drawn_where_one_is_asked_for(masks, said):
    said("masks.csv", "--plot", "picture.png")
    assert (masks / "picture.png").stat().st_size > 0


MISTAKES = [
    (("masks.csv", "--scores", "nosuch"), 'masks.csv has no column "nosuch"'),
    (("masks.csv", "--group", "nosuch"), 'masks.csv has no column "nosuch"'),
    (("masks.csv", "--set", "seed=1"), "--set seed=1 is a setting of a study, but masks.csv is a table"),
    (("masks.csv", "--plot", "picture.txt"), "expected the name of a picture"),
    (("nosuch.csv",), "cannot read nosuch.csv: No such file or directory"),
    (("nosuch",), 'no study "nosuch"'),
    (("digits", "--accuracy", "val"), "--accuracy val: expected warmup or final"),
    (("digits", "--source", "method"), "--source method names a column of a table"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_mistake_is_one_clear_line(masks, capsys, arguments, message):
    assert main(["audit", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message.replace('"nosuch"', "'nosuch'") in err or message in err
    assert len(err.splitlines()) == 1
    assert not err.rstrip().endswith(".")


@pytest.mark.timeout(300)
def test_a_study_is_audited_by_its_id_and_ends_with_the_verdict_of_the_search(finished, said):
    home = str(finished.folder.path.parent)
    out = said(finished.study.id[:6], "--home", home)
    assert out.startswith(f"study {finished.study.id}: 4 masks, ")
    assert "Accuracy: validation accuracy after 4 iterations, of the warm-ups that came to their end." in out
    assert out.splitlines()[-1] in finished.verdicts
    document = json.loads(said(finished.study.id, "--home", home, "--json"))
    kept = json.loads((finished.folder.report / "audit.json").read_text())
    assert document == kept
    final = json.loads(said(finished.study.id, "--home", home, "--json", "--accuracy", "final"))
    assert final["accuracy"].startswith("test accuracy after full training")
