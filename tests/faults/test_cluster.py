"""A Ray cluster of several nodes, one of which is lost, with a worker that does not know it."""

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from .searches import Search, dead

pytestmark = pytest.mark.timeout(300)

#: A head without a processor and two nodes of one each, whose scratch folders are not the same; the number of a node
#: on stdin takes it away, its end all.
_CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1, env_vars={"FULLSPECTRUM_SCRATCH": f"{sys.argv[1]}/{n}"}) for n in range(2)]
cluster.wait_for_nodes()
print(cluster.address, *(node.all_processes["raylet"][0].process.pid for node in nodes), flush=True)
cluster.remove_node(nodes[int(sys.stdin.readline())], allow_graceful=False)
sys.stdin.read()
cluster.shutdown()
"""


def secured(folder: Path) -> dict[str, str]:
    """The environment of nodes and drivers that share a token, as on a real cluster, and notice a loss within 8 s."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
    }


@contextlib.contextmanager
def cluster(environment: dict[str, str], scratch: Path) -> Iterator[tuple[subprocess.Popen, str, list[int]]]:
    """The process of the cluster, its address, and the process ids of its nodes' raylets."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-c", _CLUSTER, str(scratch)]
    with subprocess.Popen(command, text=True, env=os.environ | environment, **pipes) as nodes:
        address, *raylets = nodes.stdout.readline().split()
        yield nodes, address, [int(raylet) for raylet in raylets]


@contextlib.contextmanager
def lost_node(search: Search, undisturbed: Search) -> Iterator[dict[str, Any]]:
    """Searches on a cluster, a node of which is lost in the middle of a warm-up; yields the heartbeat's line of that.

    Its worker was stopped in its tracks, and wakes up after its trial has ended elsewhere.
    """
    environment = secured(search.folder) | search.environment
    with cluster(environment, search.folder / "scratch") as (nodes, address, raylets):
        search.start("--address", address, environment=environment)
        with search.frozen(undisturbed) as victim:
            above = [process.pid for process in psutil.Process(victim["pid"]).parents()]
            (node,) = (number for number, raylet in enumerate(raylets) if raylet in above)
            print(node, file=nodes.stdin, flush=True)
            search.wait(lambda: search.ledger().trials()[victim["trial"]].outcome is not None)
        # It runs until it notices that its node is gone.
        search.wait(lambda: dead(victim["pid"]), ended=True)
        yield victim


def test_the_trials_of_a_lost_node_go_on_elsewhere_and_its_last_worker_wakes_up_to_no_effect(tmp_path, undisturbed):
    """P1, P2, P3 (faults 2 and 3): the worker was stopped in its tracks, and wakes up after its trial has ended.

    Its node is gone, so that no report of it reaches the driver; that such a one is refused, `test_dispatch` shows.
    """
    search = Search(tmp_path / "cluster")
    with lost_node(search, undisturbed) as victim:
        search.end()
    trial = search.ledger().trials()[victim["trial"]]
    assert trial.proposal.attempt >= 2
    assert search.state() == undisturbed.state()
    assert search.runs() == undisturbed.runs()
