"""The store: what it acknowledged is there, what is torn is cut off, and a database that is away is waited for."""

import itertools
import json
import signal
import sqlite3
import subprocess
import sys
import threading

import optuna
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.study import ConfigError
from fullspectrum.search.remote import retries
from fullspectrum.search.store.journal import JournalLock
from fullspectrum.search.store.storage import RetryingStorage, StorageLost, engine_settings, open_storage, with_retries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError


@pytest.fixture
def journal(tmp_path):
    """A journal in which one trial with the attributes 0 and 1 stands."""
    file = tmp_path / "journal.log"
    trial = optuna.create_study(study_name="s", storage=open_storage(None, file)).ask()
    for number in range(2):
        trial.set_user_attr(str(number), number)
    return file


def attributes(storage: optuna.storages.BaseStorage) -> dict:
    return optuna.load_study(study_name="s", storage=storage).get_trials()[0].user_attrs


@pytest.mark.parametrize("database", [None, "sqlite:///{}/optuna.db"])
def test_what_was_written_is_there_when_the_store_is_opened_anew(tmp_path, database):
    file, stored = tmp_path / "new" / "journal.log", database and database.format(tmp_path)
    trial = optuna.create_study(study_name="s", storage=open_storage(stored, file)).ask()
    trial.set_user_attr("a", [1, "b", None])
    assert attributes(open_storage(stored, file)) == {"a": [1, "b", None]}
    assert attributes(open_storage(stored, file, create=False)) == {"a": [1, "b", None]}
    assert file.exists() == (database is None)


def test_a_reader_makes_no_file(tmp_path):
    database = f"sqlite:///{tmp_path}/hunter2.db"
    for unknown, message in ((None, "there is no journal"), (database, "there is no file that tracking.storage")):
        with pytest.raises(InputError, match=message) as caught:
            open_storage(unknown, tmp_path / "new" / "journal.log", create=False)
        assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_leaves_a_line_that_is_being_written(journal):
    content = journal.read_bytes() + b'{"op_code": 8, "wor'
    journal.write_bytes(content)
    assert attributes(open_storage(None, journal, create=False)) == {"0": 0, "1": 1}
    assert journal.read_bytes() == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=st.data())
def test_wherever_the_last_line_is_torn_the_next_one_stands_alone(journal, data):
    whole = journal.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    torn = data.draw(st.integers(last, len(whole) - 1))
    file = journal.parent / "torn.log"
    file.write_bytes(whole[:torn])
    trial = optuna.load_study(study_name="s", storage=open_storage(None, file)).get_trials()[0]
    # Optuna itself would append to what is torn, and then refuse the file.
    open_storage(None, file).set_trial_user_attr(trial._trial_id, "next", True)
    assert file.read_bytes().startswith(whole[:last])
    assert attributes(open_storage(None, file)) == {"0": 0, "next": True}


def test_a_write_that_the_disk_refused_halfway_does_not_spoil_the_next(journal):
    store = open_storage(None, journal)
    with journal.open("ab") as file:
        file.write(b'{"op_code": 8, "worker_id"')
    store.set_trial_user_attr(0, "next", True)
    assert attributes(store) == attributes(open_storage(None, journal)) == {"0": 0, "1": 1, "next": True}


@pytest.mark.parametrize("garbage", [b"\0" * 40, b'{"op_code": 8, "worker', b"[]", b"7", b"", b"{}", b"\xff\xfe"])
@pytest.mark.parametrize("position", [0, 1, -1])
@pytest.mark.parametrize("create", [True, False])
def test_a_damaged_line_is_a_loud_error_that_names_it(journal, garbage, position, create):
    lines = journal.read_bytes().splitlines()
    lines[position] = garbage
    damaged = b"\n".join(lines) + b"\n"
    journal.write_bytes(damaged)
    number = range(1, len(lines) + 1)[position]
    with pytest.raises(InputError) as caught:
        open_storage(None, journal, create)
    assert str(caught.value) == (
        f"{str(journal)!r} is damaged: line {number} is no entry of it; restore the file from a backup"
    )
    assert journal.read_bytes() == damaged


def test_a_writer_that_is_killed_leaves_no_lock_behind(journal):
    holder = "from fullspectrum.search.store.journal import JournalLock; import sys, time; from pathlib import Path; "
    holder += "JournalLock(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holder, journal], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
    open_storage(None, journal).set_trial_user_attr(0, "next", True)
    assert attributes(open_storage(None, journal))["next"] is True
    assert list(journal.parent.iterdir()) == [journal]


def test_one_lock_at_a_time_holds_a_journal(journal):
    first, second = JournalLock(journal), JournalLock(journal)
    for waiting in (first, second):
        first.acquire()
        thread = threading.Thread(target=waiting.acquire)
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        first.release()
        thread.join()
        waiting.release()


def test_lines_of_many_writers_are_all_there_and_whole(tmp_path):
    file = tmp_path / "journal.log"
    shared = JournalFileBackend(str(file), JournalLock(file))
    own = [JournalFileBackend(str(file), JournalLock(file)) for _ in range(3)]
    entries = [{"op_code": 8, "writer": writer, "number": number} for writer in range(6) for number in range(20)]

    def write(writer: int) -> None:
        for entry in entries[writer * 20 : (writer + 1) * 20]:
            [shared, shared, shared, *own][writer].append_logs([entry])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(found, key=lambda entry: (entry["writer"], entry["number"])) == entries


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "mysterydb://ada:hunter2@127.0.0.1/optuna",
        "sqlite:////nowhere/hunter2/optuna.db",
        "postgresql+nodriver://ada:hunter2@127.0.0.1:1/optuna",
        "postgresql://ada:x@hunter2@127.0.0.1:1/optuna",
        "postgresql://ada@127.0.0.1:hunter2/optuna",
        "postgresql://ada@127.0.0.1:1/optuna?sslmode=hunter2",
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(tmp_path, url):
    with pytest.raises(ConfigError) as caught:
        open_storage(url, tmp_path / "journal.log")
    told(str(caught.value))


def test_a_reader_does_not_wait_for_a_database_that_is_away(tmp_path):
    with pytest.raises(ConfigError, match="connection refused") as caught:
        open_storage("postgresql://ada:hunter2@127.0.0.1:1/optuna", tmp_path / "journal.log", create=False)
    told(str(caught.value))


def told(message: str) -> None:
    assert "tracking.storage" in message
    assert "expected a database URL" in message
    assert "\n" not in message
    assert "hunter2" not in message


def test_a_driver_that_is_not_installed_is_told_with_the_way_to_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigError, match=r"driver .* is not installed; .* pip install 'fullspectrum\[postgres\]'"):
        open_storage("postgresql+psycopg2://ada:hunter2@127.0.0.1:1/optuna", tmp_path / "journal.log")


def test_connections_notice_that_their_server_is_gone_and_the_url_has_the_last_word():
    asked = engine_settings("postgresql://127.0.0.1/optuna?keepalives_idle=99")
    assert asked["pool_pre_ping"]
    assert asked["connect_args"]["connect_timeout"] == 10
    assert "keepalives_idle" not in asked["connect_args"]
    assert engine_settings("sqlite:///optuna.db")["connect_args"] == {"timeout": 60}
    assert engine_settings("sqlite:///optuna.db?timeout=5")["connect_args"] == {}


def test_postgresql_means_psycopg_3():
    assert create_engine("postgresql://127.0.0.1/optuna").driver == "psycopg"


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass in `sleep` alone; the pauses are listed."""

    class Clock:
        def __init__(self):
            self.now, self.pauses = 0.0, []

        def monotonic(self) -> float:
            return self.now

        def sleep(self, seconds: float) -> None:
            self.pauses.append(seconds)
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(retries, "time", clock)
    return clock


@pytest.fixture
def locked(tmp_path):
    """A SQLite engine that does not wait for locks, and the other connection, which holds one."""
    other = sqlite3.connect(tmp_path / "optuna.db", isolation_level=None)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN EXCLUSIVE")
    yield create_engine(f"sqlite:///{tmp_path}/optuna.db?timeout=0"), other
    other.close()


def write(engine) -> int:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES ('hunter2')"))
        return connection.scalar(text("SELECT count(*) FROM t"))


def test_an_operation_is_tried_again_until_the_database_answers(locked, clock, capsys):
    engine, other = locked
    sleep = clock.sleep

    def sleep_and_unlock(seconds: float) -> None:
        sleep(seconds)
        if len(clock.pauses) == 3:
            other.execute("COMMIT")

    clock.sleep = sleep_and_unlock
    assert with_retries(lambda: write(engine)) == 1
    # After 0.2, 0.6 and 1.4 s; it looks up now and then, whether it is still to wait.
    assert clock.pauses == pytest.approx([0.2, 0.4, 0.5, 0.3])
    assert capsys.readouterr().err == (
        "fullspectrum: warning: the study's database does not answer (database is locked); trying again for 300 s\n"
    )


def test_retries_end_with_the_way_to_go_on(locked, clock, capsys):
    tries = []
    with pytest.raises(StorageLost) as caught:
        with_retries(lambda: tries.append(clock.now) or write(locked[0]))
    message = str(caught.value)
    assert "has not answered for 300 s (database is locked)" in message
    assert "--resume" in message
    assert "\n" not in message
    assert "hunter2" not in message
    assert sum(clock.pauses) == pytest.approx(300)
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert max(pauses) == pytest.approx(10)
    assert pauses[:6] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_who_gives_up_waits_no_longer(locked, clock):
    with pytest.raises(StorageLost, match="has not answered for 3 s"):
        with_retries(lambda: write(locked[0]), give_up=lambda: clock.now >= 3)
    assert clock.now < 3.5


def test_what_was_waited_for_in_vain_is_not_waited_for_again(tmp_path, clock, capsys):
    store = open_storage(f"sqlite:///{tmp_path}/optuna.db?timeout=0", tmp_path / "unused")
    retrying = RetryingStorage(store)
    trial = optuna.create_study(study_name="s", storage=store).ask()
    with sqlite3.connect(tmp_path / "optuna.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(3):
            with pytest.raises(StorageLost, match="for 300 s"):
                retrying.set_trial_user_attr(trial._trial_id, "a", 1)
        other.execute("COMMIT")
    assert clock.now == pytest.approx(300)
    assert len(capsys.readouterr().err.splitlines()) == 1
    retrying.set_trial_user_attr(trial._trial_id, "a", 1)
    assert attributes(store) == {"a": 1}


def test_what_waiting_does_not_help_comes_through_at_once(tmp_path, clock):
    engine = create_engine(f"sqlite:///{tmp_path}/small.db")
    with engine.connect() as connection:
        with pytest.raises(OperationalError, match="no such table"):
            with_retries(lambda: connection.execute(text("INSERT INTO t VALUES (1)")))
        connection.execute(text("PRAGMA max_page_count = 2"))
        connection.execute(text("CREATE TABLE t (x)"))
        with pytest.raises(OperationalError, match="disk is full"):
            with_retries(lambda: connection.execute(text("INSERT INTO t VALUES (zeroblob(100000))")))
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        with_retries(lambda: full.write(b"x"))
    assert clock.pauses == []


def test_what_optuna_wraps_is_waited_for_too(tmp_path, clock, capsys):
    store = open_storage(f"sqlite:///{tmp_path}/optuna.db?timeout=0", tmp_path / "unused")
    trial = optuna.create_study(study_name="s", storage=store).ask()
    with sqlite3.connect(tmp_path / "optuna.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageLost):
            with_retries(lambda: store.set_trial_user_attr(trial._trial_id, "a", 1), seconds=5)
        other.execute("COMMIT")
    with_retries(lambda: store.set_trial_user_attr(trial._trial_id, "a", 1))
    assert attributes(store) == {"a": 1}
    assert sum(clock.pauses) == pytest.approx(5)
