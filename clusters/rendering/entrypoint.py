"""The job as the shell line that a platform runs."""

import shlex

from ..job import Job
from ..spec.cluster import Cluster


def entrypoint(cluster: Cluster, job: Job) -> str:
    """Return the job's command as one shell line, which `deadline_hours` ends in good order.

    At the deadline the job is asked to leave, has its seconds of grace, and then counts as done: it is not to be
    started again by itself.
    """
    command = shlex.join(job.command)
    if cluster.deadline_hours is None:
        return command
    limits = f"--signal=TERM --kill-after={job.grace_seconds:g} {deadline_seconds(cluster)}"
    return f"timeout {limits} {command} || {{ code=$?; [ $code -eq 124 ] || exit $code; }}"


def deadline_seconds(cluster: Cluster) -> int:
    """Return the seconds within which a search ends, at least one. The cluster must have a deadline."""
    assert cluster.deadline_hours is not None
    return max(1, round(cluster.deadline_hours * 3600))
