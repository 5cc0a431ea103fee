"""The machines of a described cluster, as the trials of a study see them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ...clusters.errors import ClusterError
from ...clusters.spec.cluster import Cluster
from ...clusters.spec.nodes import Node
from ..config.study import Resources

#: How the names begin by which Ray counts the types of accelerators.
_ACCELERATOR = "accelerator_type:"


@dataclass
class Machine:
    """One node of a cluster, and for how long a search keeps it."""

    group: str
    node: Node
    always: bool
    """Whether it is there, and paid, from beginning to end; others start when they are first needed."""
    holds_trials: bool
    speed: float = 1.0
    """How many times as fast it is as where the trials were measured."""
    wanted: float = math.inf
    """Seconds from the start at which it was first asked for."""
    busy: float = 0.0
    """Seconds from the start until which it worked."""

    def trainings(self, resources: Resources) -> int:
        """Return how many trials with these resources it holds at once."""
        other = resources.accelerator is not None and self.node.accelerator != resources.accelerator
        if not self.holds_trials or other:
            return 0
        by_cores = self.node.cpus // resources.cpus
        share = resources.gpus
        # A trial has a part of one GPU, or whole ones.
        by_gpus = self.node.gpus * int(1 / share) if 0 < share < 1 else int(self.node.gpus / share) if share else 0
        return min(by_cores, by_gpus) if share else by_cores

    @property
    def has_gpus(self) -> bool:
        """Whether it has GPUs, so that scoring keeps off it where there is another."""
        return self.node.gpus > 0


def machines_of(cluster: Cluster, speeds: Mapping[str, float]) -> list[Machine]:
    """Return the machines that a cluster may grow to, those that are always there first, the head before all.

    `speeds` say how many times as fast an accelerator is. Raises ClusterError for an accelerator that is not there.
    """
    nodes: list[tuple[str, Node, bool, bool]] = [("head", cluster.head, True, cluster.trials_on_head)]
    for group in cluster.workers:
        nodes += [(group.name, group, number < group.least, True) for number in range(group.most)]
    there = {node.accelerator for _, node, _, _ in nodes if node.accelerator}
    if unknown := sorted(speeds.keys() - there):
        raise ClusterError(
            f"--speed {unknown[0]}={speeds[unknown[0]]:g}: cluster {cluster.name} has no such accelerator; "
            f"it has {', '.join(sorted(there)) or 'none'}"
        )
    found = [
        Machine(name, node, always, trials, speeds.get(node.accelerator or "", 1.0))
        for name, node, always, trials in nodes
    ]
    return sorted(found, key=lambda machine: not machine.always)


def running_machines(nodes: Mapping[str, Mapping[str, float]]) -> list[Machine]:
    """Return the machines of a cluster that runs, by what Ray counts of each node, whose name is given."""
    found = []
    for name, has in nodes.items():
        if not (cpus := int(has.get("CPU", 0))):
            # Ray puts no trial there.
            continue
        types = [key.removeprefix(_ACCELERATOR) for key in has if key.startswith(_ACCELERATOR)]
        gpus = int(has.get("GPU", 0))
        node = Node(cpus=cpus, gpus=gpus, accelerator=types[0] if types and gpus else None)
        found.append(Machine(name, node, always=True, holds_trials=True))
    return found


def check_room(cluster: Cluster, machines: list[Machine], resources: Resources) -> None:
    """Raise ClusterError where no machine of the cluster can hold one trial."""
    if any(machine.trainings(resources) for machine in machines):
        return
    asked = f"{resources.cpus} CPU core{'' if resources.cpus == 1 else 's'}"
    asked += f" and {resources.gpus:g} GPU" if resources.gpus else ""
    asked += f" of type {resources.accelerator}" if resources.accelerator else ""
    groups = {machine.group: machine.node for machine in machines if machine.holds_trials}
    listed = "; ".join(f"{name}: {_described(node)}" for name, node in groups.items())
    raise ClusterError(
        f"a trial needs {asked}, which no node of cluster {cluster.name} has ({listed}); change [resources] of the "
        "study, or the cluster"
    )


def _described(node: Node) -> str:
    gpus = f", {node.gpus} GPU{'' if node.gpus == 1 else 's'}" if node.gpus else ""
    return f"{node.cpus} CPU cores{gpus}{f' of type {node.accelerator}' if node.accelerator else ''}"
