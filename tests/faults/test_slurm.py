"""A search as a batch job of a real Slurm, on two nodes of this machine, that is taken away in the middle."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fullspectrum.clusters.validation.schema import facts
from fullspectrum.search.files import Home
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.storage import open_storage

from ..clusters.slurmserver import Slurm, running
from .searches import STUDY, Search

_MAIN = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"

_CLUSTER = """
kind = "slurm"
name = "loopback"
storage = "{storage}"

[head]
cpus = 1
memory_gib = 3
trials = true

[[workers]]
cpus = 1
memory_gib = 3
least = 1
most = 1

[environment]
OMP_NUM_THREADS = "1"

[secrets]
PLANTED = "env:PLANTED"
"""

_SECRET = "planted-9b1f4c"


class _Site:
    """A user's folder on a machine that has Slurm's commands, and the storage of the cluster."""

    def __init__(self, folder: Path, slurm: Slurm):
        self.folder, self.slurm, self.storage = folder, slurm, folder / "storage"
        self.storage.mkdir()
        (folder / "cluster.toml").write_text(_CLUSTER.format(storage=self.storage))
        (folder / "study.toml").write_text(STUDY)

    def fullspectrum(self, *arguments: str) -> str:
        """Runs a command as a user does; what it printed on both streams."""
        done = subprocess.run(
            [sys.executable, "-c", _MAIN, *arguments],
            cwd=self.folder,
            env=os.environ | self.slurm.environment | {"PLANTED": _SECRET},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, (done.stdout, done.stderr, self.log(), self.slurm.logs())
        return done.stdout + done.stderr

    @property
    def job(self) -> Path:
        """The folder of the job, once there is one."""
        return next(self.storage.glob("jobs/fullspectrum-*"))

    def log(self) -> str:
        """What the job has printed."""
        with contextlib.suppress(StopIteration, FileNotFoundError):
            return (self.job / "log").read_text()
        return ""

    def wait(self, reached, seconds: float = 150):
        """Waits until `reached` is true, and returns it."""
        end = time.monotonic() + seconds
        while not (found := reached()):
            assert time.monotonic() < end, (self.log(), self.slurm.logs())
            time.sleep(0.05)
        return found


@pytest.mark.timeout(600)
def test_a_batch_job_that_slurm_takes_away_begins_again_and_comes_to_the_same(tmp_path, undisturbed: Search):
    study, finished = undisturbed.study, "] trial "
    with running() as slurm:
        site = _Site(tmp_path, slurm)
        # Whatever this sbatch takes is known where overrides are checked.
        assert set(re.findall(r"--([a-z][a-z0-9-]+)", slurm.run("sbatch", "--help"))) <= set(facts("sbatch"))
        folder = Home(site.storage).study(study.id)
        assert "is submitted" in site.fullspectrum("launch", "cluster.toml", "study.toml", "--detach")
        site.wait(lambda: site.log().count(finished) >= 2)
        before = {trial.number: trial for trial in _ledger(undisturbed, folder).trials() if trial.outcome}
        number = slurm.run("squeue", "--noheader", "--format=%i").strip()
        slurm.run("scontrol", "requeue", number)
        # Once it searches again, all of Ray's nodes are there.
        site.wait(lambda: f"study {study.id}:" in site.log().partition("for the 2. time")[2])
        assert "runs already" in site.fullspectrum("launch", "cluster.toml", "study.toml", "--detach")
        token = site.job / "token"
        assert token.stat().st_mode & 0o077 == 0
        assert (site.job / "secrets").stat().st_mode & 0o077 == 0
        processes = _processes_of(token)
        _refuses_strangers(processes)
        assert "SIGTERM: what runs saves a checkpoint and leaves" in site.log()
        assert site.fullspectrum("clusters", "logs", "cluster.toml", "study.toml", "--follow")
        assert (site.job / "ended").read_text() == "0\n"
        after = {trial.number: trial for trial in _ledger(undisturbed, folder).trials()}
        # No trial that had ended was run again.
        attempts = {number: trial.proposal.attempt for number, trial in before.items()}
        assert len(before) >= 2 and {number: after[number].proposal.attempt for number in before} == attempts
        assert "succeeded" in site.fullspectrum("clusters", "status", "cluster.toml")
        site.fullspectrum("clusters", "fetch", "cluster.toml", "study.toml", "-o", "home")
        fetched = Search(tmp_path, home="home")
        assert fetched.state() == undisturbed.state()
    # Nothing of it stays behind, nor says what is secret.
    assert not [process for process in processes if process.is_running() and process.status() != "zombie"]
    assert not token.exists() and not (site.job / "secrets").exists()
    for file in site.storage.rglob("*"):
        assert not file.is_file() or _SECRET.encode() not in file.read_bytes(), file


def _ledger(search: Search, folder) -> Ledger:
    return Ledger(search.study, open_storage(None, folder.journal, create=False))


def _processes_of(token: Path) -> list[psutil.Process]:
    """The processes of Ray that ask for this token."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("RAY_AUTH_TOKEN_PATH") == str(token):
                found.append(process)
    return found


def _refuses_strangers(processes: list[psutil.Process]) -> None:
    """Checks that what listens beyond loopback serves no HTTP without a token."""
    listening = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            for each in process.net_connections("tcp"):
                if each.status == psutil.CONN_LISTEN and not each.laddr.ip.startswith("127."):
                    listening.add((each.laddr.port, process.name()))
    assert listening
    for port, name in listening:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
            stranger.settimeout(2)
            stranger.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while piece := stranger.recv(4096):
                    answer += piece
        assert b" 200 " not in answer.partition(b"\r\n")[0], (port, name, answer[:300])
