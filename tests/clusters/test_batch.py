"""What a batch job runs on its nodes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fullspectrum.clusters.batch.assembly import wait_for_nodes
from fullspectrum.clusters.batch.freeport import free_port
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.tempfolder import make_folder

#: In the place of Ray: says what it was given, starts a process as Ray does, and lasts.
_LASTING = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(sys.argv[1], child.pid, flush=True)
time.sleep(60)
"""


def test_sigterm_does_not_end_a_node_nor_what_it_started_and_sigusr1_ends_both():
    command = [sys.executable, "-m", "fullspectrum.clusters.batch.raynode", sys.executable, "-c", _LASTING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        option, child = node.stdout.readline().split()
        folder = Path(option.removeprefix("--temp-dir="))
        assert folder.stat().st_mode & 0o077 == 0
        processes = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        assert len(processes) == 3 and int(child) in [process.pid for process in processes]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert [process.status() for process in processes if process.status() == psutil.STATUS_ZOMBIE] == []
        node.send_signal(signal.SIGUSR1)
        assert node.wait(timeout=20) == 0
    assert not folder.exists()
    assert not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_a_node_that_does_not_start_says_so_by_its_status():
    command = [sys.executable, "-m", "fullspectrum.clusters.batch.raynode", sys.executable, "-c", "raise SystemExit(7)"]
    assert subprocess.run(command, timeout=30, check=False).returncode == 7


def test_a_port_that_is_taken_is_not_chosen_nor_one_before_it():
    first = free_port(3)
    with socket.socket() as taken:
        taken.bind(("", first + 1))
        assert free_port(3) not in (first, first + 1)
    # Two jobs in a row ask at the same time.
    assert free_port(4) - free_port(3) >= 2


def test_a_head_that_has_ended_is_not_waited_for():
    head = subprocess.Popen([sys.executable, "-c", ""])
    head.wait()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ClusterError, match="Ray's head has ended"):
            wait_for_nodes(address, 2, 60, head.pid)
    assert time.monotonic() - began < 10


def test_a_folder_for_ray_is_short_where_the_usual_one_is_long(tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(deep))
    folder = make_folder()
    os.rmdir(folder)
    assert os.path.dirname(folder) == "/tmp"
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    folder = make_folder()
    os.rmdir(folder)
    assert os.path.dirname(folder) == "/var/tmp"
