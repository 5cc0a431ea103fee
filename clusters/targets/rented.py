"""Machines that `ray up` starts: rented ones of AWS and GCP, and hosts over SSH."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..auth.token import existing_token, known_of, make_token
from ..errors import ClusterError
from ..job import Job
from ..rendering.registry import render
from ..secretfiles import keep_secrets
from .ports import free_ports
from .programs import program, run
from .rayjobs import RayJobs, Unreachable
from .withhead import HeadTarget

#: The port of the dashboard on the head, which listens on loopback there.
_DASHBOARD = 8265

#: Seconds within which the tunnel to a head that runs stands.
_TUNNEL_SECONDS = 60.0


class RentedTarget(HeadTarget):
    """A cluster of `ray up`, whose Jobs API is reached through a tunnel of SSH."""

    def check(self, job: Job) -> None:
        """Write the file of `ray up`. Raise ClusterError for what Ray or the provider would refuse in it."""
        program("ray", f"kind {self.cluster.kind}")
        # Of every search it is the same file, apart from what it says of a grace period.
        text = render(self.cluster, replace(job, folder=None, wheel=None)).files[self._file.name]
        keep_secrets(self.cluster)
        make_token(self.cluster)
        self._file.write_text(text)

    def up(self) -> None:
        """Start the machines, unless their head answers: `ray up` would start Ray anew, and end what runs."""
        if self._stands() and self._answers():
            return
        self.notice(f"starting cluster {self.cluster.name} by `ray up {self._file}`")
        run([self._ray, "up", "--yes", str(self._file)], shown=True)

    def down(self) -> None:
        """Give all machines back."""
        if not self._file.exists():
            self.notice(f"nothing was started from this machine as cluster {self.cluster.name}")
            return
        run([self._ray, "down", "--yes", str(self._file)], shown=True)

    @contextlib.contextmanager
    def _reach(self) -> Iterator[RayJobs]:
        if not self._file.exists():
            raise Unreachable(
                f"nothing was started from this machine as cluster {self.cluster.name!r}; "
                "`fullspectrum launch` starts it"
            )
        (port,) = free_ports(1)
        # It forwards a port of loopback here to the loopback of the head.
        command = [self._ray, "dashboard", f"--port={port}", f"--remote-port={_DASHBOARD}", str(self._file)]
        log = self._file.with_name("tunnel.log")
        with log.open("w") as output:
            tunnel = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            jobs = RayJobs(f"http://127.0.0.1:{port}", existing_token(self.cluster))
            _wait_for(tunnel, jobs, self.cluster.name, log)
            yield jobs
        finally:
            # SSH is a child of it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tunnel.pid, signal.SIGTERM)
            tunnel.wait()

    def _stands(self) -> bool:
        """Return whether there is a head machine."""
        try:
            run([self._ray, "get-head-ip", str(self._file)])
        except ClusterError:
            return False
        return True

    def _answers(self) -> bool:
        try:
            with self._reach():
                return True
        except Unreachable:
            return False

    @property
    def _ray(self) -> str:
        return program("ray", f"kind {self.cluster.kind}")

    @property
    def _file(self) -> Path:
        return known_of(self.cluster) / "cluster.yaml"


def _wait_for(tunnel: "subprocess.Popen[bytes]", jobs: RayJobs, name: str, log: Path) -> None:
    """Wait until a head answers through its tunnel. Raise Unreachable where none does."""
    end = time.monotonic() + _TUNNEL_SECONDS
    while True:
        try:
            jobs.probe(5.0)
            return
        except Unreachable:
            if tunnel.poll() is None and time.monotonic() < end:
                time.sleep(0.5)
                continue
        said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise Unreachable(f"the head of cluster {name!r} is not reached: {said[-1] if said else 'it does not answer'}")
