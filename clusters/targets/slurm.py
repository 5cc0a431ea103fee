"""Batch jobs of Slurm, seen from a machine that has its commands and sees the nodes' storage, as a login node does."""

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ClusterError
from ..job import Job
from ..jobs import PREFIX, ClusterState, JobState, NodeState, Phase, Submission, latest, name_of, next_submission
from ..rendering.slurm import package_folder, render_slurm, storage_folder
from ..secretfiles import secret_values
from ..shipping.homecoming import copy_home
from .target import Target

#: The commands of Slurm that are used.
_PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol")

#: Seconds that a command of Slurm may take: a busy controller answers late.
_ANSWER_SECONDS = 120.0

#: Seconds between two looks at the log, and at the queue, which all users of a site share.
_LOOK_SECONDS, _QUEUE_SECONDS = 1.0, 5.0

#: Seconds after its grace period that a job has to end Ray and leave.
_END_SECONDS = 60.0

#: States of Slurm in which a job waits, and in which it runs; it has ended in all others.
_WAITS = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_RUNS = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}


@dataclass(frozen=True)
class _Queued:
    """A job, as the queue has it."""

    number: str
    state: str
    nodes: str
    reason: str


class SlurmTarget(Target):
    """A Slurm site: each search is a batch job that brings its own Ray."""

    def check(self, job: Job) -> None:
        """Raise ClusterError for commands, storage or secrets that are not here, and for what sbatch would refuse."""
        render_slurm(self.cluster, job)
        secret_values(self.cluster)
        if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
            raise ClusterError(
                f"{missing[0]} is not on this machine; launch on one that has Slurm's commands, such as a login node"
            )
        storage = Path(storage_folder(self.cluster))
        if not storage.is_dir() or not os.access(storage, os.W_OK):
            problem = "cannot be written to" if storage.is_dir() else "is no folder on this machine"
            raise ClusterError(
                f"storage = {str(storage)!r} {problem}; name a folder that this machine and all nodes see (mkdir -p)"
            )

    def up(self) -> None:
        """Do nothing: each job brings its own Ray."""

    def submit(self, job: Job) -> Submission:
        """Submit a job, unless it waits or runs already."""
        self._jobs.mkdir(parents=True, exist_ok=True)
        with (self._jobs / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            submission = next_submission(job.name, self._states(self._queue()))
            if not submission.already:
                self._submit(replace(job, name=submission.id))
        return submission

    def status(self) -> ClusterState:
        """Return the nodes that our jobs have, and our jobs."""
        queue = self._queue()
        nodes = [
            NodeState(node, True, self._resources())
            for name, queued in queue.items()
            if queued.nodes and (self._jobs / name).is_dir()
            for node in _run("scontrol", "show", "hostnames", queued.nodes).split()
        ]
        return ClusterState(True, nodes, self._states(queue))

    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """Yield the output of the latest submission of a job: its log goes on where Slurm begins the job again."""
        found = self._latest(name)
        log = self._jobs / found.id / "log"
        read, looked = 0, -_QUEUE_SECONDS
        while True:
            ended = not follow
            if follow and time.monotonic() - looked >= _QUEUE_SECONDS:
                ended, looked = self._latest(name).phase.ended, time.monotonic()
            with contextlib.suppress(FileNotFoundError), log.open("rb") as written:
                written.seek(read)
                piece = written.read()
                # A character may be written in two pieces.
                whole = piece if ended else piece[: piece.rfind(b"\n") + 1]
                read += len(whole)
                if whole:
                    yield whole.decode(errors="replace")
            if ended:
                return
            time.sleep(_LOOK_SECONDS)

    def stop(self, name: str) -> bool:
        """Ask the latest submission to leave (SIGTERM to its batch step), and wait until it has ended."""
        found = self._latest(name)
        queued = self._queue().get(found.id)
        if found.phase.ended or queued is None:
            return False
        if queued.state in _RUNS:
            _run("scancel", "--signal=TERM", "--batch", queued.number)
            if self._ends(found.id, self._note(found.id)["grace_seconds"] + _END_SECONDS):
                return True
        _run("scancel", queued.number)
        if not self._ends(found.id, _END_SECONDS):
            raise ClusterError(f"job {queued.number} was cancelled, but Slurm still has it; see squeue --job")
        return True

    def down(self) -> None:
        """Cancel all our jobs of this cluster, those that wait as well."""
        for name, queued in self._queue().items():
            if (self._jobs / name).is_dir():
                _run("scancel", queued.number)

    def fetch(self, home: str, studies: Sequence[str], to: Path) -> None:
        """Copy the folders of studies from the storage, which this machine sees."""
        if missing := [study for study in studies if not (Path(home) / study).is_dir()]:
            raise ClusterError(f"there is no study {missing[0]} in {home!r}; has its search begun?")
        copy_home(Path(home), studies, to)

    @property
    def _jobs(self) -> Path:
        return Path(storage_folder(self.cluster)) / "jobs"

    def _submit(self, job: Job) -> None:
        folder = self._jobs / job.name
        # Of an attempt that sbatch refused.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        if job.folder:
            shutil.copytree(job.folder, folder / "input")
        if job.wheel:
            self._unpack(job)
        if secrets := secret_values(self.cluster):
            lines = [f"export {name}={shlex.quote(value)}\n" for name, value in secrets.items()]
            # Never readable by others, not even for a moment.
            descriptor = os.open(folder / "secrets", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as written:
                written.writelines(lines)
        for name, text in render_slurm(self.cluster, job).files.items():
            (folder / name).write_text(text)
        note = {"studies": list(job.studies), "grace_seconds": job.grace_seconds}
        (folder / "job.json").write_text(json.dumps(note))
        try:
            _run("sbatch", "--parsable", str(folder / "job.sh"), environment=self._environment())
        except ClusterError:
            shutil.rmtree(folder)
            raise

    def _unpack(self, job: Job) -> None:
        """Unpack our package once for each content of it."""
        assert job.wheel
        package = Path(package_folder(self.cluster, job) or "")
        if package.exists():
            return
        package.parent.mkdir(exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".unpacked-", dir=package.parent))
        try:
            with zipfile.ZipFile(job.wheel) as archive:
                archive.extractall(scratch)
            scratch.chmod(0o755)
            # Whole, or not at all: a job may import from it while another is launched.
            scratch.rename(package)
        except OSError:
            shutil.rmtree(scratch, ignore_errors=True)
            if not package.exists():
                raise

    def _environment(self) -> dict[str, str]:
        """Return the environment that sbatch passes on to the job.

        This Python comes first in its PATH. What an outer job says of itself, and the secrets, stay here.
        """
        places = (place.partition(":") for place in self.cluster.secrets.values())
        secret = {name for kind, _, name in places if kind == "env"} | set(self.cluster.secrets)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in secret and not name.startswith("RAY_") and (name == "SLURM_CONF" or name[:6] != "SLURM_")
        }
        return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    def _queue(self) -> Mapping[str, _Queued]:
        """Return our jobs that wait or run, by the names of their submissions."""
        printed = _run("squeue", "--me", "--noheader", "--format=%j|%i|%T|%N|%r")
        lines = (line.strip().split("|") for line in printed.splitlines() if line.startswith(PREFIX))
        return {name: _Queued(number, state, nodes, reason) for name, number, state, nodes, reason in lines}

    def _states(self, queue: Mapping[str, _Queued]) -> list[JobState]:
        """Return our jobs in the order in which they were submitted."""
        with contextlib.suppress(FileNotFoundError):
            folders = [note.parent for note in self._jobs.glob(f"{PREFIX}*/job.json")]
            return [self._state(folder, queue) for folder in sorted(folders, key=_submitted)]
        return []

    def _state(self, folder: Path, queue: Mapping[str, _Queued]) -> JobState:
        queued, ended = queue.get(folder.name), None
        phase, message, status = Phase.RUNNING, "", None
        if queued and queued.state in _WAITS:
            phase, message = Phase.PENDING, queued.reason
        elif (end := _end(folder)) is not None:
            phase, message, status, ended = end
        elif not queued:
            phase, message = _accounted(folder.name)
        studies = tuple(self._note(folder.name)["studies"])
        return JobState(folder.name, name_of(folder.name), phase, message, status, _submitted(folder), ended, studies)

    def _latest(self, name: str) -> JobState:
        found = latest(name, self._states(self._queue()))
        if found is None:
            raise ClusterError(f"cluster {self.cluster.name!r} knows no job {name}; `fullspectrum launch` submits it")
        return found

    def _ends(self, submission: str, seconds: float) -> bool:
        """Wait until the queue has a submission no more; return whether that was within so many seconds."""
        end = time.monotonic() + seconds
        while submission in self._queue():
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _note(self, submission: str) -> dict[str, Any]:
        note: dict[str, Any] = json.loads((self._jobs / submission / "job.json").read_text())
        return note

    def _resources(self) -> dict[str, float]:
        node = self.cluster.workers[0] if self.cluster.workers else self.cluster.head
        return {"CPU": float(node.cpus)} | ({"GPU": float(node.gpus)} if node.gpus else {})


def _submitted(folder: Path) -> float:
    return (folder / "job.json").stat().st_mtime


def _end(folder: Path) -> tuple[Phase, str, int, float] | None:
    """Return how a job ended, by its own note: phase, message, exit status, and when; None where it wrote none."""
    note = folder / "ended"
    try:
        status, when = int(note.read_text()), note.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return None
    if status in (0, 130, 143):
        return Phase.SUCCEEDED if status == 0 else Phase.STOPPED, "", status, when
    return Phase.FAILED, f"exit status {status}", status, when


def _accounted(name: str) -> tuple[Phase, str]:
    """Return what became of a job that could not note its end, as Slurm's accounting says where a site has one."""
    state = ""
    with contextlib.suppress(ClusterError):
        printed = _run("sacct", "--name", name, "--allocations", "--noheader", "--parsable2", "--format=State")
        state = ([line for line in printed.splitlines() if line] or [""])[-1]
    if state.startswith("CANCELLED"):
        return Phase.STOPPED, "cancelled"
    return Phase.FAILED, f"Slurm ended it: {state}" if state else "Slurm has it no more, and it noted no end"


def _run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a command of Slurm prints. Raise ClusterError, in one line, where it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_SECONDS,
            env=None if environment is None else dict(environment),
            check=False,
        )
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is not on this machine; use one that has Slurm's commands") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{command[0]} does not answer within {_ANSWER_SECONDS:g} s; see `scontrol ping`") from None
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").split())
        raise ClusterError(f"{command[0]} refuses: {said}")
    return done.stdout
