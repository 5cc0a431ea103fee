"""The file of `ray up` for machines of Google Cloud."""

from typing import Any

from ..job import Job
from ..spec.cluster import Cluster
from ..spec.machines import ATTACHED
from ..spec.nodes import Head, Workers
from .rayup import rented
from .rendered import Rendered


def render_gcp(cluster: Cluster, job: Job) -> Rendered:
    """Return `cluster.yaml` and `job.json`. Raise ClusterError for what Google Cloud would refuse."""
    cloud = cluster.cloud
    assert cloud
    provider = {
        "type": "gcp",
        "region": cloud.region,
        "availability_zone": cloud.zone,
        "project_id": cloud.project,
    }
    return rented(cluster, job, provider, _instance)


def _instance(cluster: Cluster, node: Head | Workers) -> dict[str, Any]:
    """Return the Instance that Compute Engine is asked for."""
    cloud = cluster.cloud
    assert cloud and node.machine
    disk = {"diskSizeGb": cloud.disk_gib, "sourceImage": cloud.boot_image}
    config: dict[str, Any] = {
        "machineType": node.machine,
        "disks": [{"boot": True, "autoDelete": True, "type": "PERSISTENT", "initializeParams": disk}],
    }
    if node.gpus and node.machine.startswith("n1-") and node.accelerator:
        accelerator = ATTACHED[node.accelerator]
        config["guestAccelerators"] = [{"acceleratorType": accelerator, "acceleratorCount": node.gpus}]
    scheduling: list[dict[str, Any]] = []
    if isinstance(node, Workers) and node.spot:
        scheduling.append({"preemptible": True})
    if node.gpus:
        # A machine with GPUs cannot move to another host while it runs.
        scheduling.append({"onHostMaintenance": "TERMINATE"})
    if scheduling:
        config["scheduling"] = scheduling
    return config
