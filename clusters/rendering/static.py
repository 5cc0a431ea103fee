"""The file of `ray up` for machines that stand already."""

from ..job import Job
from ..spec.cluster import Cluster
from .rayup import ray_up
from .rendered import Rendered
from .submission import submission


def render_static(cluster: Cluster, job: Job) -> Rendered:
    """Return `cluster.yaml` and `job.json`; of a cluster that runs already, the latter alone.

    Raise ClusterError for what Ray would refuse.
    """
    hosts = cluster.hosts
    assert hosts
    if hosts.head is None:
        return Rendered({"job.json": submission(cluster, job)})
    own = {
        "provider": {"type": "local", "head_ip": hosts.head, "worker_ips": hosts.workers},
        "auth": {"ssh_user": hosts.user} | ({"ssh_private_key": hosts.key} if hosts.key else {}),
    }
    # Ray finds out what each host has; only the head may have to keep out of it.
    return ray_up(cluster, job, own, "" if cluster.trials_on_head else " --num-cpus=0 --num-gpus=0")
