"""`fullspectrum sync`: what a dead driver left is delivered, and the outcome told in one line for each record."""

from dataclasses import replace
from pathlib import Path

import pytest
from fullspectrum.search.cli import main
from fullspectrum.search.commands import sync as module
from fullspectrum.search.files import Home, write_json
from fullspectrum.search.record.destination import record_file

from ..conftest import tiny_study
from ..tracked import TIMEOUT, Place, another_delivers, write_study

# MLflow loads for seconds and makes its tables when a store is first used, longer on a busy machine.
pytestmark = pytest.mark.timeout(120)

STUDY = tiny_study()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Home:
    """A store with its tables made; each test has an experiment of its own."""
    return Home(tmp_path_factory.mktemp("store")).create()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    # Artifacts of an experiment that names no place for them go to the working directory.
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "runs").create()


def left(folder: Path, store: Home, experiment: str) -> Place:
    """What a driver that died leaves in a folder: a spool of nine events, and where they were to go."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(folder / "spool.jsonl", store, experiment)
    write_study(place)
    replace(place.destination, server=store.tracking_uri, tags={"a": "b"}).write(record_file(place.path))
    return place


@pytest.fixture
def study(home, store, request) -> Place:
    """The record of a study that was interrupted."""
    folder = home.study(STUDY.id)
    write_json(folder.settings, STUDY.settings())
    return left(folder.path, store, request.node.name)


def sync(home: Home, *arguments: str) -> int:
    return main(["sync", *arguments, "--home", str(home.path)])


def test_what_a_dead_driver_left_is_delivered_once(home, study, capsys):
    """P3, P4."""
    assert sync(home, STUDY.id[:6]) == 0
    assert capsys.readouterr().out == f"{STUDY.id}: 9 events delivered; everything is there\n"
    before = study.state()
    assert set(before) == {"search abc", "trial 0", "trial 1"}
    assert study.client.get_experiment_by_name(study.experiment).tags["a"] == "b"
    assert sync(home, STUDY.id) == 0
    assert capsys.readouterr().out == f"{STUDY.id}: 0 events delivered; everything is there\n"
    assert study.state() == before


def test_a_half_delivered_record_is_gone_on_with(home, store, study, capsys):
    assert study.uploader(store.tracking_uri).start().close(TIMEOUT)
    with study.opened() as spool:
        spool.end("abc/trial 1", "FINISHED")
    assert sync(home, STUDY.id) == 0
    assert "1 events delivered; everything is there" in capsys.readouterr().out
    assert study.runs()["trial 1"].info.status == "FINISHED"


def test_without_a_study_every_study_and_every_check_is_delivered(home, store, study, capsys):
    check = left(home.path / "checks" / "d1-0", store, f"{study.experiment} checks")
    assert sync(home) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{STUDY.id}: 9 events delivered; everything is there",
        "d1-0: 9 events delivered; everything is there",
    ]
    assert set(check.runs()) == set(study.runs()) == {"search abc", "trial 0", "trial 1"}
    assert sync(home) == 0
    assert capsys.readouterr().out == f"everything under {str(home.path)!r} is delivered\n"


def test_what_is_left_is_told_with_the_reason(home, store, study, capsys, monkeypatch):
    """Nothing listens on port 9, the discard service, on this machine."""
    monkeypatch.setattr(module, "STALL_SECONDS", 3.0)
    # The last try ends within that time.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = "http://somebody:secret@127.0.0.1:9"
    replace(study.destination, server=away).write(record_file(study.path))
    assert sync(home, STUDY.id) == 1
    line = capsys.readouterr().out
    assert line.startswith(f"{STUDY.id}: 0 events delivered; 9 could not be delivered: MlflowException")
    assert "127.0.0.1" in line and "secret" not in line and line.count("\n") == 1
    # Nothing of it is lost.
    assert sync(home, STUDY.id, "--mlflow", store.tracking_uri) == 0
    assert "9 events delivered; everything is there" in capsys.readouterr().out


def test_what_mlflow_refused_is_told_with_the_file_that_holds_it(home, study, capsys):
    with study.opened() as spool:
        spool.metrics("never started", {"a": 1.0}, 0)
    assert sync(home, STUDY.id) == 1
    refused = study.path.with_suffix(".refused.jsonl")
    assert f"10 events delivered; MLflow refused 1, which {refused} holds with the reasons" in capsys.readouterr().out
    assert len(study.refused()) == 1


def test_another_server_gets_everything_that_was_recorded(home, study, tmp_path, capsys):
    study.deliver()
    other = Place(study.path, Home(tmp_path / "other").create(), study.experiment)
    assert sync(home, "--mlflow", other.home.tracking_uri) == 0
    assert "9 events delivered; everything is there" in capsys.readouterr().out
    assert {name: run.data.params for name, run in other.runs().items()} == {
        name: run.data.params for name, run in study.runs().items()
    }


def test_while_a_search_delivers_its_record_it_refuses(home, study, capsys):
    with another_delivers(study.path) as search:
        assert sync(home, STUDY.id) == 2
        assert f"is being delivered by process {search}" in capsys.readouterr().err
        # Among others it is passed over.
        assert sync(home) == 0
        assert f"{STUDY.id}: " in (said := capsys.readouterr().out) and f"process {search}" in said


@pytest.mark.parametrize("name", ["0123", "digits", "nowhere.toml"])
def test_a_study_that_is_not_there_is_a_mistake(home, study, name, capsys):
    assert sync(home, name) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_home_without_any_record_is_a_mistake(home, capsys):
    assert sync(home) == 2
    assert "there is no record" in capsys.readouterr().err


def test_a_study_that_recorded_nothing_is_a_mistake(home, study, capsys):
    record_file(study.path).unlink()
    assert sync(home, STUDY.id) == 2
    assert "nothing was recorded" in capsys.readouterr().err
