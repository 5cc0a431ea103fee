"""This machine as a cluster: a Ray head that outlives the terminal, on loopback only, with a token."""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ..auth.token import existing_token, known_of, make_token
from ..errors import ClusterError
from ..job import Job
from ..rendering.local import head_environment, head_options
from ..secretfiles import secret_values
from .ports import free_ports
from .rayjobs import RayJobs, Unreachable
from .withhead import HeadTarget

#: Seconds that Ray may take to start.
_START_SECONDS = 90.0

#: Seconds that Ray has to end.
_END_SECONDS = 15.0


@dataclass(frozen=True)
class _Head:
    """The head that runs, as its file notes it."""

    pid: int
    born: float
    """When the process started: a number of a process is used again."""
    address: str
    folder: str
    """Ray's temporary folder."""
    secrets: str
    """By which one knows whether the secrets that it was started with are still the same; none can be read from it."""


class LocalTarget(HeadTarget):
    """One Ray head on this machine, a process of its own with its descendants."""

    def home(self, here: Path) -> str:
        """Return the home folder: `storage`, or that of this machine's commands, which see the search at once then."""
        return super().home(here) if self.cluster.storage else str(here.absolute())

    def check(self, job: Job) -> None:
        """Raise ClusterError where this Python cannot ship a wheel, and for secrets that are not there."""
        secret_values(self.cluster)
        if job.wheel and shutil.which("pip", path=_environment_path()) is None:
            raise ClusterError(
                f"Ray installs what is shipped with pip, which {sys.prefix} has not; add it with "
                f"`{sys.executable} -m ensurepip`"
            )

    def up(self) -> None:
        """Start the head, unless it runs."""
        token = make_token(self.cluster)
        secrets = secret_values(self.cluster)
        mark = hmac.new(token.read_bytes(), json.dumps(secrets, sort_keys=True).encode(), hashlib.sha256).hexdigest()
        with self._alone():
            if head := self._running():
                if head.secrets != mark:
                    raise ClusterError(
                        f"cluster {self.cluster.name!r} runs with other [secrets] than there are now; end it first: "
                        "`fullspectrum clusters down`"
                    )
                return
            self.notice(f"starting a Ray head for cluster {self.cluster.name} on this machine")
            self._start(token, secrets, mark)

    def down(self) -> None:
        """End the head and its descendants, and no other process."""
        with self._alone():
            head = self._running()
            if head is None:
                return
            with contextlib.suppress(psutil.NoSuchProcess):
                leader = psutil.Process(head.pid)
                _end([leader, *leader.children(recursive=True)])
            shutil.rmtree(head.folder, ignore_errors=True)
            self._file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _reach(self) -> Iterator[RayJobs]:
        head = self._running()
        if head is None:
            raise Unreachable(f"cluster {self.cluster.name!r} does not run; `fullspectrum launch` starts it")
        yield RayJobs(head.address, existing_token(self.cluster))

    @property
    def _file(self) -> Path:
        return known_of(self.cluster) / "head.json"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off other commands that start or end this cluster."""
        with (known_of(self.cluster) / "head.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _running(self) -> _Head | None:
        """Return the head that was started here and still runs; None where there is none."""
        try:
            head = _Head(**json.loads(self._file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        try:
            process = psutil.Process(head.pid)
        except psutil.NoSuchProcess:
            return None
        return head if process.create_time() == head.born and _runs(process) else None

    def _start(self, token: Path, secrets: dict[str, str], mark: str) -> None:
        # A folder of its own keeps it apart from every other Ray, and short, as sockets lie in it.
        folder = tempfile.mkdtemp(prefix="fs-", dir="/tmp")
        dashboard, client = free_ports(2)
        ports = [f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
        options = [*head_options(self.cluster), f"--temp-dir={folder}", *ports]
        outside = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")}
        log = known_of(self.cluster) / "head.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**outside, **head_environment(self.cluster), **secrets, "PATH": _environment_path()},
                cwd=folder,
                # Ctrl-C and the end of the terminal do not reach it.
                start_new_session=True,
            )
        head = _Head(
            process.pid, psutil.Process(process.pid).create_time(), f"http://127.0.0.1:{dashboard}", folder, mark
        )
        self._file.write_text(json.dumps(asdict(head)))
        try:
            _wait_until_up(RayJobs(head.address, token), process, folder, log)
        except BaseException:
            _end([psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)])
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
            self._file.unlink(missing_ok=True)
            raise


def _wait_until_up(jobs: RayJobs, process: "subprocess.Popen[bytes]", folder: str, log: Path) -> None:
    """Wait until the head takes jobs. Raise ClusterError where it does not start."""
    end = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(ClusterError):
            jobs.probe(1.0)
            # Jobs need a node, which comes a little later than the head, and the file by which it is found.
            if Path(folder, "ray_current_cluster").exists() and any(node.alive for node in jobs.nodes()):
                return
        if process.poll() is not None or time.monotonic() > end:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            said = lines[-1].strip() if lines else f"exit status {process.poll()}"
            raise ClusterError(f"Ray does not start on this machine: {said}; all that it said is in {str(log)!r}")
        time.sleep(0.2)


def _end(processes: list[psutil.Process]) -> None:
    """End a process (the first) and its descendants: SIGTERM to it, and SIGKILL to all that are left after a while."""
    leader = processes[0]
    with contextlib.suppress(psutil.NoSuchProcess):
        leader.send_signal(signal.SIGTERM)
    end = time.monotonic() + _END_SECONDS
    while (alive := [process for process in processes if _runs(process)]) and time.monotonic() < end:
        time.sleep(0.1)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _runs(process: psutil.Process) -> bool:
    """Return whether a process runs; one that has ended may stand in the list for ever, where nobody asks how."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _environment_path() -> str:
    """Return the search path of programs of this Python: what a job calls `python` and `pip` is this environment's."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
