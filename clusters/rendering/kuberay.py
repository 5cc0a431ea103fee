"""The RayJob of a search, with the ConfigMap of its files, for KubeRay."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from ..errors import ClusterError
from ..job import Job
from ..spec.cluster import Cluster
from ..spec.nodes import Head, Workers
from ..spec.places import Kubernetes
from .entrypoint import deadline_seconds, entrypoint
from .environment import node_environment
from .jobfiles import config_map, keys_by_path
from .merge import finished
from .rendered import Rendered
from .text import yaml_text

#: Where the ConfigMap is mounted: the script that the job runs, and the folder of study and modules.
_MOUNT = "/fullspectrum"
_SCRIPT = "run.sh"
_STUDY = f"{_MOUNT}/study"

#: Seconds that KubeRay waits beyond the deadline, at which the search ends by itself, before it ends the job.
_BACKSTOP = 1800

#: Seconds that a pod has beyond the grace of its search.
_LEAVE = 15

#: The fraction of a pod's memory that Ray's object store may take in /dev/shm.
_SHARED = 0.3

#: The user of the image: anybody but root.
_USER = 1000


def secret_name(cluster: Cluster) -> str:
    """Return the name of the Secret of Kubernetes that holds a cluster's secrets, each under its variable."""
    return f"{cluster.name}-secrets"


def render_kuberay(cluster: Cluster, job: Job) -> Rendered:
    """Return `rayjob.yaml`: a ConfigMap and a RayJob. The package itself is in the image.

    Raise ClusterError for what Kubernetes or KubeRay would refuse, and for files of more than 1 MiB.
    """
    place = cluster.kubernetes or Kubernetes()
    _check_metadata(cluster.overrides.get("metadata"))
    metadata = {"name": job.name, "namespace": place.namespace, "labels": {"fullspectrum/cluster": cluster.name}}
    files = config_map(job, {_SCRIPT: _script(cluster, job)})
    spec: dict[str, Any] = {
        "entrypoint": f"bash {_MOUNT}/{_SCRIPT}",
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": place.keep_minutes * 60,
        # A retry is a new cluster, on which the search goes on.
        "backoffLimit": cluster.retries,
    }
    if cluster.deadline_hours is not None:
        spec["activeDeadlineSeconds"] = deadline_seconds(cluster) + _BACKSTOP
    spec["rayClusterSpec"] = {
        "rayVersion": version("ray"),
        # The operator makes the token, and gives it to all pods.
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"version": "v2", "idleTimeoutSeconds": round(cluster.idle_minutes * 60)},
        "headGroupSpec": {
            "rayStartParams": {} if cluster.trials_on_head else {"num-cpus": "0"},
            "template": {"spec": _pod(cluster, job, cluster.head, "ray-head")},
        },
        "workerGroupSpecs": [_group(cluster, job, group) for group in cluster.workers],
    }
    document = {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": metadata, "spec": spec}
    document = finished("kuberay", document, cluster.overrides)
    comment = f"Search {job.name} on cluster {cluster.name}, to be started by `kubectl apply`"
    return Rendered({"rayjob.yaml": yaml_text(comment, files | {"metadata": metadata}, document)})


def _check_metadata(overrides: Any) -> None:
    """Raise ClusterError for another name or namespace than files, secrets and all commands know the job by."""
    ways = {"name": "it is how the job is found again; leave it out", "namespace": "set it under [kubernetes]"}
    for name, way in ways.items():
        if isinstance(overrides, Mapping) and name in overrides:
            raise ClusterError(f"overrides.metadata.{name} = {overrides[name]!r}: {way}")


def _script(cluster: Cluster, job: Job) -> str:
    """Return the script of the job. A mounted ConfigMap cannot be written to, so the search has a copy of it."""
    lines = ["set -eu", 'folder="$(mktemp -d)"']
    if job.folder:
        lines.append(f'cp -RL {_STUDY}/. "$folder"')
    return "\n".join([*lines, 'cd "$folder"', entrypoint(cluster, job)]) + "\n"


def _group(cluster: Cluster, job: Job, group: Workers) -> dict[str, Any]:
    parameters = {}
    if group.accelerator:
        # As Ray's autoscaler reads it, before there is a pod: JSON in quotes.
        parameters["resources"] = f'"{{\\"accelerator_type:{group.accelerator}\\": 1}}"'
    return {
        "groupName": group.name,
        "replicas": group.least,
        "minReplicas": group.least,
        "maxReplicas": group.most,
        "rayStartParams": parameters,
        "template": {"spec": _pod(cluster, job, group, "ray-worker")},
    }


def _pod(cluster: Cluster, job: Job, node: Head | Workers, container: str) -> dict[str, Any]:
    place = cluster.kubernetes or Kubernetes()
    assert node.memory_gib is not None
    limits = {"cpu": str(node.cpus), "memory": f"{node.memory_gib}Gi"}
    if node.gpus:
        limits["nvidia.com/gpu"] = str(node.gpus)
    shared = {"medium": "Memory", "sizeLimit": f"{max(1, round(node.memory_gib * _SHARED))}Gi"}
    volumes: list[dict[str, Any]] = [
        {"name": "shared-memory", "emptyDir": shared},
        {"name": "job", "configMap": {"name": job.name, "items": _items(job)}},
    ]
    mounts = [{"name": "shared-memory", "mountPath": "/dev/shm"}, {"name": "job", "mountPath": _MOUNT}]
    if place.claim:
        volumes.append({"name": "storage", "persistentVolumeClaim": {"claimName": place.claim}})
        mounts.append({"name": "storage", "mountPath": cluster.storage or ""})
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": round(job.grace_seconds) + _LEAVE,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": container,
                "image": cluster.image,
                "env": _environment(cluster, job),
                "resources": {"limits": limits, "requests": limits},
                "volumeMounts": mounts,
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
        "volumes": volumes,
    }
    if place.service_account:
        pod["serviceAccountName"] = place.service_account
    if node.gpus:
        # Nodes with GPUs keep other pods away.
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return pod


def _items(job: Job) -> list[dict[str, str]]:
    folder = _STUDY.removeprefix(f"{_MOUNT}/")
    paths = {key: f"{folder}/{path}" for path, key in keys_by_path(job).items()}
    return [{"key": key, "path": path} for key, path in {_SCRIPT: _SCRIPT, **paths}.items()]


def _environment(cluster: Cluster, job: Job) -> list[Mapping[str, Any]]:
    values = {**node_environment(cluster, job), **job.environment}
    if job.folder:
        # Workers import the user's modules from there.
        values["PYTHONPATH"] = ":".join(filter(None, [_STUDY, values.get("PYTHONPATH")]))
    secret = secret_name(cluster)
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        *({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}} for name in cluster.secrets),
    ]
