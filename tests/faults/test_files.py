"""A study whose files go through an object store, as its machines see no common folder."""

import random
import signal
import time
from collections.abc import Iterator

import pytest

from .postgres import PASSWORD, running
from .s3 import S3, serving
from .searches import Search
from .test_cluster import lost_node

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def store() -> Iterator[S3]:
    with serving() as store:
        yield store


def test_a_trial_of_a_lost_machine_goes_on_from_the_store_and_an_outage_of_that_fails_no_trial(
    tmp_path, undisturbed, store
):
    """P1, P2, P4 (fault 2): the other node has never seen a file of the trial."""
    search = Search(tmp_path / "cluster", store=store)
    with lost_node(search, undisturbed) as victim:
        with store.away():
            time.sleep(20)
        search.end()
    trials = search.ledger().trials()
    assert trials[victim["trial"]].proposal.attempt >= 2
    assert search.state() == undisturbed.state()
    assert search.runs() == undisturbed.runs()
    names = store.names(f"{search.study.id}/")
    assert not [name for name in names if name.startswith("checkpoints/")]
    for trial in trials:
        assert f"trials/{trial.number:05d}/candidates.json" in names
    assert {"init.safetensors", "best/mask.safetensors", "report/leaderboard.json", "spool.jsonl"} <= set(names)
    # They may hold passwords.
    assert not {"study.json", "record.json"} & set(names)


def test_drivers_are_killed_on_postgresql_and_one_on_a_new_machine_ends_the_study(
    tmp_path, undisturbed, store, monkeypatch
):
    """P1, P3, P5 (faults 4 and 8): the first driver waits for the database, which is away, and obeys Ctrl-C meanwhile.

    The last driver has neither the home folder of those before it, nor their record.
    """
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with running() as server:
        where = f"tracking.storage={server.url.replace(f':{PASSWORD}', '')}"
        first = Search(tmp_path / "first", where, store=store)
        server.kill()
        for asked in (True, False):
            first.start()
            line = first.process.stderr.readline()
            assert "the study's database does not answer (connection refused); trying again for 300 s" in line
            if asked:
                first.process.send_signal(signal.SIGINT)
                first.end(status=130, seconds=20)
        server.start()
        first.kill_drivers(random.Random(5), 2, undisturbed)
        first.kill()
        last = Search(tmp_path / "last", where, store=store)
        last.start("--resume").end()
        assert last.state() == undisturbed.state()
        assert last.runs() == undisturbed.runs()
