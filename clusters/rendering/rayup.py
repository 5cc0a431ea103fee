"""What the files of `ray up` have in common, whoever the machines are from."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from ..job import Job
from ..secretfiles import secret_file, token_file
from ..spec.cluster import Cluster
from ..spec.nodes import Head, Node, Workers
from .environment import SECRETS, TOKEN, node_environment
from .merge import finished
from .rendered import Rendered
from .submission import submission
from .text import whole, yaml_text

#: The ports that nodes talk over. The dashboard, which takes jobs, listens on the head's loopback only.
_PORT = 6379
_OBJECT_PORT = 8076

#: What the container is called.
_CONTAINER = "fullspectrum"


def ray_up(cluster: Cluster, job: Job, own: Mapping[str, Any], head_options: str = "") -> Rendered:
    """Return the file of `ray up` and the request of the job: what all providers share, and what one has of its `own`.

    `head_options` are more options of `ray start` on the head. Raise ClusterError for what the provider would refuse.
    """
    mounts = {TOKEN: str(token_file(cluster))}
    mounts |= {f"{SECRETS}/{name}": str(secret_file(cluster, name)) for name in cluster.secrets}
    # The head tells its autoscaler what workers may be started, which the file itself says.
    head = f"ray start --head --port={_PORT} --object-manager-port={_OBJECT_PORT} --dashboard-host=127.0.0.1"
    head += f"{head_options} --autoscaling-config=~/ray_bootstrap_config.yaml"
    worker = f"ray start --address=$RAY_HEAD_IP:{_PORT} --object-manager-port={_OBJECT_PORT}"
    document = {
        "cluster_name": cluster.name,
        "idle_timeout_minutes": whole(cluster.idle_minutes),
        **own,
        **_docker(cluster),
        "file_mounts": mounts,
        # Without these Ray installs a version of its own.
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": ["ray stop", _started(cluster, job, head)],
        "worker_start_ray_commands": ["ray stop", _started(cluster, job, worker)],
    }
    document = finished(cluster.kind, document, cluster.overrides)
    comment = f"Ray cluster {cluster.name}, to be started by `ray up`"
    return Rendered({"cluster.yaml": yaml_text(comment, document), "job.json": submission(cluster, job)})


def rented(
    cluster: Cluster,
    job: Job,
    provider: Mapping[str, Any],
    machine: Callable[[Cluster, Head | Workers], dict[str, Any]],
) -> Rendered:
    """Return what `ray_up` does for machines that a `provider` rents out; `machine` says what is asked for a node.

    Raise ClusterError for what the provider would refuse.
    """
    assert cluster.cloud
    groups = {
        group.name: {
            "resources": resources(group),
            "min_workers": group.least,
            "max_workers": group.most,
            "node_config": machine(cluster, group),
        }
        for group in cluster.workers
    }
    head = {
        "resources": resources(cluster.head, cluster.trials_on_head),
        "min_workers": 0,
        "max_workers": 0,
        "node_config": machine(cluster, cluster.head),
    }
    own = {
        "max_workers": cluster.most_workers,
        # A stopped machine still costs its disk.
        "provider": {**provider, "cache_stopped_nodes": False},
        "auth": {"ssh_user": cluster.cloud.user},
        "head_node_type": "head",
        "available_node_types": {"head": head, **groups},
        "initialization_commands": cluster.cloud.setup,
    }
    return ray_up(cluster, job, own)


def resources(node: Node, trials: bool = True) -> dict[str, int]:
    """Return what Ray counts of a node: nothing where no trial may run on it.

    The autoscaler has to know it before there is a machine.
    """
    if not trials:
        return {"CPU": 0, "GPU": 0}
    found = {"CPU": node.cpus}
    if node.gpus:
        found["GPU"] = node.gpus
    if node.accelerator:
        found[f"accelerator_type:{node.accelerator}"] = 1
    return found


def _docker(cluster: Cluster) -> dict[str, Any]:
    if cluster.image is None:
        return {}
    options = ["--ulimit nofile=65536:65536"]
    if cluster.storage and cluster.storage.startswith("/"):
        folder = shlex.quote(cluster.storage)
        options.append(f"-v {folder}:{folder}")
    return {"docker": {"image": cluster.image, "container_name": _CONTAINER, "run_options": options}}


def _started(cluster: Cluster, job: Job, start: str) -> str:
    """Return the shell lines that start Ray on a node, with the environment that its tasks inherit."""
    exports = {name: shlex.quote(value) for name, value in node_environment(cluster, job).items()}
    # Only the node itself reads the secrets.
    exports |= {name: f'"$(cat {SECRETS}/{name})"' for name in cluster.secrets}
    files = " ".join([TOKEN, *(f"{SECRETS}/{name}" for name in cluster.secrets)])
    lines = [
        f"chmod 600 {files}",
        f"export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={TOKEN.replace('~', '$HOME')}",
        *(f"export {name}={value}" for name, value in exports.items()),
        "ulimit -n 65536",
        start,
    ]
    return "\n".join(lines) + "\n"
