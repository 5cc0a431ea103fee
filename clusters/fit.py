"""Whether the nodes of a cluster can hold what a job asks for."""

from collections.abc import Sequence

from .errors import ClusterError
from .spec.cluster import Cluster


def is_described(cluster: Cluster) -> bool:
    """Return whether a cluster's file says what its nodes have; of one that runs already it need not."""
    return not (cluster.hosts and cluster.hosts.address) or bool({"head", "workers"} & cluster.model_fields_set)


def check_fits(cluster: Cluster, cpus: float, gpus: float) -> None:
    """Raise ClusterError where no node of the description can hold so many CPU cores and GPUs at once.

    A cluster that runs already, and whose file does not describe it, is asked itself: see `check_holds`.
    """
    if not is_described(cluster):
        return
    nodes = [*cluster.workers, *([cluster.head] if cluster.trials_on_head else [])]
    _check(cluster.name, [(node.cpus, node.gpus) for node in nodes], cpus, gpus, "describe such nodes")


def check_holds(name: str, nodes: Sequence[tuple[float, float]], cpus: float, gpus: float) -> None:
    """Raise ClusterError where none of the nodes that are there, CPU cores and GPUs of each, can hold so many."""
    _check(name, nodes, cpus, gpus, "add such a node")


def _check(name: str, nodes: Sequence[tuple[float, float]], cpus: float, gpus: float, way_out: str) -> None:
    if any(cpus <= has_cpus and gpus <= has_gpus for has_cpus, has_gpus in nodes):
        return
    most_cpus = max((has_cpus for has_cpus, _ in nodes), default=0)
    most_gpus = max((has_gpus for _, has_gpus in nodes), default=0)
    if gpus > most_gpus:
        has = (
            f"the most that a node of cluster {name!r} has is {most_gpus:g}"
            if most_gpus
            else (f"no node of cluster {name!r} has a GPU")
        )
        raise ClusterError(f"resources.gpus = {gpus:g}, but {has}; {way_out}, or set resources.gpus={most_gpus:g}")
    if cpus > most_cpus:
        raise ClusterError(
            f"resources.cpus = {cpus:g}, but the most that a node of cluster {name!r} has is {most_cpus:g}; {way_out}, "
            f"or set resources.cpus={most_cpus:g}"
        )
    raise ClusterError(
        f"resources.cpus = {cpus:g} and resources.gpus = {gpus:g}, but no node of cluster {name!r} has both; "
        f"{way_out}, or lower one of them"
    )
