"""Where a search stands: what the files of a study say of it, while it runs, after it was stopped, and at its end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from fullspectrum.search.cli import main
from fullspectrum.search.commands import status as command
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import load_study
from fullspectrum.search.files import Home, StudyFolder, write_json
from fullspectrum.search.process.heartbeat import Heartbeat, read_heartbeat
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.report.status import State, Status, status_of
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.lock import study_lock
from fullspectrum.search.store.storage import open_storage

from ..conftest import tiny_study
from ..drivers import OpenStudy
from ..records import final

TRIALS = 6


class Begun:
    """A study under a home folder, with what a driver writes of it."""

    def __init__(self, home: Path, study: Study):
        self.home = home
        self.study = study
        self.folder: StudyFolder = Home(home).create().study(self.study.id)
        write_json(self.folder.settings, self.study.settings())
        self.ledger = OpenStudy(self.study, open_storage(self.study.tracking.storage, self.folder.journal))

    def end(self, trials: int, outcome: Outcome = Outcome.FINISHED) -> None:
        """The next trials, run to an end."""
        for _ in range(trials):
            proposal = self.ledger.propose()
            number = proposal.number
            accuracy = 0.5 + number / 100 if outcome is Outcome.FINISHED else None
            result = TrialResult({"spectral/objective": 3.0 + number}, f"digest {number}", 4, accuracy)
            assert self.ledger.finish(number, proposal.attempt, outcome, result)

    def seen(self) -> Status:
        """The status, as another process reads it."""
        return status_of(
            self.study, self.folder, Ledger(self.study, open_storage(self.study.tracking.storage, self.folder.journal))
        )

    def shown(self, capsys, *arguments: str) -> str:
        """What the command prints."""
        assert main(["status", self.study.id[:6], "--home", str(self.home), *arguments]) == 0
        return capsys.readouterr().out


@pytest.fixture
def begun(tmp_path) -> Begun:
    return Begun(tmp_path / "runs", tiny_study(f"search.trials={TRIALS}"))


@pytest.fixture
def running(begun) -> Iterator[Begun]:
    """This process as the driver: three trials ended, one is tried for the second time."""
    snapshot = {
        "phase": "trials",
        "ended": 3,
        "running": [
            {"trial": 3, "attempt": 2, "host": "there.example", "pid": 77, "iteration": 2, "since": time.time() - 100},
            {"trial": 4, "attempt": 1, "host": None, "pid": None, "iteration": 0, "since": time.time()},
        ],
        "spool": {"depth": 12, "problem": "the server does not answer"},
    }
    with study_lock(begun.folder, begun.study), Heartbeat(begun.folder.heartbeat, lambda: snapshot):
        begun.end(2)
        begun.end(1, Outcome.STOPPED_BY_GATE)
        begun.ledger.propose()
        begun.ledger.lost(3, 1, 0)
        begun.ledger.propose()
        while read_heartbeat(begun.folder.heartbeat) is None:
            time.sleep(0.01)
        yield begun


def test_a_running_search(running):
    seen = running.seen()
    assert seen.state is State.RUNNING
    assert (seen.driver.pid, seen.driver.host) == (os.getpid(), socket.gethostname())
    assert (seen.phase, seen.ended) == ("trials", 3)
    assert seen.outcomes == {"finished": 2, "stopped-by-gate": 1}
    assert [trial["trial"] for trial in seen.running] == [3, 4]
    assert seen.retried == {"trial 3": 2}
    assert (seen.best.label, seen.best.accuracy_warmup) == ("trial 1", 0.51)
    assert (seen.depth, seen.problem) == (12, "the server does not answer")
    assert seen.silent < 10
    assert seen.disk > 0


def test_what_a_running_search_shows(running, capsys):
    out = running.shown(capsys)
    facts = dict(re.split(r":\s+", line, maxsplit=1) for line in out.splitlines() if line[0] != " ")
    assert facts["study"] == f"{running.study.id}: digits_cnn on digits, sparsity 0.98, seed 0"
    assert facts["state"].startswith(f"running (trials): process {os.getpid()} on ")
    assert facts["trials"] == "3 of 6 ended: 2 finished, 1 stopped-by-gate"
    assert re.fullmatch(r"trial 1 \(\w+\): distance 4.000, warm-up accuracy 0.5100", facts["best so far"])
    assert facts["running"] == "trial 3: 2 iterations in 2 min, process 77 on there, attempt 2"
    assert "\n               trial 4: 0 iterations in " in out
    assert facts["tried again"] == "trial 3 (attempt 2)"
    assert facts["MLflow"] == "12 events to be told: the server does not answer"
    assert re.fullmatch(r"[\d,]+ trials an hour; about \d+ \w+ left", facts["rate"])


def test_the_rate_is_that_of_the_trials_since_the_driver_began(running):
    owner = json.loads(running.folder.lock.read_text())
    # A quarter of an hour ago, so that only the last ten minutes count, in which all three trials ended.
    earlier = datetime.fromtimestamp(time.time() - 900, UTC)
    running.folder.lock.write_text(json.dumps(owner | {"since": earlier.isoformat()}))
    seen = running.seen()
    assert seen.rate == pytest.approx(3 * 6, rel=0.01)
    assert seen.seconds_left == pytest.approx(3 / 18 * 3600, rel=0.01)


def test_a_search_that_is_asked_to_end_says_so(running, capsys):
    running.folder.leave.touch()
    assert running.seen().state is State.LEAVING
    assert "asked to leave (trials): process" in running.shown(capsys)


def test_looking_on_changes_nothing_and_is_in_nobodys_way(running, capsys):
    def files() -> dict[Path, bytes]:
        # The driver itself renews its heartbeat.
        return {path: path.read_bytes() for path in running.folder.path.rglob("*") if "board" not in path.name}

    before = files()
    for arguments in ((), ("--json",)):
        running.shown(capsys, *arguments)
    assert files() == before
    running.end(1)
    assert running.seen().ended == 4


def test_a_search_that_was_interrupted(begun, capsys):
    with study_lock(begun.folder, begun.study), Heartbeat(begun.folder.heartbeat, lambda: {"phase": "trials"}):
        begun.end(2)
    seen = begun.seen()
    assert (seen.state, seen.driver, seen.phase, seen.rate, seen.running) == (State.INTERRUPTED, None, None, None, [])
    assert "interrupted; the search goes on with --resume" in begun.shown(capsys)


def test_a_search_that_was_interrupted_in_full_training_has_not_finished(begun):
    with study_lock(begun.folder, begun.study), Heartbeat(begun.folder.heartbeat, lambda: {"phase": "full training"}):
        begun.end(TRIALS)
    assert begun.seen().state is State.INTERRUPTED


def test_a_search_whose_driver_was_killed(begun, capsys):
    code = """
import signal, sys
from pathlib import Path
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.store.lock import study_lock
from types import SimpleNamespace
folder = StudyFolder(Path(sys.argv[1]))
with study_lock(folder, SimpleNamespace(id="x", tracking=SimpleNamespace(storage=None))):
    signal.raise_signal(signal.SIGKILL)
"""
    killed = subprocess.Popen([sys.executable, "-c", code, str(begun.folder.path)])
    assert killed.wait(60) == -signal.SIGKILL
    seen = begun.seen()
    assert (seen.state, seen.driver.pid) == (State.DIED, killed.pid)
    assert f"the driver died: process {killed.pid}" in begun.shown(capsys)


def test_a_finished_search_needs_no_heartbeat(begun, capsys):
    begun.end(TRIALS)
    begun.ledger.record_final(final("trial 2", 0.91, 0.92))
    begun.ledger.record_final(final("dense", 0.95, 0.96))
    seen = begun.seen()
    assert (seen.state, seen.finals, seen.best.label) == (State.FINISHED, 2, "trial 2")
    assert seen.seconds_left is None
    out = begun.shown(capsys)
    assert "validation accuracy 0.9100, test accuracy 0.9200" in out
    assert "finished" in out


def test_a_study_in_which_nothing_has_ended_yet(begun, capsys):
    assert begun.seen().best is None
    assert f"0 of {TRIALS} ended\n" in begun.shown(capsys)


def test_what_mlflow_has_not_been_told_is_counted_without_a_driver(begun):
    spool = Spool(begun.folder.spool)
    spool.start("run", "name", params={}, tags={})
    spool.metrics("run", {"loss": 1.0}, 0)
    spool.close()
    assert begun.seen().depth == 2


def test_one_json_document_and_nothing_else(running, capsys):
    document = json.loads(running.shown(capsys, "--json"))
    assert document["state"] == "running"
    assert document["driver"]["pid"] == os.getpid()
    assert (document["trials"], document["ended"]) == (TRIALS, 3)
    assert document["best"]["mask"] == "trial 1"
    assert document["spool"] == {"depth": 12, "problem": "the server does not answer"}


def test_watching_ends_with_the_search(begun, capsys, monkeypatch):
    driver, pauses = ExitStack(), []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            begun.end(1)
        else:
            begun.end(TRIALS - 3)
            driver.close()

    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=pause, time=time.time))
    with driver:
        driver.enter_context(study_lock(begun.folder, begun.study))
        begun.end(2)
        blocks = begun.shown(capsys, "--watch").split("study:")[1:]
    assert [re.search(r"state: +(\w+)", block)[1] for block in blocks] == ["running", "running", "finished"]
    assert [re.search(r"(\d) of 6 ended", block)[1] for block in blocks] == ["2", "3", "6"]
    assert len(pauses) == 2


def test_mistakes_are_told_in_one_line(begun, capsys):
    for arguments, expected in (
        (["nosuch"], "no study 'nosuch'"),
        ([begun.study.id, "--watch", "--json"], "--watch does not go with --json"),
        (["digits", "--set", "search.trails=3"], 'did you mean "trials"?'),
    ):
        assert main(["status", *arguments, "--home", str(begun.home)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert expected in line


def test_a_study_is_found_by_the_settings_it_was_searched_with(tmp_path, capsys):
    file, override = tmp_path / "study.toml", "search.trials=7"
    file.write_text('model = "digits_cnn"\ndata = "digits"\nsparsity = 0.5\n')
    begun = Begun(tmp_path / "runs", load_study(str(file), [override]))
    home = ["--home", str(begun.home)]
    assert main(["status", str(file), "--set", override, *home]) == 0
    assert begun.study.id in capsys.readouterr().out
    assert main(["status", str(file), *home]) == 2
    assert f"the studies there are {begun.study.id}" in capsys.readouterr().err


def test_of_a_family_each_study_that_has_been_begun_is_listed(tmp_path, capsys):
    file, home = tmp_path / "family.toml", tmp_path / "runs"
    file.write_text('model = "digits_cnn"\ndata = "digits"\nsparsity = [0.5, 0.9]\nreplicates = 2\n')
    members = load_study(str(file)).members()
    for member in (members[0], members[3]):
        Begun(home, member).end(2)
    command = [str(file), "--home", str(home)]
    assert main(["status", *command]) == 0
    blocks = capsys.readouterr().out.split("\n\n")
    assert [re.search(r"(\w+): digits_cnn on digits, (.*)", block).groups() for block in blocks] == [
        (members[0].id, "sparsity 0.5, seed 0"),
        (members[3].id, "sparsity 0.9, seed 1"),
    ]
    assert main(["status", *command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["studies"]
    assert [one["study"] for one in found] == [members[0].id, members[3].id]
    for arguments in (["status", *command, "--watch"], ["audit", *command]):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(
            f"is a family of 2 studies; name one of them: {members[0].id} (sparsity 0.5, seed 0), "
            f"{members[3].id} (sparsity 0.9, seed 1)"
        )


class TestHeartbeat:
    """What the driver says of itself."""

    def test_who_and_when_are_added_and_the_last_word_is_the_newest(self, tmp_path):
        said = {"phase": "trials"}
        with Heartbeat(tmp_path / "board.json", lambda: said):
            said["phase"] = "done"
        heartbeat = read_heartbeat(tmp_path / "board.json")
        assert (heartbeat["phase"], heartbeat["pid"], heartbeat["host"]) == ("done", os.getpid(), socket.gethostname())
        assert abs(heartbeat["time"] - time.time()) < 10
        assert [path.name for path in tmp_path.iterdir()] == ["board.json"]

    def test_what_fails_in_it_hurts_nobody(self, tmp_path):
        def fails() -> dict:
            raise RuntimeError("dictionary changed size during iteration")

        for path, snapshot in ((tmp_path / "nosuch" / "board.json", dict), (tmp_path / "board.json", fails)):
            with Heartbeat(path, snapshot):
                pass
            assert read_heartbeat(path) is None

    def test_a_torn_heartbeat_is_none(self, tmp_path):
        (tmp_path / "board.json").write_text('{"phase": "tri')
        assert read_heartbeat(tmp_path / "board.json") is None
