"""The targets by name, and which of them a cluster may be rendered to."""

from collections.abc import Callable

from ..errors import ClusterError, nearest
from ..job import Job
from ..spec.cluster import Cluster
from .aws import render_aws
from .gcp import render_gcp
from .kuberay import render_kuberay
from .local import render_local
from .rendered import Rendered
from .skypilot import render_skypilot
from .slurm import render_slurm
from .static import render_static

TARGETS: dict[str, Callable[[Cluster, Job], Rendered]] = {
    "local": render_local,
    "static": render_static,
    "aws": render_aws,
    "gcp": render_gcp,
    "kuberay": render_kuberay,
    "slurm": render_slurm,
    "skypilot": render_skypilot,
}

#: What a kind may be rendered to beside the target of its own name.
_OTHERS: dict[str, tuple[str, ...]] = {"aws": ("skypilot",), "gcp": ("skypilot",)}


def target_of(cluster: Cluster, target: str | None = None) -> str:
    """Return the target that a cluster is rendered to: `target`, or the one of its kind.

    Raise ClusterError for one that this kind of cluster is not rendered to.
    """
    known = (cluster.kind, *_OTHERS.get(cluster.kind, ()))
    if target is None or target in known:
        return target or cluster.kind
    raise ClusterError(
        f"target {target!r}{nearest(target, known)}: a cluster of kind {cluster.kind} is rendered to "
        + " or ".join(known)
    )


def render(cluster: Cluster, job: Job, target: str | None = None) -> Rendered:
    """Return the files of a cluster with its job, `overrides` merged into them, checked by the target's own schema.

    Raise ClusterError, in one line that names the place, for what the target would refuse.
    """
    return TARGETS[target_of(cluster, target)](cluster, job)
