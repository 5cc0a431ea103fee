"""The task of SkyPilot: machines of whatever zone has some, and others after a spot machine is gone."""

from typing import Any

from ..errors import ClusterError
from ..job import Job
from ..secretfiles import token_file
from ..spec.cluster import Cluster
from .archive import unpacking
from .entrypoint import entrypoint
from .environment import TOKEN, node_environment
from .merge import finished
from .rendered import Rendered
from .text import yaml_text

#: Where the files of the job are on the nodes.
_FOLDER = "~/fullspectrum-job"

#: SkyPilot runs a Ray of its own on other ports.
_PORT = 6379


def render_skypilot(cluster: Cluster, job: Job) -> Rendered:
    """Return `task.yaml`. All nodes are equal: the first runs the driver and Ray's head, and trials too.

    The package itself is in the image, or what `setup` under [cloud] installs. Files are part of the task.

    Raise ClusterError for several groups of workers, and for what SkyPilot would refuse.
    """
    cloud = cluster.cloud
    assert cloud
    if len(cluster.workers) != 1:
        raise ClusterError(
            f"a task of SkyPilot has nodes of one kind, but the cluster has {len(cluster.workers)} groups of workers; "
            "describe one"
        )
    (group,) = cluster.workers
    resources: dict[str, Any] = {
        "infra": "/".join(filter(None, [cluster.kind, cloud.region, cloud.zone])),
        "instance_type": group.machine,
        "disk_size": cloud.disk_gib,
        "use_spot": group.spot,
        "job_recovery": {"max_restarts_on_errors": cluster.retries},
    }
    if cluster.kind == "gcp" and group.gpus and (group.machine or "").startswith("n1-"):
        resources["accelerators"] = {group.accelerator: group.gpus}
    if cluster.image:
        resources["image_id"] = f"docker:{cluster.image}"
    mounts = {TOKEN: str(token_file(cluster))}
    setup = [*cloud.setup, f"chmod 600 {TOKEN}", *unpacking(job, _FOLDER)]
    document: dict[str, Any] = {"name": job.name, "resources": resources, "num_nodes": group.most}
    document["envs"] = {"RAY_AUTH_MODE": "token", **node_environment(cluster, job), **job.environment}
    if cluster.secrets:
        # Their values are given when the task is launched.
        document["secrets"] = {name: None for name in cluster.secrets}
    document |= {"file_mounts": mounts, "setup": "\n".join(setup) + "\n", "run": _run(cluster, job)}
    document = finished("skypilot", document, cluster.overrides)
    return Rendered({"task.yaml": yaml_text(f"Search {job.name}, to be started by `sky jobs launch`", document)})


def _run(cluster: Cluster, job: Job) -> str:
    """Return what each node runs: Ray, and on the first one the search."""
    lines = [
        f"export RAY_AUTH_TOKEN_PATH={TOKEN.replace('~', '$HOME')}",
        f"cd {_FOLDER}",
        # Workers import the user's modules from there.
        'export PYTHONPATH="$PWD"',
        'head="$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"',
        'if [ "$SKYPILOT_NODE_RANK" != 0 ]; then',
        # They leave with the head, at the end of the search.
        f'  until (: < "/dev/tcp/$head/{_PORT}") 2> /dev/null; do sleep 5; done',
        f'  ray start --address="$head:{_PORT}" --block || true',
        "  exit 0",
        "fi",
        f"ray start --head --port={_PORT} --dashboard-host=127.0.0.1",
        f'export RAY_ADDRESS="$head:{_PORT}"',
        "code=0",
        f"({entrypoint(cluster, job)}) || code=$?",
        "ray stop",
        "exit $code",
    ]
    return "\n".join(lines) + "\n"
