"""The base of what a kind of cluster does."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import ClusterError
from ..job import Job
from ..jobs import ClusterState, JobState, Submission, latest
from ..spec.cluster import Cluster


class Target(ABC):
    """One cluster, seen from the machine that launches: `up` starts or reaches it, all else needs it to be there.

    Methods raise ClusterError, in one line, where the cluster cannot be reached or refuses.
    """

    ships_package = True
    """Whether the package travels as a wheel; else the nodes have it, as part of their image."""

    def __init__(self, cluster: Cluster, notice: Callable[[str], None] = lambda line: None):
        self.cluster = cluster
        self.notice = notice
        """Is told, in one line each, what takes a while."""

    def home(self, here: Path) -> str:
        """Return the home folder of searches as the nodes see it; `here` is that of this machine.

        Raises ClusterError where the nodes have no folder in common.
        """
        storage = self.cluster.storage
        if storage is None:
            raise ClusterError(
                f"cluster {self.cluster.name!r} has no storage, so that its nodes could not see a study's files; set "
                "storage to a folder that all of them see, or to s3://BUCKET/PREFIX"
            )
        # In an object store lie the files of a study; what its driver alone needs lies on the head.
        return f"/tmp/fullspectrum-{self.cluster.name}" if self.cluster.object_store else storage

    @abstractmethod
    def check(self, job: Job) -> None:
        """Raise ClusterError for what this machine lacks, such as a program, before anything is started."""

    @abstractmethod
    def up(self) -> None:
        """Start the cluster, or reach the one that runs; where a job brings its own cluster, do nothing."""

    @abstractmethod
    def submit(self, job: Job) -> Submission:
        """Submit a job, unless it runs already: one name is one job at a time (see `next_submission`)."""

    @abstractmethod
    def status(self) -> ClusterState:
        """Return what the cluster says of itself and of our jobs; `running` is false where there is none."""

    @abstractmethod
    def logs(self, name: str, follow: bool) -> Iterator[str]:
        """Yield the output of the latest submission of a job, in pieces; with `follow` until it has ended."""

    @abstractmethod
    def stop(self, name: str) -> bool:
        """Ask the latest submission to leave (SIGTERM, with the grace of its job), and wait until it has ended.

        Return whether it ran.
        """

    @abstractmethod
    def down(self) -> None:
        """End the cluster and whatever runs on it; nothing happens where there is none."""

    @abstractmethod
    def fetch(self, home: str, studies: Sequence[str], to: Path) -> None:
        """Copy the folders of studies (ids) under the nodes' `home`, and the record beside them, to the home `to`."""

    def job(self, name: str) -> JobState | None:
        """Return the latest submission of a job; None where the cluster knows none."""
        return latest(name, self.status().jobs)
