"""A cluster that begins without workers grows by what a search asks for."""

import json
import os
import subprocess
import sys

import pytest

from ..search.conftest import tiny_study
from .test_cluster import secured

pytestmark = pytest.mark.timeout(240)

#: Ray's own autoscaler over nodes that are processes of this machine: two types of one node each at most.
#: The provider knows the head by the name of its type.
_GROWING = {
    "cluster_name": "growing",
    "max_workers": 2,
    "upscaling_speed": 1.0,
    "idle_timeout_minutes": 5,
    "provider": {
        "type": "fake_multinode",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "cpu": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 1},
        "gpu": {
            "resources": {"CPU": 1, "GPU": 1, "accelerator_type:T4": 1},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 1,
        },
    },
    "head_node_type": "ray.head.default",
    "auth": {},
    "file_mounts": {},
    **{
        name: []
        for name in (
            "cluster_synced_files",
            "initialization_commands",
            "setup_commands",
            "head_setup_commands",
            "worker_setup_commands",
            "head_start_ray_commands",
            "worker_start_ray_commands",
            "rsync_exclude",
            "rsync_filter",
        )
    },
}

#: In a network of its own, as the nodes of that autoscaler look for their head at one port. What it started ends with
#: it: it is the first process of its own process space.
_PROGRAM = """
import io, json, socket, subprocess, sys, time
from pathlib import Path
from rich.console import Console
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
folder = Path(sys.argv[1])
head = subprocess.Popen([str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--port=6379",
    "--num-cpus=0", "--include-dashboard=false", f"--autoscaling-config={folder / 'growing.json'}"],
    stdout=(folder / "head.log").open("w"), stderr=subprocess.STDOUT)
for _ in range(200):
    try:
        socket.create_connection(("127.0.0.1", 6379), 1).close()
        break
    except OSError:
        time.sleep(0.1)
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import Home
from fullspectrum.search.study import run_study
printed = io.StringIO()
study = parse(json.loads((folder / "study.json").read_text()))
result = run_study(study, Home(folder / "runs"), Console(file=printed, width=200), "127.0.0.1:6379")
print(json.dumps([printed.getvalue(), [trial.outcome for trial in result.trials]]))
"""


def test_a_search_waits_for_a_cluster_that_grows_from_nothing_by_nodes_of_the_right_types(tmp_path):
    resources = "resources.accelerator='T4'", "resources.scoring_cpus=1"
    study = tiny_study(*resources, "search.trials=2", "gate.quantile=1.0", "final.top_k=0")
    (tmp_path / "study.json").write_text(json.dumps(study.settings()))
    (tmp_path / "growing.json").write_text(json.dumps(_GROWING))
    environment = os.environ | secured(tmp_path) | {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    apart = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    command = [*apart, sys.executable, "-c", _PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    printed, outcomes = json.loads(done.stdout.splitlines()[-1])
    line = "no node of the cluster has 1 CPU core and a T4 yet; trials wait until one joins"
    assert line in printed
    assert set(outcomes) <= {"finished", "stopped-early"}
