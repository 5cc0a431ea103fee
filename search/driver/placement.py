"""What Ray is asked for: the resources of a part of a trial, and the nodes that it may lie on."""

import time
from typing import Any

import ray
from ray.tune import PlacementGroupFactory

from ..config.study import Resources
from ..protocol.proposal import Stage
from ..worker.device import ACCELERATOR, bundle

#: Seconds for which the nodes of the cluster are taken to be the same.
_KNOWN = 10.0

#: The label that every node has.
_NODE_ID = "ray.io/node-id"


class Placement:
    """The requests to Ray for the trials of a study, in shapes that the autoscaler of a cluster can serve.

    Ray itself puts what needs no GPU on the emptiest node, often one with GPUs, whose cores the trainings then lack.
    Scoring therefore keeps off such nodes where there is any other; where there is none, `scoring_slots` is what their
    cores leave.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._nodes: list[dict[str, Any]] = []
        self._seen = float("-inf")

    def of(self, stage: Stage) -> PlacementGroupFactory:
        """Return the request for a part of a trial."""
        if stage is not Stage.SCORING:
            return PlacementGroupFactory([bundle(self._resources)])
        request = bundle(self._resources.while_scoring)
        if not self._has_room_elsewhere:
            return PlacementGroupFactory([request])
        avoided = ",".join(sorted(node["NodeID"] for node in self._alive() if _is_special(node)))
        selector = [{_NODE_ID: f"!in({avoided})"}] if avoided else None
        return PlacementGroupFactory([request], bundle_label_selector=selector)

    def scoring_slots(self) -> int:
        """Return how many trials can be scored at once without a core that a training may need."""
        scoring, slots = self._resources.while_scoring.cpus, 0
        apart = self._has_room_elsewhere
        for node in self._alive():
            cores = int(node["Resources"].get("CPU", 0))
            if not _is_special(node):
                slots += cores // scoring
            elif not apart:
                slots += max(0, cores - self._trainings(node) * self._resources.cpus) // scoring
        return slots

    @property
    def _has_room_elsewhere(self) -> bool:
        scoring = self._resources.while_scoring.cpus
        return any(node["Resources"].get("CPU", 0) >= scoring for node in self._alive() if not _is_special(node))

    def _trainings(self, node: dict[str, Any]) -> int:
        """Return how many trainings a node can hold."""
        by_cores = int(node["Resources"].get("CPU", 0)) // self._resources.cpus
        share = self._resources.gpus
        return min(by_cores, int(node["Resources"].get("GPU", 0) / share)) if share else by_cores

    def _alive(self) -> list[dict[str, Any]]:
        if time.monotonic() - self._seen > _KNOWN:
            self._nodes = [node for node in ray.nodes() if node["Alive"]]
            self._seen = time.monotonic()
        return self._nodes


def _is_special(node: dict[str, Any]) -> bool:
    return any(name == "GPU" or name.startswith(ACCELERATOR) for name, much in node["Resources"].items() if much)
