"""Fault 8: the database is killed or locked while a study writes to it. What it acknowledged is there (P1), once (P3).

Fault 17 on a server: two drivers whose home folders are not the same exclude each other.
"""

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.store import serverlock
from fullspectrum.search.store.lock import study_lock
from fullspectrum.search.store.owner import LockOwner
from fullspectrum.search.store.storage import StorageLost, open_storage, with_retries
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from .postgres import PASSWORD, Postgres, running


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that every test leaves running."""
    with running() as server:
        yield server


def study_on(database: str, seed: int = 0) -> Study:
    settings = {"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "seed": seed}
    return parse(settings | {"tracking": {"storage": database}})


class Writer:
    """Writes trials one after another, as the ledger does: whatever is repeated is there once."""

    def __init__(self, study: Study, tmp_path):
        self.study = study
        self.store = open_storage(study.tracking.storage, tmp_path / "unused")
        self.study_id = self.store.create_new_study([StudyDirection.MAXIMIZE], study.id)
        self.acknowledged: list[int] = []

    def write(self) -> None:
        """Creates the next trial, and ends it with its number as the value."""
        number = len(self.acknowledged)
        trial = with_retries(lambda: self._create(number))
        with_retries(lambda: self._end(trial, number))
        self.acknowledged.append(number)

    def _create(self, number: int) -> int:
        there = self.store.get_all_trials(self.study_id, deepcopy=False)
        if len(there) > number:
            return there[number]._trial_id
        template = create_trial(state=TrialState.RUNNING, user_attrs={"number": number})
        return self.store.create_new_trial(self.study_id, template)

    def _end(self, trial: int, number: int) -> None:
        if not self.store.get_trial(trial).state.is_finished():
            self.store.set_trial_state_values(trial, TrialState.COMPLETE, [float(number)])


def stored(store: BaseStorage, study: Study) -> list[tuple[int, float]]:
    trials = store.get_all_trials(store.get_study_id_from_name(study.id))
    return [(trial.user_attrs["number"], trial.value) for trial in trials]


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Runs one function beside the test."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.timeout(180)
def test_p1_p3_every_acknowledged_write_outlives_kills_of_postgresql_and_none_is_there_twice(
    server, tmp_path, background
):
    writer = Writer(study_on(server.url), tmp_path)
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            writer.write()

    writing = background.submit(write)
    moments = random.Random(0)
    try:
        for _ in range(3):
            enough = len(writer.acknowledged) + 5
            while len(writer.acknowledged) < enough and not writing.done():
                time.sleep(0.01)
            time.sleep(moments.uniform(0, 0.1))
            server.kill()
            time.sleep(moments.uniform(0, 1))
            server.start()
    finally:
        done.set()
    writing.result()
    numbers = writer.acknowledged
    assert len(numbers) >= 15
    reader = open_storage(writer.study.tracking.storage, tmp_path / "unused", create=False)
    assert stored(reader, writer.study) == [(number, float(number)) for number in numbers]


def test_p3_a_trial_whose_commit_was_never_answered_is_there_once(server, tmp_path):
    writer = Writer(study_on(server.url, seed=1), tmp_path)
    writer.write()
    created, crashes = [], []

    @event.listens_for(writer.store.engine, "after_cursor_execute")
    def watch(connection, cursor, statement, *_) -> None:
        if statement.startswith("INSERT INTO trials "):
            created.append(statement)

    @event.listens_for(writer.store.engine, "commit")
    def crash(connection) -> None:
        if created and not crashes:
            crashes.append(True)
            session = connection.connection.dbapi_connection
            session.commit()
            # The commit that is to come needs something to commit, to fail.
            session.execute("SELECT 1")
            server.kill()
            # It is back before anybody asks: whoever just tries again succeeds, and creates another trial.
            server.start()

    writer.write()
    writer.write()
    assert len(crashes) == 1
    assert stored(writer.store, writer.study) == [(0, 0.0), (1, 1.0), (2, 2.0)]


@pytest.mark.parametrize("query", ["", "?timeout=0.1"])
def test_p1_p3_writes_to_a_locked_sqlite_database_wait_and_are_there_once(tmp_path, background, query):
    writer = Writer(study_on(f"sqlite:///{tmp_path}/optuna.db{query}"), tmp_path)
    writer.write()
    with sqlite3.connect(tmp_path / "optuna.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        writing = background.submit(writer.write)
        time.sleep(2)
        assert not writing.done()
        other.execute("COMMIT")
    writing.result()
    assert stored(writer.store, writer.study) == [(0, 0.0), (1, 1.0)]


@pytest.fixture
def folders(tmp_path) -> list[StudyFolder]:
    """The study's folder in two homes, of two machines."""
    return [StudyFolder(tmp_path / name / "abc") for name in ("one", "other")]


@pytest.fixture
def untrusting(monkeypatch) -> None:
    """A check asks the server each time."""
    monkeypatch.setattr(serverlock, "_RECHECK_SECONDS", 0.0)


def refusal(folder: StudyFolder, study: Study) -> str:
    with pytest.raises(InputError) as caught, study_lock(folder, study):
        pass
    message = str(caught.value)
    assert "\n" not in message
    assert PASSWORD not in message
    return message


def test_two_drivers_that_share_a_server_exclude_each_other(server, folders):
    study = study_on(server.url)
    with study_lock(folders[0], study) as lock:
        assert lock.stale is None
        name = LockOwner.this_process()
        message = refusal(folders[1], study)
        assert f"study {study.id} is being searched by process {name.pid} on {name.host} since 20" in message
        assert f"stop it with kill {name.pid}" in message
        # Refused by the server, it leaves its file in good order; and another study is free.
        assert folders[1].lock.read_bytes() == b""
        with study_lock(folders[1], study_on(server.url, seed=1)):
            pass
    with study_lock(folders[1], study) as lock:
        assert lock.stale is None


def test_a_lock_outlives_a_restart_of_the_server(server, folders, untrusting, background):
    study = study_on(server.url)
    with study_lock(folders[0], study) as lock:
        server.kill()
        checking = background.submit(lock.check)
        time.sleep(0.5)
        assert not checking.done()
        server.start()
        checking.result()
        lock.check()
        assert "is being searched by process" in refusal(folders[1], study)


def test_a_driver_whose_study_was_taken_over_while_the_server_was_away_is_told(server, folders, untrusting):
    study = study_on(server.url)
    with study_lock(folders[0], study) as lock:
        server.kill()
        server.start()
        with study_lock(folders[1], study) as other:
            for _ in range(2):
                with pytest.raises(InputError, match=f"study {study.id} is being searched by process"):
                    lock.check()
            other.check()


def test_a_driver_whose_connection_was_cut_takes_the_lock_from_its_own_lost_session(server, folders, untrusting):
    study = study_on(server.url)
    with study_lock(folders[0], study) as lock:
        # The server still has the session of this connection, as behind a network that was cut.
        cut, lock._server._connection = lock._server._connection, None
        lock.check()
        assert "is being searched by process" in refusal(folders[1], study)
        with pytest.raises(OperationalError):
            cut.execute(text("SELECT 1"))


def test_a_driver_that_begins_waits_for_a_server_that_is_away_and_not_where_it_is_refused(server, folders, background):
    refused = study_on(server.url.replace(PASSWORD, "guessed"))
    assert "cannot open tracking.storage (password authentication failed)" in refusal(folders[0], refused)
    study = study_on(server.url)

    def begin() -> bool:
        with study_lock(folders[0], study):
            return open_storage(study.tracking.storage, folders[0].journal) is not None

    server.kill()
    beginning = background.submit(begin)
    time.sleep(1)
    assert not beginning.done()
    server.start()
    assert beginning.result()


def test_a_driver_that_is_asked_to_end_asks_no_further_whether_it_holds_the_lock(server, folders, untrusting):
    with study_lock(folders[0], study_on(server.url)) as lock:
        server.kill()
        try:
            asked = time.monotonic()
            lock.give_up_when(lambda: time.monotonic() > asked + 1)
            with pytest.raises(StorageLost, match="go on with --resume"):
                lock.check()
            assert time.monotonic() < asked + 5
        finally:
            server.start()
