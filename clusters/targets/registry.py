"""The targets by the kind of their cluster."""

import importlib
from collections.abc import Callable

from ..spec.cluster import Cluster, Kind
from .target import Target

#: Class of each kind; imported when it is wanted.
_TARGETS: dict[Kind, str] = {
    "local": "local:LocalTarget",
    "static": "static:StaticTarget",
    "aws": "rented:RentedTarget",
    "gcp": "rented:RentedTarget",
    "kuberay": "kuberay:KubeRayTarget",
    "slurm": "slurm:SlurmTarget",
}


def target_of(cluster: Cluster, notice: Callable[[str], None] = lambda line: None) -> Target:
    """Return the target of a cluster; `notice` is told, in one line each, what takes a while."""
    module, _, name = _TARGETS[cluster.kind].partition(":")
    found: type[Target] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    return found(cluster, notice)
