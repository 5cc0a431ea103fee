"""The base of the targets whose jobs go to a Ray head that stays: local, static, rented."""

import contextlib
import shlex
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ..errors import ClusterError
from ..job import Job
from ..jobs import ClusterState, JobState, Submission, latest
from ..rendering.entrypoint import entrypoint
from ..shipping.homecoming import copy_home, packing, unpack
from .rayjobs import RayJobs, Unreachable
from .target import Target


class HeadTarget(Target):
    """A target whose head takes jobs, one after another."""

    @abstractmethod
    def _reach(self) -> AbstractContextManager[RayJobs]:
        """Reach the head, by a tunnel where it needs one. Raise Unreachable where there is none."""

    def submit(self, job: Job) -> Submission:
        """Submit a job, unless it runs already."""
        with self._reach() as jobs:
            return jobs.submit(job, entrypoint(self.cluster, job))

    def status(self) -> ClusterState:
        """Return what the head says of its nodes and of our jobs."""
        try:
            with self._reach() as jobs:
                return ClusterState(True, jobs.nodes(), jobs.submissions())
        except Unreachable:
            return ClusterState(False)

    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """Yield the output of the latest submission of a job."""
        with self._reach() as jobs:
            submission = self._latest(jobs, name).id
            if follow:
                yield from jobs.follow(submission)
            else:
                yield jobs.logs(submission)

    def stop(self, name: str) -> bool:
        """Ask the latest submission of a job to leave, and wait until it has ended."""
        with self._reach() as jobs:
            found = self._latest(jobs, name)
            if found.phase.ended:
                return False
            jobs.stop(found.id)
            # Its supervisor knows its grace period, and ends it after that.
            jobs.wait(found.id)
            return True

    def fetch(self, home: str, studies: Sequence[str], to: Path) -> None:
        """Copy the folders of studies home: from a folder that this machine sees too, else by a job that packs them."""
        if all((Path(home) / study).is_dir() for study in studies):
            copy_home(Path(home), studies, to)
            return
        with self._reach() as jobs:
            job = packing(home, studies)
            submission = jobs.submit(job, shlex.join(job.command)).id
            ended = jobs.wait(submission)
            text = jobs.logs(submission)
            with contextlib.suppress(Exception):
                jobs.forget(submission)
            unpack(text, to, ended)

    def _latest(self, jobs: RayJobs, name: str) -> JobState:
        found = latest(name, jobs.submissions())
        if found is None:
            raise ClusterError(f"cluster {self.cluster.name!r} knows no job {name}; `fullspectrum launch` submits it")
        return found
