"""The file of `ray up` for machines of AWS."""

from typing import Any

from ..job import Job
from ..spec.cluster import Cluster
from ..spec.nodes import Head, Workers
from .rayup import rented
from .rendered import Rendered


def render_aws(cluster: Cluster, job: Job) -> Rendered:
    """Return `cluster.yaml` and `job.json`. Raise ClusterError for what AWS would refuse."""
    cloud = cluster.cloud
    assert cloud
    provider: dict[str, Any] = {"type": "aws", "region": cloud.region}
    if cloud.zone:
        provider["availability_zone"] = cloud.zone
    return rented(cluster, job, provider, _instance)


def _instance(cluster: Cluster, node: Head | Workers) -> dict[str, Any]:
    """Return what EC2's RunInstances is asked for."""
    cloud = cluster.cloud
    assert cloud
    config: dict[str, Any] = {"InstanceType": node.machine}
    if cloud.boot_image:
        config["ImageId"] = cloud.boot_image
    config["BlockDeviceMappings"] = [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": cloud.disk_gib, "VolumeType": "gp3"}}
    ]
    # Whoever makes a process of the machine fetch a URL does not get its credentials.
    config["MetadataOptions"] = {"HttpTokens": "required"}
    if isinstance(node, Workers) and node.spot:
        config["InstanceMarketOptions"] = {"MarketType": "spot"}
    return config
