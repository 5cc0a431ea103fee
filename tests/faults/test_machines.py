"""A search on several machines, launched by the command: machines, a link, the driver and the head are lost on its way.

Where namespaces are refused, `test_cluster.py` loses a node of `ray.cluster_utils.Cluster` instead.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.targets.rayjobs import RayJobs

from .machines import Machine, Network, can_be_had, wait
from .postgres import PASSWORD, running
from .searches import STUDY, Search
from .test_cluster import secured
from .test_tracking import server

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not can_be_had(), reason="only root may make network namespaces; test_cluster.py needs none"),
]

#: Seconds within which a lost machine is noticed: three looks a second apart, of 2 s each, and the look of this test.
NOTICED = 8 + 2

_DESCRIPTION = """
kind = "static"
name = "lab"
storage = "{home}"
tracking = "{mlflow}"
study = "{storage}"

[auth]
token_file = "{token}"

[hosts]
address = "http://{head}:8265"
"""

#: A driver that looks at the nodes as a search does.
_LOOK = """
import pathlib, sys, ray
from fullspectrum.clusters.preflight import Needs, unfit_nodes
ray.init(log_to_driver=False)
for line in unfit_nodes(Needs(pathlib.Path(sys.argv[1]))):
    print(line)
"""

_MAIN = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"


def test_a_launched_search_survives_machines_a_link_its_driver_and_its_head(tmp_path, undisturbed, monkeypatch):
    """P1 to P5 (faults 2, 4, 6): the same final set, each result once, each loss noticed within the bound."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    environment = secured(tmp_path) | {"PGPASSWORD": PASSWORD, "OMP_NUM_THREADS": "1"}

    def passed(what: str) -> None:
        print(f"{what} after {time.monotonic() - began:.1f} s", flush=True)

    with Network() as network, running(network.address(1)) as postgres:
        began = time.monotonic()
        head, one, two = (network.machine(name) for name in ("head", "one", "two"))
        alone = ["--head", "--port=6379", "--dashboard-port=8265", f"--dashboard-host={head.address}", "--num-cpus=0"]
        joined = [f"--address={head.address}:6379", "--num-cpus=1"]
        small = ["--object-store-memory=200000000", "--disable-usage-stats", "--include-log-monitor=false"]

        def boot(machine: Machine) -> Machine:
            options = alone if machine is head else joined
            return machine.start([*options, *small], environment, tmp_path / f"{machine.name}.log")

        for machine in (head, one, two):
            boot(machine)
        with socket.socket() as free:
            free.bind((network.address(1), 0))
            mlflow = free.getsockname()[1]
        uri = f"http://{network.address(1)}:{mlflow}"
        storage = postgres.url.replace(f":{PASSWORD}", "")
        with server(tmp_path, mlflow, network.address(1)):
            passed("mlflow")
            jobs = RayJobs(f"http://{head.address}:8265", tmp_path / "token")
            wait(lambda: _alive(jobs) == {head.address, one.address, two.address})
            passed("nodes")
            search = Search(tmp_path / "lab", f"tracking.storage={storage}", study=STUDY)
            description = {"home": search.folder / "runs", "mlflow": uri, "storage": storage, "head": head.address}
            text = _DESCRIPTION.format(**description, token=tmp_path / "token")
            (search.folder / "lab.toml").write_text(text)

            def launch(*options: str, status: int = 0) -> str:
                command = [sys.executable, "-c", _MAIN, "launch", "lab.toml", "study.toml", *options]
                done = subprocess.run(
                    command,
                    cwd=search.folder,
                    env=os.environ | {"HOME": str(tmp_path)},
                    capture_output=True,
                    text=True,
                    timeout=400,
                    check=False,
                )
                assert done.returncode == status, (done.stdout, done.stderr)
                return done.stdout + done.stderr

            # Where a node does not see the files of the search, the look at the nodes says so with its name.
            shared = search.folder / "runs"
            shared.mkdir()
            with two.covered(shared):
                look = Job("fullspectrum-00000000000a", ["python", "-c", _LOOK, str(shared)])
                jobs.wait(jobs.submit(look, shlex.join(look.command)).id)
            (line,) = [line for line in jobs.logs(look.name).splitlines() if line.startswith("node ")]
            assert line.startswith(f"node {two.address} (two) does not see the driver's {str(shared)!r}")
            passed("looked")

            assert f"job fullspectrum-{search.study.id} is submitted on cluster lab" in launch("--detach")
            passed("submitted")

            def begun() -> int:
                return len(list(search.files.path.glob("checkpoints/trial-*/*.checkpoint")))

            def ended() -> int:
                return sum(trial.outcome is not None for trial in search.ledger().trials())

            # A worker machine dies in the middle of a trial, and another one takes its place.
            wait(lambda: begun() and one.runs("ray::MaskTrial"), 240)
            passed("first checkpoint")
            one.kill()
            _, seconds = wait(lambda: one.address not in _alive(jobs))
            assert seconds < NOTICED
            passed("one noticed")
            boot(one)

            # So does the head machine, and the driver with it; the search is launched again.
            head.kill()
            assert ended() < search.study.search.trials
            boot(head)
            wait(lambda: len(_alive(jobs)) == 3, 120)
            passed("new head")
            assert f"job fullspectrum-{search.study.id} is submitted on cluster lab" in launch("--detach")

            # The driver alone is killed in mid-run.
            wait(lambda: two.runs("ray::MaskTrial"), 240)
            (driver,) = _drivers(head)
            os.kill(driver, signal.SIGKILL)
            wait(lambda: _drivers(head) not in ([], [driver]))
            passed("driver again")

            # The other machine is cut off for 30 s.
            wait(lambda: two.runs("ray::MaskTrial"), 240)
            with two.cut_off():
                cut = time.monotonic()
                _, seconds = wait(lambda: two.address not in _alive(jobs))
                assert seconds < NOTICED
                passed("two noticed")
                time.sleep(max(0.0, 30 - (time.monotonic() - cut)))
            passed("link again")
            said = launch()
            passed("done")
            assert "best masks beside the baselines" in said
            assert search.state() == undisturbed.state()
            assert search.runs(uri) == undisturbed.runs()
            assert max(trial.proposal.attempt for trial in search.ledger().trials()) >= 2
            # The new head has seen one job only: what the command said of the first one is history.
            assert [job.id for job in jobs.submissions()] == [f"fullspectrum-{search.study.id}"]


def _alive(jobs: RayJobs) -> set[str]:
    """The addresses of the nodes that the head holds alive; none where it does not answer."""
    try:
        return {node.name for node in jobs.nodes() if node.alive}
    except ValueError:
        return set()


def _drivers(head: Machine) -> list[int]:
    """The process ids of the driver on a head: the child of its supervisor."""
    # Not the shell that a job is run by.
    both = [each for each in head.runs("-m fullspectrum.search.cli search") if each.name().startswith("python")]
    above = {process.pid for process in both}
    return [process.pid for process in both if process.ppid() in above]
