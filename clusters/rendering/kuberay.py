"""Rendering to kuberay."""

from ..job import Job
from ..spec.cluster import Cluster
from .rendered import Rendered


def render_kuberay(cluster: Cluster, job: Job) -> Rendered:
    """Return the files of a cluster with its job."""
    return Rendered({"job.sh": f"# {cluster.name}: {job.name}\n"})
