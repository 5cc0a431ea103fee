"""Checks of a RayJob of KubeRay: the facts of its resource definition, then the rules of its operator."""

from collections.abc import Iterator, Mapping
from typing import Any

from .kuberayrules import broken_rule
from .mistake import DocumentError
from .schema import check_schema, facts


def check_rayjob(document: Mapping[str, Any]) -> None:
    """Check a RayJob. Raise DocumentError for the first thing that Kubernetes or the operator of KubeRay refuses."""
    check_schema(document, facts("rayjob"))
    if broken := broken_rule(document):
        raise DocumentError(*broken)
    for place, pod in _pods(document):
        _check_mounts(place, pod)


def _pods(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    cluster = document["spec"].get("rayClusterSpec")
    if not cluster:
        return
    place = ("spec", "rayClusterSpec")
    yield (*place, "headGroupSpec", "template", "spec"), cluster["headGroupSpec"]["template"]["spec"]
    for number, group in enumerate(cluster.get("workerGroupSpecs", ())):
        yield (*place, "workerGroupSpecs", number, "template", "spec"), group["template"]["spec"]


def _check_mounts(place: tuple[str | int, ...], pod: Mapping[str, Any]) -> None:
    """Raise DocumentError for a mount of a volume that the pod does not have: Kubernetes refuses the pod for it."""
    volumes = [volume["name"] for volume in pod.get("volumes", ())]
    for number, container in enumerate(pod["containers"]):
        for mount_number, mount in enumerate(container.get("volumeMounts", ())):
            if mount["name"] not in volumes:
                where = (*place, "containers", number, "volumeMounts", mount_number, "name")
                raise DocumentError(
                    where, f'no volume is called "{mount["name"]}"; the pod has {", ".join(volumes) or "none"}'
                )
