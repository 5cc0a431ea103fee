"""Where a study's files lie, and how they are written."""

import json
import math

import numpy as np
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.files import Home, StudyFolder, plain, write_json


def with_studies(path, *names: str) -> Home:
    home = Home(path)
    for name in names:
        write_json(home.study(name).settings, {})
    return home


def test_everything_lies_under_the_home_folder(tmp_path):
    home = Home(tmp_path / "runs")
    folder = home.study("abc")
    files = [folder.settings, folder.journal, folder.spool, folder.initial_weights, folder.trial(3), folder.report]
    assert all(file.is_relative_to(tmp_path / "runs" / "abc") for file in files)
    assert len(set(files)) == len(files)
    assert folder.trial(3).name == "00003"
    assert home.artifacts == tmp_path / "runs" / "artifacts"


def test_the_default_store_is_named_by_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Home(tmp_path / "runs").tracking_uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert Home(type(tmp_path)("runs")).tracking_uri == f"sqlite:///{tmp_path}/runs/mlflow.db"


def test_the_home_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    home = Home(tmp_path / "a" / "b")
    assert home.create() is home
    assert list(home.path.iterdir()) == []
    home.create()


def test_a_home_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file" / "runs", tmp_path / "file"):
        with pytest.raises(InputError) as caught:
            Home(path).create()
        message = str(caught.value)
        assert "\n" not in message
        for part in (f"cannot write to the home folder {str(path)!r}", "--home", "FULLSPECTRUM_HOME"):
            assert part in message
        assert "None" not in message


def test_a_study_is_found_by_the_beginning_of_its_id(tmp_path):
    home = with_studies(tmp_path, "0bc230", "0bff11", "1a2b3c")
    assert home.find("1") == home.find("1a2b3c") == StudyFolder(tmp_path / "1a2b3c")
    assert home.find("0bc") == StudyFolder(tmp_path / "0bc230")


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("9", "no study '9' in"),
        ("", "no study '' in"),
        ("*", "no study '*' in"),
        ("0b?2", "no study '0b?2' in"),
        ("../", "no study '../' in"),
        ("0b", "more than one study begins with '0b' in"),
    ],
)
def test_anything_but_one_study_is_told_with_those_there_are(tmp_path, prefix, problem):
    home = with_studies(tmp_path / "runs", "0bc230", "0bff11", "1a2b3c")
    with pytest.raises(InputError) as caught:
        home.find(prefix)
    assert str(caught.value) == (f"{problem} {str(tmp_path / 'runs')!r}; the studies there are 0bc230, 0bff11, 1a2b3c")


def test_a_folder_without_settings_is_no_study(tmp_path):
    (tmp_path / "0bc230").mkdir()
    with pytest.raises(InputError, match="no study '0' in .*; there is no study there yet"):
        Home(tmp_path).find("0")
    with pytest.raises(InputError, match="there is no study there yet"):
        Home(tmp_path / "nowhere").find("0")


def test_numbers_that_are_not_finite_are_written_as_null(tmp_path):
    value = {"a": [math.nan, (math.inf, 1.5)], "b": {"c": -math.inf, "d": "nan"}, "e": np.float64("nan"), "f": None}
    write_json(tmp_path / "new" / "value.json", value)
    expected = {"a": [None, [None, 1.5]], "b": {"c": None, "d": "nan"}, "e": None, "f": None}
    assert json.loads((tmp_path / "new" / "value.json").read_text()) == expected
    assert plain(value) == expected


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    file = tmp_path / "value.json"
    write_json(file, {"old": 1})
    with pytest.raises(TypeError):
        write_json(file, {"new": object()})
    assert json.loads(file.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_replaced_and_never_written_into(tmp_path):
    file = tmp_path / "value.json"
    write_json(file, {"old": 1})
    with file.open() as reader:
        write_json(file, {"new": 2})
        assert json.load(reader) == {"old": 1}
    assert json.loads(file.read_text()) == {"new": 2}
    assert list(tmp_path.iterdir()) == [file]


def test_a_home_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(
        InputError, match="cannot read the home folder .*File name too long; choose another with --home"
    ):
        Home(tmp_path / ("x" * 300)).find("abc")


def test_a_home_whose_links_go_round_in_a_circle_is_told(tmp_path):
    (tmp_path / "runs").symlink_to("runs")
    home = Home(tmp_path / "runs")
    assert home.database.name == "mlflow.db"
    with pytest.raises(InputError, match="cannot write to the home folder"):
        home.create()
