"""A Ray cluster of several nodes, one of which is lost, with a worker that does not know it."""

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator

import psutil
import pytest
from ray.cluster_utils import Cluster

from .searches import Search

pytestmark = pytest.mark.timeout(240)

#: Seconds in which the loss of a node is noticed, at most.
HEALTH = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}


@contextlib.contextmanager
def cluster_of(nodes: int) -> Iterator[Cluster]:
    """A head without a processor, and nodes of one each, on the loopback interface."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture
def authentication(tmp_path, monkeypatch) -> None:
    """A token that nodes and drivers of this test share, as on a real cluster."""
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    for name, value in HEALTH.items():
        monkeypatch.setenv(name, value)


def test_the_trials_of_a_lost_node_go_on_elsewhere_and_its_last_worker_is_not_believed(
    tmp_path, undisturbed, authentication
):
    """P1, P2, P3 (faults 2 and 3): the worker was stopped in its tracks, and wakes up after its trial has ended."""
    with cluster_of(2) as cluster:
        search = Search(tmp_path / "cluster").start("--address", cluster.address)
        node = next(iter(cluster.worker_nodes))
        raylet = node.all_processes["raylet"][0].process.pid

        def victims() -> list[dict]:
            running = [one for one in search.board().get("running", []) if one["pid"] and one["iteration"] > 0]
            return [one for one in running if _is_child(one["pid"], raylet)]

        victim = search.wait(victims)[0]
        os.kill(victim["pid"], signal.SIGSTOP)
        cluster.remove_node(node, allow_graceful=False)
        search.wait(lambda: search.ledger().trials()[victim["trial"]].outcome is not None)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim["pid"], signal.SIGCONT)
        search.end()
    trial = search.ledger().trials()[victim["trial"]]
    assert trial.attempt >= 2
    assert search.state() == undisturbed.state()
    assert search.runs() == undisturbed.runs()


def _is_child(pid: int, parent: int) -> bool:
    try:
        return parent in [process.pid for process in psutil.Process(pid).parents()]
    except psutil.NoSuchProcess:
        return False
