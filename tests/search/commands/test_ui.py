"""`fullspectrum ui`: which page it names, and what it starts."""

import io
import os
import time

import pytest
from fullspectrum.search.cli import main
from fullspectrum.search.files import Home, write_json
from fullspectrum.search.record import opener
from fullspectrum.search.record.destination import Destination, record_file
from fullspectrum.search.record.pages import newest_study
from fullspectrum.search.record.spool import Spool
from mlflow import MlflowClient

from ..tracked import runs_of


class Started(Exception):
    """A program takes the place of this process."""


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """The command lines that took the place of this process."""
    commands = []

    def execute(program: str, arguments: list[str]) -> None:
        commands.append(arguments)
        raise Started

    monkeypatch.setattr(os, "execv", execute)
    return commands


@pytest.fixture
def seen(monkeypatch) -> list[str]:
    """The addresses that were to be opened."""
    found = []
    monkeypatch.setattr(opener, "open_later", found.append)
    monkeypatch.setattr(opener.webbrowser, "open", found.append)
    return found


def recorded(home: Home, study: str, server: str | None, time: int = 0) -> None:
    """A study whose first event is of a time, in milliseconds."""
    write_json(home.study(study).settings, {"model": "digits_cnn", "data": "digits", "sparsity": 0.98})
    spool = home.study(study).spool
    Spool(spool).close()
    spool.write_text(f'{{"op": "end", "run": "{study}", "status": "FINISHED", "time": {time}}}\n')
    Destination(home, study, study, server).write(record_file(spool))


@pytest.mark.parametrize("named", [True, False])
def test_the_page_of_a_study_answers_at_the_address_that_is_printed(finished, started, seen, capsys, named):
    home = finished.folder.path.parent
    arguments = ["ui", *([finished.study.id[:6]] if named else []), "--home", str(home), "--port", "5123", "--open"]
    with pytest.raises(Started):
        main([*arguments, "--debug"])
    client = MlflowClient(tracking_uri=Home(home).tracking_uri)
    experiment = client.get_experiment_by_name(f"digits_cnn digits 0.98 {finished.study.id}")
    run = runs_of(client, experiment.name)[f"search {finished.study.id}"].info.run_id
    view = "?workflowType=machine_learning"
    page = f"http://127.0.0.1:5123/#/experiments/{experiment.experiment_id}/runs"
    assert capsys.readouterr().out.splitlines() == [
        f"{finished.study.id}: {page}/{run}{view}",
        f"its runs, best first: {page}{view}&viewStateShareKey=leaderboard",
    ]
    assert seen == [f"{page}/{run}{view}"]
    (command,) = started
    assert command[-10:] == [
        *("mlflow", "ui", "--backend-store-uri", Home(home).tracking_uri),
        *("--host", "127.0.0.1", "--port", "5123", "--workers", "1"),
    ]


def test_without_a_display_nothing_is_opened(finished, started, seen, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    for arguments in ([], ["--no-open"]):
        with pytest.raises(Started):
            main(["ui", "--home", str(finished.folder.path.parent), "--debug", *arguments])
    assert seen == []


def test_the_page_of_a_study_at_a_server_is_named_and_nothing_is_started(
    finished, tmp_path, started, monkeypatch, capsys
):
    home = Home(tmp_path / "runs")
    recorded(home, finished.study.id, "http://me:secret@mlflow.internal:5000/")
    real = Home(finished.folder.path.parent)
    monkeypatch.setattr(
        "fullspectrum.search.record.pages.client_for", lambda *_: MlflowClient(tracking_uri=real.tracking_uri)
    )
    assert main(["ui", finished.study.id, "--home", str(home.path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{finished.study.id}: http://mlflow.internal:5000/#/experiments/")
    assert "secret" not in out and started == []


def test_a_server_that_does_not_answer_is_told_in_one_line(tmp_path, capsys):
    home = Home(tmp_path / "runs")
    recorded(home, "abc", "http://127.0.0.1:9")
    assert main(["ui", "abc", "--home", str(home.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLflow does not answer at http://127.0.0.1:9" in line


def test_the_newest_study_is_the_one_that_began_last(tmp_path):
    home = Home(tmp_path / "runs").create()
    assert newest_study(home) is None
    for study, begun in (("aaa", 2), ("bbb", 3), ("ccc", 1)):
        recorded(home, study, None, begun)
    # Whatever a copy made of the times of files.
    os.utime(home.study("ccc").settings, (time.time() + 60,) * 2)
    assert newest_study(home) == "bbb"


def test_a_page_is_opened_once_it_is_answered_and_not_after_the_server_has_gone(seen, monkeypatch):
    refusals = [OSError("refused"), OSError("refused")]

    def ask(address: str, timeout: float) -> io.BytesIO:
        assert address == "http://127.0.0.1:1/"
        if refusals:
            raise refusals.pop()
        return io.BytesIO()

    monkeypatch.setattr(opener.urllib.request, "urlopen", ask)
    opener.opened("http://127.0.0.1:1/#/experiments", lambda: True, pause=0.0)
    assert seen == ["http://127.0.0.1:1/#/experiments"]
    assert not opener.opened("http://127.0.0.1:1/", lambda: False, pause=0.0)
