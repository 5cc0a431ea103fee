"""Jobs that were submitted: how they are named, and what became of them."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

#: What the names of our jobs begin with, by which they are told from others of the cluster.
PREFIX = "fullspectrum-"


class Phase(StrEnum):
    """How far a job is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of the job."""
        return self not in (Phase.PENDING, Phase.RUNNING)


@dataclass(frozen=True)
class Submission:
    """A job that was handed to a cluster."""

    id: str
    """By which the cluster knows it: the name of the job, from the second time on with a number."""
    already: bool
    """Whether it runs, or waits to run, since an earlier submission."""


@dataclass(frozen=True)
class JobState:
    """What a cluster says of one submission."""

    id: str
    name: str
    phase: Phase
    message: str = ""
    """Why it ended so, in one line; empty where there is nothing to say."""
    exit_status: int | None = None
    """Of its command; None while it runs, and where the cluster does not tell."""
    started: float | None = None
    """When it was submitted or started, in seconds since 1970."""
    ended: float | None = None
    """When it ended, in seconds since 1970."""
    studies: Sequence[str] = ()
    """The ids of its studies, as far as the cluster keeps them."""


@dataclass(frozen=True)
class NodeState:
    """What a cluster says of one node."""

    name: str
    """Host name or IP address."""
    alive: bool
    resources: dict[str, float] = field(default_factory=dict)
    """What it has: CPU, GPU, …"""


@dataclass(frozen=True)
class ClusterState:
    """What a cluster says of itself."""

    running: bool
    """Whether there is a cluster now."""
    nodes: Sequence[NodeState] = ()
    jobs: Sequence[JobState] = ()
    """Ours, in the order in which they were submitted."""


def job_name(studies: Sequence[str]) -> str:
    """Return the name of the job that searches these studies (ids), the same wherever and whenever it is asked for."""
    if len(studies) == 1:
        return PREFIX + studies[0]
    return PREFIX + "family-" + hashlib.sha256(",".join(studies).encode()).hexdigest()[:12]


def name_of(submission: str) -> str:
    """Return the name of the job that a submission (id) is of."""
    return re.sub(r"(?<=.)-\d{1,6}$", "", submission) if _numbered(submission) else submission


def next_submission(name: str, known: Iterable[JobState]) -> Submission:
    """Return the submission of a job, given those that the cluster knows.

    It is the latest one while that has not ended; after that NAME-2, NAME-3, and so on.
    """
    of_name = [state for state in known if state.name == name]
    if not of_name:
        return Submission(name, already=False)
    latest = max(of_name, key=lambda state: _number(state.id))
    if not latest.phase.ended:
        return Submission(latest.id, already=True)
    return Submission(f"{name}-{_number(latest.id) + 1}", already=False)


def latest(name: str, known: Iterable[JobState]) -> JobState | None:
    """Return the latest submission of a job; None where the cluster knows none."""
    return max((state for state in known if state.name == name), key=lambda state: _number(state.id), default=None)


def _numbered(submission: str) -> bool:
    # An id of a study is twelve hexadecimal digits, which may all be decimal.
    return re.search(r"-[0-9a-f]{12}-\d+$", submission) is not None


def _number(submission: str) -> int:
    return int(submission.rpartition("-")[2]) if _numbered(submission) else 1
