"""Faults 7 and 8: the tracking server or its database is away, or dies while a record is delivered.

P4: nobody who writes the record notices. P3: in the end everything is there once, as it would have been without the
fault.
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fullspectrum.search.files import Home
from fullspectrum.search.record import uploader
from fullspectrum.search.record.delivery import delivered
from fullspectrum.search.record.destination import Destination
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.record.tracking import client_for, set_up
from mlflow import MlflowClient

from ..search.tracked import Place, state_of

# A server takes ten to twenty seconds to start on a busy machine.
pytestmark = pytest.mark.timeout(400)

TRIALS = 12


def until(happened: Callable[[], bool], seconds: float = 180.0) -> None:
    """Waits for what another process does."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert happened()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def server(folder: Path, port: int, host: str = "127.0.0.1") -> Iterator[Callable[[], None]]:
    """A real MLflow server, whose store and artifacts lie in a folder. Yields what kills it without notice."""
    set_up()
    where = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    command = [sys.executable, "-m", "mlflow", "server", *where, "--host", host, "--port", str(port)]
    command += ["--allowed-hosts", f"{host}:{port}"]
    with (folder / "server.log").open("ab") as log:
        # Its workers are processes of the same group.
        process = subprocess.Popen([*command, "--workers", "1"], stdout=log, stderr=log, start_new_session=True)

    def kill() -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    try:
        until(lambda: answers(f"http://{host}:{port}"))
        yield kill
    finally:
        kill()


def write_trial(spool: Spool, folder: Path, number: int) -> None:
    """All that is told of a trial."""
    run, table = f"abc/trial {number}", folder / str(number) / "coordinate.json"
    table.parent.mkdir()
    table.write_text(f"[{number}]")
    spool.start(run, f"trial {number}", params={"seed": number}, tags={"kind": "trial"}, parent="abc", attempt=1)
    spool.artifact(run, table)
    for step in range(3):
        spool.metrics(run, {"accuracy/val": number + step / 4, "training/loss": 1.0 / (1 + step)}, step)
    spool.tags(run, {"fullspectrum.outcome": "finished"})
    spool.end(run, "FINISHED")


def as_without_faults(tmp_path: Path, spool: Path) -> dict:
    """What a store holds into which the same spool was delivered in peace."""
    # Into an experiment of a store of its own, from the beginning.
    # Beside it, because artifacts are named from its folder on.
    copy = tmp_path / "peace.jsonl"
    copy.write_bytes(spool.read_bytes())
    peace = Place(copy, Home(tmp_path / "peace").create(), "peace")
    peace.deliver()
    return peace.state()


def test_a_server_that_is_down_at_first_and_then_killed_gets_everything_once(tmp_path, monkeypatch):
    """Fault 7, P3, P4: no server when the search begins, one that is killed while it is told, another one after it."""
    # The last pause between two tries, which a user's server that is away for an hour brings to a minute.
    monkeypatch.setattr(uploader, "_LONGEST_PAUSE", 4.0)
    port = free_port()
    uri, spool = f"http://127.0.0.1:{port}", tmp_path / "spool.jsonl"
    client = MlflowClient(tracking_uri=uri)

    told, killed, log_batch = [], threading.Event(), MlflowClient.log_batch

    def told_with_a_break(self, run_id: str, **batch) -> None:
        told.append(run_id)
        if len(told) == 4:
            killed.wait()
        log_batch(self, run_id, **batch)

    monkeypatch.setattr(MlflowClient, "log_batch", told_with_a_break)
    # Before anything is delivered, so that all of it is one block.
    written = Spool(spool)
    written.start("abc", "search abc", params={}, tags={})
    for number in range(TRIALS):
        write_trial(written, tmp_path, number)
    written.close()
    with delivered(spool, Destination(Home(tmp_path), "faults", "faults", uri)) as delivery:
        # The search has gone all the way, and nobody ever answered.
        until(lambda: delivery.state["problem"] is not None)
        assert delivery.state["depth"] == 1 + 7 * TRIALS
        with server(tmp_path, port) as kill:
            # In the middle: of the fourth run the server knows no more than that it began.
            until(lambda: len(told) == 4)
            kill()
            killed.set()
        assert delivery.state["depth"] == 1 + 7 * TRIALS
        for number in range(TRIALS, TRIALS + 3):
            write_trial(delivery.spool, tmp_path, number)
        with server(tmp_path, port):
            until(lambda: delivery.state["depth"] == 0)
            found = state_of(client, "faults")
    assert len(found) == 1 + TRIALS + 3
    assert found == as_without_faults(tmp_path, spool)
    assert not spool.with_suffix(".refused.jsonl").exists()


def test_a_store_that_is_locked_for_a_while_gets_everything_once(tmp_path):
    """Half of fault 8, P3, P4: another connection holds the database, for twice as long as MLflow itself waits."""
    home, spool = Home(tmp_path / "runs").create(), tmp_path / "spool.jsonl"
    place = Place(spool, home, "faults")
    with delivered(spool, place.destination) as delivery:
        delivery.spool.start("abc", "search abc", params={}, tags={})
        until(lambda: delivery.state["depth"] == 0)
        with closing(sqlite3.connect(home.path / "mlflow.db", timeout=60, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for number in range(5):
                write_trial(delivery.spool, tmp_path, number)
            time.sleep(40)
            # Everything was written while nothing could be delivered.
            assert delivery.state["depth"] == 7 * 5
            other.execute("ROLLBACK")
        until(lambda: delivery.state["depth"] == 0)
    assert place.state() == as_without_faults(tmp_path, spool)


#: Makes the store of the home that it is given, and dies between two statements of one of MLflow's migrations.
FATAL = """
import os, signal, sys
from pathlib import Path
from fullspectrum.search.files import Home
from sqlalchemy import Engine, event
from fullspectrum.search.record.tracking import client_for

@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *_):
    if "CREATE TABLE _alembic_tmp_" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

client_for(Home(Path(sys.argv[1])), None).search_experiments()
"""


def test_a_process_that_is_killed_while_it_makes_the_store_is_no_bother_to_the_next(tmp_path):
    """Fault 4: MLflow cannot go on with a store in which it was cut off."""
    store = Home(tmp_path)
    fatal = [sys.executable, "-c", FATAL, str(store.path)]
    died = subprocess.run(fatal, check=False, capture_output=True, timeout=120)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert client_for(store, None).search_experiments()


def test_processes_that_make_the_store_at_once_have_one(tmp_path):
    """Fault 17, of two studies in one new home: what one of them writes is there for the other."""
    store = Home(tmp_path / "new")
    make = "import sys; from pathlib import Path; from fullspectrum.search.files import Home;"
    make += " from fullspectrum.search.record.tracking import client_for;"
    make += " client_for(Home(Path(sys.argv[1])), None).create_experiment(sys.argv[2])"
    names = ["a", "b", "c"]
    makers = [subprocess.Popen([sys.executable, "-c", make, str(store.path), name]) for name in names]
    assert [maker.wait(120) for maker in makers] == [0, 0, 0]
    assert {one.name for one in client_for(store, None).search_experiments()} == {"Default", *names}
